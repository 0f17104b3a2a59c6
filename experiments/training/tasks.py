"""What a network is trained for: its loss, and the one figure that reports give of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

Score = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Task:
    """A kind of answer that a network gives.

    Attributes:
        metric: name of the figure in reports.
        key: its name in logs, behind ``val/`` and ``test/``.
        loss: outputs and answers of a batch -> what is minimised, a scalar.
        scores: outputs and answers of a batch -> the figure of every sample, [B]; a report has their mean.
    """

    metric: str
    key: str
    loss: Score
    scores: Score


def right(outputs: Tensor, answers: Tensor) -> Tensor:
    """Return 1 where the largest class score is the right one, else 0: [B], of [B, classes] and class indices [B].

    >>> import torch
    >>> right(torch.tensor([[0.1, 0.9], [0.8, 0.2]]), torch.tensor([1, 1])).tolist()
    [1.0, 0.0]
    """
    return (outputs.argmax(dim=1) == answers).double()


def absolute_errors(outputs: Tensor, answers: Tensor) -> Tensor:
    """Return the mean absolute error of every sample, [B] of [B, ...].

    >>> import torch
    >>> absolute_errors(torch.tensor([[0.0, 2.0]]), torch.tensor([[1.0, 0.0]])).tolist()
    [1.5]
    """
    return (outputs - answers).abs().flatten(1).mean(dim=1).double()


def squared_errors(outputs: Tensor, answers: Tensor) -> Tensor:
    """Return the mean squared error of every sample, [B] of [B, ...].

    >>> import torch
    >>> squared_errors(torch.tensor([[0.0, 2.0]]), torch.tensor([[1.0, 0.0]])).tolist()
    [2.5]
    """
    return (outputs - answers).square().flatten(1).mean(dim=1).double()


CLASSIFICATION = Task("accuracy", "acc", nn.functional.cross_entropy, right)
FORECASTING = Task("mean absolute error", "mae", nn.functional.mse_loss, absolute_errors)
