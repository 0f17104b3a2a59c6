"""Pictures of the channels: how many each group keeps, their strengths over the epochs, and over distance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from physprune_pl.history import History
from physprune_pl.reports.drawing import ACCENT, AFTER, BEFORE, MUTED, draw_strengths, draw_widths
from physprune_pl.reports.page.themed_pictures import picture
from physprune_pl.reports.wording import short_names

Flags = NDArray[np.bool_]
Groups = Sequence[Mapping[str, Any]]

PANEL = (2.0, 1.5)
# Points of a large group would weigh more than a raster of them.
MANY = 256
BINS = 12


def widths_picture(groups: Groups) -> Markup:
    """Draw the network as a column of groups, each as wide as it has channels, before and after the cut."""
    names = short_names([group["name"] for group in groups])
    before, after = ([int(group[key]) for group in groups] for key in ("before", "after"))

    def draw(figure: Any) -> None:
        axis = figure.subplots()
        draw_widths(axis, groups, names)
        kept, places = axis.secondary_yaxis("right"), range(len(groups))
        kept.set_yticks(places, [f"{one} → {other}" for one, other in zip(before, after, strict=True)], fontsize=7.5)
        kept.tick_params(length=0)
        kept.spines[:].set_visible(False)
        figure.legend(loc="outside upper center", ncols=2, fontsize=8)

    alt = (
        f"Channels of {len(groups)} groups, {sum(before)} before and {sum(after)} after the cut; figures in the table."
    )
    return picture(draw, (4.6, 0.21 * len(groups) + 0.6), alt)


def strengths_picture(history: History, name: str, label: str) -> Markup:
    """Draw the strengths of one group over the epochs; a mark at the right edge tells a channel that was cut."""
    cut = cut_channels(history, name)

    def draw(figure: Any) -> None:
        axis = _panel(figure, label, "channel")
        # What is gone has no value: the hatching of the empty axis shows.
        axis.patch.set(hatch="////", edgecolor=MUTED, linewidth=0)
        draw_strengths(axis, history, name)
        axis.set_xlabel("epoch", fontsize=7.5)
        _mark(axis, cut)

    count = "it is not recorded which were cut" if cut is None else f"{int(cut.sum())} of {len(cut)} cut"
    return picture(draw, PANEL, f"Importance of the channels of {name} over the epochs; {count}.")


def _panel(figure: Any, label: str, quantity: str) -> Any:
    """Return the axis of a small picture, placed by hand: to have it measured takes longer than to draw it."""
    figure.set_layout_engine("none")
    axis = figure.subplots(gridspec_kw={"left": 0.2, "right": 0.82, "bottom": 0.28, "top": 0.87})
    axis.set_title(label, fontsize=7.5)
    axis.set_ylabel(quantity, fontsize=7.5)
    axis.tick_params(labelsize=7.5)
    return axis


def scale_picture() -> Markup:
    """Draw what the colours of the strengths mean."""

    def draw(figure: Any) -> None:
        axis = figure.subplots()
        axis.imshow(np.linspace(0, 1, 64)[None], aspect="auto", extent=(0, 1, 0, 1))
        axis.set(yticks=[], xlabel="importance, share of the largest that the group ever had")

    return picture(draw, (4.2, 0.62), "Scale of colours from dark, importance 0, to bright, the largest of the group.")


def _mark(axis: Any, cut: Flags | None) -> None:
    if cut is None or not cut.any():
        return
    edges = np.repeat(np.arange(len(cut) + 1) - 0.5, 2)[1:-1]
    beside = axis.get_yaxis_transform()
    axis.fill_betweenx(
        edges, 1.03, 1.07, where=np.repeat(cut, 2), color=ACCENT, linewidth=0, transform=beside, clip_on=False
    )


def cut_channels(history: History, name: str) -> Flags | None:
    """Return which channels of a group were cut, [K]; None where the history does not tell.

    They have no strength after the cut; without an epoch after it, they are those that steering chose last.

    >>> strength = np.array([[2.0, 0.1, 1.0], [2.0, np.nan, 1.0]])
    >>> history = {"phases": np.array(["sparsify", "finetune"]), "strength/conv": strength}
    >>> cut_channels(history, "conv").tolist()
    [False, True, False]
    """
    row = _last(history)
    if row is None:
        return None  # Without an epoch before the cut it is not known how many there were.
    if "finetune" in history["phases"]:
        gone = np.asarray(np.isnan(history[f"strength/{name}"][-1]))
        # No group is cut away whole: a step showed that this one must not be pruned, so it was recorded no longer.
        return None if gone.all() else gone
    gone, chosen = np.asarray(np.isnan(history[f"strength/{name}"][row])), history.get(f"chosen/{name}")
    if chosen is None or (np.isnan(chosen[row]) & ~gone).any():
        return gone if gone.any() and not gone.all() else None
    return np.asarray(gone | (chosen[row] == 1))


def pressed(history: History, name: str) -> bool:
    """Whether it is recorded how far the channels of a group are from the pivot and how hard the law pressed them."""
    row, kinds = _last_pressed(history), ("distance", "coefficient")
    return row is not None and all(
        f"{kind}/{name}" in history and bool(np.isfinite(history[f"{kind}/{name}"][row]).any()) for kind in kinds
    )


def _last_pressed(history: History) -> int | None:
    """Return the row of the last epoch in which a force pressed any group."""
    tables = [table for name, table in history.items() if name.startswith("coefficient/")]
    known = np.logical_or.reduce([np.isfinite(table).any(axis=1) for table in tables], initial=False)
    rows = np.flatnonzero((history["phases"] == "sparsify") & known)
    return int(rows[-1]) if len(rows) else None


def _last(history: History) -> int | None:
    """Return the row of the last epoch before the cut."""
    rows = np.flatnonzero(history["phases"] == "sparsify")
    return int(rows[-1]) if len(rows) else None


def law_picture(history: History, name: str, label: str) -> Markup:
    """Draw strength over distance before the cut, and the coefficients that the law gave."""
    row = _last_pressed(history)
    strength, distance, coefficient = (history[f"{kind}/{name}"] for kind in ("strength", "distance", "coefficient"))

    def draw(figure: Any) -> None:
        axis = _panel(figure, label, "importance")
        raster = strength.shape[1] > MANY
        for epoch, style in ((0, {"color": BEFORE, "marker": "o"}), (row, {"color": AFTER, "marker": "."})):
            axis.plot(distance[epoch], strength[epoch], linestyle="none", markersize=4, rasterized=raster, **style)
        _law_axis(axis, *_in_order(distance[row], coefficient[row]))
        axis.set_xlabel("distance from the pivot", fontsize=7.5)

    alt = f"Importance of the channels of {name} over their distance from the pivot, and the law's coefficient."
    return picture(draw, PANEL, alt)


def law_overview(history: History, names: Iterable[str]) -> Markup:
    """Draw the mean strength over distance of all groups, at the first epoch and before the cut, and the mean law."""
    row, found = _last_pressed(history), list(names)

    def draw(figure: Any) -> None:
        axis = figure.subplots()
        first = _over_distance(history, found, "strength", 0)
        last = _over_distance(history, found, "strength", row)
        axis.plot(*first, color=MUTED, marker="o", markersize=4, linestyle="--", label="importance, first epoch")
        axis.plot(*last, color=AFTER, marker="s", markersize=4, label="importance, last epoch under the force")
        axis.set(xlabel="distance from the pivot, share of the largest", ylabel="mean importance, share of the largest")
        axis.set_ylim(0)
        law = _law_axis(axis, *_over_distance(history, found, "coefficient", row))
        law.set_ylabel("coefficient c of the law", color=ACCENT)
        figure.legend(loc="outside upper center", fontsize=8)

    return picture(
        draw, (4.6, 3.4), f"Mean importance over distance of {len(found)} groups, and the law's coefficient."
    )


def _law_axis(axis: Any, distance: NDArray[Any], coefficient: NDArray[Any]) -> Any:
    law = axis.twinx()
    law.plot(distance, coefficient, color=ACCENT, linewidth=1.5, label="coefficient c of the law")
    law.tick_params(axis="y", labelsize=7.5, labelcolor=ACCENT)
    law.locator_params(axis="y", nbins=3)
    return law


def _in_order(distance: NDArray[Any], *others: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    order = np.argsort(distance, kind="stable")
    return distance[order], *(other[order] for other in others)


def _over_distance(
    history: History, names: Sequence[str], kind: str, row: int | None
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return middles of bins of distance and the mean of a series in them, bins without a channel left out.

    Distances are shares of their group's largest; strengths too, so that every group counts alike.
    """
    places, values = [], []
    for name in names:
        distance, found = history[f"distance/{name}"][row], history[f"{kind}/{name}"][row]
        largest = np.nanmax(history[f"strength/{name}"]) if kind == "strength" else 1.0
        places.append(distance / (np.nanmax(distance) or 1.0))
        values.append(found / (largest or 1.0))
    place, value = np.concatenate(places), np.concatenate(values)
    bins = np.minimum(np.nan_to_num(place) * BINS, BINS - 1).astype(int)
    filled = [number for number in range(BINS) if np.isfinite(value[bins == number]).any()]
    means = [np.nanmean(value[bins == number]) for number in filled]
    return (np.array(filled) + 0.5) / BINS, np.array(means)
