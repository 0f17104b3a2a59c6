"""Sentences as the tokens of a network that was trained before."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from experiments.training.pretrained import place_of, transformers


class PretrainedTokenizer:
    """Encodes sentences with the tokenizer of a network.

    Args:
        name: of the network, see :func:`~experiments.training.pretrained.place_of`.

    Attributes:
        name: of the network.
        size: number of token ids.
        padding: id of the token that fills up short sentences.

    Raises:
        ModuleNotFoundError: when a package is missing.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._tokenizer = transformers().AutoTokenizer.from_pretrained(place_of(name))
        self.size, self.padding = len(self._tokenizer), int(self._tokenizer.pad_token_id)

    def encode(self, sentences: Sequence[str], length: int) -> Tensor:
        """Return token ids, int32 [N, length]; what is longer is cut off, what is shorter filled up."""
        options = {"padding": "max_length", "truncation": True, "max_length": length}
        return torch.tensor(self._tokenizer(list(sentences), **options)["input_ids"], dtype=torch.int32)
