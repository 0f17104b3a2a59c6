"""One run from its configuration to its report: build, fit, evaluate, write."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import lightning as L
from omegaconf import DictConfig

from experiments.training import assembly
from experiments.training.data import LabelledData
from experiments.training.evaluation import evaluate
from experiments.training.facts_of_run import facts_of_run
from experiments.training.outcome import cut_of, dense_report, draw, networks_of_phases, restore_best, tested
from experiments.training.recorder import RunRecorder
from experiments.training.resume import checkpoint_to_resume
from experiments.training.supervised import Supervised
from experiments.training.sweeps.sweep import command_of_job
from physprune_pl import PruningReport
from physprune_pl.reports.report import command_line

log = logging.getLogger(__name__)


def run(config: DictConfig) -> tuple[PruningReport, float]:
    """Run one configuration; return the report with test figures, and the validation metric of the final network."""
    assembly.check_settings(config)
    L.seed_everything(config.seed, workers=True, verbose=False)

    data = assembly.build_data(config)
    model = assembly.build_model(config, data)
    pruning, pruner = assembly.build_pruning(config)
    recorder = RunRecorder(config.paths.output, pruner, f"val/{data.task.key}")
    trainer = assembly.build_trainer(config, [recorder, *pruning])

    checkpoint = checkpoint_to_resume(config.ckpt_path, Path(config.paths.output))
    trainer.fit(model, datamodule=data, ckpt_path=checkpoint)

    # Of several processes the first evaluates and writes, and tells the others.
    result = finish(config, data, model, recorder, pruning, trainer) if trainer.is_global_zero else None
    told = trainer.strategy.broadcast(result)
    assert told is not None
    return told


def finish(
    config: DictConfig,
    data: LabelledData,
    model: Supervised,
    recorder: RunRecorder,
    pruning: Sequence[L.Callback],
    trainer: L.Trainer,
) -> tuple[PruningReport, float]:
    """Evaluate the networks of a finished fit, and write report and pictures into the folder of the run."""
    device, folder = trainer.strategy.root_device, Path(config.paths.output)
    if recorder.pruner is None:
        restore_best(trainer, model)
        report, networks = dense_report(model), {"dense": model}
    else:
        report, plan = cut_of(recorder.pruner)
        networks = networks_of_phases(config, data, model, recorder.path, plan, device)

    score = evaluate({"final": model}, data, device, "val", trainer.limit_val_batches)["final"]
    report = tested(report, networks, data, device, trainer.limit_test_batches)
    fit = facts_of_run(config, data, report, trainer).to_dict()
    report = replace(report, command=command_of_job() or command_line(), seed=config.seed, fit=fit)

    report.save(folder)
    draw(report, pruning, recorder.curve, folder)
    log.info("report in %s\n%s", folder, report.table())
    return report, score
