"""Channels and their slots in arrays, compared with plain loops."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

from physprune_pl.probing.watching.observations import Family
from physprune_pl.tracing.evidence.components import SlotSpace
from physprune_pl.tracing.evidence.members import Members, Owners

Slots = dict[int, dict[Family, list[int]]]


def drawn(seed: int) -> tuple[Members, Slots, list[Family], SlotSpace, np.ndarray]:
    draw = np.random.default_rng(seed)
    sizes = {(f"weight {number}", number % 2): int(draw.integers(1, 7)) for number in range(8)}
    space = SlotSpace.of(sizes)
    root = np.minimum(draw.integers(0, space.size, space.size), np.arange(space.size))
    root = root[root]
    wanted = draw.random(space.size) < 0.8
    slots: Slots = defaultdict(lambda: defaultdict(list))
    families = list(sizes)[1:]
    for family in families:
        for index, one in enumerate(root[space.slots(family)].tolist()):
            if wanted[one]:
                slots[one][family].append(index)
    return Members.of(families, space, root, wanted), slots, families, space, root


@pytest.mark.parametrize("seed", range(12))
def test_channels_have_the_slots_that_loops_find(seed: int) -> None:
    members, slots, families, space, _ = drawn(seed)
    sizes = {family: space.ends[family] - space.offsets[family] for family in families}
    for root in range(space.size):
        assert members.slots_of(root) == {family: len(own) for family, own in slots.get(root, {}).items()}
        assert (root in members) == (root in slots)
    whole = {root: [one for one in families if len(own.get(one, ())) == sizes[one]] for root, own in slots.items()}
    assert members.filling(sizes) == {root: found[0] for root, found in whole.items() if found}


@pytest.mark.parametrize("seed", range(12))
def test_clusters_share_makers_and_come_in_their_order(seed: int) -> None:
    members, slots, families, space, root = drawn(seed)
    makers = {family: place for place, family in enumerate(families[::2])}
    made = {one: {family: own[0] for family, own in by.items() if family in makers} for one, by in slots.items()}
    waiting = sorted(
        (one for one in made if made[one]),
        key=lambda one: min((makers[family], first) for family, first in made[one].items()),
    )
    expected: list[list[int]] = []
    while waiting:
        cluster, grown = {waiting[0]}, True
        while grown:
            touched = {family for one in cluster for family in made[one]}
            wider = {one for one in waiting if touched & made[one].keys()}
            cluster, grown = wider, wider != cluster
        expected.append([one for one in waiting if one in cluster])
        waiting = [one for one in waiting if one not in cluster]
    clusters = members.clusters(makers)
    assert [cluster.tolist() for cluster in clusters] == expected

    owned = Owners.of(clusters, space.size)
    for number, own in enumerate(members.families_of(owned.group, len(clusters))):
        assert own == [family for family in families if any(family in slots[one] for one in expected[number])]
        for family in own:
            pairs = zip(*owned.entries(root[space.slots(family)], number), strict=True)
            roots = root[space.slots(family)].tolist()
            assert list(pairs) == [
                (index, expected[number].index(one)) for index, one in enumerate(roots) if one in expected[number]
            ]


def test_no_channels_make_no_clusters() -> None:
    space = SlotSpace.of({("a", 0): 2})
    members = Members.of([("a", 0)], space, np.arange(2), np.zeros(2, dtype=np.bool_))
    assert members.clusters({("a", 0): 0}) == []
    assert list(members.families_of(np.full(2, -1), 0)) == []
