"""The study of pruned forecasters: its arms, its table, and results that belong together."""

from __future__ import annotations

import pytest

from experiments.bench.runs import stored
from experiments.forecasting import run as forecasting


def test_every_target_has_every_law_and_the_dense_network_is_trained_as_long() -> None:
    arms = forecasting.curves(24).arms
    assert [arm.name for arm in arms[:4]] == ["dense", "none at 0.25", "uniform at 0.25", "exponential at 0.25"]
    assert len(arms) == 1 + len(forecasting.SHARES) * len(forecasting.LAWS)
    assert "trainer.max_epochs=6" in arms[0].overrides
    assert all("data.horizon=24" in arm.overrides for arm in arms)


def test_a_row_has_errors_and_latency() -> None:
    figures = {"macs": {"dense": 100, "pruned": 10}, "params": {"dense": 50, "pruned": 10}}
    latency = {f"batch_{size}": {"dense": 4.0, "pruned": 1.0} for size in (1, 32)}
    metric = {"dense": 0.4, "after_sparsify": 0.41, "after_cut": 0.42, "after_finetune": 0.43}
    one = {"horizon": 24, "arm": "uniform at 0.1", "seed": 0, "metric": metric, "mse": 0.5, "latency_ms": latency}
    scaled = {"horizon": 24, "arm": "scaled at 0.1", "seed": 0, "macs": figures["macs"], "mse": 0.7}
    table = forecasting.table([{**one, **figures}, {**scaled, "metric": {"after_finetune": 0.6}}])
    cells = "| 24 | uniform at 0.1 | 1 | 10.0x fewer | 5.0x fewer | 0.410 | 0.420 | 0.430 | 0.500 | 0.25 | 0.25 |"
    assert cells in table
    assert "| 24 | scaled at 0.1 | 1 | 10.0x fewer | - | - | - | 0.600 | 0.700 | - | - |" in table


def test_a_new_result_takes_its_place_among_those_of_its_horizon() -> None:
    late = {"horizon": 96, "arm": "dense", "seed": 0, "mse": 1.0}
    found = forecasting._merged([late], {"horizon": 24, "arm": "none at 0.1", "seed": 1})
    found = forecasting._merged(found, {"horizon": 24, "arm": "dense", "seed": 0})
    found = forecasting._merged(found, {"horizon": 96, "arm": "dense", "seed": 0, "mse": 2.0})
    assert [(one["horizon"], one["arm"]) for one in found] == [(24, "dense"), (24, "none at 0.1"), (96, "dense")]
    assert found[-1]["mse"] == 2.0


def test_stored_networks_keep_what_their_names_say() -> None:
    found = stored(forecasting.FOLDER / "results.json")
    assert found
    for one in found:
        share = float(one["arm"].rpartition(" ")[2]) if one["arm"] != "dense" else 1.0
        assert one["macs"]["pruned"] / one["macs"]["dense"] == pytest.approx(share, rel=0.03)
