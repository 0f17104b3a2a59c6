"""Random changes of whole batches of pictures, drawn on the CPU so that every device sees the same ones.

Shape legend: B pictures of a batch, C colours, H x W pixels.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn


def random_shift(images: Tensor, pixels: int, generator: Generator) -> Tensor:
    """Shift every picture [B, C, H, W] by up to ``pixels`` in both directions; the border fills with zeros.

    The same as padding by ``pixels`` and cropping at random. The result lies in memory colours last, which is how
    convolutions on a CPU are fastest.
    """
    size, _, height, width = images.shape
    offset = torch.randint(2 * pixels + 1, (2, size, 1), generator=generator).to(images.device)
    rows = torch.arange(height, device=images.device) + offset[0]
    columns = torch.arange(width, device=images.device) + offset[1]
    padded = nn.functional.pad(images, (pixels,) * 4)
    sample = torch.arange(size, device=images.device)[:, None, None]
    return padded[sample, :, rows[:, :, None], columns[:, None, :]].movedim(-1, 1)


def random_flip(images: Tensor, share: float, generator: Generator) -> Tensor:
    """Mirror a share of the pictures [B, C, H, W] left to right."""
    chosen = torch.rand(len(images), generator=generator).to(images.device) < share
    return torch.where(chosen[:, None, None, None], images.flip(-1), images)
