import copy
from weakref import ref

import torch
from torch import nn

from physprune_pl.networks.example import Example
from physprune_pl.networks.saved_state import SavedState
from physprune_pl.probing.runner import Runner
from physprune_pl.probing.sizes.widths import Width
from physprune_pl.probing.watching.tainting import ModulePath


class Joined(nn.Module):
    """Reshapes one layer's output to the width of another one's."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other, self.last = nn.Linear(3, 8), nn.Linear(3, 8), nn.Linear(8, 2)

    def forward(self, x):
        stream = self.one(x)
        batch, tokens, width = stream.shape
        own = stream.view(batch, tokens, width)
        return self.last(own.mean(1) + self.other(x).reshape(batch, tokens, width // 4, 4).flatten(2).mean(1))


def asked(model, example):
    model.eval()
    with ModulePath(model) as path, torch.no_grad():
        return Runner(model, Example.of(example), path, SavedState(model)).run().probe.sizes.widths


def test_a_width_that_is_asked_of_another_tensor_is_noted_and_its_own_is_not():
    found = [use for use in asked(Joined(), torch.randn(1, 5, 3)) if use.axis[1] == 2]
    assert [(use.axis, use.slots.tolist()) for use in found] == [(("eval shape 1", 2), list(range(8)))]


def test_the_width_of_a_weight_is_that_of_its_dimension():
    class Model(Joined):
        def forward(self, x):
            return self.last(self.one(x).reshape(-1, self.other.weight.shape[0]))

    assert [use.axis for use in asked(Model(), torch.randn(1, 5, 3))] == [("other.weight", 0)]


def test_multiples_and_parts_know_the_axis_and_copies_are_plain_numbers():
    tensor = torch.zeros(2, 12)
    width = Width.of(12, ("x", 1), ref(tensor))
    assert [type(number) is Width for number in (width * 2, 3 * width, width // 4, -width)] == [True] * 4
    assert [type(number) is int for number in (width + 1, width * width, width // 5, copy.deepcopy(width))] == [
        True
    ] * 4
    assert width.is_of(tensor, 1)
    assert not width.is_of(tensor, 0)
    assert not width.is_of(tensor.clone(), 1)
