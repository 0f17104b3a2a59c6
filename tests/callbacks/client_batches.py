"""Tiny modules whose batches look as those of real Lightning libraries do.

The style named in a docstring was seen in the library that it names, see experiments/clients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from client_style import COLUMNS, Style, mlp
from torch import nn
from torch.nn.functional import mse_loss


class NestedDict(Style):
    """torchgeo, kraken: a dict whose input has a name of its own, with words and a dict beside it."""

    @classmethod
    def collated(cls, samples):
        inputs, targets = Style.collated(samples)
        return {"bounds": {"left": 0.5, "path": ["a.tif"]}, "mask": targets, "image": inputs}

    def loss(self, batch):
        return mse_loss(self.net(batch["image"]), batch["mask"])


class Prediction(NamedTuple):
    """A named tuple as an output."""

    prediction: torch.Tensor
    scale: None


class TargetAndWeight(Style):
    """pytorch-forecasting: (dict, (target, None)); forward takes the dict and returns a named tuple."""

    @classmethod
    def collated(cls, samples):
        inputs, targets = Style.collated(samples)
        lengths = torch.full((len(inputs),), COLUMNS)
        return {"encoder_cont": inputs[..., None], "encoder_lengths": lengths, "groups": None}, (targets, None)

    def forward(self, x):
        return Prediction(self.net(x["encoder_cont"][..., 0]), None)

    def loss(self, batch):
        x, (target, _) = batch
        return mse_loss(self(x).prediction, target)


class Graph:
    """An own class around tensors, neither tuple nor dict."""

    def __init__(self, nodes, owner):
        self.nodes, self.owner = nodes, owner


class GraphBatch(NamedTuple):
    """What a loader of graphs yields."""

    graph: Graph
    features: None
    targets: torch.Tensor


class GraphWithoutForward(Style):
    """chemprop: a graph of an own class in a named tuple; no forward, sums of nodes, and a head's own method."""

    class Head(nn.Module):
        """Predicts through two methods."""

        def __init__(self):
            super().__init__()
            self.layers = mlp(16, 16, 1)

        def train_step(self, sums):
            return self.layers(sums)

    def __init__(self):
        super().__init__()
        self.net, self.head = mlp(1, 16, 16), self.Head()

    @classmethod
    def collated(cls, samples):
        inputs, targets = Style.collated(samples)
        owner = torch.arange(len(inputs)).repeat_interleave(COLUMNS)
        return GraphBatch(Graph(inputs.reshape(-1, 1), owner), None, targets)

    def fingerprint(self, graph):
        nodes = self.net(graph.nodes)
        count = int(graph.owner.max()) + 1
        return torch.zeros(count, nodes.shape[1]).index_add(0, graph.owner, nodes)

    def loss(self, batch):
        return mse_loss(self.head.train_step(self.fingerprint(batch.graph)), batch.targets)


class WindowsDrawnInTheStep(Style):
    """neuralforecast: the step draws windows from the batch at random; forward takes one dict with None in it."""

    @classmethod
    def collated(cls, samples):
        return {"temporal": torch.stack([one for one, _ in samples]).reshape(4, 1, -1), "static": None, "y_idx": 0}

    def forward(self, windows):
        assert windows["futr_exog"] is None
        return self.net(windows["insample_y"])

    def loss(self, batch):
        windows = batch["temporal"].unfold(2, COLUMNS + 1, 1).reshape(-1, COLUMNS + 1)
        chosen = windows[torch.randperm(len(windows))[:12]]
        return mse_loss(self({"insample_y": chosen[:, :-1], "futr_exog": None}), chosen[:, -1:])


@dataclass
class Window:
    """A batch that says itself what the network takes."""

    past: torch.Tensor
    covariates: torch.Tensor | None
    future: torch.Tensor

    def to_module_input(self):
        """Return past and covariates."""
        return self.past, self.covariates


class BatchMakesTheInput(Style):
    """darts: a dataclass whose method makes the tuple that forward takes, None included."""

    @classmethod
    def collated(cls, samples):
        inputs, targets = Style.collated(samples)
        return Window(inputs, None, targets)

    def forward(self, given):
        past, covariates = given
        return self.net(past if covariates is None else torch.cat([past, covariates], 1))

    def loss(self, batch):
        return mse_loss(self(batch.to_module_input()), batch.future)


BATCHES = [NestedDict, TargetAndWeight, GraphWithoutForward, WindowsDrawnInTheStep, BatchMakesTheInput]
