"""The results table and the picture of README.md: ``python -m experiments.readme [RUN_FOLDER]``.

The table is made from the committed results of the comparisons; the picture from the folder of a run, such as that of
``make demo``, and is left as it is where none is given.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from experiments.bench.runs import write_table
from experiments.training.sweeps.figures import ArmFigures, percent, spread
from physprune_pl.reports.drawing import cut_epoch, draw_curve, draw_strengths, draw_widths, figure_of, groups_of
from physprune_pl.reports.page import read_run
from physprune_pl.reports.page.finished_run import FinishedRun

FOLDER = Path(__file__).parent
README = FOLDER.parent / "README.md"
PICTURE = FOLDER / "overview.png"

COMPARISONS = {
    "digits": "ResNet-56, handwritten digits",
    "mnist": "LeNet-5, MNIST",
    "mnist_resnet20": "ResNet-20, MNIST",
    "cifar10": "ResNet-20, CIFAR-10",
    "sst2": "small transformer, SST-2",
    "minilm": "MiniLM, trained before, SST-2",
}
# The default law; the pages of the comparisons have the others.
ARM = "exponential"
HEAD = (
    *("network, data", "compression", "accuracy, dense", "accuracy, pruned", "accuracy drop"),
    *("faster, batches of 1 and 32", "training of the pruned network", "seeds"),
)


def results_table() -> str:
    """Return the table as markdown: one row per comparison, mean ± standard deviation over the seeds."""
    lines = [f"| {' | '.join(HEAD)} |", f"|{'---|' * len(HEAD)}"]
    for name, what in COMPARISONS.items():
        results = json.loads((FOLDER / name / "results.json").read_text(encoding="utf-8"))["results"]
        runs = [one for one in results if one["arm"] == ARM]
        cells = (f"[{what}](experiments/{name}/README.md)", *_figures(runs), str(len(runs)))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _figures(runs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    found = ArmFigures.of(runs)
    yield f"{mean(found.less('macs')):.1f}x fewer MACs ({100 * mean(found.kept('macs')):.0f} % kept)"
    for phase in ("dense", "after_finetune"):
        yield percent(found.scores(phase))
    yield percent(found.lost)
    yield ", ".join(f"{mean(found.less(batch)):.1f}x" for batch in ("batch_1", "batch_32"))
    minutes = spread(found.minutes, "{:.1f}")
    yield f"{_epochs(runs[0], 'trainer.max_epochs')} + {_epochs(runs[0], 'finetune.epochs')} epochs, {minutes} min"


def _epochs(run: Mapping[str, Any], key: str) -> str:
    words: Sequence[str] = run["overrides"]
    return next(word.partition("=")[2] for word in words if word.startswith(f"{key}="))


def draw_overview(run: FinishedRun, path: Path) -> None:
    """Draw what a fit does: the channels of one group, the metric through all phases, the widths.

    Raises:
        ValueError: the folder of the run holds no history of channels that goes beyond the cut.
    """
    if run.history is None or (cut := cut_epoch(run.history)) is None:
        raise ValueError(f"run: expected a folder with channels.npz of a fit that cut, got {run.folder}")
    figure = figure_of((10, 3.1))
    figure.patch.set_facecolor("white")
    channels, metric, widths = figure.subplots(1, 3, width_ratios=(3, 3, 2.4))
    history = run.history
    name = max(groups_of(history), key=lambda name: history[f"strength/{name}"].shape[1])
    image = draw_strengths(channels, history, name)
    channels.set(title="channels of one group: norms", xlabel="epoch", ylabel="channel")
    figure.colorbar(image, ax=channels, label="share of the largest")
    curve = run.curves["val/acc"]
    draw_curve(metric, curve, cut)
    metric.set(xlabel="epoch", ylabel="validation accuracy", ylim=(0, 1.05))
    metric.set_title("pruned and fine-tuned in one fit", pad=14)
    draw_widths(widths, run.report.groups, [""] * len(run.report.groups))
    widths.set(title="channels of every group", xlabel="input (top) to output")
    widths.legend(fontsize=7, loc="upper right", frameon=False)
    figure.savefig(path, dpi=90)


def main() -> None:
    """Write what the command line asks for."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("run", nargs="?", type=Path, help="folder of a run, for the picture")
    options = parser.parse_args()
    write_table(README, results_table())
    if options.run is not None:
        draw_overview(read_run(options.run), PICTURE)


if __name__ == "__main__":
    main()
