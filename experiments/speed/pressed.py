"""A network under a force, step by step as the callback does it, without a trainer around."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.training.models import resnet20, resnet56, vgg19_bn
from physprune_pl.pressing.group_coefficients import GroupCoefficients
from physprune_pl.pressing.group_law import GroupLaw
from physprune_pl.pressing.penalty import Penalty
from physprune_pl.pressing.steering import Steering
from physprune_pl.strengths import L2
from physprune_pl.structure import Trace
from physprune_pl.targets.chooser import Chooser
from physprune_pl.targets.target import Target
from physprune_pl.tracing.tracer import trace

STEPS = 2000
"""Optimizer steps of the phase that steering believes in: it decides anew at every tenth."""
GENTLE = 1e-6
"""Coefficient so small that the timed steps leave the network as it is."""


@dataclass(frozen=True)
class Network:
    """A network, the pictures it is trained on, and the share of a step that a force may take.

    Attributes:
        build: makes it.
        pixels: width of a picture.
        batch: pictures of a step.
        goal: largest time of a step with a force over that without; None where no share was set.
    """

    build: Callable[[], nn.Module]
    pixels: int
    batch: int
    goal: float | None


NETWORKS = {
    "resnet20": Network(lambda: resnet20((3, 32, 32), 10), 32, 128, None),
    "resnet56": Network(lambda: resnet56((3, 32, 32), 10), 32, 128, 1.01),
    "vgg19": Network(lambda: vgg19_bn((3, 32, 32), 10), 32, 128, 1.02),
    "resnet50": Network(lambda: torchvision.models.resnet50(num_classes=10), 64, 32, None),
    "vit_b_16": Network(lambda: torchvision.models.vit_b_16(image_size=64, num_classes=10), 64, 16, None),
    "vit_l_16": Network(lambda: torchvision.models.vit_l_16(image_size=64, num_classes=10), 64, 4, None),
}


class Training:
    """A network with its trace, a batch of random pictures and an optimizer."""

    def __init__(self, network: Network) -> None:
        torch.manual_seed(0)
        self.model = network.build()
        self.images = torch.randn(network.batch, 3, network.pixels, network.pixels)
        self.answers = torch.randint(10, (network.batch,))
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1e-4, momentum=0.9)
        self.trace: Trace = trace(self.model, self.images[:1])
        self.penalty = Penalty(self.trace.groups, dict(self.model.named_parameters()), L2())
        self.parameters = list(self.model.parameters())

    @property
    def touched(self) -> int:
        """Numbers in the parameters that the penalty reads and writes."""
        names = {part.name for group in self.trace.groups for part in group.slices}
        return sum(value.numel() for name, value in self.model.named_parameters() if name in names)

    def step(self, press: Callable[[], object]) -> tuple[float, float]:
        """Do one training step; return the milliseconds of the force and of all of it."""
        start = time.process_time()
        loss = F.cross_entropy(self.model(self.images), self.answers)
        forced = time.process_time()
        press()
        pressed = time.process_time()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.optimizer.zero_grad()
        return 1000.0 * (pressed - forced), 1000.0 * (time.process_time() - start)


class Force:
    """What :class:`~physprune_pl.ForceRegularization` does between forward and backward."""

    def __init__(self, training: Training, name: str, *, steered: bool = False) -> None:
        self.penalty = training.penalty
        self.law = GroupCoefficients(GroupLaw.resolve(name), training.trace.groups, training.penalty)
        self.steering: Steering | None = None
        if steered:
            self.steering = Steering(Chooser(training.trace, Target("macs", 0.4)), training.penalty.segments)
        self.steps = 0

    def __call__(self) -> None:
        """Add one penalty gradient."""
        strengths = self.penalty.strengths()
        law = self.law(strengths, check=self.steps % 50 == 0)
        self.penalty.add_gradient(GENTLE * self._pressure(law, strengths), strengths=strengths)
        self.steps += 1

    def _pressure(self, law: Tensor, strengths: Tensor) -> Tensor:
        if self.steering is None:
            return law
        self.steering.update(self.steps / STEPS % 1.0, 0.1, strengths, law)
        return self.steering.pressure(strengths, law)


def without() -> None:
    """Press nothing."""
