"""Watches the channels while the network trains: metrics for the loggers, and their whole history in one file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from physprune_pl.callbacks.regroup import kept_indices
from physprune_pl.callbacks.session import PruningSession

Series = dict[str, Tensor]
History = dict[str, NDArray[Any]]

# Kind of a series -> kind of the one that holds its original indices.
PLACES = {"strength": "channel", "distance": "channel", "coefficient": "channel", "l1": "filter", "l2": "filter"}

# A channel counts as near zero under this share of the largest strength of its group.
NEAR_ZERO = 1e-2


class ChannelTracker(Callback):
    """Records every channel of every group, and every filter of every convolution and linear layer, epoch by epoch.

    Per channel: strength, and until the cut its distance from the pivot and the coefficient c that the force law gave
    it last. Per filter: L1 and L2 norm of its own weights. A channel keeps its index after the cut. The loggers get
    ``physprune/strength`` (mean over all channels), ``physprune/strength/<group>`` and ``physprune/near_zero`` (share
    of the channels under 1 % of the largest strength of their group).

    Args:
        module: name of the submodule to watch; see :class:`~physprune_pl.callbacks.session.PruningSession`.
        every_n_epochs: epochs from one record to the next.
        path: file of the history; None means ``channels.npz`` in the logger's folder, else the trainer's.
        session: state shared with other callbacks; None shares that of a :class:`ForceRegularization` of the same
            trainer and module, and traces alone where there is none.

    Raises:
        ValueError: when ``every_n_epochs`` is under 1.
    """

    def __init__(
        self,
        module: str | None = None,
        every_n_epochs: int = 1,
        path: str | os.PathLike[str] | None = None,
        session: PruningSession | None = None,
    ) -> None:
        super().__init__()
        if every_n_epochs < 1:
            raise ValueError(f"every_n_epochs: expected at least 1, got {every_n_epochs!r}")
        self.every_n_epochs = every_n_epochs
        self._given_path = None if path is None else Path(path)
        self.path = self._given_path
        self.session = session or PruningSession(module)
        self._shared = session is not None
        self._epochs: list[int] = []
        self._phases: list[str] = []
        self._records: list[Series] = []

    @property
    def state_key(self) -> str:
        """Key of the state in checkpoints: one tracker per watched module."""
        return self._generate_state_key(module=self.session.module)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:  # noqa: ARG002
        """Start afresh; a checkpoint is restored later."""
        if stage != "fit":
            return
        if not self._shared:
            self.session = _session_of(trainer, self) or self.session
        self.session.begin(trainer)
        self._epochs, self._phases, self._records = [], [], []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Trace if the example input is known, and find the file."""
        self.session.prepare(trainer, pl_module)
        folder = Path(trainer.log_dir or trainer.default_root_dir)
        self.path = self._given_path or folder / "channels.npz"

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:  # noqa: ARG002
        """Trace with the first batch when there was no other example input."""
        self.session.prepare(trainer, pl_module, batch)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Record the epoch, log its summary, and write the history."""
        if (trainer.current_epoch + 1) % self.every_n_epochs != 0:
            return
        record = dict(_group_series(self.session)) | dict(_filter_series(self.session))
        self._epochs.append(trainer.current_epoch)
        self._phases.append(self.session.phase)
        self._records.append({name: series.detach().cpu() for name, series in record.items()})
        pl_module.log_dict(_summary(self.session))
        if trainer.is_global_zero and not trainer.fast_dev_run:  # type: ignore[attr-defined]
            self.save()

    def history(self) -> History:
        """Return everything recorded so far.

        Returns:
            ``epochs`` [E] and ``phases`` [E]; per group ``strength/<group>``, ``distance/<group>`` and
            ``coefficient/<group>``, each [E, K]; per layer ``l1/<layer>`` and ``l2/<layer>``, each [E, filters].
            Columns are the indices before the cut; NaN where a channel was gone, or no force acted.
        """
        names = sorted({name for record in self._records for name in record if name.split("/")[0] in PLACES})
        series = {name: self._stack(name, PLACES[name.split("/")[0]]) for name in names}
        return {
            "epochs": np.array(self._epochs, dtype=np.int64),
            "phases": np.array(self._phases, dtype=np.str_),
            **series,
        }

    def _stack(self, name: str, place: str) -> NDArray[np.float32]:
        """Return one series of all epochs, [E, original size], NaN where an epoch has no value."""
        index = place + "/" + name.split("/", 1)[1]
        width = max(int(record[index].max()) + 1 for record in self._records if index in record)
        table = np.full((len(self._records), width), np.nan, dtype=np.float32)
        for row, record in zip(table, self._records, strict=True):
            if name in record:
                row[record[index].numpy()] = record[name].numpy()
        return table

    def save(self) -> None:
        """Write :meth:`history` to the file, in one piece: a reader never sees half of it."""
        if self.path is None:
            raise RuntimeError("path: expected a file, got None; it is found at the start of a fit")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_name(self.path.name + ".part")
        with part.open("wb") as file:
            np.savez_compressed(file, **self.history())  # type: ignore[arg-type]
        part.replace(self.path)

    def state_dict(self) -> dict[str, Any]:
        """Return the history as plain tensors, strings and numbers."""
        return {"epochs": list(self._epochs), "phases": list(self._phases), "records": list(self._records)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the history of the run that is resumed."""
        self._epochs = list(state_dict["epochs"])
        self._phases = list(state_dict["phases"])
        self._records = list(state_dict["records"])

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:  # noqa: ARG002
        """Drop every reference into the model; the history stays."""
        self.session.release()


def _session_of(trainer: Trainer, tracker: ChannelTracker) -> PruningSession | None:
    others = [callback for callback in trainer.callbacks if callback is not tracker]  # type: ignore[attr-defined]
    sessions = [getattr(callback, "session", None) for callback in others]
    wanted = tracker.session.module
    found = [one for one in sessions if isinstance(one, PruningSession) and wanted in (None, one.module)]
    return found[0] if found else None


def _group_series(session: PruningSession) -> Iterator[tuple[str, Tensor]]:
    penalty = session.penalty
    strengths = penalty.strengths()
    for group, part in zip(session.groups, penalty.segments, strict=True):
        yield f"channel/{group.name}", torch.tensor(session.original_channels(group))
        yield f"strength/{group.name}", strengths[part].float()
        if session.coefficients is not None:
            yield f"coefficient/{group.name}", session.coefficients[part].float()
    if session.phase == "sparsify":
        # The cut may have taken the pivot.
        channels = session.law.channels(strengths, penalty.signs().to(strengths.device), penalty.segments)
        for group, seen in zip(session.groups, channels, strict=True):
            yield f"distance/{group.name}", seen.distance.float()


def _filter_series(session: PruningSession) -> Iterator[tuple[str, Tensor]]:
    for name, layer in session.model.named_modules():
        if isinstance(layer, _ConvNd | nn.Linear):
            filters = _filters(layer)
            yield f"filter/{name}", torch.tensor(_original_filters(session, name, layer, len(filters)))
            yield f"l1/{name}", filters.norm(p=1, dim=1)
            yield f"l2/{name}", filters.norm(p=2, dim=1)


def _filters(layer: _ConvNd | nn.Linear) -> Tensor:
    """Return the weights that make each output of a layer, [filters, weights]."""
    weight: Tensor = layer.weight.detach().float()
    if isinstance(layer, _ConvTransposeNd):
        # [in, out / groups, ...]: the inputs of a conv group make its outputs.
        inputs = weight.shape[0] // layer.groups
        return weight.reshape(layer.groups, inputs, weight.shape[1], -1).transpose(1, 2).flatten(0, 1).flatten(1)
    return weight.flatten(1)


def _original_filters(session: PruningSession, name: str, layer: nn.Module, count: int) -> tuple[int, ...]:
    """Return the index of each filter before the cut, as far as the plan tells."""
    kept = None
    if session.plan is not None:
        transposed = isinstance(layer, _ConvTransposeNd)
        kept = kept_indices(session.plan, f"{name}.weight", 1 if transposed else 0)
    return kept if kept is not None and len(kept) == count else tuple(range(count))


def _summary(session: PruningSession) -> dict[str, Tensor]:
    strengths = session.penalty.strengths()
    parts = [strengths[part] for part in session.penalty.segments]
    near = torch.cat([part < NEAR_ZERO * part.max() for part in parts])
    means = {f"physprune/strength/{one.name}": part.mean() for one, part in zip(session.groups, parts, strict=True)}
    return {"physprune/strength": strengths.mean(), "physprune/near_zero": near.float().mean(), **means}
