"""A fit without Lightning and without the penalty in closed form: loops, autograd, and a cut by hand."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from experiments.reliability.network import Batch, network, task_loss
from experiments.reliability.recipe import Recipe
from physprune_pl import PruningPlan
from physprune_pl.structure import ChannelGroup

Tensors = dict[str, Tensor]


def penalty(tensors: Tensors, groups: Sequence[ChannelGroup], coefficient: float) -> Tensor:
    """The exponential law's penalty, channel by channel, with autograd through the strengths.

    Args:
        tensors: parameters by the names of the groups.
        groups: the groups.
        coefficient: pressure.
    """
    total = torch.zeros((), dtype=torch.float64)
    for group in groups:
        raw = [math.exp(5.0 * k / group.size) for k in range(group.size)]
        for k in range(group.size):
            square = sum((part.square().sum() for part in _slices(tensors, group, k)), torch.zeros(()))
            total = total + raw[k] / (sum(raw) / group.size) * square.double().sqrt()
    return coefficient * total


def _slices(tensors: Tensors, group: ChannelGroup, channel: int) -> Iterator[Tensor]:
    for part in group.slices:
        tensor = tensors.get(part.name)
        if tensor is not None and tensor.requires_grad:
            indices = [index for index, owner in zip(part.index, part.channel, strict=True) if owner == channel]
            yield tensor.index_select(part.dim, torch.tensor(indices))


@dataclass
class PlainFit:
    """Trains a network as a recipe says.

    Attributes:
        recipe: of the fit.
        net: the network.
        groups: what is pressed; none in fine-tuning.
        coefficient: of the penalty.
    """

    recipe: Recipe
    net: nn.Module
    groups: Sequence[ChannelGroup]
    coefficient: float

    def run(
        self, batches: Sequence[Batch], epochs: range, rate: float, state: Mapping[str, Tensors] | None = None
    ) -> None:
        """Train for some epochs from a learning rate on; ``state`` holds the moments to start from, by parameter."""
        names = dict(self.net.named_parameters())
        self.optimizer = self.recipe.optimizer(list(names.values()), rate)
        for name, moments in (state or {}).items():
            self.optimizer.state[names[name]] = moments
        steps = sum(math.ceil(len(batches) / self.recipe.window(epoch)) for epoch in epochs)
        self.scheduler = self.recipe.scheduler(self.optimizer, rate, steps, len(epochs))
        self.scaler = self.recipe.scaler()
        self.net.train()
        for epoch in epochs:
            self._epoch(batches, self.recipe.window(epoch))

    def _epoch(self, batches: Sequence[Batch], window: int) -> None:
        losses = []
        for start in range(0, len(batches), window):
            self.optimizer.zero_grad()
            for batch in batches[start : start + window]:
                with self._autocast():
                    loss = task_loss(self.net, batch)
                losses.append(loss.item())
                torch.autograd.backward(self.scaler.scale(loss / window))
            self._step()
            if self.recipe.interval == "step":
                self.scheduler.step()
        if self.recipe.interval == "epoch":
            self.scheduler.step(*([sum(losses) / len(losses)] if self.recipe.plateau else []))

    def _step(self) -> None:
        self.scaler.unscale_(self.optimizer)
        if self.groups:
            torch.autograd.backward(penalty(dict(self.net.named_parameters()), self.groups, self.coefficient))
        self.recipe.clip(self.net.parameters())
        self.scaler.step(self.optimizer)
        self.scaler.update()

    def _autocast(self) -> AbstractContextManager[object]:
        kind = self.recipe.autocast
        return nullcontext() if kind is None else torch.autocast("cpu", dtype=kind)


def cut_by_hand(net: nn.Module, optimizer: Optimizer, plan: PruningPlan) -> tuple[nn.Module, dict[str, Tensors]]:
    """A smaller network with the weights that a plan keeps, and what the optimizer knows of them, by parameter."""
    keep = {name: {dim: torch.tensor(kept) for dim, kept in cut.keep.items()} for name, cut in plan.tensors.items()}
    weights = {name: _kept(value, keep.get(name, {})) for name, value in net.state_dict().items()}
    smaller = network(len(weights["0.weight"]), len(weights["3.weight"])).to(weights["0.weight"].dtype)
    smaller.load_state_dict(weights)
    state = {
        name: {key: _moment(value, one, keep.get(name, {})) for key, value in optimizer.state[one].items()}
        for name, one in net.named_parameters()
    }
    return smaller, state


def _moment(value: Tensor, parameter: Tensor, keep: dict[int, Tensor]) -> Tensor:
    return _kept(value, keep) if isinstance(value, Tensor) and value.shape == parameter.shape else value


def _kept(tensor: Tensor, keep: dict[int, Tensor]) -> Tensor:
    for dim, kept in keep.items():
        tensor = tensor.index_select(dim, kept)
    return tensor.clone()
