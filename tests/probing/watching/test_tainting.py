"""NaN as a marker: put in at chosen channels, found again, and the module named where it is."""

from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from physprune_pl.networks.names import named_tensors
from physprune_pl.networks.nested import tensors_in
from physprune_pl.probing.watching.tainting import ModulePath, along, cleaned, has_nan, nan_along, taint


@dataclass
class Answer:
    logits: torch.Tensor
    hidden: dict[str, list[torch.Tensor]]
    label: str = "cat"


def test_tensors_are_found_in_containers_dataclasses_and_objects_in_order():
    parts = [torch.full((1,), float(i)) for i in range(6)]
    value = {
        "a": (parts[0], None, 3, [parts[1], "text", b"bytes"]),
        "b": Answer(parts[2], {"h": [parts[3]]}),
        "c": SimpleNamespace(x=parts[4], inner=SimpleNamespace(y={parts[5]})),
    }
    found = tensors_in(value)
    assert [id(tensor) for tensor in found] == [id(tensor) for tensor in parts]


@pytest.mark.parametrize("value", [None, 1, 2.0, True, "text", b"bytes", nn.Linear, nn.Linear(2, 2), [], {}])
def test_nothing_is_found_in_plain_values_and_modules(value):
    assert tensors_in(value) == []
    assert tensors_in([value, {"deeper": value}]) == []


def test_cycles_end_and_shared_containers_are_entered_once():
    tensor = torch.ones(2)
    ring = [tensor]
    ring.append(ring)
    node = SimpleNamespace(value=tensor, mapping={})
    node.parent, node.mapping["self"] = node, node
    assert len(tensors_in(ring)) == 1
    assert len(tensors_in(node)) == 1
    shared = [tensor]
    assert len(tensors_in({"one": shared, "two": shared})) == 1
    assert len(tensors_in([tensor, tensor])) == 2


def test_tied_tensors_are_named_once_and_buffers_are_included():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2, bias=False), nn.BatchNorm1d(2))
    model[1].weight = model[0].weight
    names = named_tensors(model)
    assert list(names)[:4] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert set(list(names)[4:]) == {"2.running_mean", "2.running_var", "2.num_batches_tracked"}
    assert names["0.weight"] is model[1].weight


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3])
def test_along_says_which_indices_of_an_axis_hold_anything(axis):
    mask = torch.rand(3, 4, 5) < 0.1
    others = [dim for dim in range(3) if dim != axis % 3]
    assert along(mask, axis).tolist() == mask.sum(others).gt(0).tolist()


def test_along_of_a_vector_is_the_vector():
    mask = torch.tensor([True, False])
    assert along(mask, 0) is mask


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -3])
def test_taint_marks_whole_channels_of_a_copy(axis):
    tensor = torch.randn(3, 3, 3)
    before, mask = tensor.clone(), torch.tensor([True, False, True])
    marked = taint(tensor, axis, mask)
    assert torch.equal(tensor, before)
    assert torch.equal(along(marked.isnan(), axis), mask)
    assert marked.isnan().sum() == 18
    assert torch.equal(marked.select(axis, 1), before.select(axis, 1))


def test_nan_is_seen_and_cleaned_in_floating_point_only():
    whole = torch.tensor([1, 2])
    assert not has_nan(whole)
    assert cleaned(whole) is whole
    marked = torch.tensor([1.0, float("nan")])
    assert has_nan(marked)
    assert not has_nan(torch.tensor([1.0, float("inf")]))
    assert cleaned(marked).tolist() == [1.0, 0.0]


# --- where in the model one is ---------------------------------------------------------------------------------------


class Look(nn.Module):
    """Notes the current path; optionally raises."""

    def __init__(self, path, fail=False):
        super().__init__()
        self.path, self.fail = path, fail

    def forward(self, x):
        self.path.seen.append(self.path.current)
        if self.fail:
            raise ValueError("broken")
        return x


class Careful(nn.Module):
    """Goes on where its inner module fails."""

    def __init__(self, path):
        super().__init__()
        self.inner, self.path = Look(path, fail=True), path

    def forward(self, x):
        try:
            self.inner(x)
        except ValueError:
            self.path.seen.append(self.path.current)
        return x


def watched(build):
    """A path that modules can write down, and the model it is of."""
    holder = SimpleNamespace(seen=[], current="")
    model = build(holder)
    path = ModulePath(model)
    path.seen = holder.seen
    for module in model.modules():
        if hasattr(module, "path"):
            module.path = path
    return model, path


def test_the_innermost_running_module_is_named():
    model, path = watched(lambda p: nn.Sequential(Look(p), nn.Sequential(nn.Identity(), Look(p)), Look(p)))
    with path:
        assert path.current == "the model's own forward"
        model(torch.ones(1))
    assert path.seen == ["0", "1.1", "2"]
    model(torch.ones(1))
    assert path.seen[3:] == ["the model's own forward"] * 3


def test_a_foreign_module_counts_as_the_one_that_calls_it():
    class Borrows(Look):
        outside = ()

        def forward(self, x):
            return self.outside[0](super().forward(x))

    model, path = watched(lambda p: nn.Sequential(Borrows(p)))
    model[0].outside = (Look(path),)
    with path:
        model[0].outside[0](torch.ones(1))
        model(torch.ones(1))
    assert path.seen == ["the model's own forward", "0", "0"]


def test_an_exception_inside_a_forward_does_not_leave_its_module_behind():
    model, path = watched(lambda p: nn.Sequential(Careful(p), Look(p)))
    with path:
        model(torch.ones(1))
        assert path.seen == ["0.inner", "0", "1"]
        with pytest.raises(ValueError, match="broken"):
            model[0].inner(torch.ones(1))
        assert path.current == "the model's own forward"


def test_hooks_are_gone_after_an_exception():
    hooks = torch.nn.modules.module
    before = len(hooks._global_forward_pre_hooks), len(hooks._global_forward_hooks)
    with pytest.raises(KeyError), ModulePath(nn.Linear(2, 2)):
        raise KeyError
    assert (len(hooks._global_forward_pre_hooks), len(hooks._global_forward_hooks)) == before


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.complex64, torch.int64])
def test_nan_is_found_along_an_axis_whatever_lies_beside_it(axis, dtype):
    tensor = torch.zeros(2, 3, 4, dtype=dtype)
    if dtype != torch.int64:
        tensor[0] = float("inf")
        tensor[1, 0, 0] = -float("inf")
        tensor[1, 2, 3] = float("nan")
    assert torch.equal(nan_along(tensor, axis), along(tensor.isnan(), axis))


@pytest.mark.parametrize("shape", [(3,), (0, 3), (3, 0)])
def test_nan_along_an_axis_of_flat_and_empty_tensors(shape):
    assert nan_along(torch.zeros(shape), 0).tolist() == [False] * shape[0]
