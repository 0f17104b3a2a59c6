"""The length of a phase, and how much of it is over."""

import math
from types import SimpleNamespace

import pytest

from physprune_pl.callbacks.session.phase import PhaseLength


def at(epoch: int, batch: int, step: int) -> SimpleNamespace:
    """A trainer of four batches an epoch, somewhere in its fit."""
    return SimpleNamespace(
        fit_loop=SimpleNamespace(batch_idx=batch), num_training_batches=4, current_epoch=epoch, global_step=step
    )


@pytest.mark.parametrize(
    ("length", "trainer", "share"),
    [
        (PhaseLength(0, 5), at(0, 0, 0), 0.0),
        (PhaseLength(0, 5), at(2, 2, 10), 0.5),
        (PhaseLength(2, 5), at(2, 2, 10), 0.1),
        (PhaseLength(0, 5, steps=10), at(1, 1, 5), 0.5),  # the steps are used up first
        (PhaseLength(0, 2, steps=100), at(1, 0, 4), 0.5),  # the epochs are
        (PhaseLength(0, -1, steps=8), at(0, 3, 6), 0.75),
        (PhaseLength(0, 1), at(3, 0, 12), 1.0),
        (PhaseLength(), at(3, 0, 12), 0.0),
    ],
)
def test_progress_is_the_larger_share_of_epochs_and_steps(length, trainer, share):
    assert length.progress(trainer) == pytest.approx(share)


@pytest.mark.parametrize(
    ("length", "known"),
    [
        (PhaseLength(), False),
        (PhaseLength(0, -1), False),
        (PhaseLength(0, math.inf), False),
        (PhaseLength(0, 0), False),
        (PhaseLength(0, 3), True),
        (PhaseLength(0, -1, steps=7), True),
    ],
)
def test_an_end_is_known_by_epochs_or_by_steps(length, known):
    assert length.has_an_end is known
