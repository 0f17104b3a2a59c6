"""A fit in which somebody holds losses of before the cut, or puts hooks where the cut would lose them."""

import pytest
import torch
from forked import together
from lightning.pytorch import Callback
from small import HALF, Classifier, cutter, data, fit, net, trainer
from torch import nn
from torch.utils.checkpoint import checkpoint
from torchmetrics import MeanMetric

from physprune_pl import physics_pruning
from physprune_pl.callbacks.trainer.refusals import check_hooks
from physprune_pl.networks.names import uncompiled

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers")


class Holding(Classifier):
    """Keeps every loss it has made, with its graph; ``keep`` says where."""

    def __init__(self, keep="list", **kwargs):
        super().__init__(**kwargs)
        self.keep, self.mean, self.losses, self.by_name = keep, MeanMetric(), [], {}

    def held(self, loss):
        if self.keep == "metric":
            self.mean(loss)
            self.log("mean", self.mean, on_step=False, on_epoch=True)
        if self.keep == "list":
            self.losses.append(loss)
        if self.keep == "dict":
            self.by_name["last"] = {"loss": loss}
        if self.keep == "attribute":
            self.last = loss
        return loss

    def training_step(self, batch, batch_idx):
        return self.held(super().training_step(batch, batch_idx))


class Stepping(Holding):
    """The same under manual optimization."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.automatic_optimization = False

    def training_step(self, batch, batch_idx):
        optimizer, loss = self.optimizers(), super().training_step(batch, batch_idx)
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()


class Recomputed(nn.Sequential):
    def forward(self, x):
        return checkpoint(super().forward, x, use_reentrant=False)


def fused(parameters, trainer):
    return torch.optim.AdamW(parameters, lr=0.02, fused=True)


def recomputed():
    return Recomputed(*net())


def compiled():
    return torch.compile(net(), backend="aot_eager")


SETTINGS = {
    "plain": (Holding, {}, {}),
    "fused AdamW": (Holding, {"make": fused}, {}),
    "bf16-mixed": (Holding, {}, {"precision": "bf16-mixed"}),
    "accumulation": (Holding, {}, {"accumulate_grad_batches": 2}),
    "manual optimization": (Stepping, {}, {}),
    "recomputed": (Holding, {"network": recomputed}, {}),
}


def assert_trained(model, cut):
    assert cut.plan is not None
    assert uncompiled(model.net)[0].out_channels < 8
    assert all(bool(parameter.isfinite().all()) for parameter in model.parameters())


@pytest.mark.parametrize("keep", ["metric", "list", "dict", "attribute"])
def test_whoever_holds_a_loss_the_fit_goes_on_after_the_cut(keep):
    model, cut = Holding(keep), cutter(finetune_epochs=1)
    fit(cut, model=model, epochs=1)
    assert_trained(model, cut)


@pytest.mark.parametrize("name", SETTINGS)
def test_however_it_trains_the_fit_goes_on_and_is_as_if_nobody_held_anything(name):
    kind, options, settings = SETTINGS[name]
    found = []
    for keep in ("list", "nowhere"):
        torch.manual_seed(0)
        model, cut = kind(keep=keep, **options), cutter(finetune_epochs=1)
        fit(cut, model=model, epochs=1, **settings)
        assert_trained(model, cut)
        found.append(list(model.parameters()))
    assert all(torch.equal(one, two) for one, two in zip(*found, strict=True))


@pytest.mark.slow
def test_a_compiled_network(tmp_path):
    model, cut = Holding(network=compiled), cutter(finetune_epochs=1)
    fit(cut, model=model, epochs=1)
    assert_trained(model, cut)


def held_on_two(folder, strategy):
    torch.manual_seed(0)
    model, cut = Holding("metric"), cutter(finetune_epochs=1)
    model.losses_too = []
    keep = model.held
    model.held = lambda loss: model.losses_too.append(loss) or keep(loss)
    runner = trainer(cut, epochs=1, devices=2, strategy=strategy, default_root_dir=folder)
    runner.fit(model, data(), data())
    assert_trained(model, cut)
    return dict(model.state_dict())


@pytest.mark.parametrize("strategy", ["ddp", "ddp_find_unused_parameters_true"])
def test_on_two_processes(tmp_path, strategy):
    one, two = together(held_on_two, tmp_path, strategy)
    weights = [name for name in one if "running" not in name and "mean" not in name]
    assert one["net.0.weight"].shape[0] < 8
    assert all(torch.equal(one[name], two[name]) for name in weights)


def test_backward_of_a_loss_of_before_is_an_error_and_leaves_the_gradients_alone():
    class Late(Callback):
        def on_train_end(self, trainer, pl_module):
            pl_module.zero_grad()
            with pytest.raises(RuntimeError, match=r"second time|inplace operation|before the network was cut"):
                pl_module.losses[0].backward()
            assert all(one.grad is None or one.grad.shape == one.shape for one in pl_module.parameters())

    fit(cutter(finetune_epochs=1), Late(), model=Holding(), epochs=1)


# Hooks


def test_hooks_on_parameters_go_on_firing():
    model, seen = Classifier(), {"before": set(), "after": set()}
    weight = model.net[0].weight
    weight.register_hook(lambda grad: seen["before"].add(grad.shape[0]))
    weight.register_post_accumulate_grad_hook(lambda one: seen["after"].add(one.grad.shape[0]))
    fit(cutter(finetune_epochs=1), model=model, epochs=1)
    assert seen["before"] == seen["after"] == {8, model.net[0].out_channels}


def test_hooks_that_the_cut_would_lose_are_refused_before_training():
    model = Classifier()
    held = torch.autograd.graph.register_multi_grad_hook(list(model.net[0].parameters()), lambda _: None)
    with pytest.raises(ValueError, match=r"hooks on the nodes of 1 parameters.*'net\.0\.weight'.*register_hook"):
        fit(cutter(), model=model)
    held.remove()
    assert model.configured == []


def test_hooks_on_parameters_alone_are_fine():
    model = Classifier()
    model.net[0].weight.register_hook(lambda grad: grad)
    check_hooks(model)


# What a network keeps from one step to the next


class Remembers(nn.Module):
    """Adds what a layer computed in the step before, whose width is that of before when the network has been cut."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.third = nn.Conv2d(1, 8, 3), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 2, 3)
        self.last = None

    def forward(self, x):
        hidden = self.first(x).relu()
        before, self.last = self.last, hidden.detach().mean(0, keepdim=True)
        return self.third(self.second(hidden if before is None else hidden + before).relu()).mean((2, 3))


def test_what_a_network_keeps_for_the_next_step_stays_whole():
    model, cut = Classifier(network=Remembers), cutter(finetune_epochs=1, target={"threshold": 1.0})
    fit(cut, model=model, epochs=1)
    assert model.net.first.out_channels == 8
    assert model.net.second.out_channels < 8


class Doubled(torch.autograd.Function):
    """Knows in its backward how many channels there were when it was written."""

    @staticmethod
    def forward(ctx, x):
        return 2.0 * x

    @staticmethod
    def backward(ctx, grad):
        return 2.0 * grad.reshape(len(grad), 8, *grad.shape[2:])


class Doubles(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 8, 3), nn.Conv2d(8, 2, 3)

    def forward(self, x):
        return self.second(Doubled.apply(self.first(x)).relu()).mean((2, 3))


@pytest.mark.parametrize("example", [True, False])
@pytest.mark.parametrize("callbacks", [lambda: [cutter()], lambda: physics_pruning(target=HALF, finetune_epochs=1)])
def test_a_network_whose_cut_copy_does_not_run_backward_is_refused_before_training(callbacks, example):
    model = Classifier(network=Doubles, example=example)
    before = model.net.first.weight.detach().clone()
    with pytest.raises(RuntimeError, match="cut network does not run on the example input"):
        fit(*callbacks(), model=model)
    assert torch.equal(before, model.net.first.weight)


class Reads(nn.Module):
    """Keeps an activation with its graph, which nothing but a logger reads."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.seen = nn.Conv2d(1, 8, 3), nn.Conv2d(8, 2, 3), []

    def forward(self, x):
        hidden = self.first(x).relu()
        self.features, self.seen = hidden, [*self.seen[-1:], {"hidden": hidden}]
        return self.second(hidden).mean((2, 3))


def test_activations_that_are_kept_and_not_used_are_no_harm():
    model, cut = Classifier(network=Reads), cutter(finetune_epochs=1)
    fit(cut, model=model, epochs=1)
    assert cut.plan is not None
    assert model.net.features.shape[1] == model.net.first.out_channels < 8
