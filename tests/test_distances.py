import pytest
import reference
import torch

from physprune_pl.distances import DISTANCES, Distance, IndexDistance, resolve_distance, resolve_pivot

TWINS = {
    "index": reference.index_distance,
    "rank": reference.rank_distance,
    "strength_gap": reference.strength_gap,
}
TABLE = [  # name, strengths, pivot, distances by hand
    ("index", [5.0, 1.0, 3.0, 2.0], 0, [0, 1, 2, 3]),
    ("index", [5.0, 1.0, 3.0, 2.0], 2, [2, 1, 0, 1]),
    ("rank", [5.0, 1.0, 3.0, 2.0], 0, [0, 3, 1, 2]),
    ("rank", [5.0, 1.0, 3.0, 2.0], 2, [1, 2, 0, 1]),
    ("rank", [2.0, 2.0, 2.0], 0, [0, 1, 2]),
    ("strength_gap", [5.0, 1.0, 3.0, 2.0], 0, [0, 3, 1.5, 2.25]),
    ("strength_gap", [5.0, 1.0, 3.0, 2.0], 2, [3, 3, 0, 1.5]),
    ("strength_gap", [2.0, 2.0, 2.0], 1, [0, 0, 0]),
    ("index", [1.0], 0, [0]),
    ("rank", [1.0], 0, [0]),
    ("strength_gap", [1.0], 0, [0]),
]


@pytest.mark.parametrize(("name", "strengths", "pivot", "by_hand"), TABLE)
def test_distance_equals_hand_and_twin(name, strengths, pivot, by_hand):
    actual = resolve_distance(name)(torch.tensor(strengths), pivot)
    reference.close(actual, by_hand)
    reference.close(actual, TWINS[name](strengths, pivot))


@pytest.mark.parametrize("name", DISTANCES)
@pytest.mark.parametrize("pivot", [0, 5, 9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_distance_keeps_the_contract(name, pivot, dtype):
    strengths = torch.rand(10, dtype=dtype)
    strengths[3] = strengths[7] = 0.0
    distance = resolve_distance(name)(strengths, pivot)
    assert distance.shape == strengths.shape
    assert distance.dtype == dtype
    assert distance[pivot] == 0
    assert 0 <= distance.min() <= distance.max() <= 9
    reference.close(distance, TWINS[name](strengths.tolist(), pivot))


@pytest.mark.parametrize(("pivot", "index"), [(0, 0), (3, 3), ("first", 0), ("middle", 2), ("strongest", 1)])
def test_pivot_by_index_and_by_name(pivot, index):
    assert resolve_pivot(pivot, torch.tensor([1.0, 4.0, 2.0, 3.0])) == index


def test_middle_of_one_channel_is_that_channel():
    assert resolve_pivot("middle", torch.ones(1)) == 0


def test_own_distance():
    class Ring(Distance):
        def __call__(self, strength, pivot):
            straight = IndexDistance()(strength, pivot)
            return torch.minimum(straight, len(strength) - straight)

    reference.close(resolve_distance(Ring())(torch.ones(5), 0), [0, 1, 2, 2, 1])


@pytest.mark.parametrize("pivot", [-1, 4])
def test_pivot_out_of_range_is_an_error(pivot):
    with pytest.raises(ValueError, match=f"pivot: expected an index from 0 to 3 in a group of 4 channels, got {pivot}"):
        resolve_pivot(pivot, torch.ones(4))


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"pivot.*'first', 'middle', 'strongest'.*'last'"):
        resolve_pivot("last", torch.ones(4))
    for bad in (1.5, True, None):
        with pytest.raises(TypeError, match="pivot: expected an integer or a name"):
            resolve_pivot(bad, torch.ones(4))
    with pytest.raises(ValueError, match=rf"distance.*{', '.join(map(repr, sorted(DISTANCES)))}.*'gap'"):
        resolve_distance("gap")
    with pytest.raises(TypeError, match="distance: expected a name or a Distance"):
        resolve_distance(IndexDistance)
