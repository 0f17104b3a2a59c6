"""How far each group is cut: ladders of channels in the order they go, and the search for levels that meet a cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from physprune_pl.targets.costs import CostKind, CostModel, Floats

Ints = NDArray[np.intp]

NODES_PER_RADIUS = 500


class Ladders:
    """The channels of every group from the lowest score up, removed level by level.

    At its level n a group has lost as many channels as the n-th number of those that may be removed from it says.
    The first number is that of level 0, where every group begins.

    Args:
        model: what the network costs.
        removable: numbers of channels that may be removed from each group, ascending.
        scores: of the channels of each group, [K].
        ladder: number of the ladder of each group [G]; groups of one ladder are always at the same level.

    Attributes:
        top: highest level of each ladder [L].
        order: channels of each group in the order they go.
    """

    def __init__(self, model: CostModel, removable: Sequence[Ints], scores: Sequence[Floats], ladder: Ints) -> None:
        self._model = model
        self._removable = removable
        self._scores = scores
        self.order = [np.argsort(score, kind="stable") for score in scores]
        self._ladder = ladder
        ladders = range(len(set(ladder.tolist())))
        self._members = [[int(group) for group in np.flatnonzero(ladder == number)] for number in ladders]
        self.top = np.array([len(removable[groups[0]]) - 1 for groups in self._members], dtype=np.intp)
        tables = [self._indices_gone(group, counts) for group, counts in model.patterns]
        self._table = np.concatenate([np.zeros(0), *tables])
        self._first = np.cumsum([0, *(len(table) for table in tables[:-1])])[: len(tables)]
        self._group = np.array([group for group, _ in model.patterns], dtype=np.intp)

    def cost(self, kind: CostKind, levels: Ints) -> Floats:
        """Cost [...] of levels [..., L]."""
        return self._model.evaluate(kind, self._table[self._first + levels[..., self._ladder[self._group]]])

    def queue(self, ladders: Sequence[int]) -> Ints:
        """Ladder of every level above 0, in the order in which they go: the lowest mean score of its channels first."""
        means = [np.mean([self._level_scores(group) for group in self._members[ladder]], axis=0) for ladder in ladders]
        owner = np.repeat(np.array(ladders, dtype=np.intp), [len(mean) for mean in means])
        return owner[np.argsort(np.concatenate([np.zeros(0), *means]), kind="stable")]

    def masks(self, levels: Ints) -> list[NDArray[np.bool_]]:
        """Removed channels [K] of every group."""
        masks = [np.zeros(len(order), dtype=bool) for order in self.order]
        for mask, order, numbers, level in zip(masks, self.order, self._removable, levels[self._ladder], strict=True):
            mask[order[: numbers[level]]] = True
        return masks

    def _indices_gone(self, group: int, counts: NDArray[np.int64]) -> Floats:
        """Indices of one pattern that are gone at each level of its group."""
        total = np.concatenate([[0], np.cumsum(counts[self.order[group]])])
        gone: Floats = total[self._removable[group]].astype(float)
        return gone

    def _level_scores(self, group: int) -> Floats:
        numbers = self._removable[group]
        if len(numbers) == 1:
            return np.zeros(0)
        going = self._scores[group][self.order[group][: numbers[-1]]]
        means: Floats = np.add.reduceat(going, numbers[:-1]) / np.diff(numbers)
        return means


class LevelSearch:
    """Levels near a first guess whose cost lies in a band.

    The levels stay within a radius of the guess, which doubles until everything reachable is covered. Within a
    radius the groups with the largest levels are settled first; a branch is left when even its cheapest state costs
    too much or its dearest too little, so the search is complete wherever it does not run out of nodes.

    Attributes:
        best: levels found, or those closest to ``aim``.
    """

    def __init__(
        self, cost: Callable[[Ints], Floats], guess: Ints, top: Ints, band: tuple[float, float], aim: float
    ) -> None:
        self._cost, self._guess, self._top = cost, guess, top
        (self._low, self._high), self._aim = band, aim
        self.best = guess
        self._gap = float("inf")
        self._groups = self._coarse_first()

    def run(self) -> Ints:
        """LevelSearch until the cost fits or nothing is left to try, and return ``best``."""
        radius, furthest = 1, int(self._top.max(initial=0))
        while self._groups.size and not self._within(radius) and radius < furthest:
            radius *= 2
        return self.best

    def _coarse_first(self) -> Ints:
        """Groups that can change, those whose first level saves most first."""
        movable = np.flatnonzero(self._top)
        single = np.eye(len(self._top), dtype=np.intp)[movable]
        return movable[np.argsort(self._cost(single), kind="stable")]

    def _within(self, radius: int) -> bool:
        self._bottom = np.maximum(self._guess - radius, 0)
        self._ceiling = np.minimum(self._guess + radius, self._top)
        self._nodes = 0
        return self._descend(0, self._guess)

    def _descend(self, depth: int, state: Ints) -> bool:
        """Try every level of one group, then settle the groups after it; True once a cost fits."""
        self._nodes += 1
        states = self._variants(self._groups[depth], state)
        dearest, cheapest = states.copy(), states.copy()
        rest = self._groups[depth + 1 :]
        dearest[:, rest], cheapest[:, rest] = self._bottom[rest], self._ceiling[rest]
        costs = self._cost(np.stack([states, dearest, cheapest]))
        fits = self._remember(states, costs[0])
        if fits or not rest.size:
            return fits
        self._remember(dearest, costs[1])
        self._remember(cheapest, costs[2])
        open_branches = (costs[1] >= self._low) & (costs[2] <= self._high)
        return any(
            self._nodes < NODES_PER_RADIUS and self._descend(depth + 1, branch) for branch in states[open_branches]
        )

    def _variants(self, group: int, state: Ints) -> Ints:
        """The state with every level of one group within the radius, nearest to the guess first."""
        levels = np.arange(self._bottom[group], self._ceiling[group] + 1)
        levels = levels[np.argsort(np.abs(levels - self._guess[group]), kind="stable")]
        states = np.tile(state, (len(levels), 1))
        states[:, group] = levels
        return states

    def _remember(self, states: Ints, costs: Floats) -> bool:
        """Keep the state closest to the aim; True if it fits."""
        gaps = np.abs(costs - self._aim)
        nearest = int(gaps.argmin())
        if gaps[nearest] < self._gap:
            self.best, self._gap = states[nearest], float(gaps[nearest])
        return bool(self._low <= costs[nearest] <= self._high)
