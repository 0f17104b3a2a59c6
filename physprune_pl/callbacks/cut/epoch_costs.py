"""What the epochs of a fit cost."""

from __future__ import annotations

from physprune_pl.callbacks.session.session import PruningSession


def note_epoch(session: PruningSession) -> None:
    """Note, at the end of an epoch, the MACs of one sample in it, and its time; nothing where nobody knows the MACs."""
    record, chooser = session.record, session.chooser
    if record.plan is not None:
        record.end_epoch(record.plan.macs[1])
    elif chooser is not None:
        record.end_epoch(chooser.cost_model.dense.macs)
