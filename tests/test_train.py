"""train.py and its configuration: everything composes, every experiment runs, a run leaves what it promises."""

import json
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.errors import ConfigCompositionException, MissingConfigException
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

from experiments import outcome
from experiments.assembly import build_force, build_pruning, checkpoint_to_resume
from physprune_pl import Channels
from physprune_pl.forces import FORCES, ForceLaw
from physprune_pl.measure import measure_latency
from physprune_pl.report import PruningReport
from train import run

ROOT = Path(__file__).parent.parent
CONF = ROOT / "conf"

# Lightning's advice about tiny runs, and about resuming in another folder.
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*does not have many workers", "ignore:The number of training batches", "ignore:The dirpath has changed"
)

SMALL = ("trainer.max_epochs=1", "data.batch_size=400", "model=lenet5", "trainer=cpu")
QUIET = ("+trainer.enable_progress_bar=false", "logger=none")
TINY = (*SMALL, "finetune.epochs=1")
DENSE = (*SMALL, *QUIET, "force=none", "target=none", "finetune=none")


@pytest.fixture(autouse=True, scope="module")
def _quick_latency() -> Iterator[None]:
    """One short round: these tests look at what is there, not at how fast it is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outcome, "measure_latency", partial(measure_latency, rounds=1, round_seconds=1e-3))
        yield


def choices(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def composed(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("train", list(overrides))


def nodes(config: Any) -> Iterator[Any]:
    """Every mapping of a configuration, from the outside in."""
    if isinstance(config, dict):
        yield config
        for value in config.values():
            yield from nodes(value)


GROUPS = sorted(path.name for path in CONF.iterdir() if path.is_dir())


@pytest.mark.parametrize(("group", "choice"), [(group, choice) for group in GROUPS for choice in choices(group)])
def test_every_file_composes_and_every_target_exists(group: str, choice: str) -> None:
    config = composed(f"{group}={choice}", "paths.output=out")
    for node in nodes(OmegaConf.to_container(config, resolve=True)):
        if "_target_" in node:
            assert callable(get_object(node["_target_"]))


def test_the_layout_is_complete() -> None:
    expected = "model data force strength distance schedule target finetune trainer logger callbacks experiment "
    assert {*expected.split(), "hparams_search", "paths", "hydra"} <= set(GROUPS)
    assert len((ROOT / "train.py").read_text().splitlines()) <= 100


@pytest.mark.parametrize("experiment", choices("experiment"))
def test_the_command_line_can_switch_everything_off(experiment: str) -> None:
    config = composed(f"experiment={experiment}", "force=none", "target=none", "finetune=none")
    assert build_pruning(config) == ([], None)


@pytest.mark.parametrize("name", sorted(FORCES))
def test_a_file_of_a_force_is_the_law_of_that_name(name: str) -> None:
    assert build_force(composed(f"force={name}").force) == FORCES[name]()


def test_an_unknown_force_lists_the_choices() -> None:
    with pytest.raises(MissingConfigException, match=r"(?s)electrostatic.*gravity_literal.*uniform"):
        composed("force=magnetism")
    with pytest.raises(ConfigCompositionException, match="rat"):
        composed("force.rat=3")


def spring(channels: Channels, stiffness: float = 1.0) -> torch.Tensor:
    return stiffness * channels.distance


class Spring(ForceLaw):
    def __call__(self, channels: Channels) -> torch.Tensor:
        return channels.distance


def test_a_law_of_ones_own_takes_the_place_of_any_other() -> None:
    own = build_force(composed("force=exponential", f"force._target_={__name__}.Spring").force)
    assert own == Spring(normalize=True)
    function = build_force(composed(f"force._target_={__name__}.spring", "+force.stiffness=2").force)
    ones = torch.ones(2)
    assert function(Channels(strength=ones, distance=ones, pivot=0, sign=ones)).tolist() == [2, 2]
    with pytest.raises(TypeError, match="stifness"):
        build_force(composed("force._target_=" + __name__ + ".Spring", "+force.stifness=2").force)


def test_etp_official_is_the_code_of_the_paper() -> None:
    law = build_force(composed("experiment=etp_official").force)
    distance = torch.arange(8.0)
    found = law(Channels(strength=torch.ones(8), distance=distance, pivot=0, sign=torch.ones(8)))
    assert torch.allclose(found, 1.01 ** (500 / 8 * distance) / 8, rtol=1e-3)
    config = composed("experiment=etp_official")
    assert not law.normalize
    assert config.coefficient == 1e-5
    assert config.strength == {"_target_": "physprune_pl.strengths.L1", "scope": "filter"}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("target.params=0.5",), "target"),
        (("target.macs=1.5",), "target"),
        (("target=none",), "force=none"),
        (("coefficient=-1",), "coefficient"),
        (("select=luck",), "select"),
        (("finetune.epochs=-1",), "finetune_epochs"),
    ],
)
def test_bad_values_are_refused_before_training(overrides: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_pruning(composed(*overrides))


def test_resuming_from_nothing_is_an_error(tmp_path: Path) -> None:
    assert checkpoint_to_resume(composed()) is None
    with pytest.raises(FileNotFoundError, match=r"hydra\.run\.dir"):
        checkpoint_to_resume(composed("ckpt_path=last", f"paths.output={tmp_path}"))


@pytest.mark.parametrize("experiment", choices("experiment"))
def test_every_experiment_runs(experiment: str, tmp_path: Path) -> None:
    # A small network stands in; the target is one that a single batch of force can meet.
    overrides = (f"experiment={experiment}", "model=lenet5", "trainer=cpu", "+trainer.fast_dev_run=true", *QUIET)
    report, _ = run(composed(*overrides, "data.batch_size=400", f"paths.output={tmp_path}"))
    assert report.params["pruned"] <= report.params["dense"]
    assert report.metric["split"] == "test"


FOUR_EPOCHS = (*TINY, *QUIET, "trainer.max_epochs=2", "finetune.epochs=2", "+callbacks.best.save_top_k=-1")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints of all epochs of a run that was not interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    config = composed(*FOUR_EPOCHS, f"paths.output={folder}")
    config.callbacks.best.filename = "{epoch}"
    run(config)
    return folder / "checkpoints"


def test_a_run_leaves_report_pictures_and_checkpoints(tmp_path: Path) -> None:
    dense, _ = run(composed(*DENSE, f"paths.output={tmp_path}/0"))
    baseline = f"baseline={tmp_path}/0/checkpoints/last.ckpt"
    report, score = run(composed(*TINY, *QUIET, "seed=3", baseline, f"paths.output={tmp_path}/1"))
    assert dense.metric["dense"] == report.metric["dense"]
    assert all(0 <= report.metric[phase] <= 1 for phase in ("after_sparsify", "after_cut", "after_finetune"))
    assert 0 <= score <= 1
    assert report.macs["pruned"] <= 0.32 * report.macs["dense"]
    assert report.file_bytes["pruned"] < report.file_bytes["dense"]
    assert report.latency_ms.keys() == {"batch_1", "batch_32"}
    assert report.seed == 3
    names = {path.name for path in (tmp_path / "1").iterdir()}
    assert {"report.json", "report.md", "strengths.png", "widths.png", "run.png", "checkpoints"} <= names
    assert json.loads((tmp_path / "1" / "report.json").read_text())["macs"] == report.macs


@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_a_run_can_be_resumed_in_any_phase(epoch: int, whole: Path, tmp_path: Path) -> None:
    report, score = run(composed(*FOUR_EPOCHS, f"paths.output={tmp_path}", f"ckpt_path='{whole}/epoch={epoch}.ckpt'"))
    expected = PruningReport.from_json((whole.parent / "report.json").read_text())
    assert report.groups == expected.groups
    assert report.metric == expected.metric
    assert 0 <= score <= 1


def test_resuming_after_the_cut_needs_the_weights_before_it(whole: Path, tmp_path: Path) -> None:
    moved = whole.parent / "sparsified.pt"
    moved.rename(whole.parent / "away.pt")
    try:
        with pytest.raises(FileNotFoundError, match=r"sparsified\.pt"):
            run(composed(*FOUR_EPOCHS, f"paths.output={tmp_path}", f"ckpt_path='{whole}/epoch=2.ckpt'"))
    finally:
        (whole.parent / "away.pt").rename(moved)


def test_a_trained_network_is_cut_without_a_sparsify_phase(tmp_path: Path) -> None:
    run(composed(*DENSE, f"paths.output={tmp_path}/0"))
    weights = f"model.weights={tmp_path}/0/checkpoints/last.ckpt"
    report, _ = run(
        composed(*TINY, *QUIET, "trainer.max_epochs=0", "force=none", weights, f"paths.output={tmp_path}/1")
    )
    assert report.macs["pruned"] <= 0.32 * report.macs["dense"]
    assert report.metric["after_sparsify"] is not None


@pytest.mark.slow
def test_the_command_line(tmp_path: Path) -> None:
    command = [sys.executable, "train.py", *TINY, "force=gravity", f"hydra.run.dir={tmp_path}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "Pruning report" in done.stdout + done.stderr
    assert (tmp_path / "report.json").exists()
    assert (tmp_path / "logs" / "metrics.csv").exists()
    sweep = [sys.executable, "train.py", *TINY, "hparams_search=laws", "hydra.sweeper.params.seed=0"]
    sweep += ["hydra.sweeper.params.force='uniform,gravity'", f"hydra.sweep.dir={tmp_path}/sweep"]
    subprocess.run(sweep, cwd=ROOT, capture_output=True, text=True, check=True)
    assert len(list(tmp_path.glob("sweep/*/report.json"))) == 2
