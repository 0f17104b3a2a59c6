"""train.py: a run leaves what it promises, and can be resumed in any phase."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from configured import ADVICE, DENSE, QUIET, TINY
from configured import config_of as composed

from experiments.training import outcome
from experiments.training.run import run
from physprune_pl.latency.race import measure_latency
from physprune_pl.reports.report import PruningReport

pytestmark = pytest.mark.filterwarnings(*ADVICE)


@pytest.fixture(autouse=True, scope="module")
def _quick_latency() -> Iterator[None]:
    """One short round: these tests look at what is there, not at how fast it is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outcome, "measure_latency", partial(measure_latency, rounds=1, round_seconds=1e-3))
        yield


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
    assert {"report.html", "report.json", "report.md", "strengths.png", "widths.png", "run.png", "checkpoints"} <= names
    assert json.loads((tmp_path / "1" / "report.json").read_text())["macs"] == report.macs


@pytest.mark.parametrize("epoch", [0, 1, 2, 3])
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


def test_a_run_keeps_the_shares_that_its_configuration_asks_for(tmp_path: Path) -> None:
    shares = ("min_share={network.3:0.9}", "max_share={network.7:0.5,network.9:0.5}", "target.macs=0.5")
    report, _ = run(composed(*TINY, *QUIET, *shares, "finetune=none", f"paths.output={tmp_path}"))
    kept = {group["name"]: (group["before"], group["after"]) for group in report.groups}
    assert kept["network.3"][1] >= 0.9 * 16
    assert kept["network.7"][1] <= 60
    assert kept["network.9"][1] <= 42
    assert report.macs["pruned"] == pytest.approx(0.5 * report.macs["dense"], rel=0.02)


def test_a_trained_network_is_cut_without_a_sparsify_phase(tmp_path: Path) -> None:
    run(composed(*DENSE, f"paths.output={tmp_path}/0"))
    weights = f"model.weights={tmp_path}/0/checkpoints/last.ckpt"
    report, _ = run(
        composed(*TINY, *QUIET, "trainer.max_epochs=0", "force=none", weights, f"paths.output={tmp_path}/1")
    )
    assert report.macs["pruned"] <= 0.32 * report.macs["dense"]
    assert report.metric["after_sparsify"] is not None


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("baseline=nowhere.ckpt", "baseline: expected the checkpoint"),
        ("recalibration_batches=-1", "at least 0, got -1"),
    ],
)
def test_what_is_needed_after_training_is_checked_before(override: str, message: str, tmp_path: Path) -> None:
    with pytest.raises((FileNotFoundError, ValueError), match=message):
        run(composed(*TINY, *QUIET, override, f"paths.output={tmp_path}"))
    assert not list(tmp_path.iterdir())
