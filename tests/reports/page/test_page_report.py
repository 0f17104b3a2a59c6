"""The report page tells what the run recorded, and says what it did not."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from run_folders import GROUPS, NASTY, bare_folder, history, report, run_folder

from physprune_pl.reports.page import report_page, run_pictures, write_report
from physprune_pl.reports.report import PruningReport

# Elements without an end.
VOID = {"meta", "br", "image", "path", "use", "rect", "img"}


class Outline(HTMLParser):
    """Text, pictures and links of a page; notes whether every element is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.words, self.alternatives, self.names, self.addresses = [], [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "svg":
            self.alternatives.append(found["aria-label"])
        self.names += [value for name, value in attrs if name == "id"]
        self.addresses += [value for name, value in attrs if name in ("src", "href", "xlink:href")]

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def page_of(folder: Path) -> Outline:
    return Outline(write_report(folder).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Outline:
    return page_of(run_folder(tmp_path_factory.mktemp("run")))


@pytest.mark.parametrize(
    "words",
    [
        "fewer MACs 3.33x 7.92 M → 2.38 M",
        "fewer parameters 2.85x 855.48 k → 300.00 k",
        "faster, batch 1 2.00x 8 ms → 4 ms",
        "accuracy (test), after fine-tuning 99.25 % before: 99.00 % dense baseline",
        "Not at zero before the cut: conv1.",
        "net.conv2 3 2 no",
        "it is the output 1 " + NASTY,
        "right after the cut 98.75 %",
        "sparsify 12.3 69 % 1.23 GB",
        "ResNet on Digits, law gravity, target 30 % of the MACs, 12 + 5 epochs, seed 3: 3.33x fewer MACs (30 % kept)",
        "module = load_pruned(ResNet(width=8), 'best.ckpt')",
        "python -m physprune_pl export --model nets:ResNet --model-args width=8 --input 1,4 --checkpoint best.ckpt",
        "onnxruntime.InferenceSession('model.onnx'",
        "Most pruned group channels kept net.conv1 4 → 2 50 % net.conv2 3 → 2 67 %",
        "The sparsify phase is white, fine-tuning after the cut is shaded.",
        "torch 2.0",
        "Peak memory: the most that was allocated on the GPU in the phase.",
        "seed 3",
        "python train.py 'seed=1|2'",
        "force: exponential",
        "val/loss (log scale)",
        "conv1: 4 → 2",
        "Every group by itself",
    ],
)
def test_the_page_tells(words: str, whole: Outline) -> None:
    assert words in whole.text


def test_a_report_without_a_dense_metric_says_how_to_add_one(whole: Outline, tmp_path: Path) -> None:
    metric = {**report().metric, "dense": None}
    command = f"python -m physprune_pl report {tmp_path} --baseline 0.93"
    assert command in page_of(run_folder(tmp_path, metric=metric)).text
    assert "--baseline" not in whole.text


def test_every_picture_says_what_it_shows(whole: Outline) -> None:
    said = " ".join(whole.alternatives)
    for words in (
        "Channels of 2 groups, 7 before and 4 after the cut",
        "Importance of the channels of net.conv1 over the epochs; 2 of 4 cut.",
        "Mean importance over distance of 2 groups",
        "at most 0.0% at the end",
        "batch 32: 40 ms dense, 16 ms pruned",
        "val/acc ends at 0.75",
        "MACs end at 30%, living channels at 57%",
    ):
        assert words in said


def test_the_page_needs_nothing_but_itself(whole: Outline) -> None:
    assert all(address.startswith(("#", "data:image/png;base64,")) for address in whole.addresses)
    assert len(whole.names) == len(set(whole.names))


def test_what_a_run_names_is_never_markup(tmp_path: Path) -> None:
    text = write_report(run_folder(tmp_path, command=NASTY)).read_text(encoding="utf-8")
    assert "<script" not in text
    assert text.count("&lt;script&gt;") == 2


def test_what_is_absent_is_said_to_be_absent(tmp_path: Path) -> None:
    text = page_of(bare_folder(tmp_path)).text
    assert "Use it next" not in text
    for words in (
        "No times are recorded.",
        "Nothing was cut: the report names no group.",
        "Not measured in this run: python -m physprune_pl latency measures it.",
        "Not recorded: the folder holds no metrics.csv",
        "The report names no module that is not pruned.",
        "The command of the run is not recorded.",
        "No file of settings lies in the folder of the run.",
        "dense baseline not measured",
    ):
        assert words in text
    assert text.count(report_page.NO_HISTORY) == 3
    assert "seed" not in text


def test_a_run_that_was_not_steered_says_so(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, history(steered=False, finetune=0))
    page = page_of(folder)
    assert "it is not recorded which were cut" in " ".join(page.alternatives)
    assert "What the loggers recorded" in page.text
    (folder / "logs" / "metrics.csv").unlink()
    assert "Not recorded: no coefficient was steered, or nothing logged it." in page_of(folder).text


def test_the_line_that_steering_followed_is_the_recorded_one(tmp_path: Path) -> None:
    kept = history()
    other = history()
    for row in other._rows[:3]:
        row["planned"] = row["planned"] / 2
    names, drawn = list(GROUPS), [run_pictures.arrival_picture(one.arrays(), list(GROUPS)) for one in (kept, other)]
    assert all("as planned" in text for text in drawn)
    assert drawn[0] != drawn[1]
    for row in kept._rows[:3]:
        del row["planned"]
    assert "as planned" not in run_pictures.arrival_picture(kept.arrays(), names)
    assert "The line that steering followed is not recorded." in page_of(run_folder(tmp_path / "old", kept)).text
    assert "is not recorded" not in page_of(run_folder(tmp_path / "new")).text


def test_a_group_that_was_left_whole_in_the_middle_is_not_said_to_be_cut(tmp_path: Path) -> None:
    kept = history()
    for row in kept._rows[2:]:
        for name in [name for name in row if name.endswith("net.conv2")]:
            del row[name]
    folder = run_folder(tmp_path, kept, groups=report().groups[:1])
    page = page_of(folder)
    said = " ".join(page.alternatives)
    assert "Importance of the channels of net.conv2 over the epochs; it is not recorded which were cut." in said
    assert "Mean importance over distance of 1 groups" in said
    assert "Coefficients of 1 groups" in said
    assert "conv2: 3 → 0" not in page.text


def test_a_trained_network_that_was_cut_at_once_has_no_heat_map_of_pressing(tmp_path: Path) -> None:
    page = page_of(run_folder(tmp_path, history(sparsify=0)))
    assert "Not recorded: no force acted on the channels." in page.text
    assert "it is not recorded which were cut" in " ".join(page.alternatives)


def test_the_headline_tells_what_training_has_cost() -> None:
    figure = report_page.headline(report(latency_ms={}, metric={}))[2]
    assert figure == report_page.Figure(
        "0.73x", "training cost of as many dense epochs, by MACs", "4 epochs, 0.94x of the time"
    )


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ({}, []),
        ({"name": "val_loss", "after_cut": 0.5}, ["val_loss (val), right after the cut: 0.5000"]),
        (
            {"name": "f1", "split": "test", "dense": 0.75, "after_sparsify": 0.5},
            ["f1 (test), after the sparsify phase: 0.5000, before: 0.7500 dense baseline"],
        ),
    ],
)
def test_the_headline_compares_with_what_was_measured(metric: dict[str, Any], expected: list[str]) -> None:
    figures = report_page.headline(report(metric=metric, latency_ms={}, epochs={}))[2:]
    assert [figure.what for figure in figures] == [one.split(": ")[0] for one in expected]
    for figure, one in zip(figures, expected, strict=True):
        assert figure.value in one
        assert "before" not in one or figure.detail in one


def test_of_many_groups_the_largest_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_page, "MOST_PANELS", 1)
    monkeypatch.setattr(report_page, "MOST_LAWS", 1)
    page = page_of(run_folder(tmp_path))
    assert page.text.count("The 1 groups with the most channels of 2") == 2
    drawn = [alt for alt in page.alternatives if "Importance of the channels of" in alt]
    assert [name in " ".join(drawn) for name in GROUPS] == [True, False]


def test_the_page_may_lie_elsewhere(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run")
    path = write_report(folder, tmp_path / "new" / "page.html")
    assert path == tmp_path / "new" / "page.html"
    assert not (folder / "report.html").exists()
    assert re.match(r"<!DOCTYPE html>\n<html lang=\"en\">", path.read_text())


def test_a_damaged_report_is_refused(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text('{"macs": 1}')
    with pytest.raises(ValueError, match="expected the fields of a PruningReport"):
        write_report(tmp_path)
    assert PruningReport.from_json(report().to_json()) == report()
