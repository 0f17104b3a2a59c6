"""Right before every optimizer step, .grad holds the task gradient plus exactly one penalty gradient."""

import copy
import math

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import GradientAccumulationScheduler
from lightning.pytorch.plugins import MixedPrecision
from safe_load import SAFE_LOAD
from tiny import Module, Net, exponential_penalty, hand_made_trace, loader, trainer

from physprune_pl.callbacks import session as session_module
from physprune_pl.callbacks.force_regularization import ForceRegularization
from physprune_pl.callbacks.session import PruningSession
from physprune_pl.schedules import Linear
from physprune_pl.targets import Target

COEFFICIENT = 0.05


@pytest.fixture(autouse=True)
def _traced_by_hand(monkeypatch):
    monkeypatch.setattr(session_module, "trace", hand_made_trace)


class Recorder(Callback):
    """Keeps, for every optimizer step: weights before, batches of the window, .grad before clipping, weights after."""

    def __init__(self):
        self.steps, self._window = [], []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self._skips = pl_module.seen in pl_module.skip
        if batch_idx % trainer.accumulate_grad_batches == 0:
            self._window = []
        if not self._skips:
            self._window.append(batch)

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        self.steps.append(
            {
                "net": copy.deepcopy(pl_module.net).requires_grad_(True),
                "batches": list(self._window),
                "accumulate": trainer.accumulate_grad_batches,
                "held": {id(parameter) for group in optimizer.param_groups for parameter in group["params"]},
                "names": {name: id(parameter) for name, parameter in pl_module.net.named_parameters()},
                "grad": _grads(pl_module.net),
            }
        )

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        for step in self.steps[-2:]:
            if "after" not in step:
                step["after"] = copy.deepcopy(pl_module.net.state_dict())


def _grads(net):
    return {name: None if one.grad is None else one.grad.clone() for name, one in net.named_parameters()}


def task_gradient(step, dtype=None):
    net = copy.deepcopy(step["net"])
    net.zero_grad()
    for x, y in step["batches"]:
        with torch.autocast("cpu", dtype=dtype or torch.bfloat16, enabled=dtype is not None):
            loss = torch.nn.functional.mse_loss(net(x), y)
        (loss / step["accumulate"]).backward()
    return _grads(net)


def penalty_gradient(step, coefficient=COEFFICIENT):
    net = copy.deepcopy(step["net"]).double()
    net.zero_grad()
    exponential_penalty(net, coefficient).backward()
    return {name: torch.zeros_like(one) if one.grad is None else one.grad for name, one in net.named_parameters()}


def fit(module, *callbacks, batches=5, **kwargs):
    recorder = Recorder()
    run = trainer(*callbacks, recorder, **kwargs)
    run.fit(module, loader(batches))
    return recorder.steps, run


def assert_one_penalty(steps, tolerance=1e-6, dtype=None, coefficient=COEFFICIENT):
    assert steps
    for step in steps:
        task, penalty = task_gradient(step, dtype), penalty_gradient(step, coefficient)
        for name, grad in step["grad"].items():
            if task[name] is None and grad is None:
                continue
            expected = task[name].double() + penalty[name]
            torch.testing.assert_close(grad.double(), expected, rtol=tolerance, atol=tolerance)


PRECISIONS = {
    "32-true": ({"precision": "32-true"}, None, 1e-6),
    "64-true": ({"precision": "64-true"}, None, 1e-12),
    "bf16-mixed": ({"precision": "bf16-mixed"}, torch.bfloat16, 2e-3),
    "16-mixed": ({}, torch.float16, 1e-3),
}


def precision(name):
    options, dtype, tolerance = PRECISIONS[name]
    if name == "16-mixed":
        scaler = torch.amp.GradScaler("cpu", init_scale=256.0, growth_interval=3)
        options = {"plugins": [MixedPrecision("16-mixed", "cpu", scaler)]}
    return dict(options), dtype, tolerance


@pytest.mark.parametrize("accumulate", [1, 2, 4])
@pytest.mark.parametrize("name", PRECISIONS)
def test_one_penalty_per_step_whatever_precision_and_accumulation(name, accumulate):
    options, dtype, tolerance = precision(name)
    force = ForceRegularization("exponential", COEFFICIENT)
    steps, _ = fit(Module(), force, accumulate_grad_batches=accumulate, **options)
    assert len(steps) == 2 * math.ceil(5 / accumulate)
    assert_one_penalty(steps, tolerance, dtype)
    for step in steps:
        for key, weight in step["after"].items():
            expected = step["net"].state_dict()[key] - 0.1 * step["grad"][key]
            torch.testing.assert_close(weight, expected)


def test_the_gradient_is_that_of_the_documented_penalty_by_finite_differences():
    steps, _ = fit(Module(), ForceRegularization("exponential", COEFFICIENT), precision="64-true", epochs=1)
    step, eps = steps[-1], 1e-6
    task = task_gradient(step)
    for name, weight in step["net"].named_parameters():
        ours = (step["grad"][name] - task[name]).flatten()
        flat = weight.data.flatten()
        for index in range(0, len(flat), 3):
            values = []
            for sign in (1, -1):
                net = copy.deepcopy(step["net"])
                net.get_parameter(name).data.view(-1)[index] += sign * eps
                values.append(exponential_penalty(net, COEFFICIENT).item())
            assert (values[0] - values[1]) / (2 * eps) == pytest.approx(ours[index].item(), abs=1e-8)


def test_accumulation_may_change_from_epoch_to_epoch():
    accumulation = GradientAccumulationScheduler({0: 1, 1: 2, 2: 4})
    steps, _ = fit(Module(), ForceRegularization("exponential", COEFFICIENT), accumulation, epochs=3)
    assert [step["accumulate"] for step in steps] == [1] * 5 + [2] * 3 + [4] * 2
    assert_one_penalty(steps)


@pytest.mark.filterwarnings("ignore:`training_step` returned `None`:UserWarning")
@pytest.mark.parametrize("skip", [(0,), (1,), (0, 1), (0, 2, 5, 7), (4,)])
@pytest.mark.parametrize("accumulate", [2, 4])
def test_a_window_owes_its_penalty_until_a_batch_has_a_loss(skip, accumulate):
    module = Module(skip=skip)
    steps, _ = fit(module, ForceRegularization("exponential", COEFFICIENT), accumulate_grad_batches=accumulate)
    assert_one_penalty([step for step in steps if step["batches"]])
    for step in steps:
        if not step["batches"]:
            assert all(grad is None for grad in step["grad"].values())


@pytest.mark.filterwarnings("ignore:`training_step` returned `None`:UserWarning")
def test_a_step_without_loss_moves_nothing():
    steps, _ = fit(Module(skip=(2,)), ForceRegularization("exponential", COEFFICIENT), epochs=1)
    step = steps[2]
    torch.testing.assert_close(step["after"], step["net"].state_dict(), rtol=0, atol=0)
    assert_one_penalty(steps[:2] + steps[3:])


@pytest.mark.parametrize("algorithm", ["norm", "value"])
@pytest.mark.parametrize("name", ["32-true", "16-mixed"])
def test_clipping_clips_the_sum(algorithm, name):
    options, dtype, tolerance = precision(name)
    options |= {"gradient_clip_val": 0.02, "gradient_clip_algorithm": algorithm}
    steps, _ = fit(Module(), ForceRegularization("exponential", COEFFICIENT), accumulate_grad_batches=2, **options)
    assert_one_penalty(steps, tolerance, dtype)
    for step in steps:
        norm = torch.stack([grad.norm() for grad in step["grad"].values()]).norm()
        for key, weight in step["after"].items():
            grad = step["grad"][key]
            clipped = grad * min(1.0, 0.02 / (norm + 1e-6)) if algorithm == "norm" else grad.clamp(-0.02, 0.02)
            torch.testing.assert_close(weight, step["net"].state_dict()[key] - 0.1 * clipped)


@pytest.mark.parametrize("optimizer", [torch.optim.AdamW, torch.optim.RMSprop])
def test_other_optimizers_see_the_same_gradient(optimizer):
    module = Module(optimizer=optimizer, lr=1e-2, weight_decay=0.1)
    steps, _ = fit(module, ForceRegularization("exponential", COEFFICIENT), accumulate_grad_batches=2)
    assert_one_penalty(steps)


class Manual(Module):
    """One or two optimizers; with ``toggle`` the other one's parameters are frozen while one steps."""

    def __init__(self, optimizers=1, toggle=False, fused=False):
        super().__init__()
        self.automatic_optimization = False
        self.count, self.toggle, self.fused = optimizers, toggle, fused

    def configure_optimizers(self):
        parts = [self.net.one, self.net.two, self.net.three]
        shares = [parts] if self.count == 1 else [parts[:1], parts[1:]]
        kind = torch.optim.Adam if self.fused else torch.optim.SGD
        options = {"fused": True} if self.fused else {}
        return [kind(torch.nn.ModuleList(share).parameters(), lr=0.1, **options) for share in shares]

    def training_step(self, batch, batch_idx):
        self.seen += 1
        optimizers = self.optimizers()
        for optimizer in optimizers if isinstance(optimizers, list) else [optimizers]:
            if self.toggle:
                self.toggle_optimizer(optimizer)
            optimizer.zero_grad()
            self.manual_backward(self.loss(batch))
            optimizer.step()
            # Older versions of torch go on with the cast copies of weights that have moved meanwhile.
            torch.clear_autocast_cache()
            if self.toggle:
                self.untoggle_optimizer(optimizer)


@pytest.mark.parametrize("name", ["32-true", "bf16-mixed", "16-mixed"])
@pytest.mark.parametrize(("optimizers", "toggle"), [(1, False), (2, False), (2, True)])
def test_manual_optimization_pays_at_each_step_for_the_optimizer_that_steps(name, optimizers, toggle):
    options, dtype, tolerance = precision(name)
    module = Manual(optimizers, toggle)
    steps, _ = fit(module, ForceRegularization("exponential", COEFFICIENT), epochs=1, **options)
    assert len(steps) == 5 * optimizers
    for step in steps:
        step["grad"] = {n: g if step["names"][n] in step["held"] else None for n, g in step["grad"].items()}
        task, penalty = task_gradient(step, dtype), penalty_gradient(step)
        for key, grad in step["grad"].items():
            if grad is not None:
                torch.testing.assert_close(
                    grad.double(), task[key].double() + penalty[key], rtol=tolerance, atol=tolerance
                )


def test_manual_optimization_leaves_the_other_optimizer_alone():
    class Check(Callback):
        def on_before_optimizer_step(self, trainer, pl_module, optimizer):
            waiting = pl_module.net.two if optimizer is trainer.optimizers[0] else pl_module.net.one
            if optimizer is trainer.optimizers[0]:
                assert all(parameter.grad is None for parameter in waiting.parameters())
            assert all(not one.requires_grad for one in waiting.parameters())

    module = Manual(2, toggle=True)
    fit(module, ForceRegularization("exponential", COEFFICIENT), Check(), epochs=1, batches=1)
    assert all(parameter.requires_grad for parameter in module.parameters())


class _UnscalesItself(torch.optim.SGD):
    """What a fused optimizer does: it is handed scaled gradients and the scale."""

    _step_supports_amp_scaling = True

    def step(self, closure=None):
        self.seen_scale = self.grad_scale.item()
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad.div_(self.grad_scale)
        self.grad_scale = self.found_inf = None
        return super().step(closure)


@pytest.mark.parametrize("manual", [True, False])
def test_an_optimizer_that_unscales_itself_gets_a_scaled_penalty(manual):
    options, dtype, tolerance = precision("16-mixed")
    module = Manual() if manual else Module()
    module.configure_optimizers = lambda: _UnscalesItself(module.net.parameters(), lr=0.1)
    steps, run = fit(module, ForceRegularization("exponential", COEFFICIENT), epochs=1, batches=2, **options)
    assert run.optimizers[0].seen_scale == 256.0
    for step in steps:
        step["grad"] = {name: grad / 256.0 for name, grad in step["grad"].items()}
    assert_one_penalty(steps, tolerance, dtype)


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.AdamW])
def test_coefficient_0_is_bit_for_bit_no_callback(accumulate, optimizer):
    def run(*callbacks):
        torch.manual_seed(3)
        module = Module(optimizer=optimizer, lr=1e-2)
        fit(module, *callbacks, accumulate_grad_batches=accumulate)
        return module.state_dict(), torch.rand(1)

    plain, plain_random = run()
    pressed, pressed_random = run(ForceRegularization("exponential", 0.0))
    assert all(torch.equal(plain[key], pressed[key]) for key in plain)
    assert torch.equal(plain_random, pressed_random)


def test_coefficient_0_leaves_unused_parameters_without_gradient():
    class Unused(Module):
        def loss(self, batch):
            return self.net.one(batch[0]).square().mean()

    steps, _ = fit(Unused(), ForceRegularization("exponential", 0), epochs=1)
    assert steps[-1]["grad"]["three.weight"] is None


def test_a_parameter_that_the_task_does_not_use_gets_the_penalty_alone():
    class Unused(Module):
        def loss(self, batch):
            return self.net.one(batch[0]).square().mean()

    steps, _ = fit(Unused(), ForceRegularization("exponential", COEFFICIENT), epochs=1)
    torch.testing.assert_close(steps[0]["grad"]["three.weight"].double(), penalty_gradient(steps[0])["three.weight"])


def test_the_loss_and_what_is_logged_of_it_stay_those_of_the_task():
    losses, logged = [], []

    class Watch(Callback):
        def on_before_backward(self, trainer, pl_module, loss):
            losses.append(loss.item())

        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            logged.append({key: value.item() for key, value in trainer.callback_metrics.items()})

    steps, _ = fit(Module(), ForceRegularization("exponential", COEFFICIENT), Watch(), epochs=1)
    for step, loss, metrics in zip(steps, losses, logged, strict=True):
        x, y = step["batches"][0]
        task = torch.nn.functional.mse_loss(step["net"](x), y).item()
        assert loss == pytest.approx(task)
        assert metrics["loss"] == pytest.approx(task)
        assert metrics["physprune/penalty"] == pytest.approx(exponential_penalty(step["net"], COEFFICIENT).item())


def test_the_penalty_is_logged_at_the_trainers_pace():
    class Watch(Callback):
        values = ()

        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            self.values += (trainer.callback_metrics.get("physprune/penalty"),)

    watch = Watch()
    fit(Module(), ForceRegularization("exponential", COEFFICIENT), watch, epochs=1, log_every_n_steps=2)
    values = [None if value is None else value.item() for value in watch.values]
    assert values[0] is None
    assert values[1] == values[2] != values[3] == values[4]


def test_the_schedule_follows_the_share_of_the_phase_that_is_over():
    steps, _ = fit(Module(), ForceRegularization("exponential", COEFFICIENT, schedule="linear"), epochs=2)
    for done, step in enumerate(steps):
        assert_one_penalty([step], coefficient=COEFFICIENT * done / 10)


def test_max_steps_end_the_phase_too():
    force = ForceRegularization("exponential", COEFFICIENT, schedule="linear")
    steps, _ = fit(Module(), force, epochs=-1, max_steps=4)
    assert len(steps) == 4
    for done, step in enumerate(steps):
        assert_one_penalty([step], coefficient=COEFFICIENT * done / 4)


def test_nothing_is_written_before_a_schedule_starts():
    force = ForceRegularization("exponential", COEFFICIENT, schedule=Linear(start=0.5))
    steps, _ = fit(Module(), force, epochs=2)
    for step in steps[:5]:
        task = task_gradient(step)
        assert all(torch.equal(grad, task[name]) for name, grad in step["grad"].items())
    assert force.steps == 4  # at exactly one half the factor is still 0


def test_no_force_acts_in_the_finetune_phase():
    class Cut(Callback):
        def on_train_epoch_start(self, trainer, pl_module):
            force.session.phase = "finetune" if trainer.current_epoch else "sparsify"

    force = ForceRegularization("exponential", COEFFICIENT)
    steps, _ = fit(Module(), Cut(), force, epochs=2)
    assert_one_penalty(steps[:5])
    for step in steps[5:]:
        assert all(torch.equal(grad, task_gradient(step)[name]) for name, grad in step["grad"].items())


def test_frozen_parameters_are_neither_counted_nor_touched():
    module = Module()
    module.net.two.requires_grad_(False)
    steps, _ = fit(module, ForceRegularization("exponential", COEFFICIENT), epochs=1)
    for step in steps:
        assert step["grad"]["two.weight"] is None
        net = copy.deepcopy(step["net"])
        net.zero_grad()
        exponential_penalty(net, COEFFICIENT, frozen={"two.weight", "two.bias"}).backward()
        expected = task_gradient(step)["one.weight"] + net.one.weight.grad
        torch.testing.assert_close(step["grad"]["one.weight"], expected)


def test_a_resumed_window_pays_whole(tmp_path):
    class SaveInTheMiddle(Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            if batch_idx == 2:
                trainer.save_checkpoint(tmp_path / "middle.ckpt")

    force = ForceRegularization("exponential", COEFFICIENT)
    fit(Module(), force, SaveInTheMiddle(), epochs=1, accumulate_grad_batches=4)
    recorder, again = Recorder(), ForceRegularization("exponential", COEFFICIENT)
    run = trainer(again, recorder, epochs=1, accumulate_grad_batches=4)
    run.fit(Module(), loader(), ckpt_path=tmp_path / "middle.ckpt", **SAFE_LOAD)
    assert [len(step["batches"]) for step in recorder.steps] == [1, 1]
    assert_one_penalty(recorder.steps)
    assert again.steps == force.steps + 1 == 3


def test_a_fit_that_failed_leaves_nothing_behind_for_the_next():
    force = ForceRegularization(lambda channels: channels.strength * math.nan, COEFFICIENT)
    for _ in range(2):
        module = Module()
        with pytest.raises(ValueError, match="finite"):
            fit(module, force)
        assert force.session.model is module.net


def test_references_are_dropped_after_the_fit():
    force = ForceRegularization("exponential", COEFFICIENT)
    fit(Module(), force, epochs=1)
    assert not force.session.ready
    assert force.state_dict() == {"steps": 5, "steering": None, "excluded": {}}


# --- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("coefficient", [-1.0, math.nan, math.inf])
def test_the_coefficient_must_be_finite_and_not_negative(coefficient):
    with pytest.raises(ValueError, match="coefficient: expected a finite number"):
        ForceRegularization("exponential", coefficient)


@pytest.mark.parametrize("coefficient", [None, True, [1.0]])
def test_the_coefficient_must_be_a_number(coefficient):
    with pytest.raises(TypeError, match="coefficient: expected a number"):
        ForceRegularization("exponential", coefficient)


def test_auto_needs_a_target():
    with pytest.raises(ValueError, match="needs a target"):
        ForceRegularization("exponential", "auto")


def test_an_unknown_force_lists_the_choices():
    with pytest.raises(ValueError, match="uniform"):
        ForceRegularization("magnetism", 1.0)


def test_a_negative_pivot_is_refused_at_once_and_one_beyond_a_group_before_training():
    with pytest.raises(ValueError, match="pivot"):
        ForceRegularization("torque", 1.0, pivot=-1)
    with pytest.raises(ValueError, match="pivot"):
        ForceRegularization("torque", 1.0, pivot="last")
    module = Module()
    before = copy.deepcopy(module.state_dict())
    with pytest.raises(ValueError, match="pivot: expected an index from 0 to 4 in group 'two', got 5"):
        fit(module, ForceRegularization("torque", 1.0, pivot=5))
    assert all(torch.equal(before[key], value) for key, value in module.state_dict().items())


def test_a_frozen_network_is_refused():
    module = Module()
    module.net.requires_grad_(False)
    module.extra = torch.nn.Parameter(torch.zeros(1), requires_grad=False)
    module.configure_optimizers = lambda: torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    with pytest.raises(ValueError, match="is frozen"):
        fit(module, ForceRegularization("exponential", 1.0))


def test_lbfgs_is_refused():
    with pytest.raises(ValueError, match="LBFGS"):
        fit(Module(optimizer=torch.optim.LBFGS), ForceRegularization("exponential", 1.0))


def test_a_schedule_needs_the_length_of_the_phase():
    with pytest.raises(ValueError, match="length of the phase"):
        fit(Module(), ForceRegularization("exponential", 1.0, schedule="linear"), epochs=-1)


def test_coefficients_that_are_not_finite_name_law_group_and_epoch():
    def broken(channels):
        return torch.full_like(channels.strength, math.nan)

    with pytest.raises(ValueError, match=r"broken on group 'one'.*finite.*epoch 0"):
        fit(Module(), ForceRegularization(broken, 1.0))


def test_the_pivot_may_be_the_strongest_channel():
    force = ForceRegularization("torque", COEFFICIENT, pivot="strongest")
    fit(Module(), force, epochs=1)
    assert force.steps == 5
    net = Net()
    strengths = torch.rand(11)
    law, segments = force.law, [slice(0, 6), slice(6, 11)]
    seen = law.channels(strengths, torch.ones(11), segments)
    assert [one.pivot for one in seen] == [int(strengths[:6].argmax()), int(strengths[6:].argmax())]
    assert len(net.one.bias) == 6


# --- steering --------------------------------------------------------------------------------------------------------


def steered(select="strength"):
    session = PruningSession(example_input=torch.zeros(2, 4), target=Target("params", 0.6), select=select)
    return ForceRegularization("exponential", "auto", session=session)


class Arrivals(Callback):
    def __init__(self, force):
        self.force, self.remaining, self.chosen = force, {}, None

    def on_train_end(self, trainer, pl_module):
        session = self.force.session
        found = session.steering.arrivals(session.penalty.strengths())
        self.remaining, self.chosen = {one.group: one.remaining for one in found}, session.steering.chosen.clone()


@pytest.mark.parametrize("select", ["strength", "law"])
def test_auto_steers_the_chosen_channels_to_zero(select):
    force = steered(select)
    arrivals = Arrivals(force)
    fit(Module(), force, arrivals, epochs=15, batches=20)
    assert arrivals.remaining
    assert max(arrivals.remaining.values()) < 0.01


def test_steering_presses_only_the_chosen_and_its_state_survives_a_resume(tmp_path):
    force = steered()
    _, run = fit(Module(), force, epochs=2)
    run.save_checkpoint(tmp_path / "last.ckpt")
    again, states = steered(), []

    class Look(Callback):
        def on_train_start(self, trainer, pl_module):
            states.append(again.session.steering.state_dict())

    run = trainer(again, Look(), epochs=3)
    run.fit(Module(), loader(), ckpt_path=tmp_path / "last.ckpt", **SAFE_LOAD)
    stored = force.state_dict()["steering"]
    assert stored.keys() == states[0].keys()
    for name, value in stored.items():
        assert torch.equal(torch.as_tensor(states[0][name]), torch.as_tensor(value)), name
    assert again.steps == 15


def test_steering_needs_the_length_of_the_phase():
    with pytest.raises(ValueError, match="length of the phase"):
        fit(Module(), steered(), epochs=-1)


@pytest.mark.parametrize(
    ("optimizer", "options", "rate"),
    [(torch.optim.SGD, {"momentum": 0.9}, 1.0), (torch.optim.SGD, {}, 0.1), (torch.optim.AdamW, {}, 0.1)],
)
def test_steering_learns_the_effective_learning_rate(optimizer, options, rate):
    force, seen = steered(), []

    class Look(Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            seen.append(force.session.steering.rate)

    fit(Module(optimizer=optimizer, **options), force, Look(), epochs=1)
    assert seen == [pytest.approx(rate)] * 5
