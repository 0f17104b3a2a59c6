"""Tiny networks, their groups written by hand, and what cuts of them are compared with."""

import copy

import torch
from torch import nn

from physprune_pl.networks.names import tensors_by_every_name
from physprune_pl.structure import ChannelGroup, Slice, Trace
from physprune_pl.surgery.plan import PruningPlan, make_plan


def rows(name: str, size: int, role: str = "filter", dim: int = 0, repeat: int = 1) -> Slice:
    channels = tuple(channel for channel in range(size) for _ in range(repeat))
    return Slice(name, dim, tuple(range(size * repeat)), channels, role)


def columns(name: str, size: int, repeat: int = 1, dim: int = 1) -> Slice:
    return rows(name, size, "consumer", dim, repeat)


def norm(name: str, size: int) -> tuple[Slice, ...]:
    affine = (rows(f"{name}.weight", size, "carrier"), rows(f"{name}.bias", size, "carrier"))
    return (*affine, rows(f"{name}.running_mean", size, "buffer"), rows(f"{name}.running_var", size, "buffer"))


def trace_of(model: nn.Module, *groups: ChannelGroup) -> Trace:
    buffers = dict(model.named_buffers())
    shapes = {name: tuple(tensor.shape) for name, tensor in {**dict(model.named_parameters()), **buffers}.items()}
    return Trace(groups, (), (), 0.0, shapes, frozenset(), (), 0, frozenset(buffers))


def plan_for(model: nn.Module, *groups: ChannelGroup, gone: tuple[int, ...] = (1, 3)) -> PruningPlan:
    removed = [torch.isin(torch.arange(group.size), torch.tensor(gone)) for group in groups]
    return make_plan(trace_of(model, *groups), removed, (0, 0), (0, 0))


def masked(model: nn.Module, plan: PruningPlan) -> nn.Module:
    """A dense copy whose removed slices are zero."""
    twin = copy.deepcopy(model)
    tensors = tensors_by_every_name(twin)
    with torch.no_grad():
        for name, cut in plan.tensors.items():
            if name.endswith("running_var"):
                continue
            for dim, kept in cut.keep.items():
                gone = [index for index in range(cut.shape[dim]) if index not in kept]
                tensors[name].index_fill_(dim, torch.tensor(gone), 0.0)
    return twin


def conv_bn_conv() -> tuple[nn.Module, ChannelGroup, torch.Tensor]:
    model = nn.Sequential(
        nn.Conv2d(2, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    group = ChannelGroup(
        "0", 6, (rows("0.weight", 6), rows("0.bias", 6, "carrier"), *norm("1", 6), columns("3.weight", 6))
    )
    return model, group, torch.randn(3, 2, 8, 8)


def linear_chain() -> tuple[nn.Module, ChannelGroup, torch.Tensor]:
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.PReLU(4), nn.Flatten(), nn.Linear(36, 5), nn.Tanh(), nn.Linear(5, 2))
    slices = (rows("0.weight", 4), rows("0.bias", 4, "carrier"), rows("1.weight", 4, "carrier"))
    return model, ChannelGroup("0", 4, (*slices, columns("3.weight", 4, repeat=9))), torch.randn(3, 1, 5, 5)


def depthwise() -> tuple[nn.Module, ChannelGroup, torch.Tensor]:
    model = nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), nn.Conv2d(4, 8, 3, groups=4), nn.Conv2d(8, 2, 1))
    wide = (rows("1.weight", 4, repeat=2), rows("1.bias", 4, "carrier", repeat=2), columns("2.weight", 4, repeat=2))
    return model, ChannelGroup("0", 4, (rows("0.weight", 4), *wide)), torch.randn(2, 3, 6, 6)


def grouped() -> tuple[nn.Module, ChannelGroup, torch.Tensor]:
    model = nn.Sequential(nn.Conv2d(3, 8, 1, bias=False), nn.Conv2d(8, 12, 3, groups=4), nn.Conv2d(12, 2, 1))
    unit = (rows("1.weight", 4, repeat=3), rows("1.bias", 4, "carrier", repeat=3), columns("2.weight", 4, repeat=3))
    return model, ChannelGroup("0", 4, (rows("0.weight", 4, repeat=2), *unit)), torch.randn(2, 3, 6, 6)


def transposed() -> tuple[nn.Module, ChannelGroup, torch.Tensor]:
    model = nn.Sequential(nn.ConvTranspose2d(3, 5, 2), nn.ReLU(), nn.ConvTranspose2d(5, 2, 2, bias=False))
    slices = (rows("0.weight", 5, dim=1), rows("0.bias", 5, "carrier"), columns("2.weight", 5, dim=0))
    return model, ChannelGroup("0", 5, slices), torch.randn(2, 3, 4, 4)


def transposed_grouped() -> tuple[nn.Module, ChannelGroup, torch.Tensor]:
    model = nn.Sequential(nn.Conv2d(3, 8, 1, bias=False), nn.ConvTranspose2d(8, 12, 2, groups=4), nn.Conv2d(12, 2, 1))
    unit = (rows("1.weight", 4, repeat=2), rows("1.bias", 4, "carrier", repeat=3), columns("2.weight", 4, repeat=3))
    return model, ChannelGroup("0", 4, (rows("0.weight", 4, repeat=2), *unit)), torch.randn(2, 3, 5, 5)


def group_norm() -> tuple[nn.Module, ChannelGroup, torch.Tensor]:
    model = nn.Sequential(nn.Conv1d(2, 8, 1), nn.GroupNorm(4, 8), nn.Conv1d(8, 3, 1))
    two = tuple(rows(name, 4, "carrier", repeat=2) for name in ("0.bias", "1.weight", "1.bias"))
    slices = (rows("0.weight", 4, repeat=2), *two, columns("2.weight", 4, repeat=2))
    return model, ChannelGroup("0", 4, slices), torch.randn(2, 2, 7)


def bilinear() -> tuple[nn.Module, ChannelGroup, torch.Tensor]:
    class Pair(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(3, 5), nn.Linear(3, 4)
            self.mix = nn.Bilinear(5, 4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.mix(self.first(x), self.second(x))

    slices = (rows("first.weight", 5), rows("first.bias", 5, "carrier"), columns("mix.weight", 5))
    return Pair(), ChannelGroup("first", 5, slices), torch.randn(2, 3)


NETWORKS = (
    conv_bn_conv,
    linear_chain,
    depthwise,
    grouped,
    transposed,
    transposed_grouped,
    group_norm,
    bilinear,
)
