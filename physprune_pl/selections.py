"""Which channels go first: the weakest, those that the law presses most, or those that the loss misses least."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor

from physprune_pl.tools.choices import unknown
from physprune_pl.tools.registry import named_or_given

Scale = Literal["mean", "l2", "none"]
Evidence = Literal["strength", "law", "gradient"]

HORIZON = 100
"""Optimizer steps that first-order importances look back on, if nothing else is said."""


@dataclass(frozen=True)
class Selection(ABC):
    """Ranks channels over all groups; subclass it with one method, :meth:`scores`.

    Attributes:
        reads: what it judges by: the strength of a channel, what the law makes of it, or the gradient of the loss.
    """

    reads: ClassVar[Evidence]

    @abstractmethod
    def scores(
        self, strengths: Sequence[Tensor], law: Sequence[Tensor] | None, importances: Sequence[Tensor] | None
    ) -> list[Tensor] | None:
        """Return scores, of which the lowest goes first over all groups; None stands for strength / mean of the group.

        Args:
            strengths: strength of every channel, one tensor [K] per group.
            law: coefficient of every channel, likewise; None where no law is steered.
            importances: first-order importance of every channel, likewise, infinite where no gradient has told it;
                None where none was read.
        """

    @property
    def takes_strengths(self) -> bool:
        """Whether the ranking is what a target takes without being told otherwise: strength / mean of the group."""
        return False

    @property
    def looks_back(self) -> int:
        """Optimizer steps over which first-order importances are averaged, where they are what it reads."""
        return HORIZON


@dataclass(frozen=True)
class _Scaled(Selection):
    scale: Scale = field(default="mean", kw_only=True)

    def __post_init__(self) -> None:
        if self.scale not in get_args(Scale):
            raise ValueError(unknown("scale", self.scale, get_args(Scale)))

    def _scaled(self, values: Tensor) -> Tensor:
        if self.scale == "none":
            return values
        norm = values.mean() if self.scale == "mean" else values.square().sum().sqrt()
        return values / norm if norm > 0 else values


class ByStrength(_Scaled):
    r"""The channels of least strength go first.

    Args:
        scale: what makes the strengths of two groups comparable: ``"mean"``, s_k over the mean of its group; ``"l2"``,
            over the Euclidean norm of the group's strengths; ``"none"``, nothing.

    Raises:
        ValueError: for another scale.

    >>> ByStrength(scale="none").scores([torch.tensor([3.0, 1.0])], None, None)
    [tensor([3., 1.])]
    """

    reads = "strength"

    def scores(
        self,
        strengths: Sequence[Tensor],
        law: Sequence[Tensor] | None,  # noqa: ARG002
        importances: Sequence[Tensor] | None,  # noqa: ARG002
    ) -> list[Tensor] | None:
        """Return the scaled strengths."""
        return None if self.takes_strengths else [self._scaled(one) for one in strengths]

    @property
    def takes_strengths(self) -> bool:
        """Whether the scale is ``"mean"``."""
        return self.scale == "mean"


class ByLaw(Selection):
    """As many channels of each group go as by strength, but those that the law presses most.

    >>> ByLaw().scores([torch.tensor([1.0, 3.0])], [torch.tensor([0.0, 2.0])], None)
    [tensor([1.5000, 0.5000])]
    """

    reads = "law"

    def scores(
        self,
        strengths: Sequence[Tensor],
        law: Sequence[Tensor] | None,
        importances: Sequence[Tensor] | None,  # noqa: ARG002
    ) -> list[Tensor] | None:
        """Return relative strengths, the lowest for the most pressed channel of the group."""
        return None if law is None else [_by_law(one, push) for one, push in zip(strengths, law, strict=True)]


@dataclass(frozen=True)
class ByTaylor(_Scaled):
    r"""The channels whose removal the loss misses least go first, as far as its gradient tells.

    At an optimizer step with weights w and the gradient of the loss :math:`\partial L / \partial w` the loss changes,
    to first order, by the sum of both over all slices of channel k if they all go together. Its importance is the root
    mean square over steps,

    .. math:: I_k = \sqrt{\frac{1}{n} \sum_{steps} \Bigl(\sum_{w \in k} w \, \frac{\partial L}{\partial w}\Bigr)^2}

    (a weight in a row *and* a column of the channel counts twice, as in the strength, where scaling the channel scales
    it twice). The mean is over all n steps so far, and from step ``horizon`` on every step has the weight 1 / horizon
    and those before fade. The gradients are those of the user's loss that the step has anyway: averaged over an
    accumulation window and over processes, without the penalty's, before clipping. There is no further pass.

    A frozen parameter, and one that no gradient reaches, adds nothing. A channel of which no parameter ever had a
    gradient goes last. Steering chooses for the first time when ``horizon`` steps or 5 % of the phase are over.

    Args:
        horizon: optimizer steps that the running mean looks back on, at least 1.
        scale: what makes the importances of two groups comparable: ``"mean"``, I_k over the mean of its group, as
            strengths are; ``"l2"``, over the Euclidean norm of the group's importances; ``"none"``: nothing, all are
            parts of one loss.

    Raises:
        ValueError: for another scale, or a horizon under 1.
        TypeError: for a horizon that is no whole number.

    Source: Molchanov et al., Importance Estimation for Neural Network Pruning, CVPR 2019 (arXiv:1906.10771): the
    squared sum over the parameters of a structure, averaged over minibatches, and ``scale="none"``; its root, which is
    a loss, ranks alike. ``scale="l2"``: Molchanov et al., ICLR 2017 (arXiv:1611.06440). The running mean and
    ``scale="mean"`` are ours.

    >>> ByTaylor().scores([torch.ones(2)], None, [torch.tensor([0.1, 0.3])])
    [tensor([0.5000, 1.5000])]
    """

    reads = "gradient"

    horizon: int = field(default=HORIZON, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.horizon, bool) or not isinstance(self.horizon, int):
            raise TypeError(f"horizon: expected a whole number of optimizer steps, got {self.horizon!r}")
        if self.horizon < 1:
            raise ValueError(f"horizon: expected at least 1 optimizer step, got {self.horizon!r}")

    @property
    def looks_back(self) -> int:
        """The horizon."""
        return self.horizon

    def scores(
        self,
        strengths: Sequence[Tensor],  # noqa: ARG002
        law: Sequence[Tensor] | None,  # noqa: ARG002
        importances: Sequence[Tensor] | None,
    ) -> list[Tensor] | None:
        """Return the scaled importances; one more than all of them where none is known."""
        if importances is None:
            return None
        known = [one.isfinite() for one in importances]
        scaled = [one.clone() for one in importances]
        for score, told in zip(scaled, known, strict=True):
            score[told] = self._scaled(score[told])
        last = 1.0 + max(float(one[told].max()) for one, told in zip(scaled, known, strict=True) if told.any())
        return [torch.where(told, one, last) for one, told in zip(scaled, known, strict=True)]


SELECTIONS: dict[str, type[Selection]] = {"strength": ByStrength, "law": ByLaw, "taylor": ByTaylor}


def resolve_selection(value: str | Selection) -> Selection:
    """Return the selection of that name, or the object itself.

    Raises:
        ValueError: for a name that is not in ``SELECTIONS``.
        TypeError: for anything else.

    >>> resolve_selection("taylor")
    ByTaylor(scale='mean', horizon=100)
    """
    return named_or_given("select", value, Selection, SELECTIONS)  # type: ignore[type-abstract]


def _by_law(strength: Tensor, law: Tensor) -> Tensor:
    """Return scores that give the most pressed channel of a group the lowest of its relative strengths."""
    scores = torch.empty_like(strength)
    relative = strength / strength.mean().clamp(min=1e-30)
    scores[torch.argsort(law, descending=True, stable=True)] = relative.sort().values
    return scores
