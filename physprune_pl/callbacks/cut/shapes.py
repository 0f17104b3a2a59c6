"""Loading a checkpoint of another width: everything is checked first, then shapes are adopted, then weights loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from functools import partial
from typing import Any, Literal

from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from physprune_pl.callbacks.cut.averages import follow_shapes
from physprune_pl.callbacks.session.record import Record
from physprune_pl.callbacks.trainer.checkpoints import loaded_checkpoint
from physprune_pl.networks.identity import fingerprint
from physprune_pl.networks.names import follow_names, plain, tensors_by_every_name, under_every_name
from physprune_pl.surgery.apply import adopt_shapes
from physprune_pl.surgery.remembered import Sizes

Shapes = dict[str, tuple[int, ...]]


class AnyWidth:
    """Lets a module load state dicts of the widths that a plan explains, as long as it is attached."""

    def __init__(self) -> None:
        self._handles: list[RemovableHandle] = []

    def attach(self, module: LightningModule, own: Record) -> None:
        """From now on give the module the shapes of a state dict before it is loaded, see :func:`adopt`.

        The plans are those in the checkpoint that its trainer loads. Averaged copies of the module take the new shapes
        too.

        Args:
            module: the module, with a trainer.
            own: what has been cut before; a checkpoint from before that cut loads too.
        """
        # Copies of the module copy this too, so it holds names and shapes alone.
        known = _shapes(own, "shape"), _sizes(own, back=True)
        self._hook(module, partial(_adopt, *known), follow_shapes)

    @property
    def attached(self) -> bool:
        """Whether a module takes other shapes now."""
        return bool(self._handles)

    def detach(self) -> None:
        """Leave the module alone again."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _hook(self, module: LightningModule, adopts: Callable[..., None], follows: Callable[..., None]) -> None:
        self.detach()
        before: Any = module.register_load_state_dict_pre_hook
        after: Any = module.register_load_state_dict_post_hook
        self._handles = [before(adopts), after(follows)]


class PlannedWidth(AnyWidth):
    """Does so where a checkpoint carries a plan, and leaves alone what any other one loads, errors included."""

    def attach(self, module: LightningModule, own: Record) -> None:  # noqa: ARG002
        """From now on give the module the shapes of a pruned checkpoint before it is loaded."""
        self._hook(module, _adopt_planned, _follow_planned)


def _adopt_planned(module: LightningModule, weights: MutableMapping[str, Any], *_: Any) -> None:
    # A module that has the shapes needs nothing, also where it is not quite the one that the plan was made for.
    if states_in(loaded_checkpoint(module)) and _changed(module, weights):
        _adopt({}, {}, module, weights)


def _follow_planned(module: LightningModule, *_: Any) -> None:
    if states_in(loaded_checkpoint(module)):
        follow_shapes(module)


def _adopt(before: Shapes, sizes: Sizes, module: LightningModule, weights: MutableMapping[str, Any], *_: Any) -> None:
    adopt(module, weights, records_in(loaded_checkpoint(module)), before, sizes)


def adopt(
    module: LightningModule,
    weights: MutableMapping[str, Any],
    saved: Sequence[Record],
    before: Shapes | None = None,
    sizes: Sizes | None = None,
) -> None:
    """Give a module the shapes of a state dict, and the state dict the names of the module, before it is loaded.

    Args:
        module: the module.
        weights: the state dict.
        saved: what lies beside it in the checkpoint, see :func:`records_in`.
        before: shapes that need no plan: those of the dense network, where the module was cut before.
        sizes: what modules remember with them.

    Raises:
        ValueError: a plan does not fit module and weights, or no plan explains a shape; nothing has changed then.
    """
    follow_names(weights, module)
    incoming, changed = _incoming(weights), _changed(module, weights)
    cuts = [record for record in saved if record.plan is not None]
    for record in cuts:
        _check_plan(record, module, incoming)
    after = {name: shape for record in cuts for name, shape in _shapes(record, "shape_after").items()}
    dense = under_every_name(before or {}, module)
    _explain(changed, {**dense, **under_every_name(after, module)})
    if changed:
        # What is saved was cut from the dense network, whatever was cut here.
        own = tensors_by_every_name(module)
        again = {name: shape for name, shape in dense.items() if name in own and name in incoming}
        adopt_shapes(module, again, sizes)
        changed |= {name: incoming[name] for name in again}
    adopt_shapes(module, changed, {name: pair for record in cuts for name, pair in _sizes(record).items()})


def _incoming(weights: Mapping[str, Any]) -> Shapes:
    return {plain(name): tuple(value.shape) for name, value in weights.items() if isinstance(value, Tensor)}


def _changed(module: nn.Module, weights: Mapping[str, Any]) -> Shapes:
    own = {name: tuple(tensor.shape) for name, tensor in tensors_by_every_name(module).items()}
    # Another number of dimensions is no other width: loading the weights refuses it.
    return {
        name: shape
        for name, shape in _incoming(weights).items()
        if name in own and own[name] != shape and len(own[name]) == len(shape)
    }


def records_in(checkpoint: Mapping[str, Any]) -> list[Record]:
    """Read what the callbacks that cut have saved in a checkpoint; nothing in one without them.

    Raises:
        ValueError: a part is missing, unknown or of another kind.
    """
    states = checkpoint.get("callbacks", {}).values()
    return [Record.from_dict(state) for state in states if _is_record(state)]


def states_in(checkpoint: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what of them says that a network was cut, by the keys of the callbacks, without the best weights."""
    states = checkpoint.get("callbacks", {})
    return {key: {**state, "best": None} for key, state in states.items() if _is_record(state) and state["plan"]}


def _is_record(state: object) -> bool:
    return isinstance(state, dict) and {"plan", "prefix"} <= set(state)


def _shapes(record: Record, moment: Literal["shape", "shape_after"]) -> Shapes:
    """Shapes before or after a cut of what it changed, by their names in the LightningModule."""
    cuts = {} if record.plan is None else record.plan.tensors
    return {record.prefix + name: getattr(cut, moment) for name, cut in cuts.items()}


def _sizes(record: Record, back: bool = False) -> Sizes:
    """What modules remember before and after a cut, by path in the LightningModule; ``back``: the other way round."""
    sizes = {} if record.plan is None else record.plan.sizes
    return {record.prefix + name: pair[::-1] if back else pair for name, pair in sizes.items()}


def _check_plan(record: Record, module: nn.Module, incoming: Shapes) -> None:
    """Refuse a plan that was not made for this network, or not for these weights."""
    plan, prefix = record.plan, record.prefix
    if plan is None:
        return
    for name, cut in plan.tensors.items():
        if incoming.get(prefix + name) != cut.shape_after:
            raise ValueError(
                f"checkpoint: its pruning plan leaves {name!r} with shape {cut.shape_after}, "
                f"but its weights have {incoming.get(prefix + name)}"
            )
    # Somebody may have left out of the weights what was frozen.
    dense = {plain(name): tuple(one.shape) for name, one in _inside(module, prefix).named_parameters()}
    came = {name.removeprefix(prefix): shape for name, shape in incoming.items() if name.startswith(prefix)}
    dense |= {name: shape for name, shape in came.items() if name in dense}
    dense |= {name: cut.shape for name, cut in plan.tensors.items() if name in dense}
    if fingerprint(dense) != plan.fingerprint:
        raise ValueError(f"checkpoint: its pruning plan was made for another network than {type(module).__name__}")


def _inside(module: nn.Module, prefix: str) -> nn.Module:
    try:
        return module.get_submodule(prefix.removesuffix("."))
    except AttributeError as error:
        raise ValueError(f"checkpoint: its pruning plan is for {prefix!r}, which the module does not have") from error


def _explain(changed: Shapes, known: Shapes) -> None:
    for name, shape in changed.items():
        if known.get(name) != shape:
            raise ValueError(f"checkpoint: {name!r} has shape {shape} there, and no pruning plan in it explains that")
