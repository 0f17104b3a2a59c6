"""Groups made by hand, right and wrong: only those whose cut equals the masked network are kept."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from physprune_pl.networks.example import Example
from physprune_pl.networks.isolation import untouched
from physprune_pl.structure import ChannelGroup, LeftWhole, Role, Slice, Trace
from physprune_pl.tracing.checking.verification import Verifier, _together
from physprune_pl.tracing.tracer import trace

HEADS = "two", "auxiliary"


def part(name: str, dim: int, size: int, role: Role, shift: int = 0) -> Slice:
    order = tuple(range(size))
    return Slice(name, dim, order, tuple((channel + shift) % size for channel in order), role)


def made(name: str, size: int, bias: bool = True, **shift: int) -> tuple[Slice, ...]:
    rows = part(f"{name}.weight", 0, size, "filter", shift.get("weight", 0))
    return (rows, part(f"{name}.bias", 0, size, "carrier", shift.get("bias", 0))) if bias else (rows,)


def norm(name: str, size: int) -> tuple[Slice, ...]:
    roles: dict[str, Role] = {
        "weight": "carrier",
        "bias": "carrier",
        "running_mean": "buffer",
        "running_var": "buffer",
    }
    return tuple(part(f"{name}.{key}", 0, size, role) for key, role in roles.items())


def verified(model: nn.Module, example: torch.Tensor, *groups: ChannelGroup) -> Trace:
    """What the check makes of these groups in place of those that were found."""
    found = replace(trace(model, example), groups=groups, left_whole=())
    with untouched(model):
        return Verifier(model, Example.of(example), found).verify()


def conv_net() -> tuple[nn.Module, torch.Tensor]:
    layers = nn.Conv2d(2, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 5, 3), nn.Tanh(), nn.Conv2d(5, 2, 1)
    return nn.Sequential(*layers), torch.randn(2, 2, 6, 6)


FIRST = ChannelGroup("0", 6, (*made("0", 6), *norm("1", 6), part("3.weight", 1, 6, "consumer")))
SECOND = ChannelGroup("3", 5, (*made("3", 5), part("5.weight", 1, 5, "consumer")))


def test_right_groups_are_accepted_as_they_are():
    kept = verified(*conv_net(), FIRST, SECOND)
    assert kept.groups == (FIRST, SECOND)
    assert kept.left_whole == ()


def shifted(group: ChannelGroup, name: str, dim: int = 0) -> ChannelGroup:
    """The group with the channels of one slice moved on by one."""
    slices = (
        part(one.name, one.dim, group.size, one.role, 1) if (one.name, one.dim) == (name, dim) else one
        for one in group.slices
    )
    return replace(group, slices=tuple(slices))


def without(group: ChannelGroup, name: str) -> ChannelGroup:
    return replace(group, slices=tuple(one for one in group.slices if one.name != name))


WRONG = {
    "consumer shifted by one": shifted(FIRST, "3.weight", 1),
    "bias shifted by one": shifted(FIRST, "0.bias"),
    "norm scale shifted by one": shifted(FIRST, "1.weight"),
    "running mean shifted by one": shifted(FIRST, "1.running_mean"),
    "running variance shifted by one": shifted(FIRST, "1.running_var"),
    "consumer missing": without(FIRST, "3.weight"),
    "bias missing": without(FIRST, "0.bias"),
    "norm scale missing": without(FIRST, "1.weight"),
    "running mean missing": without(FIRST, "1.running_mean"),
    "filter missing": without(FIRST, "0.weight"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_group_is_rejected_and_named_and_a_right_one_beside_it_kept(name):
    kept = verified(*conv_net(), WRONG[name], SECOND)
    assert kept.groups == (SECOND,)
    assert [one.name for one in kept.left_whole] == ["0"]
    assert kept.left_whole[0].reason.startswith("once cut, it ")


def test_every_producer_of_a_rejected_group_is_named():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two, self.head = nn.Linear(3, 4), nn.Linear(3, 4), nn.Linear(4, 2)

        def forward(self, x):
            return self.head(torch.relu(self.one(x) + self.two(x)))

    slices = (*made("one", 4), *made("two", 4, weight=1, bias=1), part("head.weight", 1, 4, "consumer"))
    kept = verified(Residual(), torch.randn(2, 3), ChannelGroup("one", 4, slices))
    assert kept.groups == ()
    assert [one.name for one in kept.left_whole] == ["one", "two"]


def test_several_wrong_groups_are_found_among_right_ones():
    layers = [module for size in range(5) for module in (nn.Linear(4, 4), nn.Tanh())]
    model = nn.Sequential(*layers, nn.Linear(4, 2))
    right = [
        ChannelGroup(f"{i}", 4, (*made(f"{i}", 4), part(f"{i + 2}.weight", 1, 4, "consumer"))) for i in range(0, 10, 2)
    ]
    groups = [shifted(group, f"{group.name}.bias") if group.name in ("2", "8") else group for group in right]
    kept = verified(model, torch.randn(2, 4), *groups)
    assert [group.name for group in kept.groups] == ["0", "4", "6"]
    assert [one.name for one in kept.left_whole] == ["2", "8"]


def test_a_group_that_is_wrong_in_train_mode_only_is_rejected():
    class Auxiliary(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.norm, self.two = nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)
            self.auxiliary = nn.Linear(4, 2)

        def forward(self, x):
            hidden = torch.relu(self.norm(self.one(x)))
            return (self.two(hidden), self.auxiliary(hidden)) if self.training else self.two(hidden)

    right = ChannelGroup(
        "one", 4, (*made("one", 4), *norm("norm", 4), *(part(f"{n}.weight", 1, 4, "consumer") for n in HEADS))
    )
    model, example = Auxiliary(), torch.randn(4, 3)
    assert verified(model, example, right).groups == (right,)
    for wrong in (without(right, "auxiliary.weight"), shifted(right, "auxiliary.weight", 1)):
        assert verified(model, example, wrong).groups == ()


class Halves(nn.Module):
    """Reads the first and the second half of its channels apart, and says where the middle is only when it runs."""

    def __init__(self, name: str, size: int):
        super().__init__()
        self.name = name
        self.add_module(name, nn.Linear(3, size))
        self.left, self.right = nn.Linear(size // 2, 2), nn.Linear(size - size // 2, 2)

    def forward(self, x):
        x = torch.relu(self.get_submodule(self.name)(x))
        return self.left(x[:, : x.shape[1] // 2]) + self.right(x[:, x.shape[1] // 2 :])


@pytest.mark.parametrize(("size", "pairs"), [(4, [2]), (5, []), (6, [3])])
def test_halves_are_cut_in_pairs_or_not_at_all_whatever_is_drawn(size, pairs):
    # What is drawn depends on the name.
    found = [[group.size for group in trace(Halves(name, size), torch.randn(2, 3)).groups] for name in "abcdefgh"]
    assert found == [pairs] * 8


# --- exact or not ----------------------------------------------------------------------------------------------------


def between(middle: nn.Module) -> tuple[nn.Module, torch.Tensor]:
    return nn.Sequential(nn.Linear(3, 6), middle, nn.Linear(6, 2)), torch.randn(4, 3)


CHAIN = ChannelGroup("0", 6, (*made("0", 6), part("2.weight", 1, 6, "consumer")))
NORMED = replace(CHAIN, slices=(*CHAIN.slices, *norm("1", 6)[:2]))


@pytest.mark.parametrize("claimed", [True, False])
def test_a_group_behind_a_layer_norm_is_kept_as_inexact(claimed):
    kept = verified(*between(nn.LayerNorm(6)), replace(NORMED, exact=claimed))
    assert kept.groups == (replace(NORMED, exact=False),)
    assert kept.left_whole == ()


def test_a_layer_norm_whose_channels_are_shifted_is_rejected():
    kept = verified(*between(nn.LayerNorm(6)), replace(shifted(NORMED, "1.weight"), exact=False))
    assert kept.groups == ()
    assert [one.name for one in kept.left_whole] == ["0"]


@pytest.mark.parametrize(
    ("middle", "exact"),
    [
        (nn.Sigmoid(), False),
        (nn.Softplus(), False),
        (nn.ReLU(), True),
        (nn.Tanh(), True),
        (nn.GELU(), True),
        (nn.Dropout(0.5), True),
    ],
)
def test_a_group_is_exact_if_zero_stays_zero_on_its_way(middle, exact):
    assert verified(*between(middle), CHAIN).groups == (replace(CHAIN, exact=exact),)


def test_one_inexact_group_leaves_the_others_exact():
    layers = nn.Linear(3, 6), nn.Sigmoid(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2)
    second = ChannelGroup("2", 5, (*made("2", 5), part("4.weight", 1, 5, "consumer")))
    kept = verified(nn.Sequential(*layers), torch.randn(2, 3), CHAIN, second)
    assert kept.groups == (replace(CHAIN, exact=False), second)


def test_a_statistic_that_passes_a_relu_makes_a_group_inexact_whatever_is_drawn():
    def model(size: int) -> nn.Module:
        first = nn.Linear(3, size, bias=False), nn.BatchNorm1d(size, affine=False), nn.ReLU()
        return nn.Sequential(*first, nn.Linear(size, 2))

    # What is drawn depends on the size.
    groups = [group for size in range(2, 7) for group in trace(model(size), torch.randn(4, 3)).groups]
    assert [(group.size, group.exact) for group in groups] == [(size, False) for size in range(2, 7)]


# --- what hides a mistake --------------------------------------------------------------------------------------------


def test_a_branch_that_starts_at_zero_hides_nothing():
    model, example = conv_net()
    with torch.no_grad():
        for parameter in (*model[3].parameters(), model[1].weight):
            parameter.fill_(1e-6)
    assert verified(model, example, shifted(FIRST, "0.bias")).groups == ()
    assert verified(model, example, FIRST).groups == (FIRST,)


class Rounded(nn.Module):
    def forward(self, x):
        return torch.sign(x) * 0


def test_an_output_that_is_constant_hides_nothing():
    model, example = conv_net()
    model.append(Rounded())
    assert verified(model, example, shifted(FIRST, "0.bias")).groups == ()
    assert verified(model, example, FIRST).groups == (FIRST,)


def test_the_check_leaves_the_model_alone():
    model, example = conv_net()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    verified(model, example, WRONG["consumer missing"])
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_a_module_is_named_once_with_all_its_reasons():
    found = [
        LeftWhole("a", "2 of 4 channels: one"),
        LeftWhole("b", "three"),
        LeftWhole("a", "two"),
        LeftWhole("b", "three"),
    ]
    assert _together(found) == (LeftWhole("a", "2 of 4 channels: one; the others: two"), LeftWhole("b", "three"))
