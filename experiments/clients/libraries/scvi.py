"""scvi-tools: a variational autoencoder of gene counts."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from experiments.clients.client import Client, Loaders
from experiments.clients.libraries.synthetic import both, generator

GENES, BATCHES, CELLS = 40, 2, 256


def samples(count: int, seed: int) -> list[dict[str, Tensor]]:
    """Return counts of cells of four kinds under the names that scvi reads."""
    random = generator(seed)
    rates = 8 * torch.rand(4, GENES, generator=generator(0))
    found = []
    for index in range(count):
        counts = torch.poisson(rates[index % 4], generator=random)
        found.append({"X": counts, "batch": torch.tensor([index % BATCHES]), "labels": torch.tensor([0])})
    return found


def client() -> Client:
    """Return the training plan around the VAE, both as scvi's SCVI model makes them."""
    from scvi.module import VAE
    from scvi.train import TrainingPlan

    def module() -> Any:
        network = VAE(GENES, n_batch=BATCHES, n_hidden=32, n_latent=6, n_layers=2)
        plan = TrainingPlan(network, n_epochs_kl_warmup=5)
        plan.n_obs_training = plan.n_obs_validation = CELLS
        return plan

    return Client(
        module=module,
        data=Loaders(*both(samples, CELLS)),
        metric="reconstruction_loss_validation",
        what="TrainingPlan, VAE of 40 genes in 4 kinds of cells",
        style="batch is a dict; the plan's forward takes the batch and loss_kwargs and returns three objects, the "
        "loss in an own class; latent values are drawn at random",
    )
