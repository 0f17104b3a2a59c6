"""Callbacks that were built one by one, such as by the nodes of a configuration, find one another in their trainer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from lightning.pytorch import Callback, Trainer

from physprune_pl.callbacks.session.fit_arguments import FitArguments
from physprune_pl.callbacks.session.session import PruningSession
from physprune_pl.callbacks.trainer.composite import unfolded

CallbackRole = Literal["force", "cut", "watcher"]


class SessionCallback(Callback):
    """A callback whose session may be that of another callback of its trainer.

    Why it needs the network whole until the end of the sparsify phase says :attr:`needs_dense`, empty if it does not.

    Args:
        session: one that is shared from the start; None makes one.
        arguments: what the callback wants of it.

    Attributes:
        session: the one in use; from ``setup`` on it is shared.
        own_session: the one that the callback was built with.
        apart: whether that is its own.

    Raises:
        ValueError: the session is wanted otherwise already.
    """

    role: ClassVar[CallbackRole] = "watcher"
    needs_dense: str = ""

    def __init__(self, session: PruningSession | None, arguments: FitArguments) -> None:
        super().__init__()
        self.apart = session is None
        self.session = self.own_session = session or PruningSession()
        self.session.ask(arguments)
        self.session.roles.add(self.role)


def share(trainer: Trainer, fitting: bool) -> None:
    """Let every cut share the session of the force on its network, and every watcher that of either.

    The session is the force's, and has the arguments of both. To be called in ``setup`` of every such callback:
    whichever comes first does it for all.

    Raises:
        ValueError: force and cut contradict each other, or several forces press what one cuts.
    """
    found = [one for one in unfolded(trainer.callbacks) if isinstance(one, SessionCallback)]  # type: ignore[attr-defined]
    forces, cuts = ([one for one in found if one.role == role] for role in ("force", "cut"))
    taken = [cut.session for cut in cuts if not cut.apart]
    # A cut that names its network chooses before one that takes what there is.
    for cut in sorted((cut for cut in cuts if cut.apart), key=lambda cut: cut.own_session.arguments.module is None):
        # Once paired it keeps what it knows of its fit: tests ask for that.
        if fitting or cut.session is cut.own_session:
            cut.session = _joined(cut, [force for force in forces if force.session not in taken])
        taken.append(cut.session)
    for force in forces if fitting else ():
        if force.session not in taken:
            force.session.adopt(force.session.arguments)  # without those of an earlier trainer's cut
    for watcher in found:
        if watcher.role == "watcher" and watcher.apart:
            watcher.session = _watched(watcher, [*forces, *cuts])
    if fitting:
        _check_complete(forces, cuts)


def _check_complete(forces: Sequence[SessionCallback], cuts: Sequence[SessionCallback]) -> None:
    """Refuse what was taken out of the callbacks of one call: alone it would do nothing, and say nothing.

    Raises:
        ValueError: a force was built with a cut that is not there, or a cut with a force.
    """
    cut, pressed = [one.session for one in cuts], [one.session for one in forces]
    if any("cut" in session.roles and session not in cut for session in pressed):
        raise ValueError(_INCOMPLETE.format(there="the force", missing="the cut, and nothing would be pruned"))
    if any("force" in session.roles and session not in pressed for session in cut):
        raise ValueError(_INCOMPLETE.format(there="the cut", missing="the force, and nothing would be pressed"))


_INCOMPLETE = (
    "callbacks: expected all that physics_pruning(...) returns, got {there} without {missing}; give the Trainer the "
    "object itself or [*callbacks], or build ForceRegularization or PruneAndFinetune by itself"
)


def _joined(cut: SessionCallback, forces: Sequence[SessionCallback]) -> PruningSession:
    """Return the session of the force on what is cut, with the arguments of both; without a force the cut's own."""
    arguments = cut.own_session.arguments
    modules = [force.own_session.arguments.module for force in forces]
    same = [force for force, module in zip(forces, modules, strict=True) if module == arguments.module]
    fitting = same or [
        force for force, module in zip(forces, modules, strict=True) if None in (module, arguments.module)
    ]
    if len(fitting) > 1:
        raise ValueError(f"module: expected the name of the network that is cut, as forces press {modules}, got None")
    if not fitting:
        return cut.own_session
    session = fitting[0].own_session
    session.adopt(session.arguments.merged(arguments))
    return session


def _watched(watcher: SessionCallback, others: Sequence[SessionCallback]) -> PruningSession:
    module = watcher.own_session.arguments.module
    return next((one.session for one in others if module in (None, one.session.module)), watcher.own_session)
