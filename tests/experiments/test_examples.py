"""Every example does what it says, on less data and for fewer epochs than it would by itself."""

from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

import physprune_pl.export
from physprune_pl.reports.report import PruningReport

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore:.*does not have many workers",
        "ignore:The number of training batches",
        "ignore:.*exists and is not empty",
    ),
    pytest.mark.usefixtures("_elsewhere"),
]

FOLDER = Path(__file__).parents[2] / "experiments" / "examples"


@pytest.fixture
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let logs and checkpoints lie in a folder of their own."""
    monkeypatch.chdir(tmp_path)


def example(name: str) -> ModuleType:
    return import_module(f"experiments.examples.{name}")


def keeps(report: PruningReport, share: float) -> bool:
    return report.macs["pruned"] <= 1.02 * share * report.macs["dense"]


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_an_example_fits_on_a_screen_and_is_tested(path: Path) -> None:
    assert len(path.read_text().splitlines()) < 60
    assert path.stem in ("__init__", "digits") or f'example("{path.stem}")' in Path(__file__).read_text()


def test_a_law_of_ones_own() -> None:
    report = example("own_law").main(epochs=4)
    assert keeps(report, 0.4)
    assert report.metric["after_finetune"] is not None


def test_an_attention_module_of_ones_own() -> None:
    model = example("own_attention").main()
    assert 0 < model.attention.how_many < 8
    assert model.attention.to_all.out_features == 3 * 4 * model.attention.how_many
    assert model(torch.randint(50, (3, 7))).shape == (3, 4)


@pytest.mark.parametrize("killed_at", [1, 3])
def test_a_killed_run_goes_on(killed_at: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module = example("resume")
    resumed = module.main(epochs=3, killed_at=killed_at, folder=tmp_path / "killed")
    assert "power cut in epoch" in capsys.readouterr().out
    whole = module.fit(tmp_path / "whole", 3)
    assert keeps(whole, 0.4)
    assert (resumed.groups, resumed.metric) == (whole.groups, whole.metric)


def test_a_sweep(tmp_path: Path) -> None:
    comparison = example("sweep").main(laws=("uniform", "gravity"), shares=(0.5,), epochs=2, folder=tmp_path)
    assert list(comparison.reports) == ["uniform-0.5", "gravity-0.5"]
    assert all(keeps(report, 0.5) for report in comparison.reports.values())
    assert "Pareto" in (tmp_path / "comparison.html").read_text()


def test_a_unet() -> None:
    report = example("unet").main(epochs=3, count=32)
    assert keeps(report, 0.4)
    assert {group["name"] for group in report.groups} >= {"down.0", "up"}


@pytest.mark.skipif(any(physprune_pl.export.missing()), reason="onnx or onnxscript (extra export) is not installed")
def test_a_pruned_network_is_served_by_onnxruntime(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime (extra export) is not installed")
    assert example("serve_onnx").main(tmp_path / "model.onnx") < 1e-5


@pytest.mark.skipif(any(physprune_pl.export.missing()), reason="onnx or onnxscript (extra export) is not installed")
def test_a_pruned_network_is_quantised_to_int8(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime (extra export) is not installed")
    assert example("int8_onnx").main(tmp_path) > 0.95
    assert (tmp_path / "pruned.int8.onnx").stat().st_size < (tmp_path / "pruned.onnx").stat().st_size


@pytest.mark.slow
def test_a_resnet_of_torchvision_on_folders_of_pictures(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image", reason="pillow reads and writes the pictures")
    generator = np.random.default_rng(0)
    for split, label, number in (
        (split, label, number) for split in ("train", "val") for label in "ab" for number in range(8)
    ):
        pixels = generator.integers(0, 128, (16, 16, 3)) + 127 * (label == "b")
        folder = tmp_path / split / label
        folder.mkdir(parents=True, exist_ok=True)
        image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}.png")
    report = example("imagefolder_resnet").main(tmp_path, epochs=2, size=32, batch_size=8)
    assert keeps(report, 0.4)
    assert all(group["after"] % 8 == 0 for group in report.groups)


@pytest.mark.slow
def test_a_vision_transformer_of_timm() -> None:
    pytest.importorskip("timm", reason="timm (extra timm) is not installed")
    report = example("timm_vit").main(epochs=2, depth=1)
    assert keeps(report, 0.5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the config of BertForSequenceClassification")
def test_a_text_classifier_of_hugging_face() -> None:
    pytest.importorskip("transformers", reason="transformers is not installed")
    report = example("text_classifier").main(epochs=2, count=64)
    assert keeps(report, 0.5)
    assert report.metric["name"] == "val_acc"
