"""inspect=true: groups and plan without training."""

from pathlib import Path

import torch
from configured import SMALL, TINY, UNPRUNED
from configured import config_of as composed

from experiments.training.assembly import build_data, build_model
from experiments.training.inspection import inspection


def test_groups_plan_and_reasons_are_told() -> None:
    text = inspection(composed(*TINY, "target.macs=0.4"))
    dense, pruned = 66_600, 0.4 * 66_600
    assert all(word in text for word in ("network.0", "channels", "kept", "network.11", "the model returns"))
    assert f"{dense / 1000:.2f} k" in text
    assert f"{dense / pruned:.1f}" in text
    assert "4 of 4 groups cut" in text


def test_without_a_target_the_groups_are_told() -> None:
    text = inspection(composed(*SMALL, *UNPRUNED))
    assert "groups: 4, not pruned: 1" in text
    assert "plan" not in text.lower()


def test_a_target_out_of_reach_is_said_so() -> None:
    assert "Out of reach" in inspection(composed(*TINY, "target.macs=0.0001"))


def test_the_weights_of_a_checkpoint_decide(tmp_path: Path) -> None:
    config = composed(*TINY, "target=threshold", "target.threshold=0.97", "coefficient=1e-3")
    assert "4 of 4 groups cut" in inspection(config)
    network = build_model(config, build_data(config)).network
    torch.save({name: torch.ones_like(value) for name, value in network.state_dict().items()}, tmp_path / "ones.pt")
    config.model.weights = str(tmp_path / "ones.pt")
    assert "0 of 4 groups cut" in inspection(config)


def test_no_data_are_needed(tmp_path: Path) -> None:
    config = composed("data=cifar100", "model=lenet5", f"paths.data={tmp_path}")
    assert "groups cut" in inspection(config)
    assert not list(tmp_path.iterdir())
