"""Words as numbers: a vocabulary of the most frequent words of a split, and sentences encoded by it.

Shape legend: N sentences, L tokens of the longest one that is kept whole.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path

import torch
from torch import Tensor

PADDING, UNKNOWN = 0, 1
FIRST = 2
"""Id of the most frequent word."""


class Vocabulary:
    """Ids of words: 0 is padding, 1 any word that is not known, the others follow from 2 in the order given.

    Args:
        words: the known words, each once.

    >>> Vocabulary(["good", "film"]).encode(["good old film"], length=4).tolist()
    [[2, 1, 3, 0]]
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.words = tuple(words)
        self._ids = {word: number for number, word in enumerate(self.words, start=FIRST)}

    def encode(self, sentences: Iterable[str], length: int) -> Tensor:
        """Return token ids int32 [N, L], L = ``length``: longer sentences end there, shorter ones fill up with 0."""
        rows = []
        for sentence in sentences:
            ids = [self._ids.get(word, UNKNOWN) for word in sentence.split()[:length]]
            rows.append(ids + [PADDING] * (length - len(ids)))
        return torch.tensor(rows, dtype=torch.int32).view(-1, length)


def most_frequent(sentences: Iterable[str], size: int) -> list[str]:
    """Return at most ``size`` words, the most frequent first; of equally frequent ones the alphabet decides.

    >>> most_frequent(["a good film", "a bad film", "a film"], size=2)
    ['a', 'film']
    """
    counts = Counter(word for sentence in sentences for word in sentence.split())
    return sorted(counts, key=lambda word: (-counts[word], word))[:size]


def cached_vocabulary(sentences: Sequence[str], size: int, folder: Path) -> Vocabulary:
    """Return the vocabulary of the sentences, from a file of ``folder`` where an earlier call has left one.

    The file has a word a line; its name holds the size and a hash of the sentences, so that another text or another
    split never meets a stale one. It appears whole or not at all, also where several processes write it. In a folder
    that is read-only the vocabulary is built each time and nothing is kept.

    Args:
        sentences: words separated by white space; only those of the training split, or the test would leak.
        size: largest number of words.
        folder: where the file is.
    """
    digest = sha256("\n".join(sentences).encode()).hexdigest()[:16]
    path = folder / f"vocabulary-{size}-{digest}.txt"
    if path.is_file():
        return Vocabulary(path.read_text(encoding="utf-8").split())
    words = most_frequent(sentences, size)
    if os.access(folder, os.W_OK):
        draft = path.with_suffix(f".{os.getpid()}")
        draft.write_text("\n".join(words) + "\n", encoding="utf-8")
        draft.replace(path)
    return Vocabulary(words)
