"""Hydra's side of a sweep: no failed job stops it, and it ends with a summary."""

from __future__ import annotations

import json
import logging
import shlex
import sys
import traceback
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig

from experiments.training.sweeps.summary import FAILURE, PAGE, summarise

log = logging.getLogger(__name__)

ADVICE = (
    "a sweep cannot train on several processes: Lightning starts each of them with the command line of the whole sweep."
    " Give every job one process, trainer.devices=1 (with hydra/launcher=joblib several jobs run at a time), or start "
    "the runs one by one without -m"
)


class SweepSummary(Callback):
    """Notes what made a job fail, lets the others run, and writes the summary after the last one.

    The process ends with status 1 when a job failed.
    """

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:  # noqa: ARG002
        """Refuse a sweep whose jobs would train on several processes."""
        if several_processes(config.trainer):
            sys.exit(f"trainer.devices={config.trainer.get('devices')}: {ADVICE}")

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:  # noqa: ARG002
        """Put the exception of a sweep's job into its folder, so that the sweep goes on; its score is then NaN."""
        if config.hydra.mode != RunMode.MULTIRUN:
            return
        note = Path(config.hydra.runtime.output_dir) / FAILURE
        if job_return.status != JobStatus.FAILED:
            note.unlink(missing_ok=True)
            return
        error = job_return._return_value
        text = "".join(traceback.format_exception(error))
        log.error("job failed: %s\n%s", " ".join(job_return.overrides or ()), text)
        note.write_text(json.dumps({"error": f"{type(error).__name__}: {error}", "traceback": text}, indent=1) + "\n")
        # The sweeper raises what a failed job raised, and the jobs after it would never start.
        job_return.status, job_return.return_value = JobStatus.COMPLETED, float("nan")

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:  # noqa: ARG002
        """Write and print the summary."""
        if config.inspect:
            return
        folder = Path(config.hydra.sweep.dir)
        summary = summarise(folder)
        written = {"summary": "summary.json", "picture": "pareto.png", "page": PAGE}
        print(summary.text(), *(f"{name}: {folder / file}" for name, file in written.items()), sep="\n")
        if summary.failed:
            sys.exit(1)


def command_of_job() -> str | None:
    """Return the command that repeats one job of a sweep on its own; None outside of a sweep."""
    if not HydraConfig.initialized() or HydraConfig.get().mode != RunMode.MULTIRUN:
        return None
    return shlex.join(["python", "train.py", *HydraConfig.get().overrides.task])


def several_processes(trainer: DictConfig) -> bool:
    """Whether a trainer of ``conf/trainer`` may start more than one process."""
    devices = trainer.get("devices", 1)
    count = len(devices) if hasattr(devices, "__len__") and not isinstance(devices, str) else devices
    return str(count) != "1" or trainer.get("num_nodes", 1) != 1


def refuse_several_processes(trainer: DictConfig) -> None:
    """Check a job as the sweep made it.

    Raises:
        ValueError: when it belongs to a sweep and would train on several processes.
    """
    sweeping = HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN
    if sweeping and several_processes(trainer):
        raise ValueError(f"trainer.devices={trainer.get('devices')}: {ADVICE}")
