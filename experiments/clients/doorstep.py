"""What a new user does with one client, stage by stage; a stage that fails is a finding, and the next is tried."""

from __future__ import annotations

import importlib
import pickle
import time
import traceback
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from lightning.pytorch import seed_everything

import physprune_pl
from experiments.clients.client import Client
from physprune_pl import PruningReport, apply_plan, load_pruned, physics_pruning

Row = dict[str, Any]

# The default of physics_pruning, whose arguments are left alone.
FINETUNE_EPOCHS = 20
SAVED_EVERY = 5
OURS = str(Path(physprune_pl.__file__).parent)
QUIET = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False, "accelerator": "cpu"}


@dataclass
class Visit:
    """One client, one seed, and what the stages before have found.

    Attributes:
        client: the library.
        seed: of the weights, the order of the data and everything else.
        folder: for the checkpoints.
        trainer: of the last fit, dense or pruned.
        module: that it fitted.
        metric: validation metric of the pruned module.
        removed: name of the network in it, and the plan of what was removed.
    """

    client: Client
    seed: int
    folder: Path
    trainer: Any = None
    module: Any = None
    metric: float = float("nan")
    removed: Any = None

    def dense(self) -> Row:
        """Fit without pruning for as many epochs in all."""
        return self._plain_fit(self._fresh(), self.folder / "dense")

    def small(self) -> Row:
        """Fit a network of the pruned sizes and random weights for as many epochs in all."""
        module, (name, plan) = self._fresh(), self.removed
        apply_plan(module.get_submodule(name), plan)
        return self._plain_fit(module, self.folder / "small")

    def pruned(self) -> Row:
        """Fit with the three lines; say what is left."""
        self.module, callbacks = self._fresh(), self._callbacks()
        self.trainer = self._trainer(self.module, self.client.epochs, [*callbacks, self._saving(self.folder)])
        self.trainer.fit(self.module, **self.client.data.to_fit())
        self.metric = self._validated(self.module)
        self.removed = (callbacks[-1].record.prefix.removesuffix("."), callbacks[-1].plan)
        return {"metric": self.metric} | _left(callbacks[-1].report)

    def tested(self) -> Row:
        """Test, or validate, the file that the fit before calls its best, with the trainer that fitted.

        Hyper-parameters of many libraries are objects of theirs, which torch refuses to load unless it is told to.
        """
        tests = type(self.module).test_step is not lightning_of(self.module).LightningModule.test_step
        run = self.trainer.test if tests else self.trainer.validate
        run = partial(run, self.module, **self.client.data.to_evaluate(), ckpt_path="best", verbose=False)
        row = {"by": "test" if tests else "validate", "plain": True}
        try:
            found = run()
        except pickle.UnpicklingError:
            row["plain"], found = False, run(weights_only=False)
        return row | {"values": len(found[0])}

    def reloaded(self) -> Row:
        """Load the last file into a module as its code builds it; it validates as the fit ended."""
        return self._like_the_fit(load_pruned(self._fresh(), self._file(self.client.epochs + FINETUNE_EPOCHS)))

    def resumed(self, epochs: int) -> Row:
        """Resume the fit from its file after so many epochs; it ends as it did."""
        module = self._fresh()
        callbacks = [*self._callbacks(), self._saving(self.folder / f"from_{epochs}")]
        trainer = self._trainer(module, self.client.epochs, callbacks)
        trainer.fit(module, **self.client.data.to_fit(), ckpt_path=self._file(epochs), weights_only=False)
        return self._like_the_fit(module)

    def _plain_fit(self, module: Any, folder: Path) -> Row:
        self.module = module
        self.trainer = self._trainer(module, self.client.epochs + FINETUNE_EPOCHS, [self._saving(folder)])
        self.trainer.fit(module, **self.client.data.to_fit())
        return {"metric": self._validated(module)}

    def _fresh(self) -> Any:
        seed_everything(self.seed, verbose=False)
        return self.client.module()

    def _callbacks(self) -> list[Any]:
        return list(physics_pruning(force="exponential", target=dict([self.client.target])))

    def _saving(self, folder: Path) -> Any:
        saving = lightning_of(self.module).callbacks.ModelCheckpoint
        return saving(folder, "{epoch}", save_top_k=-1, every_n_epochs=SAVED_EVERY)

    def _trainer(self, module: Any, epochs: int, callbacks: list[Any] | None = None) -> Any:
        arguments = (
            QUIET
            | {"enable_checkpointing": bool(callbacks), "default_root_dir": self.folder}
            | dict(self.client.trainer)
        )
        return lightning_of(module).Trainer(max_epochs=epochs, callbacks=callbacks, **arguments)

    def _file(self, epochs: int) -> Path:
        return self.folder / f"epoch={epochs - 1}.ckpt"

    def _validated(self, module: Any) -> float:
        seed_everything(self.seed, verbose=False)
        found = self._trainer(module, 1).validate(module, **self.client.data.to_evaluate(), verbose=False)
        return float(found[0][self.client.metric])

    def _like_the_fit(self, module: Any) -> Row:
        metric = self._validated(module)
        same = _shapes(module) == _shapes(self.module)
        return {"metric": metric, "difference": abs(metric - self.metric), "same_shapes": same}


def lightning_of(module: Any) -> ModuleType:
    """Return the package whose LightningModule it is: ``lightning.pytorch`` or ``pytorch_lightning``."""
    bases = [one.__module__ for one in type(module).__mro__ if one.__name__ == "LightningModule"]
    return importlib.import_module(bases[-1].removesuffix(".core.module"))


def visit(client: Client, seed: int, folder: Path) -> Row:
    """Return what every stage found, its seconds of processor time, and warnings of ours."""
    torch.set_num_threads(1)
    one, row = Visit(client, seed, folder), Row()
    stages: Mapping[str, Callable[[], Row]] = {
        "dense": one.dense,
        "dense_tested": one.tested,
        "pruned": one.pruned,
        "tested": one.tested,
        "reloaded": one.reloaded,
        "resumed_under_force": partial(one.resumed, client.epochs - SAVED_EVERY),
        "resumed_after_cut": partial(one.resumed, client.epochs + SAVED_EVERY),
        "small": one.small,
    }
    for name, stage in stages.items():
        row[name] = _told(stage)
        if "failure" in row[name] and name in ("dense", "pruned"):
            break
    return row


def _told(stage: Callable[[], Row]) -> Row:
    start = time.process_time()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            row = stage()
        except Exception as error:  # a library may fail in any way; each is a finding
            row = {"failure": f"{type(error).__name__}: {error}"[:600], "where": _where(error)}
    ours = [str(one.message)[:300] for one in caught if one.filename.startswith(OURS)]
    return row | {"warnings": list(dict.fromkeys(ours)), "seconds": round(time.process_time() - start, 1)}


def _where(error: BaseException) -> list[str]:
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{'/'.join(Path(one.filename).parts[-2:])}:{one.name}" for one in frames[-4:]]


def _left(report: PruningReport) -> Row:
    costs = {"macs": report.macs, "params": report.params}
    kept = {name: round(cost["pruned"] / cost["dense"], 4) for name, cost in costs.items()}
    cut = sum(group["after"] < group["before"] for group in report.groups)
    groups = {"groups": len(report.groups), "groups_cut": cut, "not_arrived": len(report.not_arrived)}
    return {"kept": kept, "phases": dict(report.metric)} | groups


def _shapes(module: Any) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in module.state_dict().items() if torch.is_tensor(value)}
