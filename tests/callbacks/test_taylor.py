"""Choosing by gradients in a fit: they are those of the loss alone, whatever else is in .grad, and survive a resume."""

import pytest
import reference
import torch
from gradual import ENDS, WAVES, pruning
from gradual import fit as fit_in_waves
from lightning.pytorch import Callback
from safe_load import SAFE_LOAD
from small import Classifier, Saver, sgd
from small import data as small_data
from small import fit as fit_small
from test_force_manual_optimization import Manual
from test_resume import assert_same, state_of
from tiny import Module, fit, hand_made_trace, loader, precision, task_gradient, trainer

from physprune_pl import physics_pruning
from physprune_pl.callbacks.force_regularization import ForceRegularization
from physprune_pl.callbacks.session.session import PruningSession
from physprune_pl.selections import ByTaylor
from physprune_pl.targets.target import Target

BY_HAND = pytest.mark.usefixtures("traced_by_hand")
HORIZON = 4


def choosing(coefficient="auto"):
    """A force that takes no part in how the set is chosen, as nothing is cut."""
    session = PruningSession(
        example_input=torch.zeros(2, 4), target=Target("params", 0.6), select=ByTaylor(horizon=HORIZON)
    )
    return ForceRegularization("exponential", coefficient, session=session)


class Told(Callback):
    """Keeps what gradients have told, before it is dropped."""

    def __init__(self, force):
        self.force = force

    def on_train_end(self, trainer, pl_module):
        self.mean = self.force.session.record.importance


def naive(steps, dtype=None, held=False):
    """The running mean of squares of every channel, from the gradients of the loss alone; inf where none came."""
    groups = hand_made_trace(steps[0]["net"]).groups
    readings = {(group.name, k): [] for group in groups for k in range(group.size)}
    for step in steps:
        tensors, gradients = dict(step["net"].named_parameters()), task_gradient(step, dtype)
        if held:
            gradients = {name: one for name, one in gradients.items() if step["names"][name] in step["held"]}
        for group in groups:
            if any(part.name in gradients for part in group.slices):
                for k in range(group.size):
                    readings[group.name, k].append(reference.taylor(group, k, tensors, gradients))
    return [reference.running_squares(one, HORIZON) for one in readings.values()]


@BY_HAND
@pytest.mark.filterwarnings("ignore:`training_step` returned `None`:UserWarning")
@pytest.mark.parametrize(
    ("coefficient", "name", "optimizer", "options", "settings"),
    [
        ("auto", "32-true", torch.optim.SGD, {"momentum": 0.9}, {}),
        (0.05, "32-true", torch.optim.AdamW, {}, {}),
        (0.05, "64-true", torch.optim.SGD, {}, {"gradient_clip_val": 0.01}),
        ("auto", "bf16-mixed", torch.optim.AdamW, {}, {}),
        (0.05, "16-mixed", torch.optim.SGD, {}, {"gradient_clip_val": 0.01}),
        (0.05, "16-mixed", torch.optim.Adam, {"fused": True}, {}),
        ("auto", "32-true", torch.optim.SGD, {"skip": (1, 4)}, {"accumulate_grad_batches": 2}),
        (0.05, "16-mixed", torch.optim.SGD, {"skip": (1, 4)}, {"accumulate_grad_batches": 2}),
        (0.05, "16-mixed", torch.optim.Adam, {"skip": (3,), "fused": True}, {"accumulate_grad_batches": 2}),
    ],
)
def test_the_gradient_that_counts_is_that_of_the_loss(coefficient, name, optimizer, options, settings):
    told = Told(force := choosing(coefficient))
    settings, dtype, tolerance = {**settings, **precision(name)[0]}, *precision(name)[1:]
    steps, _ = fit(Module(optimizer, **options), force, told, epochs=2, **settings)
    # Where the last batch of a window gave no loss, a scaler lets nobody step.
    scaled = name == "16-mixed"
    steps = [step for step in steps if step["batches"] and not (scaled and step["ends_in_none"])]
    assert told.mean.steps == len(steps)
    reference.close(told.mean.squares, naive(steps, dtype), 10 * tolerance)


@BY_HAND
@pytest.mark.parametrize(("optimizers", "toggle"), [(1, False), (2, False), (2, True)])
def test_in_manual_optimization_every_step_tells_of_what_it_trains(optimizers, toggle):
    told = Told(force := choosing())
    steps, _ = fit(Manual(optimizers, toggle), force, told, epochs=2)
    reference.close(told.mean.squares, naive(steps, held=True), 1e-5)


@BY_HAND
@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.AdamW])
def test_what_is_chosen_by_gradients_is_steered_to_zero(optimizer):
    force, remaining = choosing(), {}

    class Arrivals(Callback):
        def on_train_end(self, trainer, pl_module):
            session = force.session
            found = session.steering.arrivals(session.penalty.strengths())
            remaining.update({one.group: one.remaining for one in found})

    fit(Module(optimizer, lr=0.02 if optimizer is torch.optim.AdamW else 0.1), force, Arrivals(), epochs=15, batches=20)
    assert remaining
    assert max(remaining.values()) < 0.01


@BY_HAND
def test_without_a_force_the_cut_takes_what_the_loss_misses_least():
    made = physics_pruning(None, target={"params": 0.6}, select=ByTaylor(scale="none"), finetune_epochs=1)
    cut, seen = made[-1], {}

    class Look(Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            if cut.record.removed is not None and not seen:
                seen["removed"] = torch.cat(cut.record.removed)
                seen["importance"] = cut.record.importance.roots()

    trainer(*made, Look(), epochs=3).fit(module := Module(), loader(10))
    goes, importance = seen["removed"], seen["importance"]
    assert goes.any()
    assert importance[goes].max() <= importance[~goes].min() * 1.5, "but for the last ones, which meet the target"
    assert sum(one.numel() for one in module.parameters()) == made.report.params["pruned"]


@BY_HAND
def test_a_frozen_layer_tells_nothing_and_its_group_is_chosen_by_the_rest():
    told = Told(force := choosing(0.01))
    module = Module()
    module.net.one.requires_grad_(False)
    steps, _ = fit(module, force, told, epochs=1)
    expected = naive(steps)
    for step in steps:
        step["net"].one.requires_grad_(False)
    reference.close(told.mean.squares, expected_without(steps, "one"), 1e-5)
    assert not torch.allclose(told.mean.squares, torch.tensor(expected).float(), rtol=1e-3)


def expected_without(steps, frozen):
    groups = hand_made_trace(steps[0]["net"]).groups
    readings = {(group.name, k): [] for group in groups for k in range(group.size)}
    for step in steps:
        tensors = dict(step["net"].named_parameters())
        gradients = {name: one for name, one in task_gradient(step).items() if not name.startswith(frozen)}
        for group, k in readings:
            of = next(one for one in groups if one.name == group)
            readings[group, k].append(reference.taylor(of, k, tensors, gradients))
    return [reference.running_squares(one, HORIZON) for one in readings.values()]


@BY_HAND
def test_without_a_step_before_the_cut_there_is_nothing_to_choose_by():
    made = physics_pruning(
        None, target={"params": 0.6}, select="taylor", finetune_epochs=1, example_input=torch.zeros(2, 4)
    )
    with pytest.raises(ValueError, match=r"select: ByTaylor.*max_epochs=1.*select=\"strength\""):
        trainer(*made, epochs=0).fit(Module(), loader())


@pytest.mark.parametrize("removal", ["once", "gradual"])
def test_a_resumed_fit_ends_as_the_uninterrupted_one(tmp_path, removal):
    def run(folder, ckpt_path=None):
        folder.mkdir()
        made = pruning(removal, select=ByTaylor(horizon=30), target={"macs": 0.5}, monitor="val_loss", mode="min")
        model, runner = fit_in_waves(made, Saver(folder), ckpt_path=ckpt_path)
        return state_of(model, runner, *(one for one in made if one.state_dict())), made.report

    whole, report = run(tmp_path / "whole")
    assert report.macs["pruned"] / report.macs["dense"] == pytest.approx(0.5, abs=0.02)
    for epoch in (0, 1, 2, 4):
        resumed, again = run(tmp_path / f"from{epoch}", tmp_path / "whole" / f"{epoch}.ckpt")
        assert_same(resumed, whole)
        assert again.groups == report.groups


def test_what_was_told_survives_a_wave():
    made, seen = pruning(WAVES, select=ByTaylor(horizon=30), target={"macs": 0.5}), []

    class Look(Callback):
        def on_train_epoch_start(self, trainer, pl_module):
            record = made.cutter.record
            if record.importance is not None and record.phase == "sparsify":
                seen.append((record.waves, record.importance, record.importance.steps))

    fit_in_waves(made, Look())
    assert [waves for waves, _, _ in seen][-1] > 0
    assert len({id(mean) for _, mean, _ in seen}) == 1
    assert [steps for _, _, steps in seen][: ENDS[-1]] == [40, 80, 120]


def test_a_checkpoint_without_importances_loads(tmp_path):
    made = physics_pruning(target={"macs": 0.5}, finetune_epochs=1)
    fit_small(Saver(tmp_path), *made)
    file = torch.load(tmp_path / "0.ckpt", **SAFE_LOAD)
    states = [state for state in file["callbacks"].values() if isinstance(state, dict) and "importance" in state]
    assert [state.pop("importance") for state in states] == [None]
    torch.save(file, tmp_path / "older.ckpt")
    again = physics_pruning(target={"macs": 0.5}, finetune_epochs=1)
    fit_small(*again, ckpt_path=tmp_path / "older.ckpt")
    assert again.report.groups == made.report.groups


def test_the_network_trains_as_without_reading():
    def weights(select):
        torch.manual_seed(0)
        model = Classifier(sgd)
        made = physics_pruning("uniform", 0.01, target={"macs": 0.5}, select=select, finetune_epochs=0)
        seen = []

        class Look(Callback):
            def on_train_epoch_end(self, trainer, pl_module):
                seen.append([one.detach().clone() for one in pl_module.parameters()])

        fit_small(Look(), *made, model=model)
        return seen

    assert len(small_data()) == 3
    assert_same(weights("taylor"), weights("strength"))
