"""LightningCLI with physics_pruning on its command line."""

import sys

import pytest
from lightning.pytorch.callbacks import ModelCheckpoint
from small import Classifier, data

from physprune_pl.callbacks.factory import PhysicsPruning

# Lightning calls methods of jsonargparse that newer versions of it call old.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

QUIET = [f"--trainer.{name}=false" for name in ("logger", "enable_progress_bar", "enable_model_summary")]


class Module(Classifier):
    """Of plain arguments alone."""

    def __init__(self) -> None:
        super().__init__()

    def train_dataloader(self):
        return data()

    val_dataloader = train_dataloader


@pytest.fixture
def command_line(monkeypatch):
    pytest.importorskip("docstring_parser")
    from physprune_pl.callbacks.pruning_cli import PruningCLI

    monkeypatch.setattr(sys, "argv", ["main.py"])

    def start(*words, run=True):
        return PruningCLI(Module, args=[*words], run=run, save_config_callback=None, seed_everything_default=0)

    return start


def test_a_fit_prunes_as_the_command_line_says(command_line, tmp_path):
    words = ["--trainer.max_epochs=2", f"--trainer.default_root_dir={tmp_path}", "--trainer.accelerator=cpu", *QUIET]
    pruning = ["--pruning.force=gravity", "--pruning.target.macs=0.5", "--pruning.finetune_epochs=1"]
    cli = command_line("fit", *words, *pruning)
    assert cli.pruning.report.fit["law"] == "gravity"
    assert cli.pruning.report.fit["epochs"] == {"sparsify": 2, "finetune": 1}
    assert cli.model.net[0].out_channels < 8


def test_the_callbacks_of_the_configuration_stay(command_line, tmp_path):
    (tmp_path / "main.yaml").write_text(
        "trainer:\n  callbacks:\n    - class_path: lightning.pytorch.callbacks.ModelCheckpoint\n"
        "pruning: {target: {macs: 0.25}, force: uniform, finetune_epochs: 3}\n"
    )
    cli = command_line("--config", str(tmp_path / "main.yaml"), *QUIET, run=False)
    kinds = [type(one) for one in cli.trainer.callbacks]
    assert {ModelCheckpoint, PhysicsPruning} <= set(kinds)
    assert cli.pruning[-1].target.share == 0.25
    assert cli.pruning[-1].finetune_epochs == 3


def test_a_wrong_argument_is_named_before_anything_is_made(command_line, capsys):
    with pytest.raises(SystemExit):
        command_line("fit", "--pruning.target.macs=0.5", "--pruning.finetune_epochs=many")
    assert "finetune_epochs" in capsys.readouterr().err
