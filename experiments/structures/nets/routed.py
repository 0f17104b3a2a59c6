"""Channels that weigh those of other layers, as routers of experts do; gates beside values; merged updates."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.structures.nets.case import CLASSES, case, sequences


@case(cut=("inward", "experts.0.0", "experts.2.0", "experts.2.2"), whole=("router",), example=sequences)
class RoutedExperts(nn.Module):
    """mixture of experts: every token goes to two of three, in a residual stream (Mixtral)"""

    def __init__(self) -> None:
        super().__init__()
        self.inward, self.router, self.head = nn.Linear(6, 12), nn.Linear(12, 3, bias=False), nn.Linear(12, CLASSES)
        self.experts = nn.ModuleList(nn.Sequential(nn.Linear(12, 10), nn.GELU(), nn.Linear(10, 12)) for _ in range(3))

    def forward(self, x: Tensor) -> Any:
        x = self.inward(x)
        flat = x.view(-1, x.shape[-1])
        weights, chosen = torch.topk(self.router(flat).softmax(-1), 2, dim=-1)
        weights = weights / weights.sum(-1, keepdim=True)
        out = torch.zeros_like(flat)
        for number, expert in enumerate(self.experts):
            token, rank = torch.where(chosen == number)
            out.index_add_(0, token, expert(flat[token]) * weights[token, rank, None])
        return self.head((x + out.view_as(x)).mean(1))


@case(cut=("inward", "both", "step"), whole=("reads",), example=sequences)
class StateScan(nn.Module):
    """a selective scan: every channel has a state of its own, written and read by weights that all share (Mamba)"""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.state = 10, 3
        self.inward, self.both = nn.Linear(6, 12), nn.Linear(12, 2 * self.inner)
        self.reads, self.step = nn.Linear(self.inner, 2 * self.state), nn.Linear(self.inner, self.inner)
        self.decay, self.skip = nn.Parameter(torch.rand(self.inner, self.state)), nn.Parameter(torch.ones(self.inner))
        self.out, self.head = nn.Linear(self.inner, 12), nn.Linear(12, CLASSES)

    def forward(self, x: Tensor) -> Any:
        x = self.inward(x)
        y, gate = self.both(x).split(split_size=[self.inner, self.inner], dim=-1)
        write, read = self.reads(y).split([self.state, self.state], dim=-1)
        step, state, found = F.softplus(self.step(y)), y.new_zeros(len(x), self.inner, self.state), []
        for time in range(x.shape[1]):
            keep = torch.exp(-step[:, time, :, None] * self.decay)
            state = keep * state + (step * y)[:, time, :, None] * write[:, time, None]
            found.append((state * read[:, time, None]).sum(-1))
        y = torch.stack(found, 1) + y * self.skip
        return self.head((x + self.out(y * F.silu(gate))).mean(1))


@case(cut=("inward", "both", "out"), example=sequences)
class EverySecond(nn.Module):
    """gated unit whose gates are every second channel (gpt-oss)"""

    def __init__(self) -> None:
        super().__init__()
        self.inward, self.both, self.out = nn.Linear(6, 12), nn.Linear(12, 20), nn.Linear(10, 12)
        self.head = nn.Linear(12, CLASSES)

    def forward(self, x: Tensor) -> Any:
        x = self.inward(x)
        both = self.both(x)
        gate, value = both[..., ::2], both[..., 1::2]
        return self.head((x + self.out((value + 1) * gate * torch.sigmoid(1.7 * gate))).mean(1))


class MergedUpdate(nn.Module):
    """A linear layer with an update of rank one, which evaluation adds to the weight and training takes off again."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight, self.down = nn.Parameter(torch.randn(outputs, inputs)), nn.Parameter(torch.randn(1, inputs))
        self.up, self.merged = nn.Parameter(torch.randn(outputs, 1)), False

    def train(self, mode: bool = True) -> MergedUpdate:
        super().train(mode)
        if mode is self.merged:
            sign = -1 if mode else 1
            self.weight.data = self.weight.data + sign * self.up.data @ self.down.data
            self.merged = not mode
        return self

    def forward(self, x: Tensor) -> Tensor:
        y = F.linear(x, self.weight)
        return y if self.merged else y + F.dropout(x, 0.0) @ self.down.transpose(0, 1) @ self.up.T


@case(cut=("first", "second"), example=sequences)
class MergedUpdates(nn.Module):
    """updates of low rank that eval() merges into the weights and train() takes off (LoRA)"""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = MergedUpdate(6, 12), MergedUpdate(12, 10), nn.Linear(10, CLASSES)

    def forward(self, x: Tensor) -> Any:
        return self.head(torch.relu(self.second(torch.relu(self.first(x)))).mean(1))
