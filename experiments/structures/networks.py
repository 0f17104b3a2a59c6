"""Full-size networks that a tracer is judged by, on small pictures."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from experiments.structures.nets.case import unit
from experiments.training.models import resnet20, resnet56


class UNet(nn.Module):
    """U-Net of three levels: transposed convolutions up, skip concats, a mask of two classes at the input's size."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        widths = [width, 2 * width, 4 * width]
        inputs = [3, *widths[:-1]]
        self.down = nn.ModuleList(self._pair(one, two) for one, two in zip(inputs, widths, strict=True))
        lower = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.lift = nn.ModuleList(nn.ConvTranspose2d(one, two, 2, stride=2) for one, two in lower)
        self.up = nn.ModuleList(self._pair(2 * two, two) for _, two in lower)
        self.mask = nn.Conv2d(width, 2, 1)

    @staticmethod
    def _pair(inputs: int, outputs: int) -> nn.Sequential:
        return nn.Sequential(unit(inputs, outputs), unit(outputs, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Map pictures [B, 3, H, W] to scores [B, 2, H, W]."""
        skips: list[Tensor] = []
        for level, block in enumerate(self.down):
            x = block(F.max_pool2d(x, 2) if level else x)
            skips.append(x)
        for lift, block, skip in zip(self.lift, self.up, skips[-2::-1], strict=True):
            x = block(torch.cat([skip, lift(x)], 1))
        mask: Tensor = self.mask(x)
        return mask


def _torchvision(name: str) -> Callable[[], nn.Module]:
    return lambda: torchvision.models.get_model(name, weights=None, num_classes=10)


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "resnet20": lambda: resnet20((3, 16, 16), 10),
    "resnet56": lambda: resnet56((3, 16, 16), 10),
    "unet": UNet,
    **{
        name: _torchvision(name)
        for name in (
            *("resnet18", "mobilenet_v2", "shufflenet_v2_x1_0", "resnext50_32x4d"),
            *("densenet121", "convnext_tiny"),
        )
    },
}
PIXELS = {"resnet20": 16, "resnet56": 16, "unet": 16}


def make(name: str) -> tuple[nn.Module, Tensor]:
    """A network of ``NETWORKS`` with random weights, and four pictures for it, of 32 x 32 pixels unless it is small."""
    torch.manual_seed(0)
    size = PIXELS.get(name, 32)
    return NETWORKS[name](), torch.randn(4, 3, size, size)
