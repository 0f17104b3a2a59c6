"""A graph of handwritten digits, and a graph attention network that tells them.

Shape legend: N nodes, E edges, F features.
"""

from __future__ import annotations

from dataclasses import dataclass

import lightning as L
import torch
from torch import Tensor, nn

from experiments.training.data.digits import Digits
from experiments.training.data.splits import place_in_class

NEIGHBOURS = 8
# Of every class so many nodes are for training, the next ones for validation; all others are for testing.
TRAINED, VALIDATED = 20, 30


@dataclass(frozen=True)
class Graph:
    """Nodes with a class each, of which a network sees all features and all edges but few classes.

    Attributes:
        features: float [N, F].
        edges: from and to, int64 [2, E].
        classes: int64 [N].
        parts: ``train``, ``val`` and ``test``, bool [N] each.
    """

    features: Tensor
    edges: Tensor
    classes: Tensor
    parts: dict[str, Tensor]


def digits_graph() -> Graph:
    """Return scikit-learn's 1,797 digits, each joined with the eight whose pixels are nearest, in both directions."""
    data = Digits()
    data.setup()
    splits = [data.splits[name] for name in ("train", "val", "test")]
    pixels = torch.cat([split.inputs for split in splits]).flatten(1).float() / 16
    classes = torch.cat([split.labels for split in splits])
    distances = torch.cdist(pixels, pixels)
    nearest = distances.fill_diagonal_(torch.inf).topk(NEIGHBOURS, largest=False).indices
    joined = torch.zeros_like(distances, dtype=torch.bool).scatter(1, nearest, True)
    edges = (joined | joined.T).nonzero().T.contiguous()
    place = place_in_class(classes)
    trained, validated = place < TRAINED, (place >= TRAINED) & (place < TRAINED + VALIDATED)
    return Graph(pixels, edges, classes, {"train": trained, "val": validated, "test": ~(trained | validated)})


class GraphAttention(nn.Module):
    """Three layers of graph attention, the last with a head for every class.

    Args:
        features: of a node.
        classes: number of classes.
        heads: of the first two layers.
        head_size: numbers of a head.
        dropout: share of zeros, while training, in what a layer gets.

    Source: Velickovic et al., Graph Attention Networks, arXiv:1710.10903; the layer is PyTorch Geometric's.
    """

    def __init__(self, features: int, classes: int, heads: int = 16, head_size: int = 8, dropout: float = 0.5) -> None:
        super().__init__()
        from torch_geometric.nn import GATConv

        width = heads * head_size
        self.first = GATConv(features, head_size, heads=heads)
        self.second = GATConv(width, head_size, heads=heads)
        self.last = GATConv(width, classes, heads=1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, nodes: Tensor, edges: Tensor) -> Tensor:
        """Map features [N, F] and edges [2, E] to class scores [N, classes]."""
        hidden = nn.functional.elu(self.first(self.dropout(nodes), edges))
        hidden = nn.functional.elu(self.second(self.dropout(hidden), edges))
        scores: Tensor = self.last(self.dropout(hidden), edges)
        return scores


class NodeClassifier(L.LightningModule):
    """Trains on the classes of few nodes of one graph; a step is an epoch.

    Args:
        graph: to train on.
        network: maps nodes and edges to class scores.
    """

    def __init__(self, graph: Graph, network: nn.Module) -> None:
        super().__init__()
        self.graph, self.network = graph, network

    def forward(self, nodes: Tensor, edges: Tensor) -> Tensor:
        """Return class scores [N, classes]."""
        scores: Tensor = self.network(nodes, edges)
        return scores

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:  # noqa: ARG002
        """Return the cross-entropy of the nodes for training."""
        part = self.graph.parts["train"]
        scores = self(self.graph.features, self.graph.edges)
        return nn.functional.cross_entropy(scores[part], self.graph.classes[part])

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:  # noqa: ARG002
        """Log loss and accuracy of the nodes for validation."""
        part = self.graph.parts["val"]
        scores, classes = self(self.graph.features, self.graph.edges)[part], self.graph.classes[part]
        self.log("val/loss", nn.functional.cross_entropy(scores, classes), batch_size=1)
        self.log("val/acc", (scores.argmax(dim=1) == classes).float().mean(), batch_size=1)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return Adam as the paper has it."""
        return torch.optim.Adam(self.network.parameters(), lr=5e-3, weight_decay=5e-4)

    @torch.no_grad()
    def accuracy(self, part: str) -> float:
        """Return the share of the nodes of a part that are told right."""
        self.eval()
        right = self(self.graph.features, self.graph.edges).argmax(dim=1) == self.graph.classes
        return float(right[self.graph.parts[part]].double().mean())
