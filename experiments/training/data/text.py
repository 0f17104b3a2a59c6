"""Sentences and their sentiment: read from GLUE's tables, encoded once into one tensor per split.

Shape legend: N sentences of a split, B of a batch, L tokens: the words of a sentence, filled up with padding.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision.datasets.utils import download_and_extract_archive

from experiments.training.data.lengths import LengthOrder
from experiments.training.data.module import Batch, SeededBatch, SplitName
from experiments.training.data.splits import held_out
from experiments.training.data.tensors import Split, TensorData
from experiments.training.data.tokenizer import PretrainedTokenizer
from experiments.training.data.vocabulary import FIRST, PADDING, UNKNOWN, cached_vocabulary

ARCHIVE = "https://dl.fbaipublicfiles.com/glue/data/SST-2.zip"
COLUMNS = ("sentence", "label")
LABELS = ("0", "1")


class SST2(TensorData):
    """Stanford Sentiment Treebank as GLUE has it, 0 negative and 1 positive: 60,615 / 6,734 / 872 sentences.

    GLUE keeps the labels of its test file to itself, so by custom its 872 development sentences are the test split
    here. Validation is each tenth training sentence of every class. Most of the 67,349 training sentences are phrases
    cut out of some 7,000 whole ones, so a phrase of validation often has its neighbours in training: validation
    accuracy is optimistic, good for comparing runs but not for telling the accuracy on new sentences.

    Without a tokenizer a word is what stands between white space, as the treebank splits it; the vocabulary comes from
    the training split alone and is kept beside the files, see
    :func:`~experiments.training.data.vocabulary.cached_vocabulary`.

    Attributes:
        shape: (largest number of tokens, number of token ids); the vocabulary may turn out smaller, never larger.

    Args:
        root: folder that holds ``SST-2/train.tsv`` and the test file; what is not there is downloaded.
        test_file: name of the table of the test split, beside train.tsv.
        length: tokens of a sentence; what is longer is cut off (the longest of GLUE's has 56).
        words: largest number of words that are known; of no meaning with a tokenizer.
        tokenizer: name of a network that was trained before, whose tokens are taken instead of words; see
            :func:`~experiments.training.pretrained.place_of`.
        batch_size: sentences of a training batch.
        seed: start of the order of the sentences.

    Raises:
        ValueError: when ``length``, ``words`` or ``batch_size`` is under 1.
        ModuleNotFoundError: when a package of the tokenizer is missing.

    Source: Socher et al., Recursive deep models for semantic compositionality over a sentiment treebank, 2013;
    Wang et al., arXiv:1804.07461.
    """

    classes = 2

    def __init__(
        self,
        root: str | Path = "data",
        test_file: str = "dev.tsv",
        length: int = 64,
        words: int = 8000,
        batch_size: int = 64,
        seed: int = 0,
        tokenizer: str | None = None,
    ) -> None:
        super().__init__(batch_size, seed)
        for name, value in (("length", length), ("words", words)):
            if value < 1:
                raise ValueError(f"{name}: expected at least 1, got {value}")
        self.root, self.test_file, self.words = Path(root), test_file, words
        self.tokenizer = None if tokenizer is None else PretrainedTokenizer(tokenizer)
        self.padding = PADDING if self.tokenizer is None else self.tokenizer.padding
        self.shape = (length, FIRST + words if self.tokenizer is None else self.tokenizer.size)

    @property
    def sizes(self) -> dict[str, Any]:
        return super().sizes | ({} if self.tokenizer is None else {"tokenizer": self.tokenizer.name})

    @property
    def folder(self) -> Path:
        """Folder of the tables."""
        return self.root / "SST-2"

    def prepare_data(self) -> None:
        """Download GLUE's archive unless its folder is there already."""
        if not self.folder.exists():
            download_and_extract_archive(ARCHIVE, str(self.root), remove_finished=True)

    def load(self) -> dict[str, Split]:
        sentences, labels = read_table(self.folder / "train.tsv")
        validation = held_out(torch.tensor(labels))
        parts = {"train": _chosen(sentences, labels, ~validation), "val": _chosen(sentences, labels, validation)}
        parts["test"] = read_table(self.folder / self.test_file)
        encoder = self.tokenizer or cached_vocabulary(parts["train"][0], self.words, self.folder)
        length = self.shape[0]
        return {name: Split(encoder.encode(texts, length), torch.tensor(y)) for name, (texts, y) in parts.items()}

    def loader(self, split: SplitName) -> DataLoader[SeededBatch]:
        """Return the batches of a split; those of training hold sentences of similar length."""
        if split != "train":
            return super().loader(split)
        samples = self.splits[split]
        order = LengthOrder(self._lengths(samples.inputs), self.batch_size, self.seed)
        return DataLoader(samples, sampler=order, batch_size=None)

    def example(self, count: int) -> Tensor:
        """Return sentences of unknown words, int64 [count, length], none of them padding."""
        return torch.full((count, self.shape[0]), UNKNOWN)

    def prepare(self, batch: SeededBatch, augment: bool = False) -> Batch:  # noqa: ARG002 - nothing is augmented
        """Return token ids int64 [B, L] and labels [B]; L is the longest sentence of the batch, to save time."""
        tokens, labels, _ = batch
        longest = int(self._lengths(tokens).max())
        return tokens[:, :longest].long(), labels

    def _lengths(self, tokens: Tensor) -> Tensor:
        """Number of tokens that are not padding, [N] of [N, L]."""
        return (tokens != self.padding).sum(dim=1)


def read_table(path: Path) -> tuple[list[str], list[int]]:
    """Read sentences and labels from a file of tab-separated columns whose first line names them.

    Raises:
        FileNotFoundError: when the file is not there.
        ValueError: when a column is missing, or a line has another number of columns, no words or no label 0 or 1.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}; remove the folder {path.parent} to download it anew")
    # Not splitlines(), which ends lines at characters that may stand inside of a sentence.
    head, *lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    names = head.split("\t")
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise ValueError(f"{path}: expected the columns {', '.join(COLUMNS)} in line 1, got {', '.join(names)}")
    rows = [_row(line, names, f"{path}, line {number}") for number, line in enumerate(lines, start=2)]
    return [sentence for sentence, _ in rows], [label for _, label in rows]


def _row(line: str, names: list[str], place: str) -> tuple[str, int]:
    values = line.split("\t")
    if len(values) != len(names):
        raise ValueError(f"{place}: expected {len(names)} columns, got {len(values)}")
    sentence, label = (values[names.index(name)] for name in COLUMNS)
    if label not in LABELS:
        raise ValueError(f"{place}: expected a label of {', '.join(LABELS)}, got {label!r}")
    if not sentence.split():
        raise ValueError(f"{place}: expected a sentence with at least one word, got {sentence!r}")
    return sentence, int(label)


def _chosen(sentences: list[str], labels: list[int], rows: Tensor) -> tuple[list[str], list[int]]:
    places = rows.nonzero().flatten().tolist()
    return [sentences[place] for place in places], [labels[place] for place in places]
