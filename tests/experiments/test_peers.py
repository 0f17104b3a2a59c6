"""The other programs: the same settings as ours, a cut to the target, masks that make nothing smaller."""

from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from configured import ADVICE, QUIET
from torch import nn

from experiments.bench.comparisons import COMPARISONS
from experiments.bench.runs import merged
from experiments.peers.kirigami import Kirigami
from experiments.peers.masks import LightningMasks
from experiments.peers.phases import run
from experiments.peers.run import FULL_RATE, JOBS, PROGRAMS, Job
from experiments.peers.torch_pruning import TorchPruning
from experiments.training.assembly import build_data, build_model, composed
from experiments.training.data import LabelledData
from experiments.training.supervised import Supervised
from physprune_pl.networks.measure import count_macs

pytestmark = [pytest.mark.filterwarnings(one) for one in (*ADVICE, "ignore:.*is deprecated")]

SHORT = ("trainer.max_epochs=1", "finetune.epochs=1", "data.batch_size=400", "model=resnet20", *QUIET)


@pytest.mark.parametrize(("name", "job"), JOBS.items())
def test_the_peers_have_the_settings_of_the_comparison(name: str, job: Job) -> None:
    ours = composed([*COMPARISONS[name].arms[1].overrides, "paths.output=out"])
    for program in job.programs:  # each is a folder, which Hydra must be able to read
        theirs = composed([*job.overrides, f"paths.output={program}"])
        assert theirs.paths.output == program
        theirs.paths.output = "out"
        assert theirs == ours
    assert {PROGRAMS[program].overrides for program in job.programs} == {(), FULL_RATE}
    assert ours.force is None


def test_new_results_take_the_place_of_old_ones() -> None:
    first, second, *_ = PROGRAMS
    old = [{"arm": second, "seed": 0, "x": 1}, {"arm": first, "seed": 1, "x": 2}]
    new = {"arm": second, "seed": 0, "x": 3}
    assert merged(old, [new], list(PROGRAMS)) == [old[1], new]


def test_the_page_has_the_rows_that_the_peers_are_compared_with() -> None:
    lines = JOBS["digits"].page([]).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:6]] == ["| dense", "| none", "| uniform", "| exponential"]


def network() -> Any:
    torch.manual_seed(0)
    config = composed([*JOBS["digits"].overrides, *SHORT, "paths.output=out"])
    data = build_data(config)
    return build_model(config, data), data


@pytest.mark.parametrize("method", ["group_norm", "growing_reg"])
def test_torch_pruning_presses_and_cuts_to_the_target(method: Any) -> None:
    pytest.importorskip("torch_pruning", reason="needs torch-pruning")
    model, data = network()
    peer = TorchPruning(method)
    (callback,) = peer.presses(model)
    assert model.network.training
    callback.on_train_start(None, model)  # type: ignore[arg-type]
    model(model.example_input_array).sum().backward()
    weight = next(module for module in model.modules() if isinstance(module, nn.Conv2d)).weight
    assert weight.grad is not None
    before = weight.grad.clone()
    callback.on_before_optimizer_step(None, model, None)  # type: ignore[arg-type]
    assert not torch.equal(weight.grad, before)
    dense = count_macs(model.network, model.example_input_array)
    peer.cut(model, data, 0.5)
    assert 0.4 < count_macs(model.network, model.example_input_array) / dense <= 0.5


@pytest.mark.slow
def test_kirigami_cuts_to_the_target() -> None:
    pytest.importorskip("torch_kirigami", reason="needs torch-kirigami")
    model, data = network()
    dense = count_macs(model.network, model.example_input_array)
    Kirigami().cut(model, data, 0.9)
    assert 0.8 < count_macs(model.network, model.example_input_array) / dense <= 0.9


class LeavesEvalMode:
    """Leaves the network as it is, in eval mode, and remembers what it has trained."""

    def presses(self, model: Supervised) -> list[L.Callback]:
        return []

    def cut(self, model: Supervised, data: LabelledData, macs: float) -> None:
        self.statistics = [buffer.clone() for buffer in model.eval().network.buffers()]

    def finish(self, model: Supervised) -> None:
        self.trained = list(model.network.buffers())


def test_a_network_that_is_left_in_eval_mode_is_fine_tuned_in_train_mode(tmp_path: Path) -> None:
    peer = LeavesEvalMode()
    config = composed([*JOBS["digits"].overrides, *SHORT, "finetune=full_rate", f"paths.output={tmp_path}"])
    config.finetune.epochs = 1
    run(peer, config, "torch")
    assert not any(map(torch.equal, peer.statistics, peer.trained))


def test_a_run_with_masks_makes_nothing_smaller(tmp_path: Path) -> None:
    config = composed([*JOBS["digits"].overrides, *SHORT, f"paths.output={tmp_path}"])
    report, score = run(LightningMasks(), config, "lightning")
    assert report.macs["pruned"] == report.macs["dense"]
    assert report.params["pruned"] == report.params["dense"]
    assert report.versions["lightning"] == L.__version__
    assert set(report.seconds) == {"sparsify", "cut", "finetune"}
    assert all(report.metric[phase] is not None for phase in ("after_sparsify", "after_cut", "after_finetune"))
    assert 0 <= score <= 1
    assert (tmp_path / "report.json").exists()
