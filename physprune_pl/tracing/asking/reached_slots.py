"""What one watched run has reached."""

from __future__ import annotations

from physprune_pl.probing.runner import Run
from physprune_pl.probing.watching.observations import Family, Observation


def fed_slots(run: Run) -> list[Observation]:
    """Return the slots of the model's tensors that met NaN."""
    met = [run.seen[place] for place in run.hits]
    return [seen for seen in met if seen.kind in ("consumer", "carrier", "norm")]


def reached_families(run: Run) -> set[Family]:
    """Return the heads, the parts of axes and the inputs of calls that met NaN."""
    met = [run.seen[place] for place in run.hits]
    return {seen.family for seen in met if seen.kind in ("head", "part", "consumer")}


def read_families(run: Run) -> set[Family]:
    """Return the inputs that met NaN."""
    met = [run.seen[place] for place in run.hits]
    return {seen.family for seen in met if seen.kind == "consumer"}
