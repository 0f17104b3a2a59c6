"""Loading a pruned network: the plan in a checkpoint is replayed on a dense network, then the weights are loaded."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor, nn

from physprune_pl.networks.names import plain, under_every_name
from physprune_pl.surgery.apply import apply_plan, reshape
from physprune_pl.surgery.checkpoint_file import read_checkpoint
from physprune_pl.surgery.configs.folders import load_folder
from physprune_pl.surgery.plan import PruningPlan
from physprune_pl.tools.inert_pickle import stand_ins

Model = TypeVar("Model", bound=nn.Module)


def load_pruned(model: Model, path: str | Path) -> Model:
    """Load a Lightning checkpoint of a pruned network into a freshly built dense one.

    A folder that ``save_pretrained`` of transformers wrote is loaded likewise, as ``load_pruned(BertModel(config),
    folder)`` with the config of the folder or of the dense network.

    The plan stored in the checkpoint is replayed, then the weights are loaded; a checkpoint from before the cut loads
    as it is. The model may be the LightningModule or the bare network inside it, compiled or not. Nothing of the file
    is run, and nothing but weights and plan is read: what else is in it may be of any kind. Weights that are not in the
    file, such as those of a frozen backbone that somebody left out, stay those of the model, with a warning; a plan
    must not have cut them.

    Args:
        model: the network as its code builds it.
        path: the checkpoint, or the folder.

    Returns:
        The model that came in.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no such checkpoint, a weight is no plain data, or plan or weights do not fit the model;
            nothing has changed then.

    >>> import torch
    >>> from tempfile import TemporaryDirectory
    >>> trained = nn.Linear(3, 2)
    >>> with TemporaryDirectory() as folder:
    ...     torch.save({"state_dict": trained.state_dict()}, Path(folder) / "last.ckpt")
    ...     loaded = load_pruned(nn.Linear(3, 2), Path(folder) / "last.ckpt")
    >>> torch.equal(loaded.weight, trained.weight)
    True
    """
    if (Path(path) / "config.json").is_file():
        load_folder(model, Path(path), reshape)
        return model
    checkpoint = _read(path)
    weights = {plain(name): value for name, value in checkpoint["state_dict"].items()}
    saved = _saved_state(checkpoint)
    prefix = _prefix(weights, model, saved.get("prefix", ""))
    plan = plan_inside(PruningPlan.from_dict(saved["plan"]), saved["prefix"], prefix) if saved else None
    names = {plain(name): name for name in _state(model)}
    inside = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
    missing = _check_weights(model, plan, inside)
    if plan is not None:
        apply_plan(model, plan)
    model.load_state_dict({names[name]: value for name, value in inside.items()}, strict=not missing)
    if missing:
        warnings.warn(_LEFT_OUT.format(count=len(missing), first=missing[:3]), stacklevel=2)
    return model


def _state(model: nn.Module) -> dict[str, Any]:
    """Return the state of a model, with the parameters that a hook of its own leaves out."""
    return {**dict(model.named_parameters(remove_duplicate=False)), **model.state_dict()}


def _check_weights(model: nn.Module, plan: PruningPlan | None, weights: Mapping[str, Any]) -> list[str]:
    """Refuse weights that the model, once cut, would not take; return the names of those that it keeps."""
    own = {plain(name): value for name, value in _state(model).items()}
    if unknown := sorted(set(weights) - set(own)):
        raise ValueError(f"path: the weights do not fit the model, which has no {unknown[:3]}")
    for name, value in weights.items():
        if (strange := next(stand_ins(value), None)) is not None:
            raise ValueError(_STRANGE.format(name=name, origin=strange.origin))
    cuts = {} if plan is None else under_every_name(plan.tensors, model)
    hint = _PLANLESS if plan is None else ""
    for name, mine in own.items():
        if not isinstance(mine, Tensor) or (name not in weights and name not in cuts):
            continue
        wanted = cuts[name].shape_after if name in cuts else tuple(mine.shape)
        value = weights.get(name)
        kind = type(value).__name__ if name in weights else "nothing"
        came = tuple(value.shape) if isinstance(value, Tensor) else kind
        if came != wanted:
            raise ValueError(
                f"path: the weights do not fit the model: {name!r} should have shape {wanted}, got {came}{hint}"
            )
    return [name for name in own if name not in weights]


_STRANGE = (
    "path: {name!r} in the state_dict is no plain data: it needs {origin}. If you trust the file, call "
    "torch.serialization.add_safe_globals([{origin}]) and load it again"
)
_LEFT_OUT = (
    "path: {count} weights of the model are not in the file, such as {first}: they stay as the model has them. That is "
    "right for a frozen part with weights of its own, and wrong for one that was trained"
)
_PLANLESS = (
    "; there is no pruning plan in the file: load one that the fit wrote after its cut, and then these weights into "
    "the pruned network that you have"
)


def _read(path: str | Path) -> dict[str, Any]:
    checkpoint = read_checkpoint(path)
    weights = checkpoint.get("state_dict") if isinstance(checkpoint, dict) else None
    if not isinstance(weights, dict) or not all(isinstance(name, str) for name in weights):
        raise ValueError(f"path: expected a Lightning checkpoint with a state_dict, got {str(path)!r}")
    return dict(checkpoint)


def _saved_state(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """What the callback saved with a plan; empty in a checkpoint from before the cut."""
    callbacks = checkpoint.get("callbacks", {})
    states = callbacks.values() if isinstance(callbacks, dict) else ()
    ours = (state for state in states if isinstance(state, dict) and isinstance(state.get("prefix"), str))
    return next((state for state in ours if state.get("plan") is not None), {})


def _prefix(weights: Mapping[str, Tensor], model: nn.Module, likely: str) -> str:
    """What comes before the model's own names in the checkpoint, such as ``"net."``; empty for the same module."""
    names = [plain(name) for name in _state(model)]
    known = set(names)
    found = Counter(prefix for name in weights for prefix, rest in _splits(name) if rest in known)
    if not names or found:
        # The one under which most names are; of several the model's own, then the plan's, then the shortest.
        return max(("", likely, *sorted(found, key=len)), key=lambda prefix: found[prefix])
    missing = next(name for name in names if name not in weights)
    raise ValueError(f"model: the checkpoint holds no {missing!r} under any prefix; it starts with {list(weights)[:3]}")


def _splits(name: str) -> Iterator[tuple[str, str]]:
    """Yield every way to split a name between two of its parts: what comes before, and the rest."""
    parts = name.split(".")
    for place in range(len(parts)):
        yield "".join(f"{part}." for part in parts[:place]), ".".join(parts[place:])


def plan_inside(plan: PruningPlan, traced: str, prefix: str) -> PruningPlan:
    """A plan in the names of the part of the LightningModule that `prefix` leads to."""
    whole = {traced + name: cut for name, cut in plan.tensors.items()}
    inside = {name.removeprefix(prefix): cut for name, cut in whole.items() if name.startswith(prefix)}
    sizes = {traced + name: pair for name, pair in plan.sizes.items()}
    mine = {name.removeprefix(prefix): pair for name, pair in sizes.items() if name.startswith(prefix)}
    return replace(plan, tensors=inside, sizes=mine, fingerprint=plan.fingerprint if prefix == traced else "")
