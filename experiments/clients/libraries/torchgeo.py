"""torchgeo: segmentation of earth images by a U-Net of segmentation-models-pytorch."""

from __future__ import annotations

from torch import Tensor

from experiments.clients.client import Client, Loaders
from experiments.clients.libraries.synthetic import blobs, both


def samples(count: int, seed: int) -> list[dict[str, Tensor]]:
    """Return pictures of 32 x 32 pixels and the mask of the bright square in each."""
    pictures, _, masks = blobs(count, seed)
    return [{"image": picture, "mask": mask} for picture, mask in zip(pictures, masks, strict=True)]


def client() -> Client:
    """Return the task as torchgeo ships it, with a ResNet-18 as its backbone."""
    from torchgeo.trainers import SemanticSegmentationTask

    return Client(
        module=lambda: SemanticSegmentationTask("unet", "resnet18", weights=None, num_classes=2, lr=1e-3),
        data=Loaders(*both(samples, 32)),
        metric="val_loss",
        epochs=20,
        what="SemanticSegmentationTask, U-Net on ResNet-18, squares in noise",
        style='batch is a dict; the step reads batch["image"] and hands metrics to log_dict',
    )
