"""The tracer against networks and an oracle that know nothing of it; see experiments/structures."""

import pytest
import torch

from experiments.structures.handwritten import with_torch_norms
from experiments.structures.nets import CASES
from experiments.structures.nets.case import case
from experiments.structures.nets.masked import ResponseNormGRN
from experiments.structures.networks import NETWORKS
from experiments.structures.oracle import errors
from experiments.structures.verdict import judge, judge_network
from physprune_pl.planning import plan_pruning
from physprune_pl.structure import ChannelGroup, Slice
from physprune_pl.surgery.apply import apply_plan
from physprune_pl.tracing.tracer import trace

FAST = ("resnet20", "unet")


@pytest.mark.parametrize("name", CASES)
def test_small_network_is_cut_right_or_left_whole_by_name(name):
    assert judge(CASES[name]).problems == []


@pytest.mark.parametrize(
    "name", [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in NETWORKS]
)
def test_network_cut_at_random_and_to_a_target_equals_the_masked_one(name):
    verdict = judge_network(name)
    assert verdict.problems == []
    assert verdict.groups[0] > 0


def test_planning_leaves_no_convolution_in_front_of_a_concat_empty():
    case = CASES["ConcatThenAdd"]
    model, example = case.build(), case.example()
    with torch.no_grad():
        for parameter in (
            *model.right.parameters(),
            model.full.weight[6:],
            model.full.bias[6:],
            model.head.weight[:, 6:],
        ):
            parameter.zero_()
    plan = plan_pruning(model, example, {"macs": 6 / 16})
    apply_plan(model, plan)
    assert min(model.left.out_channels, model.right.out_channels) >= 1
    assert model(example).shape == (4, 5)


def _chain(consumer_index=(0, 1, 2, 3), exact=True):
    """A chain of two linear layers and a trace of it written by hand."""
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Sigmoid(), torch.nn.Linear(4, 2))
    order = (0, 1, 2, 3)
    slices = (
        Slice("0.weight", 0, order, order, "filter"),
        Slice("0.bias", 0, order, order, "carrier"),
        Slice("2.weight", 1, consumer_index, order, "consumer"),
    )
    traced = trace(model, torch.randn(2, 3))
    return model, type(traced)(**{**vars(traced), "groups": (ChannelGroup("0", 4, slices, exact),)})


@pytest.mark.parametrize(
    ("consumer_index", "exact", "wrong"),
    [
        ((0, 1, 2, 3), False, set()),
        ((0, 1, 2, 3), True, {"eval, producing", "train, producing"}),
        ((1, 2, 3, 0), False, {"eval", "train"}),
    ],
)
def test_oracle_finds_wrong_groups(consumer_index, exact, wrong):
    model, traced = _chain(consumer_index, exact)
    removed = [torch.tensor([True, False, False, True])]
    found = errors(model, traced, torch.randn(2, 3), removed, torch.float64)
    assert {name for name, error in found.items() if error > 1e-10} == wrong


def test_response_norm_of_the_oracle_is_the_written_one_on_the_channels_that_stay():
    written, x, kept = ResponseNormGRN(6), torch.randn(4, 7, 6), torch.tensor([0, 2, 3, 5])
    few = ResponseNormGRN(4)
    few.weight.data, few.bias.data = written.weight.data[kept], written.bias.data[kept]
    masked = torch.zeros_like(x).index_copy(-1, kept, x[..., kept])
    expected = torch.zeros_like(x).index_copy(-1, kept, few(x[..., kept]))
    assert torch.equal(with_torch_norms(torch.nn.Sequential(written))(x), ResponseNormGRN.forward(written, x))
    assert torch.equal(with_torch_norms(torch.nn.Sequential(written))(masked), expected)


def test_no_network_takes_the_name_of_another():
    with pytest.raises(ValueError, match="got Chain; rename the class"):
        case()(type("Chain", (torch.nn.Module,), {}))
