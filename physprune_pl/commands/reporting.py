"""``report``: the page of a finished run, anew from what lies in its folder."""

from __future__ import annotations

from jsonargparse import ArgumentParser, Namespace

from physprune_pl.commands.parsers import command_parser
from physprune_pl.reports.baseline import with_baseline
from physprune_pl.reports.page import read_run, write_report
from physprune_pl.tools.plain_tables import plain

SUMMARY = "Write the report of a finished run as one HTML page."
EXAMPLES = """\
examples:
  python -m physprune_pl report runs/demo
  python -m physprune_pl report lightning_logs/version_0 --out pruned.html
  python -m physprune_pl report lightning_logs/version_1 --baseline 0.93     or the folder of a report that has it

train.py and every fit with physics_pruning(...) write the page by themselves; this command writes it anew, after a move
or a change by hand. What it finds in the folder or below it is shown:
  report.json    costs, metric, groups, what was not pruned           needed
  channels.npz   strengths, distances, coefficients of all channels   written by ChannelTracker
  metrics.csv    losses and metrics over the epochs                   written by Lightning's CSVLogger
  .hydra/config.yaml or hparams.yaml                                  the settings
What is missing is said to be missing. The page is one file that needs no network; send it to whom you like.
Pictures need matplotlib: pip install 'physprune_pl[report]'.
"""


def parser() -> ArgumentParser:
    """Return the parser of the command."""
    own = command_parser(SUMMARY, EXAMPLES)
    own.add_argument("folder", metavar="RUN_FOLDER", help="folder of the run, with report.json")
    own.add_argument("--out", metavar="FILE", help="page to write (default: report.html in the folder)")
    own.add_argument(
        "--baseline", metavar="METRIC", help="what the dense network reaches, or a report that has it: added for good"
    )
    return own


def run(options: Namespace) -> str:
    """Write the page; return the costs as a table and where the page is.

    Raises:
        FileNotFoundError: the folder holds no report.
        ValueError: one of the files is not what its name says, or the baseline is of another metric.
        ModuleNotFoundError: matplotlib is missing.
    """
    found = read_run(options.folder)
    report = found.report
    if options.baseline is not None:
        report = with_baseline(report, number_or_path(options.baseline))
        report.save(found.folder)
    path = write_report(options.folder, options.out)
    return f"{plain('Costs', ('', 'dense', 'pruned', 'saved'), report.costs())}\n\nPage written to {path}."


def number_or_path(text: str) -> float | str:
    """Read a number, else take the text for a path.

    >>> number_or_path("0.93"), number_or_path("runs/dense")
    (0.93, 'runs/dense')
    """
    try:
        return float(text)
    except ValueError:
        return text
