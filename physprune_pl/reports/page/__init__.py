"""Pages that a person opens in a browser: the report of a run and the comparison of several, one HTML file each.

A page needs no network and no script. Its pictures are drawn by matplotlib and follow the light or dark theme of the
reader; what a run did not record is said to be absent.
"""

from physprune_pl.reports.page.comparison_page import Comparison, write_comparison
from physprune_pl.reports.page.finished_run import FinishedRun, read_run
from physprune_pl.reports.page.report_page import write_report

__all__ = ["Comparison", "FinishedRun", "read_run", "write_comparison", "write_report"]
