"""A force that steers its own coefficient: it arrives, resumes and learns the learning rate."""

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback
from safe_load import SAFE_LOAD
from tiny import Module, fit, loader, trainer

from physprune_pl.callbacks.channel_tracker import ChannelTracker
from physprune_pl.callbacks.force_regularization import ForceRegularization
from physprune_pl.callbacks.session.session import PruningSession
from physprune_pl.pressing.steering import ARRIVAL
from physprune_pl.targets.target import Target

pytestmark = pytest.mark.usefixtures("traced_by_hand")


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


def test_the_history_tells_how_far_the_chosen_channels_have_come(tmp_path):
    force = steered()
    tracker, arrivals = ChannelTracker(session=force.session, path=tmp_path / "channels.npz"), Arrivals(force)
    fit(Module(), force, tracker, arrivals, epochs=15, batches=20)
    history = tracker.history()
    chosen = [history[f"chosen/{name}"][-1].astype(bool) for name in ("one", "two")]
    assert np.concatenate(chosen).tolist() == arrivals.chosen.tolist()
    assert history["remaining/one"].shape == (15, 1)
    line = 1 - np.arange(1, 16) / 15 / ARRIVAL
    # What is recorded is the line of the last step of the epoch.
    assert history["planned"][:, 0] == pytest.approx(np.clip(line, 0, 1), abs=0.06)
    for name, remaining in arrivals.remaining.items():
        assert history[f"remaining/{name}"][-1, 0] == pytest.approx(remaining, abs=0.01)
        assert (history[f"group_coefficient/{name}"] > 0).all()
