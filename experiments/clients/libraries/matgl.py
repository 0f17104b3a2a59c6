"""matgl: energies of crystals by MEGNet."""

from __future__ import annotations

from typing import Any

import torch

from experiments.clients.client import Client, Loaders
from experiments.clients.libraries.synthetic import generator, loader

ATOMS, EDGES = 4, 16


def crystals(count: int, seed: int) -> list[Any]:
    """Return random periodic graphs; what is learned is the mean of kinds of atoms."""
    from torch_geometric.data import Data

    random = generator(seed)
    found = []
    for _ in range(count):
        kinds = torch.randint(3, (ATOMS,), generator=random)
        edges = torch.randint(ATOMS, (2, EDGES), generator=random)
        graph = Data(node_type=kinds, edge_index=edges, num_nodes=ATOMS)
        graph.frac_coords = torch.rand(ATOMS, 3, generator=random)
        graph.pbc_offset = torch.randint(-1, 2, (EDGES, 3), generator=random).float()
        cell = 3 * torch.eye(3)[None]
        found.append((graph, cell, torch.zeros(2), {"energy": float(kinds.float().mean())}))
    return found


def loaded(count: int, seed: int, *, shuffle: bool = False) -> Any:
    """Return a loader that collates as matgl does."""
    from matgl.graph.data import collate_fn_graph

    return loader(crystals(count, seed), shuffle=shuffle, collate_fn=collate_fn_graph)


def client() -> Client:
    """Return ModelLightningModule around a MEGNet of two blocks."""
    from matgl.models import MEGNet
    from matgl.utils.training import ModelLightningModule

    def module() -> Any:
        network = MEGNet(dim_edge_embedding=20, nblocks=2, element_types=("Li", "O", "Fe"))
        return ModelLightningModule(network, lr=3e-3)

    return Client(
        module=module,
        data=Loaders(lambda: loaded(64, 1, shuffle=True), lambda: loaded(32, 2)),
        metric="val_Total_Loss",
        epochs=15,
        what="MEGNet, random crystals",
        style="batch is (graph of torch_geometric, lattice, state, label); forward writes into the graph; scatter "
        "sums, Set2Set with an LSTM inside",
    )
