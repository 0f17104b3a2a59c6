"""anomalib: anomalies in pictures by GANomaly, a GAN under manual optimization."""

from __future__ import annotations

from typing import Any

from experiments.clients.client import Client, Loaders
from experiments.clients.libraries.synthetic import blobs, both

SIZE = 32


def samples(count: int, seed: int) -> list[tuple[Any, int]]:
    """Return pictures of noise, every second one of them with a bright square in half of the validation set."""
    pictures, _, _ = blobs(count, seed, SIZE)
    odd = seed != 1
    plain, _, _ = blobs(count, seed + 10, SIZE)
    return [
        (picture if odd and index % 2 else 0.3 * other.flip(0), int(odd and index % 2))
        for index, (picture, other) in enumerate(zip(pictures, plain, strict=True))
    ]


def collated(parts: list[tuple[Any, int]]) -> Any:
    """Return anomalib's own batch of pictures."""
    import torch
    from anomalib.data import ImageBatch

    pictures, labels = zip(*parts, strict=True)
    return ImageBatch(image=torch.stack(pictures), gt_label=torch.tensor(labels, dtype=torch.bool))


def client() -> Client:
    """Return Ganomaly for pictures of 32 x 32 pixels, without its visualizer."""
    from anomalib.metrics import AUROC, Evaluator
    from anomalib.models import Ganomaly
    from anomalib.pre_processing import PreProcessor
    from torchvision.transforms.v2 import Resize

    def module() -> Any:
        score = AUROC(fields=["pred_score", "gt_label"], prefix="val_")
        return Ganomaly(
            batch_size=16,
            n_features=16,
            latent_vec_size=16,
            pre_processor=PreProcessor(transform=Resize((SIZE, SIZE))),
            evaluator=Evaluator(val_metrics=[score]),
            visualizer=False,
        )

    return Client(
        module=module,
        data=Loaders(*both(samples, 64, collate_fn=collated)),
        metric="val_AUROC",
        mode="max",
        what="Ganomaly, squares in noise",
        style="batch is a dataclass; two optimizers under manual optimization; callbacks come from "
        "configure_callbacks; steps return no loss",
    )
