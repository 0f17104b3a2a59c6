"""disent: a beta-VAE over pictures."""

from __future__ import annotations

from typing import Any

from experiments.clients.client import Client, Loaders
from experiments.clients.libraries.synthetic import blobs, both


def samples(count: int, seed: int) -> list[dict[str, Any]]:
    """Return pictures under the names that disent's frameworks read, each as a list of one."""
    pictures = blobs(count, seed, size=64)[0].sigmoid()
    return [{"x": (picture,), "x_targ": (picture,)} for picture in pictures]


def client() -> Client:
    """Return BetaVae around disent's small convolutional autoencoder."""
    from disent.frameworks.vae import BetaVae
    from disent.model import AutoEncoder
    from disent.model.ae import DecoderConv64, EncoderConv64

    def module() -> Any:
        shape = (3, 64, 64)
        network = AutoEncoder(EncoderConv64(shape, z_size=6, z_multiplier=2), DecoderConv64(shape, z_size=6))

        class Validated(BetaVae):  # type: ignore[misc]
            """The library's frameworks only train; here the loss of a validation batch is logged too."""

            def validation_step(self, batch: Any, batch_idx: int) -> None:
                self.log("val_loss", self.do_training_step(batch, batch_idx))

        return Validated(network, BetaVae.cfg(beta=0.01, optimizer="adam", optimizer_kwargs={"lr": 1e-3}))

    return Client(
        module=module,
        data=Loaders(*both(samples, 64)),
        metric="val_loss",
        what="BetaVae, pictures of 64 x 64",
        style="batch is a dict of tuples; the step calls encode and decode of a network held by a private name; "
        "codes are drawn at random",
    )
