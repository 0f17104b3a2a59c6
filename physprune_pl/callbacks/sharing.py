"""Finds the session that callbacks of one trainer share, where each was built on its own."""

from __future__ import annotations

from lightning.pytorch import Trainer

from physprune_pl.callbacks.session import PruningSession


def sessions_of(trainer: Trainer, but: object) -> list[PruningSession]:
    """The sessions of a trainer's callbacks, those of forces first, without that of one of them."""
    callbacks = [callback for callback in trainer.callbacks if callback is not but]  # type: ignore[attr-defined]
    sessions = [getattr(callback, "session", None) for callback in callbacks]
    found = [session for session in sessions if isinstance(session, PruningSession)]
    return sorted(found, key=lambda session: session.mean_coefficient is None)


def session_of_force(trainer: Trainer, own: PruningSession) -> PruningSession:
    """The first session of a force of the trainer, which from now on has the target of one's own; else one's own."""
    forces = (session for session in sessions_of(trainer, None) if session.mean_coefficient is not None)
    found = next(forces, own)
    found.target, found.widths, found.stopwatch = own.target, own.widths, own.stopwatch
    return found
