"""What a client is: a LightningModule of somebody else's library, with data that one core trains on in seconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol


class Data(Protocol):
    """What a Trainer is given to read."""

    def to_fit(self) -> dict[str, Any]:
        """Return the arguments for ``fit``."""

    def to_evaluate(self) -> dict[str, Any]:
        """Return the arguments for ``validate`` and ``test``."""


@dataclass(frozen=True)
class Loaders:
    """Two loaders; what is tested is what is validated.

    Attributes:
        train: builds the loader of training batches.
        validation: likewise of validation batches.
    """

    train: Callable[[], Any]
    validation: Callable[[], Any]

    def to_fit(self) -> dict[str, Any]:
        """Return both loaders."""
        return {"train_dataloaders": self.train(), "val_dataloaders": self.validation()}

    def to_evaluate(self) -> dict[str, Any]:
        """Return the loader of validation batches."""
        return {"dataloaders": self.validation()}


@dataclass(frozen=True)
class Module:
    """A data module, where the library insists on its own.

    Attributes:
        build: returns it.
    """

    build: Callable[[], Any]

    def to_fit(self) -> dict[str, Any]:
        """Return the data module."""
        return {"datamodule": self.build()}

    to_evaluate = to_fit


@dataclass(frozen=True)
class Client:
    """One library at the door.

    Attributes:
        module: builds the library's module without any download; the global generator decides its weights. It is a
            LightningModule of ``lightning`` or of ``pytorch_lightning``.
        data: what it learns from.
        metric: name of a value that the module logs while it is validated.
        what: what the module is and learns here, in words.
        style: what about its step or batches differs from ``x, y = batch; loss(self(x), y)``.
        mode: whether a good value of the metric is small or large.
        target: what is kept.
        epochs: epochs under the force; fine-tuning takes as many as it takes without being told.
        trainer: what the library asks for, or sets itself, of a Trainer.
    """

    module: Callable[[], Any]
    data: Data
    metric: str
    what: str
    style: str
    mode: Literal["min", "max"] = "min"
    target: tuple[str, float] = ("macs", 0.5)
    epochs: int = 60
    trainer: tuple[tuple[str, Any], ...] = ()
