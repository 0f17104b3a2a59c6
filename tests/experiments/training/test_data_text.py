"""SST-2: tables read, words counted on the training split alone, sentences encoded and trimmed."""

import os
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from experiments.training import outcome
from experiments.training.assembly import composed
from experiments.training.data import SST2, BatchOrder, lengths
from experiments.training.data import text as text_module
from experiments.training.data import vocabulary as vocabulary_module
from experiments.training.data.lengths import LengthOrder
from experiments.training.data.text import read_table
from experiments.training.data.vocabulary import Vocabulary, cached_vocabulary
from experiments.training.run import run
from physprune_pl.latency.race import measure_latency

REAL = Path(os.environ.get("PHYSPRUNE_DATA", "data")) / "SST-2"


def table(path: Path, rows: list[tuple[str, int]], head: str = "sentence\tlabel") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([head, *(f"{sentence}\t{label}" for sentence, label in rows)]) + "\n", encoding="utf-8")
    return path


def films(count: int) -> list[tuple[str, int]]:
    return [
        (f"a {'good' if number % 3 else 'bad'} film number{number}", int(number % 3 > 0)) for number in range(count)
    ]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    table(tmp_path / "SST-2" / "train.tsv", films(60))
    table(tmp_path / "SST-2" / "dev.tsv", [("a good film", 1), ("never seen before", 0)])
    return tmp_path


def loaded(root: Path, **arguments: Any) -> SST2:
    data = SST2(root, **arguments)
    data.setup()
    return data


def test_sentences_are_split_at_white_space_padded_and_cut_off() -> None:
    vocabulary = Vocabulary(["good", "film", "."])
    ids = vocabulary.encode(["good  old film . ", "film", "a b c d e f"], length=4)
    assert ids.tolist() == [[2, 1, 3, 4], [3, 0, 0, 0], [1, 1, 1, 1]]
    assert ids.dtype == torch.int32
    assert vocabulary.encode([], length=4).shape == (0, 4)


def test_validation_is_each_tenth_training_sentence_of_every_class(root: Path) -> None:
    splits = loaded(root).splits
    assert {name: len(split) for name, split in splits.items()} == {"train": 54, "val": 6, "test": 2}
    assert splits["val"].labels.tolist() == [1, 0, 1, 1, 0, 1]  # of 40 positive sentences 4, of 20 negative ones 2
    again = loaded(root, seed=3).splits
    assert all(torch.equal(splits[name].inputs, again[name].inputs) for name in splits)


def test_only_the_training_split_is_known(root: Path) -> None:
    data = loaded(root)
    held_out = {f"number{number}" for number in (14, 27, 29, 44, 57, 59)}
    (cache,) = data.folder.glob("vocabulary-*")
    words = cache.read_text(encoding="utf-8").split()
    assert words[:3] == ["a", "film", "good"]
    assert held_out.isdisjoint(words)
    assert set(words) == {"a", "film", "good", "bad", *(f"number{number}" for number in range(60))} - held_out
    assert data.splits["test"].inputs[:, :4].tolist() == [[2, 4, 3, 0], [1, 1, 1, 0]]
    assert (data.splits["val"].inputs == 1).sum(dim=1).tolist() == [1] * 6


def test_the_vocabulary_is_read_again_unless_text_or_size_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = cached_vocabulary(["b a", "b"], 5, tmp_path)
    assert first.words == ("b", "a")
    assert cached_vocabulary(["b a", "c"], 5, tmp_path).words == ("a", "b", "c")
    assert cached_vocabulary(["b a", "b"], 1, tmp_path).words == ("b",)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".txt"] * 3
    monkeypatch.setattr(vocabulary_module, "most_frequent", pytest.fail)
    assert cached_vocabulary(["b a", "b"], 5, tmp_path).words == first.words


def test_a_read_only_folder_keeps_no_vocabulary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Not by permissions: a superuser may write whatever they say.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert cached_vocabulary(["b a", "b"], 5, tmp_path).words == ("b", "a")
    assert list(tmp_path.iterdir()) == []


def test_shape_is_known_before_the_words_are(root: Path) -> None:
    data = SST2(root, length=9, words=20)
    assert data.shape == (9, 22)
    data.setup()
    assert data.splits["train"].inputs.shape == (54, 9)
    assert int(data.splits["train"].inputs.max()) == 21


def test_a_batch_is_as_long_as_its_longest_sentence(root: Path) -> None:
    data = loaded(root, batch_size=7)
    tokens, labels = data.prepare(next(iter(data.train_dataloader())))
    assert tokens.shape == (7, 4)
    assert tokens.dtype == torch.int64
    assert labels.shape == (7,)
    example = data.example(2)
    assert example.shape == (2, 64)
    assert example.dtype == torch.int64
    assert (example != 0).all()


def test_an_epoch_of_similar_lengths_has_every_sample_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def draw(seed: int, epoch: int) -> list[tuple[list[int], int]]:
        order = LengthOrder(sizes, 4, seed)
        order.set_epoch(epoch)
        torch.rand(3)  # the global generator has no part in it
        return list(order)

    monkeypatch.setattr(lengths, "POOL", 3)
    sizes = torch.randint(1, 50, (26,))
    batches = draw(0, 1)
    assert batches == draw(0, 1)
    assert batches != draw(0, 2)
    assert batches != draw(1, 1)
    assert sorted(index for batch, _ in batches for index in batch) == list(range(26))
    assert sorted(len(batch) for batch, _ in batches) == [2, 4, 4, 4, 4, 4, 4]
    plain = BatchOrder(26, 4, 0, shuffle=True)
    plain.set_epoch(1)
    assert [seed for _, seed in batches] == [seed for _, seed in plain]
    pools = [sorted(index for batch, _ in epoch[:3] for index in batch) for epoch in (batches, list(plain))]
    assert pools[0] == pools[1]
    ranges = sorted((int(sizes[batch].min()), int(sizes[batch].max())) for batch, _ in batches[:3])
    assert ranges[0][1] <= ranges[1][0]
    assert ranges[1][1] <= ranges[2][0]


def test_evaluation_keeps_the_order(root: Path) -> None:
    data = loaded(root, batch_size=1)
    for name, loader in (("val", data.val_dataloader()), ("test", data.test_dataloader())):
        assert torch.equal(torch.cat([data.prepare(batch)[1] for batch in loader]), data.splits[name].labels)


def test_another_table_can_be_the_test_split(root: Path) -> None:
    table(root / "SST-2" / "test-labeled.tsv", films(5))
    assert len(loaded(root, test_file="test-labeled.tsv").splits["test"]) == 5


def test_what_is_not_there_is_downloaded_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, str]] = []
    monkeypatch.setattr(
        text_module, "download_and_extract_archive", lambda url, folder, remove_finished: calls.append((url, folder))
    )
    SST2(root).prepare_data()
    assert calls == []
    SST2(root / "new").prepare_data()
    assert calls == [("https://dl.fbaipublicfiles.com/glue/data/SST-2.zip", str(root / "new"))]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sentence\nfine", r"train\.tsv: expected the columns sentence, label in line 1, got sentence"),
        ("sentence\tlabel\nfine\t1\nno label", "line 3: expected 2 columns, got 1"),
        ("sentence\tlabel\ntoo\tmany\t1", "line 2: expected 2 columns, got 3"),
        ("sentence\tlabel\nfine\t2", "line 2: expected a label of 0, 1, got '2'"),
        ("sentence\tlabel\n \t1", "line 2: expected a sentence with at least one word, got ' '"),
    ],
)
def test_malformed_tables_are_refused_by_line(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "train.tsv"
    path.write_text(text + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        read_table(path)


def test_columns_go_by_name_and_lines_end_at_line_feeds_only(tmp_path: Path) -> None:
    path = table(tmp_path / "odd.tsv", [], head="label\tindex\tsentence\n1\t7\tone\u2028line")
    assert read_table(path) == (["one\u2028line"], [1])


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"train\.tsv"):
        loaded(tmp_path)


@pytest.mark.parametrize("arguments", [{"length": 0}, {"words": 0}, {"batch_size": 0}])
def test_impossible_settings_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(arguments))}: expected at least 1, got 0"):
        SST2(**arguments)


@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:The number of training batches")
def test_the_command_line_prunes_an_encoder_of_sentences(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcome, "measure_latency", partial(measure_latency, rounds=1, round_seconds=1e-3))
    overrides = ("data=sst2", f"data.root={root}", "data.words=30", "data.length=8", "data.batch_size=16")
    small = ("model=text_encoder", "model.width=8", "model.heads=1", "optimizer=adamw", "target.macs=0.5")
    quiet = ("trainer=cpu", "logger=none", "+trainer.enable_progress_bar=false", "+trainer.fast_dev_run=true")
    report, _ = run(composed([*overrides, *small, *quiet, f"paths.output={tmp_path / 'run'}"]))
    assert 0.49 <= report.macs["pruned"] / report.macs["dense"] <= 0.51
    assert report.metric["split"] == "test"
    assert {group["name"]: group["after"] for group in report.groups}["network.word"] == 8


@pytest.mark.skipif(not REAL.is_dir(), reason="no SST-2 in the folder PHYSPRUNE_DATA")
def test_the_published_files_have_the_published_sizes(tmp_path: Path) -> None:
    # Linked, so that the vocabulary is kept in a folder of the test.
    (tmp_path / "SST-2").mkdir()
    for name in ("train.tsv", "dev.tsv"):
        (tmp_path / "SST-2" / name).symlink_to((REAL / name).absolute())
    data = loaded(tmp_path)
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 60615, "val": 6734, "test": 872}
    assert data.splits["test"].labels.bincount().tolist() == [428, 444]
    assert data.splits["train"].inputs.shape == (60615, 64)
    assert int(data.splits["train"].inputs.max()) == 8001
    assert all(int((split.inputs != 0).sum(dim=1).max()) <= 56 for split in data.splits.values())
