"""chemprop: properties of molecules by message passing over their bonds."""

from __future__ import annotations

from typing import Any

from experiments.clients.client import Client, Loaders
from experiments.clients.libraries.synthetic import generator

# Small molecules as SMILES: chains with a group at each end; what is learned is how many atoms they have.
HEADS = ("C", "CC", "OC", "NC", "FCC", "C1CC1", "OCC", "CCC")
MIDDLES = ("", "C", "CC", "CO")
TAILS = ("C", "N", "O", "CCO", "C(=O)O", "CCl", "C#N", "c1ccccc1")


def molecules(first: int) -> list[Any]:
    """Return every second molecule of a random order, from one of the first two."""
    import numpy
    import torch
    from chemprop.data import MoleculeDatapoint
    from rdkit.Chem import MolFromSmiles

    every = [head + middle + tail for head in HEADS for middle in MIDDLES for tail in TAILS]
    smiles = [every[index] for index in torch.randperm(len(every), generator=generator(0)).tolist()[first::2]]
    atoms = [MolFromSmiles(one).GetNumAtoms() / 4 for one in smiles]
    return [MoleculeDatapoint.from_smi(one, numpy.array([size])) for one, size in zip(smiles, atoms, strict=True)]


def loader(first: int, *, shuffle: bool) -> Any:
    """Return chemprop's own loader over half of the molecules."""
    from chemprop.data import MoleculeDataset, build_dataloader

    return build_dataloader(MoleculeDataset(molecules(first)), batch_size=16, shuffle=shuffle)


def client() -> Client:
    """Return chemprop's MPNN of default depth, narrower."""
    from chemprop.models import MPNN
    from chemprop.nn import BondMessagePassing, MeanAggregation, RegressionFFN

    return Client(
        module=lambda: MPNN(
            BondMessagePassing(d_h=64), MeanAggregation(), RegressionFFN(input_dim=64, hidden_dim=64), batch_norm=True
        ),
        data=Loaders(lambda: loader(0, shuffle=True), lambda: loader(1, shuffle=False)),
        metric="val_loss",
        epochs=300,
        what="MPNN, 128 small molecules",
        style="batch is a named tuple around BatchMolGraph, an own class that is no tensor; no call of forward: "
        "the step calls self.fingerprint and self.predictor.train_step",
    )
