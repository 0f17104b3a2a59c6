"""What one watched run has reached."""

from __future__ import annotations

from torch import Tensor

from physprune_pl.probing.codes import Codes, sure
from physprune_pl.probing.observations import Family, Observation
from physprune_pl.probing.runner import Run


def fed_slots(run: Run) -> list[Observation]:
    """Return the slots of the model's tensors that met NaN."""
    met = [run.seen[place] for place in run.hits]
    return [seen for seen in met if seen.kind in ("consumer", "carrier", "norm")]


def unclear_slots(alone: Run, codes: Codes, size: int) -> dict[int, Tensor]:
    """Return by place of an observation the slots that a source reaches by more than one index, where there are any."""
    asked = [place for place in alone.hits if alone.seen[place].kind not in ("opaque", "head", "size", "bias")]
    found = {place: alone.seen[place].pattern & ~sure(codes[place], size) for place in asked}
    return {place: slots for place, slots in found.items() if bool(slots.any())}


def is_headless(alone: Run, codes: Codes, size: int) -> bool:
    """Return whether a source reaches heads, but mixed: it turns pairs of its channels, or divides by their norm."""
    heads = [place for place in alone.hits if alone.seen[place].kind == "head"]
    whole = [bool(sure(codes[place], size)[alone.seen[place].pattern].all()) for place in heads]
    return bool(whole) and not any(whole)


def reached_families(run: Run) -> set[Family]:
    """Return the families that are no slots of the model's tensors and met NaN."""
    met = [run.seen[place] for place in run.hits]
    return {seen.family for seen in met if seen.kind in ("head", "part")}
