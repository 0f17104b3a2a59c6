"""Times between the widths that were measured, and what a network takes by them."""

from __future__ import annotations

import numpy as np
import pytest

from physprune_pl.latency import Correction, Layer, LayerShape, NetworkLatency, Rest
from physprune_pl.latency.correction import STEP
from physprune_pl.latency.grids import Grid, Grids


def test_between_two_widths_times_are_linear_in_rows_and_in_columns():
    grid = Grid((2, 4, 8), (1, 3), ((1.0, 2.0), (2.0, 4.0), (6.0, 8.0)))
    times = Grids([grid])
    assert times(np.array([[4.0]]), np.array([[3.0]])).tolist() == [[4.0]]
    assert times(np.array([[3.0]]), np.array([[2.0]])).tolist() == [[2.25]]
    assert times(np.array([[1.0]]), np.array([[1.0]])).tolist() == [[1.0]], "below the smallest it stays"


def test_grids_of_different_sizes_are_asked_at_once():
    one, other = Grid((5,), (7,), ((3.0,),)), Grid((1, 2), (1, 2, 4), ((1.0, 2.0, 4.0), (2.0, 4.0, 8.0)))
    times = Grids([one, other])
    assert times(np.array([5.0, 2.0]), np.array([7.0, 3.0])).tolist() == [3.0, 6.0]


def test_what_contradicts_that_less_takes_no_longer_is_evened_out():
    table = Grid((1, 2, 3), (1,), ((1.0,), (5.0,), (3.0,))).table
    assert table[:, 0].tolist() == [1.0, 4.0, 4.0]
    noisy = Grid.measured(tuple(range(1, 9)), tuple(range(1, 6)), lambda r, c: 1.0 + (r * 7 + c * 5) % 11)
    assert (np.diff(noisy.table, axis=0) >= 0).all()
    assert (np.diff(noisy.table, axis=1) >= 0).all()


def test_a_grid_survives_json():
    grid = Grid((1, 4), (2, 8), ((1.0, 2.0), (3.0, 4.5)))
    assert Grid.from_dict(grid.to_dict()) == grid


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "rows, columns and milliseconds"),
        ({"rows": [1], "columns": [1], "milliseconds": [[0.0]]}, "positive numbers"),
        ({"rows": [1, 2], "columns": [1], "milliseconds": [[1.0]]}, "2 rows of 1 times"),
        ({"rows": [2, 1], "columns": [1], "milliseconds": [[1.0], [2.0]]}, "rows: expected ascending"),
        ({"rows": [1], "columns": [0], "milliseconds": [[1.0]]}, "columns: expected ascending"),
    ],
)
def test_refuses_what_is_no_grid(data, message):
    with pytest.raises(ValueError, match=message):
        Grid.from_dict(data)


@pytest.mark.parametrize(
    ("rest", "tolerance"), [(Rest(1.5, 2.0, 0.0), 1e-6), (Rest(0.0, 1.0, 4.0), 1e-6), (Rest(1.0, 0.0, 0.0), 1e-6)]
)
def test_the_rest_is_found_again_from_times_that_it_makes(rest, tolerance):
    layers, outputs = np.array([8.0, 4.6, 2.1, 0.6]), np.array([4.0, 3.0, 2.0, 1.0])
    measured = rest.scale * layers + rest.fixed + rest.per_million * outputs
    found = Rest.fitted(layers.tolist(), outputs.tolist(), measured.tolist())
    assert (found.scale, found.fixed, found.per_million) == pytest.approx(
        (rest.scale, rest.fixed, rest.per_million), abs=tolerance
    )


def test_nothing_in_the_rest_is_negative():
    found = Rest.fitted([4.0, 3.0, 2.0], [3.0, 2.0, 1.0], [10.0, 6.0, 2.0])
    assert min(found.scale, found.fixed, found.per_million) >= 0


def layer(weight: str, rows: int, columns: int) -> Layer:
    return Layer(weight, LayerShape("linear", (1, columns), (rows, columns)), outputs=1.0)


def network() -> NetworkLatency:
    grids = [Grid.measured((1, rows), (1, columns), lambda r, c: r * c) for rows, columns in ((4, 3), (2, 4))]
    return NetworkLatency((layer("one", 4, 3), layer("two", 2, 4)), tuple(grids), Rest(2.0, 5.0, 0.0))


def place(name: str, dim: int) -> tuple[int | None, int]:
    """The rows of one are the columns of two."""
    return {("one", 0): (0, 4), ("one", 1): (None, 3), ("two", 0): (None, 2), ("two", 1): (0, 4)}[name, dim]


def test_a_network_takes_its_layers_and_the_rest():
    times = network().placed(place)
    assert times(np.array([[4.0], [2.0]])).tolist() == [2 * (12 + 8) + 5, 2 * (6 + 4) + 5]


def test_a_cut_network_corrects_what_the_others_save():
    corrected = Correction(20 / 45).corrected(network(), expected=25 / 45, measured=20 / 45).placed(place)
    assert corrected(np.array([[4.0], [2.0]])).tolist() == pytest.approx([45.0, 20.0])


@pytest.mark.parametrize(("expected", "measured", "gain"), [(1.0, 0.5, 1.0), (0.5, 1.2, STEP), (0.9, 0.1, 1 / STEP)])
def test_one_correction_is_no_larger_than_a_step(expected, measured, gain):
    assert Correction(0.5).corrected(network(), expected, measured).gain == pytest.approx(gain)
