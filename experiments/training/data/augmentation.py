"""Random changes of whole batches of pictures, drawn on the CPU so that every device sees the same ones.

Shape legend: B pictures of a batch, C colours, H x W pixels.
"""

from __future__ import annotations

import numpy as np
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


def random_cutout(images: Tensor, side: int, generator: Generator) -> Tensor:
    """Set a square of ``side`` x ``side`` pixels of every picture [B, C, H, W] to zero.

    Its middle is any pixel with equal chance, so at the border a part of it may lie outside. Zero is the mean of
    pictures that are scaled already. Source: DeVries and Taylor, arXiv:1708.04552.
    """
    size, _, height, width = images.shape
    outside = [
        _outside(torch.randint(pixels, (size, 1), generator=generator).to(images.device), pixels, side)
        for pixels in (height, width)
    ]
    return images * (outside[0][:, None, :, None] | outside[1][:, None, None, :])


def _outside(middle: Tensor, pixels: int, side: int) -> Tensor:
    """Return, per picture and row (or column) [B, pixels], whether the square leaves it alone."""
    place = torch.arange(pixels, device=middle.device)
    first = middle - side // 2
    return (place < first) | (place >= first + side)


def random_mixup(images: Tensor, answers: Tensor, alpha: float, generator: Generator) -> tuple[Tensor, Tensor]:
    """Mix every picture with another one of the batch, and their answers alike.

    x_i <- t_i x_i + (1 - t_i) x_p(i), the same for the answers, with t_i ~ Beta(alpha, alpha) and p a random order of
    the batch. Source: Zhang et al., arXiv:1710.09412.

    Args:
        images: [B, C, H, W], floating point.
        answers: shares of the classes [B, classes].
        alpha: over 0; the smaller, the closer t is to 0 or 1.
        generator: on the CPU.
    """
    partner = torch.randperm(len(images), generator=generator).to(images.device)
    # Torch draws from a Beta distribution with the global generator only.
    seed = int(torch.randint(2**62, (), generator=generator))
    share = torch.from_numpy(np.random.default_rng(seed).beta(alpha, alpha, len(images)))
    share = share.to(images)[:, None, None, None]
    mixed = share * images + (1 - share) * images[partner]
    share = share[:, :, 0, 0]
    return mixed, share * answers + (1 - share) * answers[partner]
