"""What a fit with a cut in the middle has done so far: what its checkpoints carry and its report is made of."""

from __future__ import annotations

import math
import time
from copy import copy
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import torch
from torch import Tensor, nn

from physprune_pl.callbacks.trainer.monitors import Metrics, Mode
from physprune_pl.networks.names import plain
from physprune_pl.pressing.importance import RunningMean
from physprune_pl.reports.measured_moments import PHASES
from physprune_pl.surgery.plan import PruningPlan
from physprune_pl.tools.memory import PeakMemory

Phase = Literal["sparsify", "finetune"]

_LATER = frozenset(
    {"validated_at", "file_bytes", "latency_ms", "optimized", "frozen", "waves", "epoch_macs", "epoch_seconds"}
    | {"importance"}
)
"""Parts that checkpoints of version 0.1.0 do not have."""

_AXES = frozenset({"epoch", "step"})


@dataclass
class Best:
    """The best weights of the fine-tuning phase, on the CPU; none once they are back in the network."""

    score: float
    metrics: Metrics
    weights: dict[str, Tensor] | None

    def put_back(self, *models: nn.Module) -> None:
        """Write the weights into the network and copies of it, once."""
        with torch.no_grad():
            for model in models:
                tensors = {plain(name): tensor for name, tensor in model.state_dict().items()}
                for name, value in (self.weights or {}).items():
                    tensors[plain(name)].copy_(value)
        self.weights = None


@dataclass
class Record:
    """State of one fit.

    Attributes:
        phase: ``"sparsify"`` until what is left is fine-tuned, then ``"finetune"``.
        start: number of epochs that were over when the sparsify phase began.
        end: number of epochs after which the sparsify phase ended; None as long as it runs.
        waves: number of waves of removals that are over.
        removed: channels to remove, bool [K] per group, between the end of the phase and the cut.
        plan: what was cut so far, in indices of the dense network.
        prefix: what comes before the plan's names in the LightningModule.
        metrics: what the last validation of each moment logged.
        validated_at: number of optimizer steps before the last validation; -1 before the first.
        best: best weights of fine-tuning.
        seconds: wall time of the trace, of the phases and of the cut.
        epoch_macs: MACs of one sample in each epoch that was trained.
        epoch_seconds: wall time of these epochs, with their validation and what was removed at their start.
        peak_memory_bytes: most memory in use in each phase and at the cut.
        memory_kind: what that is, see :class:`~physprune_pl.tools.memory.PeakMemory`.
        not_arrived: groups that steering could not bring to zero before the cut.
        dead_groups: groups without a living channel at the cut.
        file_bytes, latency_ms: of the networks before and after the cut, see
            :class:`~physprune_pl.reports.report.PruningReport`.
        optimized: names of the parameters in each group of each optimizer, when the checkpoint was written.
        frozen: names of the parameters that were frozen then.
        importance: what gradients have told of the channels, where the cut is chosen by them.
    """

    phase: Phase = "sparsify"
    start: int = 0
    end: int | None = None
    waves: int = 0
    removed: list[Tensor] | None = None
    plan: PruningPlan | None = None
    prefix: str = ""
    metrics: dict[str, Metrics] = field(default_factory=dict)
    validated_at: int = -1
    best: Best | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    epoch_macs: list[int] = field(default_factory=list)
    epoch_seconds: list[float] = field(default_factory=list)
    peak_memory_bytes: dict[str, int] = field(default_factory=dict)
    memory_kind: str = ""
    not_arrived: list[str] = field(default_factory=list)
    dead_groups: list[str] = field(default_factory=list)
    file_bytes: dict[str, int] = field(default_factory=dict)
    latency_ms: dict[str, dict[str, float]] = field(default_factory=dict)
    optimized: list[list[list[str]]] = field(default_factory=list)
    frozen: list[str] = field(default_factory=list)
    importance: RunningMean | None = None

    def __post_init__(self) -> None:
        self.since = self._epoch_since = time.monotonic()
        self._memory: PeakMemory | None = None

    def begin(self, device: torch.device) -> None:
        """Count time and memory from now on, that of a fit which is resumed on top of what it had."""
        self.since = self._epoch_since = time.monotonic()
        self._memory = PeakMemory(device)
        if self._memory.kind != self.memory_kind:
            self.peak_memory_bytes, self.memory_kind = {}, self._memory.kind
        self._memory.start()

    def tick(self, name: str | None = None) -> None:
        """Add the time since the last call to a phase, the current one if none is named, and note its memory."""
        now, name = time.monotonic(), name or self.phase
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self.since
        self.since = now
        if self._memory is not None and (peak := self._memory.read()) is not None:
            self.peak_memory_bytes[name] = max(peak, self.peak_memory_bytes.get(name, 0))

    def finish(self, name: str) -> None:
        """End a phase: the memory of what follows is counted anew."""
        self.tick(name)
        if self._memory is not None:
            self._memory.start()

    def begin_epoch(self) -> None:
        """Count the time of an epoch."""
        self._epoch_since = time.monotonic()

    def end_epoch(self, macs: int) -> None:
        """Note what an epoch has cost, given the MACs of one sample."""
        self.epoch_macs.append(macs)
        self.epoch_seconds.append(time.monotonic() - self._epoch_since)

    def judge(self, model: nn.Module, metrics: Metrics, monitor: str | None, mode: Mode | None) -> None:
        """Keep a copy of the weights if the monitor is among the metrics and no fine-tuned ones were better."""
        if monitor not in metrics:
            return
        score = metrics[str(monitor)]
        best = self.best.score if self.best else -math.inf if mode == "max" else math.inf
        if score > best if mode == "max" else score < best:
            state = {name: value for name, value in model.state_dict().items() if isinstance(value, Tensor)}
            copies = {name: value.detach().to("cpu", copy=True) for name, value in state.items()}
            self.best = Best(score, metrics, copies)

    def restore_best(self, *models: nn.Module) -> None:
        """Put the best weights since the cut back, if there are any that are not back yet."""
        if self.best is not None and self.best.weights is not None:
            self.best.put_back(*models)
            if "after_finetune" in self.metrics:
                self.metrics["after_finetune"] = self.best.metrics

    def to_dict(self) -> dict[str, Any]:
        """Plain data and tensors, fit for ``torch.load(weights_only=True)``."""
        state: dict[str, Any] = {part.name: getattr(self, part.name) for part in fields(self)}
        state["plan"] = self.plan.to_dict() if self.plan else None
        state["best"] = dict(vars(self.best)) if self.best else None
        state["importance"] = self.importance.to_dict() if self.importance else None
        copies = ("metrics", "seconds", "peak_memory_bytes", "file_bytes", "latency_ms", "epoch_macs", "epoch_seconds")
        return {**state, **{name: copy(state[name]) for name in copies}}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Record:
        """Read what `to_dict` wrote.

        Raises:
            ValueError: a part is missing, unknown or of another kind.
        """
        known = {part.name for part in fields(cls)}
        if not isinstance(state, dict) or not known - _LATER <= set(state) <= known:
            raise ValueError(f"checkpoint: expected the parts {sorted(known)} of a fit with a cut, got {list(state)}")
        phases = ("sparsify", "finetune") if state["plan"] else ("sparsify",)
        if state["phase"] not in phases or not isinstance(state["prefix"], str):
            raise ValueError(
                f"checkpoint: expected a phase among {phases} and a prefix, got {state['phase']!r} and "
                f"{state['prefix']!r}"
            )
        plan = PruningPlan.from_dict(state["plan"]) if state["plan"] else None
        best = Best(**state["best"]) if state["best"] else None
        told = RunningMean.from_dict(state["importance"]) if state.get("importance") else None
        return cls(**{**state, "plan": plan, "best": best, "importance": told})

    def metric_name(self, monitor: str | None) -> str | None:
        """Name of the metric of the report: the monitor, else the first in the alphabet that validation logged.

        Numbers of steps and epochs, which loggers draw metrics over, are none.
        """
        names = {name for found in self.metrics.values() for name in found} - _AXES
        return monitor or min(names, default=None)

    def facts(self, monitor: str | None) -> dict[str, Any]:
        """The figures of the report; empty before the cut.

        Args:
            monitor: see :meth:`metric_name`.
        """
        if self.plan is None:
            return {}
        name = self.metric_name(monitor)
        values = {moment: self.metrics.get(moment, {}).get(str(name)) for moment in PHASES}
        return {
            "macs": dict(zip(("dense", "pruned"), self.plan.macs, strict=True)),
            "params": dict(zip(("dense", "pruned"), self.plan.params, strict=True)),
            "metric": {"name": name, "split": "val", **values},
            "groups": [
                {"name": cut.name, "before": cut.before, "after": cut.after, "exact": cut.exact}
                for cut in self.plan.groups
            ],
            "left_whole": [{"name": part.name, "reason": part.reason} for part in self.plan.left_whole],
            "seconds": dict(self.seconds),
            "epochs": {"macs": list(self.epoch_macs), "seconds": list(self.epoch_seconds)},
            "peak_memory_bytes": dict(self.peak_memory_bytes),
            "memory_kind": self.memory_kind,
            "not_arrived": list(self.not_arrived),
            "dead_groups": list(self.dead_groups),
            "file_bytes": dict(self.file_bytes),
            "latency_ms": dict(self.latency_ms),
            "latency_target": dict(self.plan.latency),
        }
