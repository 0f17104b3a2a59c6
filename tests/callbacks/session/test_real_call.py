"""A training step is recorded on a copy: what the network is called with."""

import copy

import pytest
import torch
from recorded_steps import Base, Parts, Plain, X, batches, found
from tiny import Net, trainer
from torch import nn
from torch.nn import functional as F

from physprune_pl import physics_pruning
from physprune_pl.callbacks.session.real_call import NotRecordedError
from physprune_pl.callbacks.session.step_replay import StepReplay
from physprune_pl.networks.calls import Calls
from physprune_pl.networks.measure import count_macs


def test_calls_that_stand_alone_are_made_again_as_they_were():
    example = found(Plain()).found
    assert isinstance(example, Calls)
    (call,) = example.args
    assert (call.part, call.method) == ("", "__call__")
    assert torch.equal(call.args[0], X[:4])


def test_of_calls_that_need_one_another_the_step_is_run_again():
    look = found(Parts())
    assert isinstance(look.found, StepReplay)
    network = look.copies[1]
    (output,) = look.found.run(network)
    assert torch.equal(output, network(X[:4]))
    assert [call.part for call in look.found.calls(network).args] == ["one", "two", "three"]
    assert look.found.sized(1).run(network)[0].shape == (1, 2)


class World(nn.Module):
    """Belongs to no network, and ends after one move."""

    def move(self, state, moved):
        assert not state["done"].any()
        state["done"] = torch.ones(len(moved), dtype=torch.bool)
        return moved


class Mover(Net):
    def forward(self, state, world):
        return world.move(state, super().forward(state["x"]))


class Moves(Base):
    def __init__(self):
        super().__init__()
        self.net = Mover()

    def training_step(self, batch, batch_idx):
        state = {"x": batch[0], "done": torch.zeros(len(batch[0]), dtype=torch.bool)}
        return F.mse_loss(self.net(state, World()), batch[1])


def test_calls_that_change_what_they_are_given_are_made_again_as_they_were():
    look = found(Moves(), "net")
    assert isinstance(look.found, StepReplay)
    assert count_macs(look.copies[1], look.found) == count_macs(Net(), X[:1])


class TwoNets(Base):
    def __init__(self):
        super().__init__()
        self.other = nn.Linear(2, 2)

    def training_step(self, batch, batch_idx):
        return F.mse_loss(self.other(self.net(batch[0])), batch[1])


def test_of_a_named_network_its_own_calls_are_recorded():
    example = found(TwoNets(), "net").found
    assert isinstance(example, Calls)
    assert torch.equal(example.args[0].args[0], X[:4])
    parts = found(type("Two", (TwoNets, Parts), {"training_step": Parts.training_step})(), "net")
    assert isinstance(parts.found, StepReplay)
    # The network is a part of the module that runs the step.
    network = copy.deepcopy(parts.copies[1])
    assert torch.equal(parts.found.run(network)[0], network(X[:4]))


class Teacher(Base):
    def __init__(self):
        super().__init__()
        self.teacher = Net().requires_grad_(False)

    def training_step(self, batch, batch_idx):
        return F.mse_loss(self.net(batch[0]), self.teacher(batch[0]))

    def configure_optimizers(self):
        return torch.optim.SGD(self.net.parameters(), lr=0.1)


def test_what_no_optimizer_holds_is_not_recorded():
    example = found(Teacher()).found
    assert [call.part for call in example.args] == ["net"]
    assert example.others == {f"teacher.{name}" for name in dict(Net().named_parameters())}


class Momentum(Teacher):
    def __init__(self):
        super().__init__()
        self.teacher = copy.deepcopy(self.net).requires_grad_(False)

    def on_train_batch_end(self, outputs, batch, batch_idx):
        with torch.no_grad():
            for one, other in zip(self.net.parameters(), self.teacher.parameters(), strict=True):
                other.lerp_(one, 0.1)


def test_what_follows_the_trained_weights_is_recorded_with_them():
    example = found(Momentum()).found
    assert [call.part for call in example.args] == ["net", "teacher"]
    assert example.followers["teacher.one.weight"] == "net.one.weight"


class Waits(Plain):
    def training_step(self, batch, batch_idx):
        return None if batch_idx < 1 else super().training_step(batch, batch_idx)

    def on_train_batch_start(self, batch, batch_idx):
        self.offset = 1.0 + batch_idx


@pytest.mark.filterwarnings("ignore:.*returned `None`")
def test_a_step_without_a_loss_tells_nothing():
    example = found(Waits()).found
    assert torch.equal(example.args[0].args[0], X[4:8])


class Lazy(Base):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.LazyLinear(6), nn.ReLU(), nn.LazyLinear(2))

    training_step = Plain.training_step


def test_lazy_layers_are_waited_for():
    assert torch.equal(found(Lazy()).found.args[0].args[0], X[4:8])


class Frozen(Plain):
    def configure_optimizers(self):
        self.scale = nn.Parameter(torch.ones(()))
        return torch.optim.SGD([self.scale], lr=0.1)


def test_a_network_that_nothing_trains_is_an_error():
    with pytest.raises(NotRecordedError, match="module: no optimizer trains a parameter of Net"):
        found(Frozen(), "net")


class Fails(Plain):
    def training_step(self, batch, batch_idx):
        if not hasattr(self.trainer.fit_loop, "real"):
            raise KeyError("no such thing")
        return super().training_step(batch, batch_idx)


def test_a_step_that_does_not_run_on_a_copy_says_what_to_give():
    with pytest.raises(NotRecordedError, match=r"Fails does not run it on a copy.*KeyError.*give example_input"):
        found(Fails())


class Stubborn(Plain):
    """Its own code refuses copies, as that of libraries does which build modules from descriptions."""

    def __deepcopy__(self, memo):
        raise TypeError("built from what is used up")


def test_a_module_that_refuses_copies_says_what_to_give():
    with pytest.raises(NotRecordedError, match=r"Stubborn, which refuses to be copied \(TypeError: .*example_input"):
        found(Stubborn())


def test_a_module_that_refuses_copies_is_pruned_by_a_given_input():
    callbacks = physics_pruning(target={"macs": 0.58}, finetune_epochs=1, example_input=X, module="net")
    trainer(*callbacks, epochs=2).fit(Stubborn(), batches())
    assert callbacks.report.macs["pruned"] < callbacks.report.macs["dense"]
