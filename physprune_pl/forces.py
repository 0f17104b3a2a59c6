"""The force laws: one detached coefficient per channel, from distances, strengths and charge signs.

The penalty of a group is sum_k c_k s_k with the c_k of a law held fixed. It has the gradient of a weighted norm, *not*
of Coulomb's or Newton's potential, whose distances and masses would be differentiated too. The laws say only how hard
each channel is pressed.

A law of one's own is a frozen dataclass or a plain function of :class:`~physprune_pl.channels.Channels`:

>>> @dataclass(frozen=True)
... class Spring(ForceLaw):
...     stiffness: float = 1.0
...     def __call__(self, channels):
...         return self.stiffness * channels.distance
>>> ones = torch.ones(3)
>>> group = Channels(strength=ones, distance=torch.tensor([0.0, 1.0, 2.0]), pivot=0, sign=ones)
>>> coefficients(Spring(2.0), group, "conv1")
tensor([0., 1., 2.])
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor

from physprune_pl.channels import Channels, Reader, at_pivot, upright
from physprune_pl.tools.choices import unknown
from physprune_pl.tools.registry import named

Orientation = Literal["far", "near"]

# Two channels closer than this share one place: 1 / d^2 there would be noise of the last bit.
SAME_PLACE = 1e-6


@dataclass(frozen=True)
class ForceLaw(Reader, ABC):
    """Coefficient of every channel of a group, positive where the channel is pressed towards zero.

    Attributes:
        normalize: divide by the mean magnitude over the group, so that laws and groups have one scale.
        default_distance: name of the distance that the law is meant for.
    """

    normalize: bool = field(default=True, kw_only=True)
    default_distance: ClassVar[str] = "index"

    @abstractmethod
    def __call__(self, channels: Channels) -> Tensor:
        """Return the coefficients before normalisation, shape [K]."""


Force = ForceLaw | Callable[[Channels], Tensor]


@dataclass(frozen=True)
class Uniform(ForceLaw):
    """The same for all, c_k = 1: group lasso (Yuan & Lin 2006), the baseline that the physics has to beat.

    >>> ones = torch.ones(3)
    >>> Uniform()(Channels(strength=2 * ones, distance=ones, pivot=0, sign=ones))
    tensor([1., 1., 1.])
    """

    reads = frozenset()

    def __call__(self, channels: Channels) -> Tensor:
        """Return ones, shape [K]."""
        return torch.ones_like(channels.strength)


@dataclass(frozen=True)
class LinearTorque(ForceLaw):
    """Torque of a force at a lever arm, c_k = d_k: nothing at the pivot, most at the far end.

    Source: torque-based pruning (WACV 2024). Its scale is not published; here the mean over the group is 1.

    >>> ones = torch.ones(3)
    >>> LinearTorque()(Channels(strength=ones, distance=torch.tensor([0.0, 1.0, 2.0]), pivot=0, sign=ones))
    tensor([0., 1., 2.])
    """

    reads = frozenset({"distance"})

    def __call__(self, channels: Channels) -> Tensor:
        """Return the distances, shape [K]."""
        return channels.distance


@dataclass(frozen=True)
class ExponentialTorque(ForceLaw):
    """Exponential torque, c_k = exp(rate * d_k / K): about 148 times as much at the far end as at the pivot.

    Source: ETP, arXiv:2506.22015. Its readme says base exp(5 / K), the default; its code says base 1.01^(500 / K), a
    rate of 4.975, and divides by K, which ``ExponentialTorque(4.975, divide_by_size=True, normalize=False)`` repeats.
    Its text calls the weight a decay; it grows with the distance there and here.

    Attributes:
        rate: exponent over the whole width of a group, finite.
        divide_by_size: divide by the number of channels; changes nothing while ``normalize`` is on.

    Raises:
        ValueError: when ``rate`` is not finite.

    >>> ones = torch.ones(2)
    >>> ExponentialTorque(rate=2.0)(Channels(strength=ones, distance=torch.tensor([0.0, 1.0]), pivot=0, sign=ones))
    tensor([1.0000, 2.7183])
    """

    reads = frozenset({"distance"})
    rate: float = 5.0
    divide_by_size: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        if not math.isfinite(self.rate):
            raise ValueError(f"rate: expected a finite number, got {self.rate!r}")

    def __call__(self, channels: Channels) -> Tensor:
        """Return exp(rate d / K), shape [K]."""
        size = len(channels.distance)
        torque = torch.exp(self.rate / size * channels.distance)
        return torque / size if self.divide_by_size else torque


@dataclass(frozen=True)
class Gravity(ForceLaw):
    """Gravity of the pivot, which is free of force itself; m_p is the pivot's strength, held fixed.

    ``"far"``: c_k = m_p / (D - d_k + 1)^2 with D the largest distance, the story of arXiv:2411.16901, where channels
    far from the attracting one feel more and vanish. ``"near"``: c_k = m_p / d_k^2, its printed formula (channel mass
    m_k is the strength in the penalty), under which the *nearest* channels vanish instead; channels in the very place
    of the pivot (d_k < 1e-6) are free as well. Paper and formula contradict each other, so both exist.

    Attributes:
        orientation: ``"far"`` or ``"near"``.

    Raises:
        ValueError: for another orientation.

    >>> strength, distance = torch.tensor([2.0, 1.0, 1.0]), torch.tensor([0.0, 1.0, 2.0])
    >>> group = Channels(strength=strength, distance=distance, pivot=0, sign=torch.ones(3))
    >>> Gravity()(group), Gravity(orientation="near")(group)
    (tensor([0.0000, 0.5000, 2.0000]), tensor([0.0000, 2.0000, 0.5000]))
    """

    reads = frozenset({"strength", "distance"})
    orientation: Orientation = "far"

    def __post_init__(self) -> None:
        if self.orientation not in get_args(Orientation):
            raise ValueError(unknown("orientation", self.orientation, get_args(Orientation)))

    def __call__(self, channels: Channels) -> Tensor:
        """Return the pull on each channel, shape [K]."""
        distance = channels.distance
        if self.orientation == "far":
            distance = distance.amax(0) - distance + 1
        pull = at_pivot(channels.strength, channels.pivot) / distance.clamp(min=SAME_PLACE).square()
        return torch.where((distance < SAME_PLACE) | _is_pivot(channels), 0.0, pull)


@dataclass(frozen=True)
class Electrostatic(ForceLaw):
    """Coulomb's law, c_k = e_p e_k q_p q_k / (r_k + softening * mean q)^2 with signs e and charges q = strength.

    The pivot is the source and free of force. Like charges are pressed to zero; opposite ones get a negative
    coefficient and grow, but never beyond the source: from q_k = q_p on they are free. Source: arXiv:2411.11079, where
    a formula of magnitudes alone cannot both repel and attract: the signed product, the sign rule (sum of a channel's
    own weights), the bound on growth and the softening near r = 0 are ours.

    Attributes:
        softening: length that keeps the force finite near the source, in mean charges, over 0.

    Raises:
        ValueError: when ``softening`` is not a finite number over 0.

    >>> strength, distance = torch.tensor([2.0, 1.0, 1.0]), torch.tensor([0.0, 1.0, 2.0])
    >>> group = Channels(strength=strength, distance=distance, pivot=0, sign=torch.ones(3))
    >>> Electrostatic(softening=0.75)(group)
    tensor([0.0000, 0.5000, 0.2222])
    """

    reads = frozenset({"strength", "distance", "sign"})
    softening: float = 0.1
    default_distance: ClassVar[str] = "strength_gap"

    def __post_init__(self) -> None:
        if not 0 < self.softening < math.inf:
            raise ValueError(f"softening: expected a finite number over 0, got {self.softening!r}")

    def __call__(self, channels: Channels) -> Tensor:
        """Return the signed force on each channel, shape [K]."""
        charge, source = channels.strength, at_pivot(channels.strength, channels.pivot)
        product = channels.sign * at_pivot(channels.sign, channels.pivot)
        length = channels.distance + self.softening * charge.mean(0)
        # Each charge over the length, not their product over its square: tiny charges would underflow to 0 / 0.
        force = product * (source / length) * (charge / length)
        grown = (product < 0) & (charge >= source)
        return torch.where((length == 0) | grown | _is_pivot(channels), 0.0, force)


def _is_pivot(channels: Channels) -> Tensor:
    """Mark the pivot, shape [K], without reading anything back from the device."""
    strength = channels.strength
    return upright(torch.arange(len(strength), device=strength.device), strength) == channels.pivot


FORCES: dict[str, Callable[..., ForceLaw]] = {
    "uniform": Uniform,
    "torque": LinearTorque,
    "exponential": ExponentialTorque,
    "gravity": Gravity,
    "gravity_literal": partial(Gravity, orientation="near"),
    "electrostatic": Electrostatic,
}


def resolve_force(value: str | Force) -> Force:
    """Return the law of that name, or the law or function itself.

    Raises:
        ValueError: for a name that is not in ``FORCES``.
        TypeError: for anything else that cannot be called with :class:`Channels`, a class instead of a law included.

    >>> resolve_force("gravity_literal")
    Gravity(normalize=True, orientation='near')
    """
    if isinstance(value, str):
        return named("force", value, FORCES)
    if isinstance(value, type) or not callable(value):
        raise TypeError(f"force: expected a name, a ForceLaw object or a function of Channels, got {value!r}")
    return value


def name_of(force: Force) -> str:
    """Return what a law is called: its name in ``FORCES``, with other settings as it writes itself.

    >>> name_of(Gravity(orientation="near")), name_of(Uniform(normalize=False))
    ('gravity_literal', 'Uniform(normalize=False)')
    """
    named_alike = next((name for name, make in FORCES.items() if make() == force), None)
    if named_alike is not None:
        return named_alike
    return repr(force) if isinstance(force, ForceLaw) else getattr(force, "__name__", type(force).__name__)


def coefficients(force: Force, channels: Channels, group: str, *, check: bool = True) -> Tensor:
    """Return the checked coefficients of one group, c / mean |c| unless the law says ``normalize=False``.

    Args:
        force: a law or a plain function (which is normalised).
        channels: the group, K channels.
        group: its name, for messages.
        check: read back from the device whether all are finite.

    Returns:
        Coefficients, shape [K], detached, type and device of ``channels.strength``. All zero stays zero.

    Raises:
        ValueError: naming law and group, when the law returns anything but K numbers, finite ones with ``check``.
    """
    raw = force(channels)
    where = f"force law {_name(force)} on group {group!r}"
    size = len(channels.strength)
    if not isinstance(raw, Tensor) or raw.shape != channels.strength.shape:
        came = f"shape {list(raw.shape)}" if isinstance(raw, Tensor) else repr(raw)
        raise ValueError(f"{where}: expected a tensor of shape [{size}], got {came}")
    pressure = raw.detach().to(channels.strength)
    if check and not pressure.isfinite().all():
        raise ValueError(f"{where}: expected finite coefficients, got {pressure.tolist()}")
    return _normalized(pressure) if getattr(force, "normalize", True) else pressure


def _normalized(raw: Tensor) -> Tensor:
    mean = raw.abs().mean(0)
    # Numbers that are not finite stay: as zeros they would end the force without a word.
    return torch.where(mean == 0, 0.0, raw / mean)


def _name(force: Force) -> str:
    return getattr(force, "__name__", type(force).__name__)
