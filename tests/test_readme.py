"""README: every block of code runs, every command is one that its program takes, every link leads somewhere."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as L
import pytest
import torch
from configured import ROOT
from lightning.pytorch.cli import LightningCLI
from lightning.pytorch.loggers import CSVLogger
from omegaconf import OmegaConf
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from experiments import readme
from experiments.training.assembly import composed
from physprune_pl import apply_plan, forces, load_pruned, physics_pruning, plan_pruning, trace_groups
from physprune_pl.commands import parser
from physprune_pl.export import export_program, missing

TEXT = (ROOT / "README.md").read_text()

# What Lightning advises about tiny fits is of no interest here.
pytestmark = pytest.mark.filterwarnings("default")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def commands() -> Iterator[list[str]]:
    for block in blocks("bash"):
        for line in block.splitlines():
            yield shlex.split(line, comments=True)


class Module(L.LightningModule):
    def __init__(self, rate: float = 0.05) -> None:
        super().__init__()
        self.net, self.rate = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 16), nn.Linear(16, 2)), rate
        self.example_input_array = torch.zeros(1, 4)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.net(rows)

    def training_step(self, batch: list[torch.Tensor], _: int) -> torch.Tensor:
        return nn.functional.cross_entropy(self(batch[0]), batch[1])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=self.rate)

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(TensorDataset(torch.randn(16, 4), torch.arange(16) % 2), batch_size=8)


def names(tmp_path: Path) -> dict[str, Any]:
    """What the text says was imported or made before, with a fit of six epochs for the eighty of the three lines."""

    class Trainer(L.Trainer):
        def __init__(self, max_epochs: int, callbacks: list[L.Callback]) -> None:
            quiet = {"enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
            logger = CSVLogger(tmp_path, None, "logs")
            super().__init__(max_epochs=max_epochs // 10, callbacks=callbacks, logger=logger, **quiet)

        def fit(self, model: Any, datamodule: Any = None) -> None:
            super().fit(model, datamodule)
            self.save_checkpoint("last.ckpt")

    model = Module()
    own = {"L": SimpleNamespace(Trainer=Trainer), "model": model, "data": None, "build_model": Module}
    own |= {"example_input": model.example_input_array, "optimizer": torch.optim.SGD(model.parameters(), lr=0.1)}
    own |= {one.__name__: one for one in (physics_pruning, trace_groups, plan_pruning, apply_plan, load_pruned)}
    return own | {"LightningCLI": LightningCLI}


def test_every_block_of_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fit, free, cli, law, export = blocks("python")
    own = names(tmp_path)
    exec(fit.replace("callbacks = physics_pruning(", "callbacks = physics_pruning(finetune_epochs=2, "), own)
    assert own["callbacks"][-1].report.macs["pruned"] < own["callbacks"][-1].report.macs["dense"]
    assert {"report.html", "report.json", "report.md"} <= {path.name for path in (tmp_path / "logs").iterdir()}

    own |= {"model": Module(), "optimizer": torch.optim.SGD(Module().parameters(), lr=0.1)}
    exec(free, own)
    assert own["model"].net[0].out_features == own["trainer"].model.net[0].out_features < 16

    exec("from dataclasses import dataclass\nfrom torch import Tensor\nfrom physprune_pl import *", own)
    assert own["ForceLaw"] is forces.ForceLaw
    exec(law, own)
    assert own["callbacks"][0].law.force == own["Spring"](2.0)

    exec("from physprune_pl.export import export_onnx, export_program", own)
    if any(missing()):
        own["export_onnx"] = export_program
    exec(export, own)
    assert {"model.onnx", "model.pt2"} <= {path.name for path in tmp_path.iterdir()}

    exec(cli, own)
    quiet = [f"--trainer.{name}=false" for name in ("logger", "enable_checkpointing", "enable_progress_bar")]
    arguments = ["--trainer.max_epochs=1", *quiet, "--pruning.force=gravity", "--pruning.target.macs=0.5"]
    built = own["PruningCLI"](Module, args=arguments, run=False, save_config_callback=None, seed_everything_default=0)
    assert type(built.trainer.callbacks[0].law.force).__name__ == "Gravity"


def test_every_block_of_yaml_means_what_the_text_says(tmp_path: Path) -> None:
    cli, hydra = blocks("yaml")
    (tmp_path / "cli.yaml").write_text(cli)
    built = LightningCLI(
        Module,
        args=["--config", str(tmp_path / "cli.yaml"), "--trainer.logger=false"],
        run=False,
        save_config_callback=None,
        seed_everything_default=0,
    )
    assert [type(one).__name__ for one in built.trainer.callbacks[:2]] == ["ForceRegularization", "PruneAndFinetune"]
    # Composed from the wheel in test_package.py.
    assert OmegaConf.create(hydra).hydra.searchpath == ["pkg://physprune_pl.conf"]
    assert f"{OmegaConf.create(hydra).defaults[0]}.yaml" in {path.name for path in (ROOT / "conf").iterdir()}


def test_every_command_is_understood() -> None:
    makefile = (ROOT / "Makefile").read_text()
    seen = set()
    for program, *words in commands():
        if program == "make":
            assert f"\n{words[0]}: " in makefile
        elif words[:2] == ["-m", "physprune_pl"]:
            parser().parse_args(words[2:])
        else:
            assert words[0] == "train.py"
            sweep = words[1] == "-m"
            composed([word.split(",")[0] for word in words[1 + sweep :] if not word.startswith("hydra.")])
        seen.add(words[0])
    assert seen == {"demo", "test", "-m", "train.py"}


def test_every_link_leads_somewhere_and_no_line_is_too_long() -> None:
    headings = {re.sub(r"[^\w -]", "", line.lstrip("# ").lower()).replace(" ", "-") for line in TEXT.splitlines()}
    for link in re.findall(r"\]\(([^)\s]+)\)", TEXT):
        if link.startswith("#"):
            assert link[1:] in headings, link
        elif not link.startswith("https://"):
            assert (ROOT / link).exists(), link
    # Tables cannot be broken; a line of prose has at most 120 characters.
    assert all(len(line) <= 120 for line in TEXT.splitlines() if not line.startswith("|"))


def test_the_table_is_that_of_the_stored_results() -> None:
    assert readme.results_table() in TEXT, "make it anew: python -m experiments.readme"
