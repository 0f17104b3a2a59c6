"""torchmd-net: energies of molecules by an equivariant transformer."""

from __future__ import annotations

from typing import Any

import torch

from experiments.clients.client import Client, Loaders
from experiments.clients.libraries.synthetic import SAMPLES, generator

ATOMS = 5


def loader(count: int, seed: int, *, shuffle: bool = False) -> Any:
    """Return random molecules as torch_geometric batches them; what is learned is their spread."""
    from torch_geometric.data import Data
    from torch_geometric.loader import DataLoader

    random, found = generator(seed), []
    for _ in range(count):
        places = torch.randn(ATOMS, 3, generator=random)
        kinds = torch.randint(1, 9, (ATOMS,), generator=random)
        found.append(Data(z=kinds, pos=places, y=places.pow(2).sum(1).mean().reshape(1, 1)))
    return DataLoader(found, batch_size=16, shuffle=shuffle)


def client() -> Client:
    """Return LNNP with a graph network of two layers."""
    from torchmdnet.module import LNNP

    network = {
        **{"model": "graph-network", "embedding_dimension": 32, "num_layers": 2, "num_rbf": 16, "rbf_type": "expnorm"},
        **{"trainable_rbf": False, "activation": "silu", "attn_activation": "silu", "neighbor_embedding": True},
        **{"cutoff_lower": 0.0, "cutoff_upper": 5.0, "max_z": 10, "max_num_neighbors": 32, "aggr": "add"},
        **{"output_model": "Scalar", "reduce_op": "add", "precision": 32, "derivative": False, "prior_model": None},
        **{"atom_filter": -1, "check_errors": False, "static_shapes": False, "vector_cutoff": False, "num_heads": 4},
        **{"distance_influence": "both", "equivariance_invariance_group": "O(3)", "box_vecs": None},
    }
    training = {
        **{"load_model": None, "remove_ref_energy": False, "lr": 1e-3, "weight_decay": 0.0, "lr_factor": 0.8},
        **{"lr_patience": 10, "lr_min": 1e-7, "lr_warmup_steps": 0, "ema_alpha_y": 1.0, "ema_alpha_neg_dy": 1.0},
        **{"y_weight": 1.0, "neg_dy_weight": 0.0, "test_interval": 10, "train_loss": "mse_loss"},
    }

    class Alone(LNNP):  # type: ignore[misc]
        """The library's module reads the optimizer when a validation ends, so it cannot be validated without a fit."""

        def validation_step(self, batch: Any, batch_idx: int, *args: Any) -> Any:
            loss = super().validation_step(batch, batch_idx, *args)
            self.log("val_loss", loss, batch_size=16)
            return loss

        def on_validation_epoch_end(self) -> None:
            if self.trainer.optimizers:
                super().on_validation_epoch_end()

    def module() -> Any:
        return Alone(dict(network | training))

    return Client(
        module=module,
        data=Loaders(lambda: loader(SAMPLES, 1, shuffle=True), lambda: loader(SAMPLES // 2, 2)),
        metric="val_loss",
        what="LNNP, graph network, random molecules",
        style="batch is an object of torch_geometric; forward gets its parts by keyword; neighbours are found inside",
    )
