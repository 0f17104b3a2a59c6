"""``compare``: several runs as a table and as a page with their Pareto fronts."""

from __future__ import annotations

from jsonargparse import ArgumentParser, Namespace

from physprune_pl.commands.parsers import command_parser
from physprune_pl.reports.page.comparison_page import HEAD, Comparison, write_comparison
from physprune_pl.reports.tables import table

SUMMARY = "Compare finished runs: table, Pareto fronts, one HTML page."
EXAMPLES = """\
examples:
  python -m physprune_pl compare runs/uniform runs/gravity runs/torque
  python -m physprune_pl compare runs/sweeps/2030-01-31/12-00-00/*/ --out sweep.html
  python -m physprune_pl compare lightning_logs/version_* --mode min     the metric is a loss

A run is a folder with report.json. The page has the table, quality over MACs and over latency with the
Pareto fronts, and the words of the commands that set the runs apart. A star marks a run that no other one beats: none
keeps as few MACs and is as good. "final" is the metric after the last phase of a run. Compare latencies only
of runs that were measured on one machine.
"""


def parser() -> ArgumentParser:
    """Return the parser of the command."""
    own = command_parser(SUMMARY, EXAMPLES)
    own.add_argument("runs", nargs="+", metavar="RUN", help="folder of a run, or of its logs")
    own.add_argument("--out", default="comparison.html", metavar="FILE", help="page to write (default: %(default)s)")
    own.add_argument(
        "--mode",
        choices=("max", "min"),
        default="max",
        help="whether a higher or a lower metric is better (default: %(default)s)",
    )
    return own


def run(options: Namespace) -> str:
    """Write the page; return the table and where the page is.

    Raises:
        FileNotFoundError: a folder holds no report.
        ValueError: the metrics of the runs are not the same.
        ModuleNotFoundError: matplotlib is missing.
    """
    comparison = Comparison.of(options.runs, options.mode)
    path = write_comparison(comparison, options.out)
    best = comparison.best()
    rows = [(f"{row[0]} *" if row[0] in best else row[0], *row[1:]) for row in comparison.rows()]
    better = "higher" if options.mode == "max" else "lower"
    text = table(f"{comparison.metric}, {better} is better; * on the Pareto front", HEAD, rows)
    return f"{text}\n\nPage written to {path}."
