"""Rows on what a LightningModule may be, and where it may come from."""

from __future__ import annotations

import copy
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from lightning.pytorch.cli import LightningCLI
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from experiments.reliability.fit_watch import finished, live_in_optimizers, pruning
from experiments.reliability.loops import INVARIANTS, refused
from experiments.reliability.network import Batch, Module, loader, network, quiet, sgd, task_loss
from experiments.reliability.setting import Setting, differing
from physprune_pl.callbacks.pruning_cli import PruningCLI


class Adversaries(Module):
    """Two networks that are trained in turn; only the generator is pruned."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.generator = self.net
        self.critic = nn.Linear(2, 1)

    def training_step(self, batch: Batch, batch_idx: int) -> None:  # type: ignore[override]  # noqa: ARG002
        """A step of the generator, then one of the critic."""
        ours, other = self.optimizers()  # type: ignore[attr-defined]
        self.toggle_optimizer(ours)
        ours.zero_grad()
        self.manual_backward(task_loss(self.generator, batch) - self.critic(self.generator(batch[0])).mean())
        ours.step()
        self.untoggle_optimizer(ours)
        self.toggle_optimizer(other)
        other.zero_grad()
        self.manual_backward(self.critic(self.generator(batch[0]).detach()).square().mean())
        other.step()
        self.untoggle_optimizer(other)

    def configure_optimizers(self) -> Any:
        """One for each network."""
        return [sgd(self.generator.parameters(), self.lr), torch.optim.Adam(self.critic.parameters(), lr=1e-3)]


def adversaries(folder: Path) -> str:
    """Prune one of two networks under manual optimization."""
    module = Adversaries()
    callbacks = pruning(module="generator", example_input=torch.zeros(2, 1, 6, 6))
    trainer = quiet(folder, callbacks=callbacks)
    trainer.fit(module, loader(), loader())
    shape = tuple(module.critic.weight.shape)
    assert shape == (1, 2), differing(shape, (1, 2))
    live_in_optimizers(module.critic.parameters(), trainer.optimizers)
    report: Any = callbacks[-1]
    watch: Any = callbacks[-2]
    assert watch.pressed == callbacks[0].steps == 10, watch.pressed  # type: ignore[attr-defined]
    pruned = report.report.params["pruned"]
    assert pruned == sum(one.numel() for one in module.generator.parameters()) < report.report.params["dense"]
    return f"{watch.pressed} pressed steps of the generator, its {pruned} of {report.report.params['dense']} parameters"


def compiled(folder: Path, backend: str) -> str:
    """Prune a compiled network inside the module."""
    module = Module(cast(nn.Module, torch.compile(network(), backend=backend)))
    callbacks = pruning(module="net", example_input=torch.zeros(2, 1, 6, 6))
    trainer = quiet(folder, callbacks=callbacks)
    trainer.fit(module, loader(), loader())
    return finished(callbacks, trainer, module.net)


class Checkpointed(nn.Sequential):
    """Computes its layers again in the backward pass."""

    def forward(self, images: Tensor) -> Tensor:
        """Classify."""
        output: Tensor = checkpoint(super().forward, images, use_reentrant=False)
        return output


def checkpointed(folder: Path) -> str:
    """Prune a network with gradient checkpointing."""
    callbacks, module = pruning(), Module(Checkpointed(*network()))
    trainer = quiet(folder, callbacks=callbacks)
    trainer.fit(module, loader(), loader())
    return finished(callbacks, trainer, module)


def frozen_backbone(folder: Path) -> str:
    """The first convolution and its norm are frozen: they are cut with their group, and stay frozen."""
    callbacks, module = pruning(), Module()
    module.net[:2].requires_grad_(False)
    trainer = quiet(folder, callbacks=callbacks)
    trainer.fit(module, loader(), loader())
    assert not any(one.requires_grad for one in module.net[:2].parameters()), "thawed"
    assert all(one.grad is None for one in module.net[:2].parameters())
    return finished(callbacks, trainer, module)


def pre_trained(folder: Path) -> str:
    """Weights are loaded before the fit, which starts from them."""
    trained = Module()
    quiet(folder, max_epochs=3).fit(trained, loader(), loader())
    module, callbacks = Module(), pruning()
    module.load_state_dict(trained.state_dict())
    start = copy.deepcopy(module.state_dict())
    trainer = quiet(folder, callbacks=callbacks, limit_train_batches=1, max_epochs=1)
    trainer.fit(module, loader(), loader())
    plan: Any = callbacks[-1].plan  # type: ignore[attr-defined]
    kept = torch.tensor(plan.tensors["net.7.weight"].keep[1])
    gap = float((module.net[7].weight.detach() - start["net.7.weight"][:, kept]).abs().max())
    assert gap < 0.1, f"three steps moved a weight by {gap:.2f}"
    return finished(callbacks, trainer, module)


def other_package(folder: Path) -> str:
    """Trainer, module and checkpoints of the package pytorch_lightning."""
    import pytorch_lightning

    class Theirs(pytorch_lightning.LightningModule):
        """The same network."""

        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.net = network()

        def training_step(self, batch: Batch, batch_idx: int) -> Tensor:  # noqa: ARG002
            """Return the loss."""
            return task_loss(self.net, batch)

        def validation_step(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002
            """Log the loss."""
            self.log("val_loss", task_loss(self.net, batch))

        def configure_optimizers(self) -> Any:
            """SGD with momentum."""
            return sgd(self.parameters(), 0.05)

    module, callbacks = Theirs(), pruning()
    best = pytorch_lightning.callbacks.ModelCheckpoint(folder, monitor="val_loss")
    stop = pytorch_lightning.callbacks.EarlyStopping("val_loss", patience=9)
    settings: dict[str, Any] = {"callbacks": [*callbacks, best, stop], "enable_checkpointing": True}
    trainer = quiet(folder, pytorch_lightning.Trainer, **settings)
    trainer.fit(module, loader(), loader())
    found = finished(callbacks, trainer, module.net)
    width = len(torch.load(best.best_model_path, weights_only=True)["state_dict"]["net.0.weight"])
    assert width == module.net.get_parameter("0.weight").shape[0], "the best checkpoint is dense"
    return found


def mixed_packages(folder: Path) -> str:
    """A module of one package with a trainer of the other is refused by Lightning itself."""
    import pytorch_lightning

    return refused(quiet(folder, pytorch_lightning.Trainer, callbacks=pruning()), Module(), loader())


CONFIG = """
trainer:
  max_epochs: 2
  accelerator: cpu
  logger: false
  enable_checkpointing: false
  enable_progress_bar: false
  enable_model_summary: false
  default_root_dir: {folder}
  callbacks:
    - class_path: physprune_pl.ForceRegularization
      init_args:
        force: gravity
        coefficient: 0.02
    - class_path: physprune_pl.PruneAndFinetune
      init_args:
        target: {{macs: 0.5}}
        finetune_epochs: 2
"""


def command_line(folder: Path) -> str:
    """LightningCLI builds the callbacks from class_path and init_args of a file, typed."""
    path = folder / "config.yaml"
    path.write_text(CONFIG.format(folder=folder))
    arguments = ["--config", str(path), "--trainer.callbacks.finetune_epochs=1"]
    cli = LightningCLI(CommandLineModule, args=arguments, run=False, save_config_callback=None)
    cli.trainer.fit(cli.model, loader(), loader())
    force, cut = cli.trainer.callbacks[:2]  # type: ignore[attr-defined]
    assert type(force.law.force).__name__ == "Gravity", force.law.force
    assert force.session is cut.session, "two sessions"
    assert cut.finetune_epochs == 1, differing(cut.finetune_epochs, 1)
    pruned, dense = cut.report.params["pruned"], cut.report.params["dense"]
    assert pruned == sum(one.numel() for one in cli.model.parameters()) < dense
    assert force.steps == 10, differing(force.steps, 10)
    return f"{force.steps} steps, {pruned} of {dense} parameters"


def command_line_of_all(folder: Path) -> str:
    """LightningCLI passes arguments of physics_pruning, from the command line."""
    options = {"max_epochs": 2, "accelerator": "cpu", "logger": False, "enable_checkpointing": False}
    options |= {"enable_progress_bar": False, "enable_model_summary": False, "default_root_dir": folder}
    arguments = [f"--trainer.{name}={value}" for name, value in options.items()]
    arguments += ["--pruning.force=gravity", "--pruning.coefficient=auto", "--pruning.target.macs=0.5"]
    arguments += ["--pruning.finetune_epochs=1", "--model.lr=0.01"]
    cli = PruningCLI(CommandLineModule, args=arguments, run=False, save_config_callback=None)
    cli.trainer.fit(cli.model, loader(), loader())
    assert cli.pruning.cutter.session.steered, "not steered"
    pruned, dense = cli.pruning.report.params["pruned"], cli.pruning.report.params["dense"]
    assert pruned == sum(one.numel() for one in cli.model.parameters()) < dense
    return f"steered, {pruned} of {dense} parameters"


class CommandLineModule(Module):
    """A module whose arguments a command line can give."""

    def __init__(self, lr: float = 0.05) -> None:
        super().__init__()
        self.lr = lr


MODULES = [
    Setting("manual optimization, only module='generator' pruned", f"{INVARIANTS}; the critic is whole", adversaries),
    Setting("torch.compile of the network, eager", INVARIANTS, partial(compiled, backend="eager")),
    Setting("torch.compile of the network, inductor", INVARIANTS, partial(compiled, backend="inductor"), slow=True),
    Setting("gradient checkpointing", INVARIANTS, checkpointed),
    Setting("frozen backbone", f"{INVARIANTS}; frozen parameters stay so, without gradients", frozen_backbone),
    Setting("pre-trained start", f"{INVARIANTS}; the fit starts from the weights given", pre_trained),
    Setting("Trainer and module of pytorch_lightning", INVARIANTS, other_package),
    Setting("Trainer and module of different packages", "a clear error", mixed_packages),
    Setting("LightningCLI, class_path and init_args", "one session, all phases, fewer parameters", command_line),
    Setting("LightningCLI, arguments of physics_pruning", "typed; all phases, fewer parameters", command_line_of_all),
]
