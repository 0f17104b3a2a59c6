"""Several callbacks that pass for one, wherever a single callback is expected, and for a list of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableSequence
from typing import Any, overload

from lightning.pytorch import Callback, LightningModule, Trainer

from physprune_pl.callbacks.trainer.lightning_classes import is_a

# What a Trainer looks for among its callbacks when it is made, and cannot find inside another one.
_WANTED_EARLY = ("ProgressBar", "BatchSizeFinder", "LearningRateFinder")


class CompositeCallback(Callback, MutableSequence[Callback]):
    """Holds callbacks; in ``setup`` it puts them behind itself into the trainer's list, and does nothing else.

    From then on the trainer calls, saves and restores each of them as if it had been given it, so that checkpoints are
    those of a list of callbacks and either resumes the other. What is added to the composite goes in front of its last
    callback. Checkpoint callbacks among the members go to the end of the trainer's list, where it sorts its own; the
    one that it makes where it was given none gives way to them.

    >>> both = CompositeCallback([Callback(), Callback()])
    >>> both.append(Callback())
    >>> len(both), len([*both, Callback()]), len(both + [Callback()]), isinstance(both, Callback)
    (3, 4, 4, True)
    """

    def __init__(self, members: Iterable[Callback]) -> None:
        super().__init__()
        self._members = list(members)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:  # noqa: ARG002
        """Unfold: the trainer goes on with the members, their ``setup`` included.

        Raises:
            ValueError: a member is something that a trainer must be given itself, or keeps its state where another
                callback does.
        """
        callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
        new = [one for one in self._members if not any(one is other for other in callbacks)]
        saving = [one for one in new if is_a(one, "Checkpoint")]
        # In place here and below, as the trainer is on its way through this list.
        if saving:
            callbacks[:] = [one for one in callbacks if not _made_by_trainer(one)]
        _check(new, callbacks)
        for one in new:
            one.log, one.log_dict = pl_module.log, pl_module.log_dict  # type: ignore[attr-defined]
        place = next(place for place, one in enumerate(callbacks, 1) if one is self)
        behind = enumerate(callbacks[place:], place)
        end = next((number for number, one in behind if is_a(one, "Checkpoint")), len(callbacks))
        callbacks[end:end] = saving
        callbacks[place:place] = [one for one in new if not any(one is other for other in saving)]

    def append(self, value: Callback) -> None:
        """Put a callback in front of the last one."""
        self.insert(len(self) - 1, value)

    def insert(self, index: int, value: Callback) -> None:
        """Put a callback in front of the one at ``index``."""
        self._members.insert(index, value)

    def __len__(self) -> int:
        return len(self._members)

    def __iter__(self) -> Iterator[Callback]:
        return iter(self._members)

    @overload
    def __getitem__(self, index: int) -> Callback: ...
    @overload
    def __getitem__(self, index: slice) -> list[Callback]: ...
    def __getitem__(self, index: int | slice) -> Callback | list[Callback]:
        return self._members[index]

    @overload
    def __setitem__(self, index: int, value: Callback) -> None: ...
    @overload
    def __setitem__(self, index: slice, value: Iterable[Callback]) -> None: ...
    def __setitem__(self, index: Any, value: Any) -> None:
        self._members[index] = value

    def __delitem__(self, index: int | slice) -> None:
        del self._members[index]

    def __add__(self, other: Iterable[Callback]) -> list[Callback]:
        return [*self, *other]

    def __radd__(self, other: Iterable[Callback]) -> list[Callback]:
        return [*other, *self]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(type(one).__name__ for one in self)})"


def unfolded(callbacks: Iterable[Callback]) -> list[Callback]:
    """Return callbacks with those inside composites in place of the composites, each once."""
    found: list[Callback] = []
    for one in callbacks:
        inside = unfolded(one) if isinstance(one, CompositeCallback) else [one]
        found += [member for member in inside if not any(member is other for other in found)]
    return found


def _check(new: Iterable[Callback], callbacks: Iterable[Callback]) -> None:
    keys = {one.state_key: one for one in callbacks if _has_state(one)}
    for one in new:
        name = type(one).__name__
        if is_a(one, *_WANTED_EARLY):
            raise ValueError(
                f"callbacks: a Trainer looks for a {name} when it is made, and not inside another callback; give it "
                f"to the Trainer: [*callbacks, {name}()]"
            )
        if _has_state(one) and keys.setdefault(one.state_key, one) is not one:
            raise ValueError(
                f"callbacks: expected one {name} with the state {one.state_key!r} in a checkpoint, got two; "
                f"physics_pruning(...) brings one along"
            )


def _made_by_trainer(callback: Any) -> bool:
    """Whether a checkpoint callback is like the one that a Trainer makes for itself."""
    said = ("dirpath", "filename", "monitor", "save_last")
    return type(callback).__name__ == "ModelCheckpoint" and all(getattr(callback, name) is None for name in said)


def _has_state(callback: Callback) -> bool:
    # By name, so that it holds for callbacks of the pytorch_lightning package too.
    return getattr(type(callback), "state_dict", Callback.state_dict).__qualname__ != Callback.state_dict.__qualname__
