"""The time of a network as a function of its widths, by arithmetic on the times of its layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from physprune_pl.latency.grids import Grid, Grids
from physprune_pl.latency.layers import Layer
from physprune_pl.targets.costs import Floats

Placed = Callable[[str, int], tuple[int | None, int]]


@dataclass(frozen=True)
class Rest:
    """What else makes up the time of a network, beside the times of its layers by themselves.

    Attributes:
        scale: milliseconds in the network per millisecond of a layer by itself.
        fixed: milliseconds that stay whatever is cut.
        per_million: milliseconds per million numbers that layers put out: norms, activations, additions.
    """

    scale: float = 1.0
    fixed: float = 0.0
    per_million: float = 0.0

    @classmethod
    def fitted(cls, layers: Sequence[float], outputs: Sequence[float], measured: Sequence[float]) -> Rest:
        """Fit the times of a network cut to several widths, by least squares of relative errors; nothing is negative.

        Args:
            layers: milliseconds of the layers by themselves, at every width.
            outputs: numbers that the layers put out, in millions.
            measured: milliseconds of the network.

        >>> Rest.fitted([4.0, 2.0, 1.0], [1.0, 0.5, 0.25], [9.0, 5.0, 3.0])
        Rest(scale=2.0, fixed=1.0, per_million=0.0)
        """
        goal = np.array(measured)
        terms = np.stack([layers, np.ones(len(goal)), outputs], axis=1) / goal[:, None]
        best, error = np.zeros(3), np.inf
        for chosen in [list(some) for count in (1, 2, 3) for some in combinations(range(3), count)]:
            found = np.zeros(3)
            found[chosen] = np.linalg.lstsq(terms[:, chosen], np.ones(len(goal)), rcond=None)[0]
            off = float(((terms @ found - 1.0) ** 2).sum())
            # More terms must earn their place: with as many terms as widths everything fits.
            if (found >= 0).all() and off < 0.9 * error - 1e-12:
                best, error = found, off
        return cls(*(round(float(value), 9) for value in best))


@dataclass(frozen=True)
class NetworkLatency:
    """Milliseconds of one call of a network, as a function of what is left of its weights.

        raw     = scale * sum over layers of time(rows, columns) + fixed + per_million * outputs / 1e6
        latency = raw of the whole network - gain * (raw of the whole network - raw)

    Attributes:
        layers: the layers of the network.
        grids: the times of each.
        rest: everything else.
        batch_size: number of samples of one call.
        gain: milliseconds that a cut saves per millisecond that is expected, as cut networks have shown.
    """

    layers: tuple[Layer, ...]
    grids: tuple[Grid, ...]
    rest: Rest = Rest()
    batch_size: int = 1
    gain: float = 1.0

    def placed(self, place: Placed) -> Callable[[Floats], Floats]:
        """Return the same as a function of the sizes that a cost model counts with.

        Args:
            place: tensor and dimension -> place of its size in the vectors, None where it never shrinks, and the size.

        Returns:
            A function of sizes [..., A] that returns milliseconds [...].
        """
        rows = _Sizes([place(layer.weight, layer.shape.output_dim) for layer in self.layers])
        columns = _Sizes([place(layer.weight, layer.shape.input_dim) for layer in self.layers])
        grids, rest = Grids(list(self.grids)), self.rest
        outputs = np.array([layer.outputs / 1e6 for layer in self.layers], dtype=np.float64)

        def raw(height: Floats, width: Floats) -> Floats:
            found: Floats = rest.scale * grids(height, width).sum(axis=-1) + rest.fixed
            found += rest.per_million * (height * outputs).sum(axis=-1)
            return found

        whole = raw(rows.whole, columns.whole)

        def latency(sizes: Floats) -> Floats:
            found: Floats = whole - self.gain * (whole - raw(rows(sizes), columns(sizes)))
            return found

        return latency

    def parts(self, place: Placed) -> tuple[Callable[[Floats], Floats], Callable[[Floats], Floats]]:
        """Return, as functions of sizes, the time of the layers by themselves and the millions that they put out."""
        alone = NetworkLatency(self.layers, self.grids).placed(place)
        both = NetworkLatency(self.layers, self.grids, Rest(per_million=1.0)).placed(place)
        return alone, lambda sizes: both(sizes) - alone(sizes)


class _Sizes:
    """Picks the size that every layer has from vectors of sizes, [..., A] -> [..., L]."""

    def __init__(self, places: Sequence[tuple[int | None, int]]) -> None:
        self._place = np.array([0 if place is None else place for place, _ in places], dtype=np.intp)
        self._moves = np.array([place is not None for place, _ in places], dtype=bool)
        self.whole = np.array([size for _, size in places], dtype=float)

    def __call__(self, sizes: Floats) -> Floats:
        found: Floats = np.where(self._moves, sizes[..., self._place], self.whole)
        return found
