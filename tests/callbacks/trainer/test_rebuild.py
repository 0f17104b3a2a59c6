"""Optimizers after the cut: rates, schedules, moments, and who is held."""

import copy

import pytest
import torch
from lightning.pytorch import Callback
from small import Classifier, Saver, Spy, adamw_cosine, cutter, fit, one_cycle
from torch import nn

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers")


def rates(trainer, pl_module):
    return [group["lr"] for optimizer in trainer.optimizers for group in optimizer.param_groups]


def two_groups(parameters, trainer):
    first, *others = parameters
    return torch.optim.SGD([{"params": [first], "lr": 0.2}, {"params": others}], lr=0.1, momentum=0.9)


@pytest.mark.parametrize(("given", "expected"), [(None, [0.02, 0.01]), (0.005, [0.005, 0.005])])
def test_learning_rates_of_fine_tuning(given, expected):
    spy = Spy(rates)
    fit(cutter(finetune_lr=given), spy, model=Classifier(two_groups))
    assert spy.seen[0] == [0.2, 0.1]
    assert spy.seen[2] == pytest.approx(expected)


def plateau(parameters, trainer):
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, min_lr=0.05)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "monitor": "val_loss"}}


def warm_up(parameters, trainer):
    optimizer, schedulers = torch.optim.SGD(parameters, lr=0.1), torch.optim.lr_scheduler
    parts = [schedulers.LinearLR(optimizer, 0.5, total_iters=1), schedulers.CosineAnnealingLR(optimizer, 3)]
    return [optimizer], [schedulers.SequentialLR(optimizer, parts, milestones=[1])]


@pytest.mark.parametrize("make", [one_cycle, adamw_cosine, plateau, warm_up])
@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")
def test_every_scheduler_runs_its_own_curve_at_a_tenth(make):
    spy = Spy(rates)
    model = Classifier(make)
    fit(cutter(finetune_epochs=3), spy, model=model, epochs=3)
    assert model.configured == [3, 3]
    first, second = torch.tensor(spy.seen[:3]), torch.tensor(spy.seen[3:])
    if make is plateau:
        assert second.max() <= 0.01
        return
    torch.testing.assert_close(second, 0.1 * first)


def test_one_cycle_peaks_at_the_given_rate():
    seen = []

    class Rates(Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            seen.append(rates(trainer, pl_module)[0])

    fit(cutter(finetune_lr=0.05, finetune_epochs=4), Rates(), model=Classifier(one_cycle))
    assert max(seen[6:]) == pytest.approx(0.05, rel=0.05)


def moments(trainer, pl_module):
    (optimizer,) = trainer.optimizers
    names = {parameter: name for name, parameter in pl_module.named_parameters()}
    state = {names[one]: copy.deepcopy(value) for one, value in optimizer.state.items()}
    return optimizer, list(pl_module.parameters()), state


def test_moments_of_the_channels_that_stay_are_carried_into_the_new_optimizer():
    before, after, cut = Spy(moments), Spy(moments), cutter()
    fit(before, cut, after, model=Classifier(adamw_cosine))
    assert before.seen[2][0] is not after.seen[2][0]
    assert all(old is new for old, new in zip(before.seen[2][1], after.seen[2][1], strict=True))
    kept = torch.tensor(cut.plan.tensors["net.0.weight"].keep[0])
    old, new = before.seen[2][2]["net.0.weight"], after.seen[2][2]["net.0.weight"]
    torch.testing.assert_close(new["exp_avg_sq"], old["exp_avg_sq"][kept])
    assert new["step"] == old["step"] == 6


def test_frozen_layers_are_cut_and_stay_frozen():
    model = Classifier()
    model.net[0].weight.requires_grad_(False)
    fit(cutter(), model=model)
    assert not model.net[0].weight.requires_grad
    assert model.net[3].in_channels == model.net[0].out_channels


def test_a_parameter_that_is_left_out_goes_on_in_its_group_with_a_warning():
    calls, spy = [], Spy(lambda trainer, _: [len(group["params"]) for group in trainer.optimizers[0].param_groups])

    def forgetful(parameters, trainer):
        calls.append(list(parameters))
        return torch.optim.SGD(calls[0] if len(calls) == 1 else calls[-1][1:], lr=0.1)

    with pytest.warns(UserWarning, match="left out 1 trainable parameters after the cut.*they go on in their group"):
        fit(cutter(), spy, model=Classifier(forgetful))
    assert spy.seen[0] == spy.seen[2] == [len(calls[0])]


def test_without_the_optimizer_that_held_it_no_parameter_is_lost():
    calls = []

    def forgetful(model, trainer):
        calls.append(1)
        halves = model.net[:3].parameters(), model.net[3:].parameters()
        return [torch.optim.SGD(half, lr=0.1) for half in halves][: 3 - len(calls)]

    model = TwoOptimizers()
    model.configure_optimizers = lambda: forgetful(model, model.trainer)
    spy = Spy(rates)
    with pytest.warns(UserWarning, match="left out 5 trainable.*goes on with the optimizers of before"):
        fit(cutter(), spy, model=model)
    assert spy.seen[2] == pytest.approx([0.01, 0.01])


class Once(Classifier):
    """Configures its optimizers once: the rate is taken out of the settings."""

    def __init__(self, make):
        super().__init__(make)
        self.settings = {"made": make}

    def configure_optimizers(self):
        self.make = self.settings.pop("made")
        return super().configure_optimizers()


def adam_step(parameters, trainer):
    optimizer = torch.optim.Adam(parameters, lr=0.1)
    return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1)]


AGAIN = pytest.mark.filterwarnings("ignore:configure_optimizers")


@pytest.mark.parametrize("make", [one_cycle, adam_step, plateau, warm_up, two_groups])
@AGAIN
def test_optimizers_that_are_configured_once_go_on_at_a_tenth(make):
    spy = Spy(lambda trainer, _: (trainer.optimizers[0], rates(trainer, _)))
    report = cutter(finetune_epochs=4)
    model, _ = fit(report, spy, model=Once(make))
    assert spy.seen[0][0] is spy.seen[2][0]
    first = [0.02, 0.01] if make is two_groups else [0.01]
    assert [one[1] for one in spy.seen[2:]] == [pytest.approx(first)] * 4
    assert model.net[0].out_channels < 8
    assert report.report is not None


@AGAIN
def test_their_moments_are_those_of_the_channels_that_stay():
    before, after, cut = Spy(moments), Spy(moments), cutter()
    fit(before, cut, after, model=Once(adam_step))
    kept = torch.tensor(cut.plan.tensors["net.0.weight"].keep[0])
    old, new = before.seen[2][2]["net.0.weight"], after.seen[2][2]["net.0.weight"]
    torch.testing.assert_close(new["exp_avg_sq"], old["exp_avg_sq"][kept])


class Stops(Once):
    def on_train_start(self):
        raise ArithmeticError("before the first step")


def test_it_is_said_before_the_first_step():
    with (
        pytest.warns(UserWarning, match="of Stops does not run again after the cut .KeyError: 'made'."),
        pytest.raises(ArithmeticError),
    ):
        fit(cutter(), model=Stops(adam_step))


@pytest.mark.parametrize("make", [one_cycle, adam_step, plateau])
@AGAIN
def test_such_a_fit_resumes(make, tmp_path):
    model, _ = fit(cutter(), Saver(tmp_path), model=Once(make))
    resumed, _ = fit(cutter(), model=Once(make), ckpt_path=tmp_path / "2.ckpt")
    assert all(map(torch.equal, model.state_dict().values(), resumed.state_dict().values()))


def test_one_that_runs_twice_is_not_felt():
    model, _ = fit(cutter(), model=Classifier())
    assert model.configured == [2, 2]


class TwoOptimizers(Classifier):
    automatic_optimization = False

    def training_step(self, batch, batch_idx):
        for optimizer in self.optimizers():
            loss = nn.functional.cross_entropy(self(batch[0]), batch[1])
            optimizer.zero_grad()
            self.manual_backward(loss)
            optimizer.step()

    def configure_optimizers(self):
        halves = self.net[:3].parameters(), self.net[3:].parameters()
        return [torch.optim.SGD(half, lr=0.1, momentum=0.9) for half in halves]


def test_manual_optimization_with_two_optimizers():
    spy = Spy(rates)
    model, _ = fit(cutter(), spy, model=TwoOptimizers())
    assert model.net[0].out_channels < 8
    assert spy.seen[2] == pytest.approx([0.01, 0.01])


class Moded(torch.optim.SGD):
    """Counts its steps in the group, and has a mode that its steps need, as schedule-free optimizers do."""

    def __init__(self, params, lr):
        super().__init__(params, lr)
        self.defaults.update(train_mode=False, k=0)
        self.total = 0
        for group in self.param_groups:
            group.update(train_mode=False, k=0)

    def train(self, mode=True):
        for group in self.param_groups:
            group["train_mode"] = mode

    def step(self, closure=None):
        self.total += 1
        for group in self.param_groups:
            assert group["train_mode"], "step in eval mode"
            group["k"] += 1
            group["seen"] = group.get("seen", 0) + 1
        return super().step(closure)


class Modes(Callback):
    """Calls the optimizers' modes as their documentation says."""

    def on_train_epoch_start(self, trainer, pl_module):
        trainer.optimizers[0].train()

    def on_validation_epoch_start(self, trainer, pl_module):
        trainer.optimizers[0].train(False)

    def on_validation_epoch_end(self, trainer, pl_module):
        trainer.optimizers[0].train()


@pytest.mark.parametrize("modes_first", [True, False])
def test_counters_and_mode_of_an_optimizer_go_on_after_the_cut(modes_first):
    spy = Spy(lambda trainer, _: (trainer.optimizers[0], dict(trainer.optimizers[0].param_groups[0])))
    order = (Modes(), cutter(), spy) if modes_first else (cutter(), Modes(), spy)
    fit(*order, model=Classifier(lambda parameters, trainer: Moded(parameters, 0.1)))
    (old, before), (new, after) = spy.seen[0], spy.seen[2]
    assert old is not new
    assert (before["k"], after["k"], after["seen"], after["train_mode"]) == (0, 6, 6, True)
    assert after["lr"] == pytest.approx(0.01)
    assert new.total == 12
