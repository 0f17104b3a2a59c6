"""careamics: denoising of pictures without clean ones (Noise2Void)."""

from __future__ import annotations

from typing import Any

from experiments.clients.client import Client, Module
from experiments.clients.libraries.synthetic import blobs


def configuration() -> Any:
    """Return careamics' configuration of a small U-Net."""
    from careamics.config import create_n2v_config

    return create_n2v_config("client", data_type="array", axes="SYX", patch_size=[32, 32], batch_size=16)


def data() -> Any:
    """Return careamics' own data module over arrays."""
    from careamics.lightning import CareamicsDataModule

    train, validation = (blobs(count, seed)[0][:, 0].numpy() for count, seed in ((64, 1), (32, 2)))
    return CareamicsDataModule(configuration().data_config, train_data=train, val_data=validation)


def client() -> Client:
    """Return N2VModule with a U-Net of 16 filters."""
    from careamics.lightning import N2VModule

    def module() -> Any:
        return N2VModule(configuration().algorithm_config)

    return Client(
        module=module,
        data=Module(data),
        metric="val_loss",
        epochs=20,
        what="N2VModule, U-Net, squares in noise",
        style="batch is a tuple of one named tuple with metadata; the step changes its input at random before the call",
    )
