"""The experiment on steering: what a variant exchanges, what is run and what the table says."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from configured import ADVICE
from steered import SEGMENTS, start, steering

import physprune_pl.pressing.steering
from experiments.steering.run import HEAD, NETWORKS, SHARES, VariantRun, jobs, main, run, table
from experiments.steering.variants import DENSE, DENSE_ADAMW, STEERED, VARIANTS, OneSpeed, PressesAll, Variant
from experiments.training.assembly import build_pruning, composed
from physprune_pl.callbacks import force_regularization
from physprune_pl.callbacks.session import session
from physprune_pl.strengths import L2

pytestmark = [pytest.mark.filterwarnings(one) for one in ADVICE]


def test_force_on_all_presses_what_is_not_cut_as_well() -> None:
    plain = steering()
    everything = PressesAll(plain.chooser, SEGMENTS)
    strengths = start()
    for one in (plain, everything):
        one.update(0.0, 0.1, strengths, torch.ones_like(strengths))
        one.update(0.01, 0.1, strengths, torch.ones_like(strengths))
    assert torch.equal(plain.chosen, everything.chosen)
    kept = ~plain.chosen
    assert not plain.displacement(strengths, torch.ones_like(strengths))[kept].any()
    assert (everything.displacement(strengths, torch.ones_like(strengths)) > 0).all()
    assert torch.equal(everything.chosen, plain.chosen)


def test_one_speed_moves_all_groups_alike() -> None:
    one = OneSpeed(steering().chooser, SEGMENTS)
    strengths, law = start(), torch.ones_like(start())
    one.update(0.0, 0.1, strengths, law)
    strengths[SEGMENTS[0]] *= 0.2
    for progress in (0.1, 0.2):
        one.update(progress, 0.1, strengths, law)
    assert one.remaining.unique().numel() > 1
    assert one.speed.unique().numel() == 1


def test_parts_are_exchanged_for_the_time_of_a_fit_only() -> None:
    by_name = {variant.name: variant for variant in VARIANTS}
    with by_name["force on all channels"].exchanged():
        assert session.Steering is PressesAll
    with by_name["set frozen from the start"].exchanged():
        assert physprune_pl.pressing.steering.FREEZE == 0.0
    with by_name["at zero after 30 %"].exchanged():
        assert physprune_pl.pressing.steering.ARRIVAL == 0.3
        assert pytest.approx(0.2) == physprune_pl.pressing.steering.FREEZE
    sgd = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], 0.1)
    with by_name["weights scaled, not the gradient"].exchanged():
        assert not force_regularization.follows_gradients(sgd, L2())
    assert force_regularization.follows_gradients(sgd, L2())
    assert session.Steering is physprune_pl.pressing.steering.Steering
    assert physprune_pl.pressing.steering.FREEZE == 0.5


@pytest.mark.parametrize("variant", [DENSE, DENSE_ADAMW, *VARIANTS], ids=lambda variant: variant.name)
def test_every_variant_composes(variant: Variant) -> None:
    callbacks, cutter = build_pruning(composed(VariantRun("lenet5", 0.4, variant, 0).overrides(0.4, 20, 5)))
    assert (cutter is None) is (variant in (DENSE, DENSE_ADAMW))
    assert callbacks


def test_all_networks_and_shares_are_run() -> None:
    found = [job.key for job in jobs(["lenet5"], [0, 1])]
    assert len(found) == len(set(found)) == 2 * (2 + len(SHARES) * len(VARIANTS))
    assert found[0] == ("lenet5", 1.0, DENSE.name, 0)
    assert [job.variant for job in jobs(["lenet5"], [0], [STEERED])] == [DENSE, *[STEERED] * len(SHARES)]
    assert [job.share for job in jobs(["lenet5"], [0], [STEERED], [0.4])] == [1.0, 0.4]


@pytest.mark.parametrize(("network", "data"), list(zip(NETWORKS, ("Digits", "Digits", "CIFAR10"), strict=True)))
def test_every_network_has_its_own_data(network: str, data: str) -> None:
    config = composed(VariantRun(network, 0.4, STEERED, 0).overrides(0.4, 20, 5))
    assert config.data._target_ == f"experiments.training.data.{data}"


def test_the_help_names_the_variants(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "at zero after 30 %" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("cuts", [1, 2])
def test_a_run_measures_before_and_after_the_cuts(cuts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NETWORKS, "small", replace(NETWORKS["lenet5"], sparsify=2, finetune=1))
    tiny = ("data.batch_size=400",)
    result = run(VariantRun("small", 0.5, Variant("tiny", tiny, cuts=cuts), 0))
    scores = result["val_accuracy"]
    assert scores["lost"] == pytest.approx(scores["before"] - scores["after"])
    assert all(0 <= scores[name] <= 1 for name in ("before", "after", "final"))


def result(share: float, variant: str, **scores: float) -> dict[str, Any]:
    return {"network": "lenet5", "share": share, "variant": variant, "seed": 0, "val_accuracy": scores}


def test_the_table_compares_with_the_dense_network_of_the_seed() -> None:
    dense = result(1.0, DENSE.name, before=0.95, after=0.95, lost=0.0, final=0.95)
    steered = result(0.4, STEERED.name, before=0.9, after=0.89, lost=0.01, final=0.92)
    lines = table([dense, steered]).splitlines()
    assert lines[0] == f"| {' | '.join(HEAD)} |"
    adamw = [result(1.0, DENSE_ADAMW.name, before=0.99, after=0.99, lost=0.0, final=0.99)]
    adamw += [result(0.4, "AdamW (weights scaled)", before=0.9, after=0.9, lost=0.0, final=0.9)]
    assert "| lenet5 | 40% | AdamW (weights scaled) | 1 | 90.00 | 9.00 | 0.00 | 90.00 |" in table([*adamw, dense])
    assert lines[3] == "| lenet5 | 40% | as it is (uniform) | 1 | 90.00 | 5.00 | 1.00 | 92.00 |"
