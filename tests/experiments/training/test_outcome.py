"""From a finished run to its report: the recalibrated network among those that are tested."""

from pathlib import Path

import lightning as L
import pytest
import torch

from experiments.training import outcome
from experiments.training.assembly import build_data, build_model, composed
from experiments.training.outcome import networks_of_phases, recalibrated
from physprune_pl import plan_pruning
from physprune_pl.networks.recalibration import recalibrate

CONFIG = ("data=digits", "model=resnet20", "data.batch_size=64", "paths.output=out")


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> tuple:
    """Data, the dense network, its file and a plan."""
    path = tmp_path_factory.mktemp("run") / "sparsified.pt"
    L.seed_everything(1, verbose=False)
    config = composed(CONFIG)
    data = build_data(config)
    model = build_model(config, data)
    torch.save(model.state_dict(), path)
    return data, model, path, plan_pruning(model, model.example_input_array, target={"macs": 0.6})


def test_the_recalibrated_network_is_the_cut_one_with_other_statistics(cut: tuple) -> None:
    data, model, path, plan = cut
    networks = networks_of_phases(composed([*CONFIG, "recalibration_batches=2"]), data, model, path, plan)
    assert list(networks) == ["after_sparsify", "after_cut", "after_recalibration", "after_finetune"]
    expected = networks["after_cut"]
    batches = [batch for batch, _ in zip(data.train_dataloader(), range(2), strict=False)]
    before = {name: value.clone() for name, value in expected.state_dict().items()}
    assert recalibrate(expected, [data.prepare(batch, augment=True)[0] for batch in batches]) == 21
    found = networks["after_recalibration"].state_dict()
    assert any(not torch.equal(value, before[name]) for name, value in found.items())
    for name, value in expected.state_dict().items():
        torch.testing.assert_close(found[name], value, msg=name)


def test_without_batches_there_is_no_such_network(cut: tuple) -> None:
    data, model, path, plan = cut
    assert composed(CONFIG).recalibration_batches == 0
    assert list(networks_of_phases(composed(CONFIG), data, model, path, plan)) == [
        "after_sparsify",
        "after_cut",
        "after_finetune",
    ]
    with pytest.raises(ValueError, match="recalibration_batches: expected at least 0, got -1"):
        networks_of_phases(composed([*CONFIG, "recalibration_batches=-1"]), data, model, path, plan)


def test_without_batch_norm_there_is_no_such_network(tmp_path: Path) -> None:
    config = composed(["model=lenet5", "recalibration_batches=2"])
    data = build_data(config)
    model = build_model(config, data)
    torch.save(model.state_dict(), tmp_path / "sparsified.pt")
    plan = plan_pruning(model, model.example_input_array, target={"macs": 0.6})
    assert "after_recalibration" not in networks_of_phases(config, data, model, tmp_path / "sparsified.pt", plan)


def test_more_batches_than_an_epoch_has_are_an_epoch(cut: tuple) -> None:
    data, model, _, _ = cut
    data.setup()
    one, other = (recalibrated(model, data, count) for count in (len(data.train_dataloader()), 10_000))
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())


def test_what_pressing_left_does_not_slow_the_dense_network(cut: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
    data, model, path, plan = cut
    networks = networks_of_phases(composed(CONFIG), data, model, path, plan)
    weights = next(networks["after_sparsify"].parameters())
    weights.data[0] = 1e-20
    timed = {}
    monkeypatch.setattr(outcome, "measure_latency", lambda sizes, _: timed.update(sizes) or {})
    outcome.tested(outcome.dense_report(model), networks, data, torch.device("cpu"), limit=1)
    assert not next(timed["dense"].parameters())[0].any()
    assert weights.data[0].any()
    assert timed["pruned"] is networks["after_finetune"].network
