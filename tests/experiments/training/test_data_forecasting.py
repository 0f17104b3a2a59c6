"""Series to forecast: the splits of the papers, windows that never see what they forecast, errors of forecasts."""

import os
from pathlib import Path

import pytest
import torch

from experiments.training.assembly import build_data, build_network, composed
from experiments.training.data import ETTh1
from experiments.training.data import forecasting as module
from experiments.training.data.forecasting import ENDS, Windows, read_series
from experiments.training.models.forecasting import patch_transformer
from experiments.training.run import run
from experiments.training.tasks import FORECASTING, absolute_errors, squared_errors

REAL = Path(os.environ.get("PHYSPRUNE_DATA", "data")) / "ETT-small"
HOURS = ENDS["test"]


def written(root: Path, rows: list[list[object]]) -> Path:
    path = root / "ETT-small" / "ETTh1.csv"
    path.parent.mkdir()
    lines = [["date", *"abcdefg"], *([f"hour {hour}", *row] for hour, row in enumerate(rows))]
    path.write_text("".join(",".join(map(str, line)) + "\n" for line in lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("series")
    waves = torch.arange(HOURS)[:, None] / torch.arange(5.0, 12.0)
    written(folder, (torch.arange(7.0) + waves.sin()).tolist())
    return folder


def test_a_window_is_followed_by_what_it_forecasts() -> None:
    windows = Windows(torch.arange(20.0)[:, None], seen=4, horizon=3)
    assert len(windows) == 14
    seen, answer, seed = windows[[0, 13], 5]
    assert seen[..., 0].tolist() == [[0, 1, 2, 3], [13, 14, 15, 16]]
    assert answer[..., 0].tolist() == [[4, 5, 6], [17, 18, 19]]
    assert seed == 5


def test_splits_follow_each_other_and_are_scaled_by_the_training_months(root: Path) -> None:
    data = ETTh1(root, seen=48, horizon=24)
    data.setup()
    assert {name: len(split) for name, split in data.splits.items()} == {
        "train": ENDS["train"] - 48 - 24 + 1,
        "val": 4 * module.MONTH - 24 + 1,
        "test": 4 * module.MONTH - 24 + 1,
    }
    training = data.splits["train"].series.double()
    assert torch.allclose(training.mean(dim=0), torch.zeros(7, dtype=torch.double), atol=1e-6)
    assert torch.allclose(training.std(dim=0, correction=0), torch.ones(7, dtype=torch.double), atol=1e-6)
    raw = read_series(data.path, HOURS)
    first = data.splits["test"][[0], 0][1][0].double()
    scaled = (raw - raw[: ENDS["train"]].mean(0)) / raw[: ENDS["train"]].std(0, correction=0)
    assert torch.allclose(first, scaled[ENDS["val"] : ENDS["val"] + 24], atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seen": 0}, "seen: expected at least 1, got 0"),
        ({"horizon": 0}, "horizon: expected at least 1, got 0"),
        ({"horizon": 9000}, "shorter than the splits"),
    ],
)
def test_windows_that_do_not_fit_are_refused(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ETTh1(**arguments)


def test_a_table_that_is_short_or_holds_no_numbers_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="to download it anew"):
        read_series(tmp_path / "none.csv", 3)
    path = written(tmp_path, [[1, 2], [3, "x"]])
    with pytest.raises(ValueError, match="at least 3 hours, got 2"):
        read_series(path, 3)
    with pytest.raises(ValueError, match="numbers in every line"):
        read_series(path, 2)


def test_a_missing_table_is_downloaded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(module, "download_url", lambda address, folder: asked.append((address, folder)))
    data = ETTh1(tmp_path)
    data.prepare_data()
    assert asked == [(module.ADDRESS, str(tmp_path / "ETT-small"))]
    (tmp_path / "ETT-small").mkdir()
    data.prepare_data()
    assert len(asked) == 1


@pytest.mark.parametrize(("scores", "power"), [(absolute_errors, 1), (squared_errors, 2)])
def test_errors_are_means_over_all_numbers_of_a_sample(scores, power) -> None:
    outputs, answers = torch.randn(3, 4, 2), torch.randn(3, 4, 2)
    for sample, found in enumerate(scores(outputs, answers).tolist()):
        pairs = zip(outputs[sample].ravel().tolist(), answers[sample].ravel().tolist(), strict=True)
        numbers = [abs(one - other) ** power for one, other in pairs]
        assert found == pytest.approx(sum(numbers) / 8, rel=1e-5)


def test_a_forecast_follows_level_and_scale_of_its_window() -> None:
    network = patch_transformer((48, 7), 12, width=8, depth=1, heads=2, head_size=4).eval()
    window = torch.randn(2, 48, 7)
    forecast = network(window)
    assert forecast.shape == (2, 12, 7)
    assert torch.allclose(network(100 + 10 * window), 100 + 10 * forecast, rtol=1e-3, atol=1e-2)
    alone = network(window[..., 3:4])
    assert torch.allclose(alone[..., 0], forecast[..., 3], atol=1e-5)


@pytest.mark.parametrize(("name", "value"), [("width", 0), ("depth", 0), ("heads", 0), ("patch", 0), ("stride", 0)])
def test_sizes_under_one_are_refused(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"{name}: expected at least 1, got 0"):
        patch_transformer((48, 7), 12, **{name: value})


def test_a_patch_is_no_longer_than_a_window() -> None:
    with pytest.raises(ValueError, match="patch: expected at most the 8 hours of a window, got 16"):
        patch_transformer((8, 7), 12)


def test_a_network_for_other_answers_is_refused(root: Path) -> None:
    config = composed(["data=etth1", "model=resnet20", f"data.root={root}"])
    with pytest.raises(ValueError, match=r"ETTh1 needs a factory that takes shape and horizon, got .*resnet20, which"):
        build_network(config.model, build_data(config))


def test_a_run_prunes_a_forecaster_and_reports_its_error(root: Path, tmp_path: Path) -> None:
    small = ["model.width=16", "model.depth=1", "model.heads=2", "model.head_size=4", "data.seen=48", "data.horizon=12"]
    few = [f"+trainer.limit_{split}_batches=4" for split in ("train", "val", "test")]
    lengths = ["trainer.max_epochs=2", "finetune.epochs=1", "target.macs=0.4"]
    places = [f"data.root={root}", f"paths.output={tmp_path}", "logger=none"]
    choices = ["data=etth1", "model=patch_transformer", "optimizer=adamw"]
    config = composed([*choices, *lengths, *places, *small, *few])
    report, error = run(config)
    assert report.metric["name"] == FORECASTING.metric
    assert report.macs["pruned"] == pytest.approx(0.4 * report.macs["dense"], rel=0.02)
    assert 0 < report.metric["after_finetune"] < 10
    assert 0 < error < 10


@pytest.mark.skipif(not REAL.exists(), reason="the real series is not there: set PHYSPRUNE_DATA")
def test_the_real_series_is_read() -> None:
    data = ETTh1(REAL.parent)
    data.setup()
    assert [len(data.splits[name]) for name in ("train", "val", "test")] == [8209, 2785, 2785]
