"""Tensors are found in whatever holds them, and exchanged in a copy of it."""

import threading
from collections import OrderedDict, UserDict
from dataclasses import dataclass
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from physprune_pl.networks.nested import mapped, shared_in, tensors_in


@dataclass
class Box:
    x: Tensor
    label: str = "a"


class Pair(NamedTuple):
    x: Tensor
    y: Tensor


class Own:
    def __init__(self, x):
        self.x, self.inner = x, {"deep": [x + 1]}


class Slotted:
    __slots__ = ("x",)

    def __init__(self, x):
        self.x = x


class Found(OrderedDict):
    """As model outputs of transformers: a mapping that is read by attributes too."""

    def __getattr__(self, name):
        return self[name]


X = torch.arange(6.0).view(3, 2)
HOLDERS = {
    "tensor": (X, 1),
    "dict": ({"x": X, "text": "a", "none": None}, 1),
    "mapping": (UserDict(x=X), 1),
    "named tuple": (Pair(X, X + 1), 2),
    "dataclass": (Box(X), 1),
    "own class": (Own(X), 2),
    "slots": (Slotted(X), 1),
    "model output": (Found(x=X, y=X + 1), 2),
    "packed": (pack_padded_sequence(X[None], torch.tensor([3]), batch_first=True), 2),
    "nested": ([(Box(X), {"a": {"b": Pair(X, X)}})], 3),
}


@pytest.mark.parametrize("name", HOLDERS)
def test_tensors_are_found_and_exchanged_in_a_copy_of_the_same_kind(name):
    value, count = HOLDERS[name]
    before = [tensor.clone() for tensor in tensors_in(value)]
    assert len(before) == count
    changed = mapped(value, lambda tensor: tensor + 10)
    assert type(changed) is type(value)
    assert all(torch.equal(a, b + 10) for a, b in zip(tensors_in(changed), before, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(tensors_in(value), before, strict=True))


def test_packed_sequences_stay_packed_sequences():
    packed, _ = HOLDERS["packed"]
    assert isinstance(mapped(packed, torch.clone), PackedSequence)


def test_what_is_one_object_stays_one_object():
    batch = [X, X]
    twice = mapped((batch, batch, X), torch.clone)
    assert twice[0] is twice[1]
    assert twice[0][0] is twice[0][1] is twice[2]


def test_modules_are_shared_and_not_entered():
    layer = nn.Linear(2, 2)
    assert tensors_in([layer, X]) == [X]
    assert shared_in([layer, X]) == [layer]
    assert mapped([layer, X], torch.clone)[0] is layer


def test_what_cannot_be_copied_is_shared():
    lock = threading.Lock()
    changed = mapped({"lock": lock, "x": X}, lambda tensor: tensor + 1)
    assert changed["lock"] is lock
    assert torch.equal(changed["x"], X + 1)


def test_objects_that_hold_themselves_end():
    own = Own(X)
    own.me = own
    assert len(tensors_in(own)) == 2
    assert mapped(own, torch.clone).me is not own


class Holder:
    def __init__(self, x):
        self.x, self.lock = x, threading.Lock()


def test_what_holds_tensors_beside_something_that_cannot_be_copied_is_rebuilt():
    holder = Holder(X)
    changed = mapped((holder, 1), lambda tensor: tensor + 1)[0]
    assert changed is not holder
    assert changed.lock is holder.lock
    assert torch.equal(changed.x, X + 1)
    assert torch.equal(holder.x, X)
