"""Sparsify, prune and fine-tune a network: ``python train.py force=exponential model=resnet56 target.macs=0.3``."""

from __future__ import annotations

import logging
import sys
import warnings
from pathlib import Path

import hydra
from omegaconf import DictConfig

from experiments.training.arguments import checked
from experiments.training.hydra_versions import MAIN
from experiments.training.inspection import inspection
from experiments.training.run import run
from experiments.training.sweeps.sweep import refuse_several_processes

log = logging.getLogger(__name__)

# Hydra takes sweepers from a package of one name alone, wherever on the path its parts are.
sys.path.append(str(Path(__file__).parent / "experiments" / "training" / "plugins"))

# The data are tensors in memory: worker processes would only slow the batches down.
warnings.filterwarnings("ignore", message=".*does not have many workers")
# Lightning's own, on current torch.
warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.* is deprecated", category=FutureWarning)


@hydra.main(**MAIN, config_path="conf", config_name="train")
def main(config: DictConfig) -> float | None:
    """Run from the command line; a sweep optimises the validation metric that this returns."""
    if config.inspect:
        log.info("\n%s", inspection(config))
        return None
    refuse_several_processes(config.trainer)
    return run(config)[1]


if __name__ == "__main__":
    sys.argv[1:] = checked(sys.argv[1:])
    main()
