"""Press, cut and fine-tune a network: ``python train.py force=exponential model=resnet56 target.macs=0.3``."""

from __future__ import annotations

import logging
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import hydra
import lightning as L
from omegaconf import DictConfig

from experiments.assembly import build_data, build_model, build_pruning, build_trainer, checkpoint_to_resume
from experiments.evaluation import evaluate
from experiments.outcome import cut_of, dense_report, draw, networks_of_phases, restore_best, tested
from experiments.recorder import RunRecorder
from physprune_pl import PruningReport

log = logging.getLogger(__name__)

# The data are tensors in memory: worker processes would only slow the batches down.
warnings.filterwarnings("ignore", message=".*does not have many workers")


def run(config: DictConfig) -> tuple[PruningReport, float]:
    """Run one configuration; return the report with test figures, and the validation metric of the final network."""
    L.seed_everything(config.seed, workers=True, verbose=False)
    folder = Path(config.paths.output)

    data = build_data(config)
    model = build_model(config, data)
    pruning, pruner = build_pruning(config)
    recorder = RunRecorder(folder, pruner)
    trainer = build_trainer(config, [recorder, *pruning])

    trainer.fit(model, datamodule=data, ckpt_path=checkpoint_to_resume(config))

    if pruner is None:
        restore_best(trainer, model)
        report, networks = dense_report(model), {"dense": model}
    else:
        report, plan = cut_of(pruner)
        networks = networks_of_phases(config, data, model, recorder.path, plan)
    device = trainer.strategy.root_device
    score = evaluate({"final": model}, data, device, "val")["final"]
    report = tested(report, networks, data, device)
    report = replace(report, command=" ".join(["python", *sys.argv]), seed=config.seed)

    report.save(folder)
    draw(report, pruning, recorder.curve, folder)
    return report, score


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def main(config: DictConfig) -> float:
    """Run from the command line; a sweep optimises the validation metric that this returns."""
    report, score = run(config)
    log.info("report in %s\n%s", config.paths.output, report.table())
    return score


if __name__ == "__main__":
    main()
