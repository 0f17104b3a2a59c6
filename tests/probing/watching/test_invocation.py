"""A call read by its row: which argument is which, wherever it stands."""

import pytest
import torch
import torch.nn.functional as F

from physprune_pl.probing.operations.operation_rows import Argument
from physprune_pl.probing.watching.invocation import invocation

NAN = float("nan")


@pytest.mark.parametrize(
    ("args", "kwargs", "found"),
    [(("data", 1), {}, 1), (("data",), {"dim": 2}, 2), (("data",), {"axis": 3}, 3), (("data",), {"keepdim": True}, -1)],
)
def test_an_argument_is_found_by_its_place_or_one_of_its_names(args, kwargs, found):
    assert Argument(1, ("dim", "axis"), -1).of(args, kwargs) == found


def test_swapped_exchanges_one_tensor_wherever_it_stands():
    old, new, other = torch.zeros(2), torch.ones(2), torch.zeros(2)
    kwargs = {"input": old, "bias": other, "eps": 1e-5}
    call = invocation(torch.add, (old, other, 3, old), kwargs).swapped(old, new)
    assert [value is new for value in call.args] == [True, False, False, True]
    assert call.args[1] is other
    assert call.kwargs["input"] is new
    assert call.kwargs["bias"] is other
    assert kwargs["input"] is old


@pytest.mark.parametrize("by_keyword", [False, True])
def test_a_clean_run_has_no_nan_and_leaves_the_data_as_they_are(by_keyword):
    data = torch.tensor([[1.0, NAN, 3.0]])
    args, kwargs = ((), {"input": data, "normalized_shape": (3,)}) if by_keyword else ((data, (3,)), {})
    call = invocation(F.layer_norm, args, kwargs)
    assert call.get(call.row.shape) == (3,)
    assert call.run_clean().equal(F.layer_norm(torch.tensor([[1.0, 0.0, 3.0]]), (3,)))
    assert data.isnan().sum() == 1
    assert call.run().isnan().all()
