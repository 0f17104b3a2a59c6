"""The fit without checkpoints and logs."""

from pathlib import Path

import lightning as L
import pytest
from configured import ADVICE, DENSE, TINY, config_of

from experiments.bench.phases import accuracy_of_phases
from experiments.training.assembly import build_data, build_model

pytestmark = [pytest.mark.filterwarnings(one) for one in ADVICE]


def phases_of(folder: Path, *overrides: str) -> tuple[dict[str, float], int]:
    """The accuracies and how many parameters are left."""
    config = config_of(*overrides, "seed=0", f"paths.output={folder}")
    L.seed_everything(0, workers=True, verbose=False)
    data = build_data(config)
    model = build_model(config, data)
    found = accuracy_of_phases(config, model, data, folder)
    return found, sum(one.numel() for one in model.parameters())


def test_a_network_is_cut_and_every_phase_measured(tmp_path: Path) -> None:
    dense, whole = phases_of(tmp_path, *DENSE)
    assert len(set(dense.values())) == 1
    found, left = phases_of(tmp_path, *TINY, "force=none", "target.macs=0.3")
    assert left < whole
    assert found["after_sparsify"] == dense["final"]
    assert all(0.0 <= value <= 1.0 for value in found.values())
    assert [path.name for path in tmp_path.iterdir()] == ["pruning"]


def test_without_fine_tuning_the_end_is_right_after_the_cut(tmp_path: Path) -> None:
    found, _ = phases_of(tmp_path, *TINY, "force=none", "target.macs=0.3", "finetune.epochs=0")
    assert found["final"] == found["after_cut"]
