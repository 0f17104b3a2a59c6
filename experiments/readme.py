"""The results table and the picture of README.md: ``python -m experiments.readme [RUN_FOLDER]``.

The table is made from the committed results of the comparisons; the picture from the folder of a run, such as that of
``make demo``, and is left as it is where none is given.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.bench.runs import write_table
from experiments.training.sweeps.figures import spread
from physprune_pl.reports.drawing import AFTER, BEFORE, draw_strengths, figure_of, groups_of
from physprune_pl.reports.page import read_run
from physprune_pl.reports.page.course import cut_epoch
from physprune_pl.reports.page.folder import Run

FOLDER = Path(__file__).parent
README = FOLDER.parent / "README.md"
PICTURE = FOLDER / "overview.png"

COMPARISONS = {
    "digits": "ResNet-56, handwritten digits",
    "mnist": "LeNet-5, MNIST",
    "mnist_resnet20": "ResNet-20, MNIST",
    "cifar10": "ResNet-20, CIFAR-10",
    "cifar10_trained": "the same, trained before",
    "sst2": "small transformer, SST-2",
}
# No force at all, the null among the laws, and the default law; the pages of the comparisons have the others.
ARMS = {"none": "no force", "uniform": "uniform", "exponential": "exponential"}
HEAD = ("network, data", "force", "MACs", "dense", "before the cut", "right after", "fine-tuned", "seeds")


def results_table() -> str:
    """Return the table as markdown: test accuracy in per cent, mean ± standard deviation over the seeds."""
    lines = [f"| {' | '.join(HEAD)} |", f"|{'---|' * len(HEAD)}"]
    for name, what in COMPARISONS.items():
        results = json.loads((FOLDER / name / "results.json").read_text(encoding="utf-8"))["results"]
        for arm, force in ARMS.items():
            runs = [one for one in results if one["arm"] == arm]
            cells = (f"[{what}](experiments/{name}/README.md)", force, *_figures(runs), str(len(runs)))
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _figures(runs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield spread([run["macs"]["dense"] / run["macs"]["pruned"] for run in runs], "{:.2f}") + "x fewer"
    for phase in ("dense", "after_sparsify", "after_cut", "after_finetune"):
        yield spread([100 * run["metric"][phase] for run in runs if run["metric"][phase] is not None], "{:.2f}")


def draw_overview(run: Run, path: Path) -> None:
    """Draw what a fit does: the channels of one group, the metric through press, cut and fine-tuning, the widths.

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
    channels.set(title="press: strengths of a group", xlabel="epoch", ylabel="channel")
    figure.colorbar(image, ax=channels, label="share of the largest")
    curve = run.curves["val/acc"]
    metric.plot(list(curve), list(curve.values()), color=AFTER, marker=".", markersize=3, linewidth=1)
    metric.axvline(cut, color="grey", linestyle=":")
    metric.annotate("cut", (cut, 0.5), xycoords=("data", "axes fraction"), rotation=90, ha="right", color="grey")
    metric.set(title="cut, and fine-tune in the same fit", xlabel="epoch", ylabel="validation accuracy", ylim=(0, 1.05))
    places = range(len(run.report.groups))
    for key, colour in (("before", BEFORE), ("after", AFTER)):
        sizes = [group[key] for group in run.report.groups]
        widths.barh(places, sizes, left=[-size / 2 for size in sizes], height=0.75, color=colour, label=key)
    widths.invert_yaxis()
    widths.set(title="channels of every group", xticks=[], yticks=[], xlabel="input (top) to output")
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
