"""Waves of removals beside what else a fit may have: averaged copies, compilation, windows, own steps, processes."""

import copy

import pytest
import torch
from forked import together
from gradual import ENDS, EPOCHS, FINETUNED, batches, fit, initial, pruning
from lightning.pytorch import Callback
from small import Classifier, Saver
from test_distributed import BY_LOSS, TWO, plain
from test_resume import assert_same
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, DistributedSampler

from physprune_pl.callbacks.trainer.internals import averaged_copies

IMAGES = torch.randn(16, 1, 6, 6, generator=torch.Generator().manual_seed(5))


def widths(model):
    net = getattr(model.net, "_orig_mod", model.net)
    return net[0].out_channels, net[3].out_channels


def test_averaged_copies_are_cut_with_every_wave():
    averaging = pytest.importorskip("lightning.pytorch.callbacks.weight_averaging")

    class Ema(averaging.EMAWeightAveraging):
        def __init__(self):
            super().__init__(decay=0.7)
            self.widths = []

        def on_train_batch_end(self, trainer, pl_module, *args):
            super().on_train_batch_end(trainer, pl_module, *args)
            self.widths.append((widths(pl_module), widths(self._average_model.module)))

    ema, made = Ema(), pruning()
    model, runner = fit(made, ema)
    assert all(one == other for one, other in ema.widths)
    assert len(set(ema.widths)) == 3
    (copied,) = averaged_copies(runner)
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in copied.state_dict().items())


class OwnAverage(Callback):
    """Averages as users write it, of the whole module or of a part, and keeps it in checkpoints."""

    def __init__(self, part):
        self.part, self.average = part, None

    def setup(self, trainer, pl_module, stage):
        self.average = AveragedModel(pl_module.get_submodule(self.part), multi_avg_fn=get_ema_multi_avg_fn(0.5))

    def on_train_batch_end(self, trainer, pl_module, *args):
        self.average.update_parameters(pl_module.get_submodule(self.part))

    def state_dict(self):
        return self.average.state_dict()

    def load_state_dict(self, state):
        self.average.load_state_dict(state)


def test_torchs_own_average_in_a_callback_is_cut_too_and_resumed(tmp_path):
    average, short = OwnAverage("net"), {"epochs": 4}
    model, _ = fit(pruning(finetune_epochs=0), average, Saver(tmp_path), **short)
    copied = average.average.module
    assert (copied[0].out_channels, copied[3].out_channels) == widths(model)
    assert widths(model)[0] < 8
    torch.testing.assert_close(copied.eval()(IMAGES), model.net.eval()(IMAGES), rtol=0.5, atol=0.5)
    again = OwnAverage("net")
    fit(pruning(finetune_epochs=0), again, ckpt_path=tmp_path / "2.ckpt", **short)
    assert_same(average.state_dict(), again.state_dict())


class Compiled(Classifier):
    """Counts what the compiler is given to compile."""

    def __init__(self):
        super().__init__()
        self.graphs = 0

    def setup(self, stage):
        if stage == "fit":

            def backend(graph, inputs):
                self.graphs += 1
                return graph.forward

            self.net = torch.compile(self.net, backend=backend)


def test_a_compiled_network_is_compiled_anew_after_each_wave_only():
    made, model = pruning(), initial(Compiled)
    fit(made, model=model)
    assert made.plan.macs[1] < made.plan.macs[0]
    assert widths(model)[0] < 8
    # Training and validation, each at the dense width and after each wave; trials of the trace are not compiled.
    assert model.graphs <= 2 * (1 + len(ENDS)) + 2


def test_accumulated_windows():
    made = pruning()
    model, runner = fit(made, accumulate_grad_batches=2, data=batches(2, 80))
    assert runner.global_step == 40 * (EPOCHS + FINETUNED)
    assert made.report.epochs["macs"][ENDS[-1]] == made.report.macs["pruned"]
    assert widths(model)[0] < 8


class Manual(Classifier):
    """Two optimizers, each with its own step."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch, batch_idx):
        for optimizer in self.optimizers():
            optimizer.zero_grad()
            self.manual_backward(nn.functional.cross_entropy(self(batch[0]), batch[1]))
            optimizer.step()

    def configure_optimizers(self):
        parts = self.net[:3], self.net[3:]
        return [torch.optim.SGD(part.parameters(), lr=0.1, momentum=0.9) for part in parts]


def test_manual_optimization():
    made = pruning()
    model, runner = fit(made, model=initial(Manual))
    assert made.report.epochs["macs"][ENDS[-1]] == made.report.macs["pruned"]
    held = [one for optimizer in runner.optimizers for group in optimizer.param_groups for one in group["params"]]
    assert {id(one) for one in held} == {id(one) for one in model.parameters()}


def shared(size):
    """Batches that are, over all processes, those of one process."""
    dataset, world = batches().dataset, torch.distributed
    sampler = DistributedSampler(dataset, shuffle=False) if world.is_initialized() else None
    return DataLoader(dataset, batch_size=size, sampler=sampler)


def fitted(folder, size, **settings):
    folder.mkdir(exist_ok=True)
    model = initial(network=plain)
    made = pruning(**BY_LOSS)
    model, runner = fit(made, model=model, data=shared(size), default_root_dir=folder, **settings)
    return {
        "weights": copy.deepcopy(dict(model.state_dict())),
        "plan": made.plan.to_dict(),
        "macs": made.report.epochs["macs"],
        "processes": runner.world_size,
    }


def on_two(folder):
    return fitted(folder / "two", 2, **TWO)


def test_two_processes_remove_the_same_as_one(tmp_path):
    first, second = together(on_two, tmp_path)
    assert first["processes"] == second["processes"] == 2
    assert first["plan"] == second["plan"]
    assert first["macs"] == second["macs"]
    assert len(set(first["macs"])) == 3
    for name, value in first["weights"].items():
        assert torch.equal(value, second["weights"][name]), name
    alone = fitted(tmp_path / "one", 4)
    assert (alone["plan"], alone["macs"]) == (first["plan"], first["macs"])
