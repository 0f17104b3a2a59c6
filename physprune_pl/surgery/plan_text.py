"""A plan as text: one line for a prompt, a table for a person."""

from __future__ import annotations

from collections.abc import Iterable

from physprune_pl.tools.plain_tables import Cells, plain, saving, short

Width = tuple[str, int, int]
Pair = tuple[int, int]


def plan_line(macs: Pair, params: Pair, widths: Iterable[Width], not_pruned: int) -> str:
    """Return what a plan does in one line.

    Args:
        macs: dense and pruned.
        params: likewise.
        widths: name of a group, its channels before and after.
        not_pruned: number of modules that are not pruned.

    >>> plan_line((100, 40), (10, 5), [("stem", 8, 4), ("head", 4, 4)], 1)
    '2.50x fewer MACs (40 % kept), 2.00x fewer parameters (50 % kept), 1 of 2 groups cut, 1 modules not pruned'
    """
    known = list(widths)
    cut = sum(after < before for _, before, after in known)
    costs = f"{saving(*macs, 'fewer MACs')}, {saving(*params, 'fewer parameters')}"
    return f"{costs}, {cut} of {len(known)} groups cut, {not_pruned} modules not pruned"


def plan_table(macs: Pair, params: Pair, widths: Iterable[Width]) -> str:
    """Return a table of what a plan keeps of the costs and of the channels of each group; arguments as above.

    >>> print(plan_table((100, 40), (10, 5), [("stem", 8, 4)]))
    Pruning plan
                before  after  kept
    MACs           100     40  40 %
    parameters      10      5  50 %
    stem             8      4  50 %
    """
    rows = [_row(*one) for one in [("MACs", *macs), ("parameters", *params), *widths]]
    return plain("Pruning plan", ("", "before", "after", "kept"), rows)


def _row(name: str, before: int, after: int) -> Cells:
    return name, short(before), short(after), f"{100 * after / before:.0f} %" if before else "-"
