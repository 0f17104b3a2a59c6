"""From a finished run to its report: the networks of all phases, tested in one pass, their costs and pictures."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import lightning as L
import torch
from lightning.fabric.utilities.apply_func import move_data_to_device
from lightning.pytorch.callbacks import ModelCheckpoint
from omegaconf import DictConfig
from torch import Tensor

from experiments.training.assembly import build_model, load_narrow, load_weights
from experiments.training.data import LabelledData
from experiments.training.evaluation import evaluate
from experiments.training.pictures import plot_run, plot_strengths, plot_widths
from experiments.training.supervised import Supervised
from physprune_pl import ChannelTracker, PruneAndFinetune, PruningPlan, PruningReport, apply_plan
from physprune_pl.latency.race import measure_latency, without_remnants
from physprune_pl.networks.measure import count_macs, count_parameters, file_bytes
from physprune_pl.networks.recalibration import has_batch_norm, recalibrate
from physprune_pl.reports.measured_moments import PHASES
from physprune_pl.reports.page import write_report

CPU = torch.device("cpu")


def cut_of(pruner: PruneAndFinetune) -> tuple[PruningReport, PruningPlan]:
    """Return report and plan of a finished fit.

    Raises:
        RuntimeError: when the fit ended before the cut.
    """
    if pruner.report is None or pruner.plan is None:
        raise RuntimeError("the fit ended before the network was cut: there is nothing to report")
    return pruner.report, pruner.plan


def networks_of_phases(
    config: DictConfig,
    data: LabelledData,
    tuned: Supervised,
    sparsified: Path,
    plan: PruningPlan,
    device: torch.device = CPU,
) -> dict[str, Supervised]:
    """Return the networks to test: the dense baseline where there is one, then the run's own after each phase.

    Args:
        config: of the run; ``baseline`` is the checkpoint of the dense network, ``recalibration_batches`` says with
            how many training batches the cut network is recalibrated, 0 for no such network.
        data: says the shape of the network's input and output.
        tuned: the network as the run left it.
        sparsified: file of the weights before the cut; the network right after it is these, cut by ``plan``. Where all
            was removed within the phase both are one network.
        plan: what was cut.
        device: where to recalibrate.
    """
    networks = {"dense": load_weights(build_model(config, data), config.baseline)} if config.baseline else {}
    before, after = (load_narrow(build_model(config, data), sparsified) for _ in range(2))
    whole = [tuple(value.shape) == plan.tensors[name].shape for name, value in _cut_parameters(after, plan)]
    networks |= {"after_sparsify": before}
    if all(whole):
        apply_plan(after, plan)
    if all(whole) or not any(whole):  # else an early end came between two waves
        networks["after_cut"] = after
    if config.recalibration_batches and has_batch_norm(after):
        networks["after_recalibration"] = recalibrated(after, data, config.recalibration_batches, device)
    return {**networks, "after_finetune": tuned}


def _cut_parameters(model: Supervised, plan: PruningPlan) -> Iterator[tuple[str, Tensor]]:
    return ((name, value) for name, value in model.named_parameters() if name in plan.tensors)


def recalibrated(model: Supervised, data: LabelledData, count: int, device: torch.device = CPU) -> Supervised:
    """Return a copy of a network with batch-norm statistics of training batches, augmented as in training.

    Args:
        model: stays as it is.
        data: its training split gives the batches.
        count: number of batches; all there are in an epoch, where those are fewer.
        device: where to compute, and where the copy stays.

    Raises:
        ValueError: when ``count`` is under 1.
    """
    if count < 1:
        raise ValueError(f"recalibration_batches: expected at least 0, got {count}")
    data.setup()
    copied = copy.deepcopy(model).to(device)
    recalibrate(copied, _training_inputs(data, count, device))
    return copied


def _training_inputs(data: LabelledData, count: int, device: torch.device) -> Iterator[Tensor]:
    for batch in islice(data.train_dataloader(), count):
        yield data.prepare(move_data_to_device(batch, device), augment=True)[0]


def restore_best(trainer: L.Trainer, model: Supervised) -> None:
    """Put the best weights by validation back, as a fit that prunes does; without a monitor the last ones stay."""
    callback = trainer.checkpoint_callback
    if isinstance(callback, ModelCheckpoint) and callback.monitor and callback.best_model_path:
        load_weights(model, callback.best_model_path)


def dense_report(model: Supervised) -> PruningReport:
    """Return the report of a network that nothing was cut from."""
    macs, params = count_macs(model.network, model.example_input_array), count_parameters(model.network)
    metric = {"name": model.task.metric}
    return PruningReport({"dense": macs, "pruned": macs}, {"dense": params, "pruned": params}, metric, [])


def tested(
    report: PruningReport,
    networks: Mapping[str, Supervised],
    data: LabelledData,
    device: torch.device,
    limit: int | float = 1.0,  # noqa: PT028 - no test, for all its name
) -> PruningReport:
    """Add the test metric of all networks, size of the weights and latency to a report.

    Args:
        report: of the run.
        networks: phase -> network, of the phases of a report's ``metric``.
        data: its test split is read once.
        device: where to compute and to measure.
        limit: of the batches, see :func:`~experiments.training.evaluation.evaluate`.
    """
    scores = evaluate(networks, data, device, "test", limit)
    dense = networks.get("after_sparsify") or networks["dense"]
    sizes = {"dense": without_remnants(dense.network), "pruned": networks.get("after_finetune", dense).network}
    example = data.example(1).to(device)
    return replace(
        report,
        metric={"name": data.task.metric, "split": "test", **{phase: scores.get(phase) for phase in PHASES}},
        file_bytes={name: file_bytes(network) for name, network in sizes.items()},
        latency_ms=measure_latency(sizes, example),
    )


def draw(report: PruningReport, callbacks: Sequence[L.Callback], metric: Mapping[int, float], folder: Path) -> None:
    """Write the page of a run from what is in its folder, and three pictures; a run that cut nothing has no pictures.

    Args:
        report: of the run.
        callbacks: of the run, a :class:`~physprune_pl.ChannelTracker` among them.
        metric: epoch -> validation metric.
        folder: of the run.
    """
    for tracker in (callback for callback in callbacks if isinstance(callback, ChannelTracker)):
        plot_strengths(tracker.history(), folder / "strengths.png")
        plot_widths(report, folder / "widths.png")
        plot_run(tracker.history(), metric, report, folder / "run.png")
    write_report(folder)
