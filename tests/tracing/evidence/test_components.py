"""Connected slots against a union-find that goes one edge at a time."""

import random

import numpy as np
import pytest
import torch

from physprune_pl.tracing.evidence.components import SlotSpace, connected


def naive(size, edges):
    """Smallest node of every node's component."""
    parent = list(range(size))

    def root(node):
        while parent[node] != node:
            node = parent[node]
        return node

    for one, other in edges:
        low, high = sorted((root(one), root(other)))
        parent[high] = low
    return [root(node) for node in range(size)]


def ours(size, edges):
    ends = np.array(edges, dtype=np.int64).reshape(-1, 2)
    return connected(size, ends[:, 0], ends[:, 1]).tolist()


@pytest.mark.parametrize("seed", range(40))
def test_random_graphs(seed):
    chance = random.Random(seed)
    size = chance.randint(1, 60)
    edges = [(chance.randrange(size), chance.randrange(size)) for _ in range(chance.randint(0, 2 * size))]
    assert ours(size, edges) == naive(size, edges)


def path(size):
    return [(node, node + 1) for node in range(size - 1)]


SHAPES = {
    "nothing": (0, []),
    "no edge": (4, []),
    "loops": (3, [(0, 0), (2, 2)]),
    "path": (500, path(500)),
    "path backwards": (500, [(high, low) for low, high in path(500)][::-1]),
    "shuffled path": (300, random.Random(0).sample(path(300), 299)),
    "star at the largest": (50, [(49, node) for node in range(49)]),
    "two combs": (40, [(node, node + 2) for node in range(38)]),
    "the same edge twice": (3, [(2, 1), (1, 2), (2, 1)]),
}


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_that_are_hard_to_walk(name):
    size, edges = SHAPES[name]
    assert ours(size, edges) == naive(size, edges)


def test_the_order_of_edges_and_ends_does_not_matter():
    chance = random.Random(1)
    edges = [(chance.randrange(30), chance.randrange(30)) for _ in range(25)]
    shuffled = [edge[:: chance.choice((1, -1))] for edge in chance.sample(edges, len(edges))]
    assert ours(30, edges) == ours(30, shuffled)


# --- slots -----------------------------------------------------------------------------------------------------------

SIZES = {("a.weight", 0): 3, ("a.weight", 1): 2, ("b.bias", 0): 4, ("empty", 0): 0}


def test_families_lie_one_after_the_other():
    space = SlotSpace.of(SIZES)
    assert space.size == 9
    assert space.slots(("a.weight", 0)).tolist() == [0, 1, 2]
    assert space.slots(("a.weight", 1)).tolist() == [3, 4]
    assert space.slots(("b.bias", 0)).tolist() == [5, 6, 7, 8]
    assert space.slots(("empty", 0)).tolist() == []
    assert space.slots(("b.bias", 0), torch.tensor([3, 0])).tolist() == [8, 5]


def test_linked_slots_have_the_same_root():
    space = SlotSpace.of(SIZES)
    links = [
        (("a.weight", 0), torch.tensor([0, 2]), ("b.bias", 0), torch.tensor([1, 3])),
        (("b.bias", 0), torch.tensor([3]), ("a.weight", 1), torch.tensor([0])),
    ]
    assert space.components(links).tolist() == [0, 1, 2, 2, 4, 5, 0, 7, 2]


def test_without_links_every_slot_is_alone():
    assert SlotSpace.of(SIZES).components([]).tolist() == list(range(9))
    assert SlotSpace.of({}).components([]).tolist() == []


@pytest.mark.parametrize("seed", range(5))
def test_random_links(seed):
    chance = random.Random(seed)
    families = {(f"t{place}", dim): chance.randint(1, 6) for place in range(5) for dim in range(2)}
    space, links, edges = SlotSpace.of(families), [], []
    for _ in range(6):
        one, other = chance.choices(list(families), k=2)
        pairs = [(chance.randrange(families[one]), chance.randrange(families[other])) for _ in range(3)]
        left, right = torch.tensor(pairs).unbind(1)
        links.append((one, left, other, right))
        edges += [(space.offsets[one] + a, space.offsets[other] + b) for a, b in pairs]
    assert space.components(links).tolist() == naive(space.size, edges)
