"""What the tests of train.py and its configuration share: small runs, and the choices that there are."""

import os
from pathlib import Path

from omegaconf import DictConfig

from experiments.training.assembly import composed

ROOT = Path(__file__).parent.parent
CONF = ROOT / "conf"
DATA = Path(os.environ.get("PHYSPRUNE_DATA", "data")).absolute()

# Lightning's advice about tiny runs, and about resuming in another folder.
ADVICE = (
    "ignore:.*does not have many workers",
    "ignore:The number of training batches",
    "ignore:The dirpath has changed",
)

SMALL = ("trainer.max_epochs=1", "data.batch_size=400", "model=lenet5", "trainer=cpu")
QUIET = ("+trainer.enable_progress_bar=false", "logger=none")
TINY = (*SMALL, "finetune.epochs=1")
UNPRUNED = ("force=none", "target=none", "finetune=none")
DENSE = (*SMALL, *QUIET, *UNPRUNED)
SMOKE = ("trainer=smoke", "trainer.accelerator=cpu", *QUIET)

GROUPS = sorted({path.parent.name for path in CONF.glob("*/*.yaml")})


def choices(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def config_of(*overrides: str) -> DictConfig:
    return composed(overrides)
