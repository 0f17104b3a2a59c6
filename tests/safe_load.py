"""Arguments that make a Trainer load checkpoints as plain data, where its version lets one choose."""

import inspect

from lightning.pytorch import Trainer

SAFE_LOAD = {"weights_only": True} if "weights_only" in inspect.signature(Trainer.fit).parameters else {}
