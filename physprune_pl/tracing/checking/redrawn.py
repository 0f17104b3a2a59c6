"""A copy of a network with random parameters, which runs masked or as it is, and is as before after every run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

import torch
from torch import Tensor, nn

from physprune_pl.networks.example import Example
from physprune_pl.networks.isolation import copied, seed_everything_inside, set_training, twin
from physprune_pl.networks.names import named_tensors
from physprune_pl.networks.nested import tensors_in
from physprune_pl.networks.saved_state import SavedState
from physprune_pl.networks.taking import Scratch
from physprune_pl.probing.watching.tainting import has_nan
from physprune_pl.surgery.apply import cut
from physprune_pl.surgery.plan import PruningPlan
from physprune_pl.tracing.checking.comparable import Comparable
from physprune_pl.tracing.checking.drawing import deviation_of, draw_normal, drawn_together
from physprune_pl.tracing.checking.kept_norms import KeptNorms, Removed
from physprune_pl.tracing.checking.known_calls import KnownCalls
from physprune_pl.tracing.checking.large_weights import LargeWeights, large_weights
from physprune_pl.tracing.checking.masking import Masks


@dataclass
class Redrawn:
    """A network with random parameters and inputs; nothing a run does to it stays.

    Attributes:
        model: a copy of the network, in the given type but for its large weights.
        example: inputs of that type.
        dtype: the type.
        large: names of the large weights, which are lengthened where they are used.
        saved: puts the model back after a run; None: it is not run again.
        scratch: memory for parts of large weights.
    """

    model: nn.Module
    example: Example
    dtype: torch.dtype
    large: frozenset[str]
    saved: SavedState | None
    scratch: tuple[Scratch, Scratch, Scratch] = field(default_factory=lambda: (Scratch(), Scratch(), Scratch()))

    def weights_of(self, model: nn.Module, known: KnownCalls | None = None) -> LargeWeights:
        """Return what lets the model, or a cut copy, compute with its large weights."""
        return LargeWeights(named_tensors(model), self.large, self.dtype, self.scratch, known)

    def with_parameters_of(self, model: nn.Module) -> Redrawn:
        """Return a copy with the parameters of a model, to be run once; large weights share its memory."""
        own = twin(model, self.large).requires_grad_(False)
        return replace(self, model=in_type(own, self.dtype, self.large), saved=None)

    def cut(self, plan: PruningPlan) -> nn.Module:
        """Return a cut copy; where the model is put back after runs, those of the copy may write to its buffers."""
        return cut(twin(self.model, None if self.saved is None else self._tensors.keys()), plan)

    def dense(self, seen: Comparable, training: bool, known: KnownCalls | None = None) -> list[Tensor] | None:
        """Return what the network and its layers put out in a mode; None if it raises there or returns NaN.

        Large weights that turn out to be used otherwise than layers use them are none any more.
        """
        weights = self.weights_of(self.model, known)
        try:
            with self.restored(), weights:
                outputs = put_out(self.model, self.example, training, seen)
        except Exception:  # whatever a network raises that insists on other inputs or cannot be trained on these
            return None
        if weights.odd:
            self.large -= weights.odd
            for name in weights.odd:  # they may share their memory with others, and be written to
                self._tensors[name].data = self._tensors[name].data.clone()
            in_type(self.model, self.dtype, self.large)
        returned = outputs[: len(outputs) - len(seen.collected)]
        return None if any(map(has_nan, returned)) else outputs

    def masked(
        self, masks: Masks, producing: Collection[str], example: Example, training: bool, double: bool
    ) -> list[Tensor]:
        """Return what the network and its layers put out for an example without the removed channels.

        Args:
            masks: what is removed.
            producing: names of groups of which only what produces a channel is zero.
            example: the inputs.
            training: whether in train mode.
            double: whether with all digits.
        """
        weights = LargeWeights(self._tensors, self.large, self.dtype, self.scratch)
        seen = Comparable(masks.kept(self._tensors), set(map(id, self._tensors.values())), double)
        with self.restored(), masks.zeroed(self._tensors, producing, weights) as norms, weights:
            return put_out(self.model, example, training, seen, norms)

    @cached_property
    def _tensors(self) -> Mapping[str, Tensor]:
        return named_tensors(self.model)

    @contextmanager
    def restored(self) -> Iterator[None]:
        """Put back on leaving what runs have done."""
        try:
            yield
        finally:
            if self.saved is not None:
                self.saved.restore()


def redrawn(
    model: nn.Module, example: Example, mixing_weights: set[str]
) -> tuple[Redrawn, list[Tensor] | None, KnownCalls]:
    """Return a copy with random parameters and inputs, in double precision where the model runs in it.

    Returns:
        The copy; what it and its layers put out in eval mode, None if it runs in no precision; what its large layers
        put out there, for a run in train mode.
    """
    large, scratch = frozenset(large_weights(model)), (Scratch(), Scratch(), Scratch())
    drawn = drawn_together({name: one for name, one in model.named_parameters() if name in large & mixing_weights})
    base = copied(model, drawn).requires_grad_(False)
    _draw(base, mixing_weights, drawn)
    for dtype in _types(base, large):
        saved = SavedState(base)
        for inputs in _inputs(example):
            found = Redrawn(base, inputs.map(partial(_cast, dtype=dtype)), dtype, large, saved, scratch)
            known = KnownCalls()
            outputs = found.dense(Comparable({}), training=False, known=known)
            if outputs is not None:
                known.start_again()
                return found, outputs, known
    single = example.map(partial(_cast, dtype=torch.float32))
    return Redrawn(base, single, torch.float32, large, saved, scratch), None, KnownCalls()


def _types(model: nn.Module, large: Collection[str]) -> Iterator[torch.dtype]:
    """Cast a model to double precision, if its device has that, and then to single."""
    for dtype in (torch.float64, torch.float32):
        try:
            in_type(model, dtype, large)
        except TypeError:  # what devices without double precision raise
            continue
        yield dtype


def put_out(
    model: nn.Module, example: Example, training: bool, seen: Comparable, norms: Removed | None = None
) -> list[Tensor]:
    """Return what a model returns and what its mixing calls put out, the same chance in every run.

    Args:
        model: the model.
        example: its inputs.
        training: whether in train mode.
        seen: collects what the calls put out.
        norms: what norms over channels leave out, if anything.
    """
    seed_everything_inside(11)
    with set_training(model, training), seen, KeptNorms(norms or Removed(), training):
        returned = tensors_in(example.copy().run(model))
    return [*returned, *seen.collected]


def in_type(model: nn.Module, dtype: torch.dtype, large: Collection[str]) -> nn.Module:
    """Return a model, cast to a type but for its large weights."""
    tensors = named_tensors(model)
    kept = {id(tensors[name]) for name in large}
    model._apply(lambda tensor: tensor if id(tensor) in kept else _cast(tensor, dtype))  # type: ignore[no-untyped-call]
    return model


def _inputs(example: Example) -> list[Example]:
    """Return inputs to try: normal, positive, and close to the given ones, for models that accept no others."""
    changes: list[Callable[[Tensor], Tensor]] = [
        torch.randn_like,
        lambda x: torch.rand_like(x) + 0.5,
        lambda x: x * (torch.rand_like(x) + 0.5),
        torch.clone,
    ]
    return [example.map(partial(_change, change=change)) for change in changes]


def _change(tensor: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    return change(tensor) if tensor.is_floating_point() else tensor


def _cast(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


def _draw(model: nn.Module, mixing_weights: set[str], drawn: Collection[str]) -> None:
    for name, tensor in named_tensors(model).items():
        if not tensor.is_floating_point() or name in drawn:
            continue
        if name in mixing_weights and tensor.dim() > 1:
            draw_normal(tensor, deviation_of(tensor))
        elif isinstance(tensor, nn.Parameter) or name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
        elif name.endswith("running_mean"):
            # Below zero: what a silent channel then still puts out is positive, and no ReLU hides it.
            tensor.uniform_(-0.5, 0.0)
        else:  # a table or mask keeps its zeros and infinities
            tensor.data = tensor * torch.empty_like(tensor).uniform_(0.5, 1.5)
