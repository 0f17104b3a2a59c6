"""Whether folding means helps where layer norms stand: ``python -m experiments.constants.sentences``."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from torch import Tensor

from experiments.bench.comparisons import ENCODER
from experiments.bench.finished_networks import look_again
from experiments.bench.law_comparison import LawComparison
from experiments.constants.run import figures, table

# Network, epochs and target of the comparison sst2; one epoch of fine-tuning, as above.
COMPARISON = LawComparison("constants/sst2", ENCODER, 0.333, ("none", "uniform"), sparsify=6, finetune=1)
PADDING = 0


def unpadded(tokens: Tensor) -> Iterator[Tensor]:
    """Yield the sentences of a batch by their lengths, so that no mean is one of padding.

    Args:
        tokens: ids, integers [B, L], padded with 0 at the end.

    >>> import torch
    >>> [part.tolist() for part in unpadded(torch.tensor([[4, 5, 6], [7, 0, 0], [8, 9, 3]]))]
    [[[7]], [[4, 5, 6], [8, 9, 3]]]
    """
    lengths = (tokens != PADDING).sum(1)
    for length in sorted(set(lengths.tolist())):
        yield tokens[lengths == length, :length]


if __name__ == "__main__":
    look_again(COMPARISON, partial(figures, parts=unpadded), table, __doc__)
