"""What a report says to do next is true: its lines load, export, serve and time the network of the fit."""

import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.loggers import CSVLogger
from small import data, trainer

from physprune_pl.callbacks import physics_pruning
from physprune_pl.commands import main
from physprune_pl.export import missing
from physprune_pl.reports.fit_facts import FitFacts
from physprune_pl.reports.next_steps import NextStep, next_steps
from physprune_pl.reports.page import read_run

HEAD = """
import torch
from lightning.pytorch import LightningModule
from torch import nn


class Module(LightningModule):
"""
STEPS = """
    def training_step(self, batch, batch_idx):
        return nn.functional.cross_entropy(self.CALLED(batch[0]), batch[1])

    def validation_step(self, batch, batch_idx):
        self.log("val_acc", (self.net(batch[0]).argmax(1) == batch[1]).float().mean())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def net(width):
    return nn.Sequential(nn.Conv2d(1, width, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 2))
"""
FORWARD = """
    def forward(self, pictures):
        return self.net(pictures)
"""
KINDS = {
    "no arguments": "    def __init__(self):\n        super().__init__()\n        self.net = net(8)\n" + FORWARD,
    "saved arguments": "    def __init__(self, width, name='a b'):\n        super().__init__()\n"
    "        self.save_hyperparameters()\n        self.net = net(width)\n" + FORWARD,
    "arguments that are not saved": "    def __init__(self, width=8):\n        super().__init__()\n"
    "        self.net = net(width)\n" + FORWARD,
    "no forward of its own": "    def __init__(self):\n        super().__init__()\n        self.net = net(8)\n",
}
"""What is known of a module -> its code."""


def fitted(kind: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> LightningModule:
    """Fit a module that a file of its own defines, as a user's project does; everything is in the folder."""
    called = "self" if "def forward" in KINDS[kind] else "self.net"
    (folder / "own_project.py").write_text(HEAD + KINDS[kind] + STEPS.replace("self.CALLED", called))
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "own_project", raising=False)
    module: LightningModule = __import__("own_project").Module(**{"width": 8} if kind == "saved arguments" else {})
    pruning = physics_pruning("uniform", target={"macs": 0.375}, finetune_epochs=1)
    settings: dict[str, Any] = {"logger": CSVLogger(folder, "logs", ""), "enable_checkpointing": True}
    trainer(*pruning, epochs=2, **settings).fit(module, data(), data())
    return module.eval()


def follow(steps: list[NextStep], names: dict[str, Any]) -> None:
    for step in steps:
        if step.language == "python":
            exec(compile(step.code, step.what, "exec"), names)
        else:
            words = shlex.split(step.code)
            assert words[:3] == ["python", "-m", "physprune_pl"]
            assert main(words[3:]) == 0


@pytest.mark.skipif(any(missing()), reason="needs onnx and onnxscript")
@pytest.mark.parametrize("kind", KINDS)
def test_every_step_of_the_report_does_what_it_says(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxruntime")
    module = fitted(kind, tmp_path, monkeypatch)
    run = read_run(tmp_path / "logs")
    steps = next_steps(run.report.facts, run.report.metric, str(run.folder))
    names: dict[str, Any] = {}
    follow(steps, names)

    assert [step.what for step in steps[:3]] == ["Load", "Export", "Serve"]
    assert [step.what for step in steps[3:-1]] == (["Time"] if kind in ("no arguments", "saved arguments") else [])
    loaded = {name: tensor for name, tensor in names["module"].state_dict().items()}
    assert loaded.keys() == module.state_dict().keys()
    assert all(torch.equal(tensor, module.state_dict()[name]) for name, tensor in loaded.items())
    assert loaded["net.0.weight"].shape[0] == 3
    served = torch.as_tensor(names["outputs"][0])
    assert torch.allclose(served, module.net(torch.ones(1, 1, 6, 6)), atol=1e-5)
    # The last step, which follows the words "add it to this report", did.
    assert read_run(tmp_path / "logs").report.metric["dense"] == 0.93


def test_the_sentence_names_what_was_fitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted("no arguments", tmp_path, monkeypatch)
    report = read_run(tmp_path / "logs").report
    # Whether there is a seed depends on what this process has run before.
    begin = r"Module on TensorDataset, law uniform, target 37\.5 % of the MACs, 2 \+ 1 epochs(, seed \d+)?: "
    assert re.match(begin, report.sentence())
    assert "x fewer MACs (" in report.sentence()
    assert "val_acc (val)" in report.sentence()
    text = (tmp_path / "logs" / "pruning" / "report.md").read_text()
    assert report.sentence() in text
    assert "## Use it next" in text
    assert report.sentence().splitlines()[0] in report.table()


def test_a_module_that_no_other_program_can_import_is_loaded_in_its_own(tmp_path: Path) -> None:
    class Local(LightningModule):
        pass

    assert Local.__qualname__ != "Local"
    facts = FitFacts("Local", home="fit.py", inputs=("1,4",), checkpoint="last.ckpt")
    load, export, *_ = next_steps(facts, {"dense": 0.5})
    assert load.code == "from physprune_pl import load_pruned\n\nmodule = load_pruned(module, 'last.ckpt')"
    assert "(fit.py)" in load.note
    assert "export_onnx(module, torch.zeros(1, 4), 'model.onnx')" in export.code


def test_without_a_checkpoint_the_first_step_saves_one() -> None:
    steps = next_steps(FitFacts("Module", factory="own:Module", inputs=("1,4",)), {"dense": 0.5})
    assert [step.what for step in steps] == ["Save", "Load", "Export", "Serve", "Time"]
    assert steps[0].code == "trainer.save_checkpoint('pruned.ckpt')"
    assert all("pruned.ckpt" in step.code for step in steps if step.what != "Serve")


def test_a_report_of_an_older_version_has_no_steps() -> None:
    assert next_steps(FitFacts.of({}), {}) == []
