"""Runs a model under a mode that watches its channels: NaN goes in at one operation and is looked for at the others."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache, partial
from typing import Any
from weakref import proxy

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from physprune_pl.networks.nested import tensors_in
from physprune_pl.probing.axes import AxisWatch
from physprune_pl.probing.computed import ComputedWatch
from physprune_pl.probing.heads import HeadWatch
from physprune_pl.probing.norms import STATISTICS, NormWatch, Walls
from physprune_pl.probing.observations import INPUT, OUTPUT, Family, Kind, Mixing, Observation, Tie
from physprune_pl.probing.operations import (
    ACROSS,
    ELEMENTWISE,
    EMBEDDING,
    FUSED_ATTENTION,
    GROUP_NORM,
    OPAQUE,
    PER_CHANNEL,
    PRODUCTS,
    SOFTMAX,
    Layout,
    conv_groups,
    layout_of,
    operands,
    swapped,
)
from physprune_pl.probing.quantisers import quantised
from physprune_pl.probing.replay import Replay
from physprune_pl.probing.row_blocks import RowBlock
from physprune_pl.probing.sizes import SizeWatch
from physprune_pl.probing.tainting import ModulePath, cleaned, has_nan, nan_along, taint, tensors_of_call


@dataclass(eq=False)
class Probe(TorchFunctionMode):
    """One watched run: records what every named tensor meets and taints the outputs of chosen sources.

    Attributes:
        names: ``id`` of a parameter or buffer -> its name.
        path: names the running module.
        taints: source family -> mask of the output channels that are set to NaN.
        mode: keeps apart what has no name of its own in eval and in train mode.
        replay: outputs of the mixing calls of an earlier run.
        tainted: names of parameters and buffers that are NaN themselves.
        walls: which statistics are over channels, as far as that is known.
        leaking: numbers of such statistics that put out nothing but NaN.
    """

    names: Mapping[int, str]
    path: ModulePath
    taints: Mapping[Family, Tensor] = field(default_factory=dict)
    mode: str = "eval"
    replay: Replay = field(default_factory=Replay)
    tainted: Collection[str] = ()
    walls: Walls = field(default_factory=Walls)
    leaking: Collection[int] = ()

    def __post_init__(self) -> None:
        super().__init__()
        self.observations: list[Observation] = []
        self.mixings: list[Mixing] = []
        self.ties: list[Tie] = []
        # A cycle would keep every run, until the garbage collector comes by, between the activations of the next.
        own = proxy(self)
        self.heads, self.computed = HeadWatch(own), ComputedWatch(own)
        self.sizes = SizeWatch(own)
        self.axes = AxisWatch(own, self.sizes)
        self.norms = NormWatch(own, self.walls, self.sizes, self.leaking)
        self.inexact: set[Family] = set()
        self.loose: set[str] = set()
        self.opaque: list[str] = []
        self.sequence: list[str] = []
        self.used: set[str] = set()

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Watch one operation."""
        return self._dispatch(func, args, kwargs or {})

    def _dispatch(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self.sequence.append(getattr(func, "__name__", str(func)))
        layout = layout_of(func, args, kwargs)
        if layout is not None:
            return self._mix(func, args, kwargs, layout)
        if func in EMBEDDING:
            return self._embed(func, args, kwargs)
        if func is quantised:
            return self._pass_quantised(*args)
        if func in OPAQUE:
            return self.opaque_call(func, args, kwargs)
        if func in ACROSS or func in GROUP_NORM:
            return self.norms.norm(func, args, kwargs)
        return self._pass_on(func, args, kwargs)

    def _pass_on(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        inputs = tensors_of_call(args, kwargs)
        named = [value for value in inputs if self.name_of(value)]
        output = self._compute(func, args, kwargs, inputs, named)
        if self.computed.follow(func, args, output):
            return output
        self.axes.note(func, args, kwargs, output)
        if named:
            self._carry(func, named, output)
        return output

    def _compute(
        self,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        inputs: list[Tensor],
        named: list[Tensor],
    ) -> Any:
        """Run an operation without a weight; products of activations may be attention."""
        if func in FUSED_ATTENTION:
            return self.heads.attend(self.replay.calling(func), args, kwargs)
        if func in PRODUCTS and not named:
            return self.heads.multiply(func, args, kwargs)
        if func in SOFTMAX and self.heads.are_scores(args[0] if args else kwargs["input"]):
            return self.heads.normalise(func, args, kwargs)
        if func in STATISTICS:
            return self.norms.statistic(func, args, kwargs)
        output = func(*args, **kwargs)
        self.heads.follow(inputs, output)
        return output

    def name_of(self, value: object) -> str | None:
        """Return the name of a parameter or buffer, None for any other value."""
        name = self.names.get(id(self.computed.original(value))) if isinstance(value, Tensor) else None
        if name is not None:
            self.used.add(name)
        return name

    def see(self, kind: Kind, family: Family, pattern: Tensor) -> None:
        """Record which entries of a family are NaN now."""
        self.sequence.append(f"{kind} {family}")
        self.observations.append(Observation(kind, family, pattern.detach().cpu()))

    def see_norm(self, family: Family, pattern: Tensor) -> None:
        """Record which slots of a norm over channels are NaN now."""
        self.see("norm", family, pattern)

    def see_part(self, family: Family, pattern: Tensor) -> None:
        """Record which slots of an axis are NaN now that is about to be cut into parts."""
        self.see("part", family, pattern)

    def see_size(self, family: Family, pattern: Tensor) -> None:
        """Record which slots of an axis are NaN now, of which a module remembers the size."""
        self.see("size", family, pattern)

    def see_head(self, family: Family, pattern: Tensor) -> None:
        """Record which slots of products of activations are NaN now."""
        self.see("head", family, pattern)

    def _mix(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], layout: Layout) -> Any:
        data, weight, bias = operands(func, args, kwargs)
        block, bias_block = RowBlock.of(weight), RowBlock.of(bias)
        name = self.name_of(block.owner)
        groups = conv_groups(func, args, kwargs)
        if name is None or not (block.whole or (groups == 1 and layout.output_dim == 0)):
            return self.opaque_call(func, args, kwargs)
        bias_name = self.name_of(bias_block.owner)
        self._note_loose((data,))
        reads = (name, layout.input_dim) if groups == 1 else (name, INPUT)
        for family in (reads, *self.computed.lengths_of(reads)):
            self.see("consumer", family, nan_along(data, layout.axis))
        source = (name, OUTPUT) if groups > 1 and layout.transposed else (name, layout.output_dim)
        args = self._see_computed(args, kwargs, (weight, bias), (source, reads), layout)
        output = self._mixed(func, args, kwargs, data, [name, bias_name])
        outputs = output.shape[layout.axis]
        slid_over = data if layout.transposed else output
        positions = slid_over.numel() // slid_over.shape[layout.axis]
        share = Fraction(1)
        if not (block.whole and bias_block.whole):
            self._tie_bias(source, block, bias_block, bias_name)
            outputs, bias_name, share = block.owner.shape[0], None, Fraction(block.rows, block.owner.shape[0])
        if groups > 1:
            self._tie_groups(name, groups, data.shape[layout.axis], outputs, layout.transposed)
        self.mixings.append(Mixing(name, bias_name, source, outputs, positions, share))
        return taint(output, layout.axis, block.part_of(self.taints[source])) if source in self.taints else output

    def _see_computed(
        self,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        tensors: tuple[Tensor, Any],
        families: tuple[Family, Family],
        layout: Layout,
    ) -> tuple[Any, ...]:
        """Record what reaches a weight or a bias that is put together from other tensors, and return it clean."""
        weight, bias = tensors
        source, reads = families
        if isinstance(bias, Tensor) and bias.dim() == 1 and self._is_computed(bias):
            self.see("bias", source, bias.isnan())
            args = swapped(args, kwargs, bias, cleaned(bias))
        if self._is_computed(weight) and reads[1] != INPUT and source[1] != OUTPUT:
            self.see("bias", source, nan_along(weight, layout.output_dim))
            self.see("bias", reads, nan_along(weight, layout.input_dim))
            args = swapped(args, kwargs, weight, cleaned(weight))
        return args

    def _is_computed(self, tensor: Tensor) -> bool:
        """Return whether a tensor is neither a parameter or buffer nor some rows of one."""
        return id(tensor) not in self.names and id(RowBlock.of(tensor).owner) not in self.names

    def _tie_bias(self, source: Family, block: RowBlock, bias: RowBlock, name: str | None) -> None:
        """Couple rows of a weight with those of a bias, either of which may be a part of a longer one."""
        if name is not None:
            self.see("carrier", (name, 0), torch.zeros(bias.owner.shape[0], dtype=torch.bool))
            self.ties.append((source, block.index, (name, 0), bias.index))

    def _mixed(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], data: Tensor, names: list[Any]
    ) -> Tensor:
        def compute() -> Tensor:
            output: Tensor = func(*swapped(args, kwargs, data, cleaned(data)), **kwargs)
            return output

        if any(name in self.tainted for name in names):
            self.replay.skip()
            return compute()
        return self.replay.output((names[0], data.shape), compute)

    def _tie_groups(self, name: str, groups: int, inputs: int, outputs: int, transposed: bool) -> None:
        """Couple the inputs, rows and outputs of every conv group into one unit."""
        unit_in = torch.arange(inputs) // (inputs // groups)
        unit_out = torch.arange(outputs) // (outputs // groups)
        first_in = unit_in * (inputs // groups)
        first_of_out = unit_out * (inputs // groups)
        self.ties.append(((name, INPUT), torch.arange(inputs), (name, INPUT), first_in))
        source = (name, OUTPUT) if transposed else (name, 0)
        self.ties.append((source, torch.arange(outputs), (name, INPUT), first_of_out))
        if transposed:
            self.ties.append(((name, 0), torch.arange(inputs), (name, INPUT), torch.arange(inputs)))

    def _embed(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        output = func(*args, **kwargs)
        weight = next((value for value in (*args, *kwargs.values()) if self.name_of(value)), None)
        if weight is None:
            return output
        source = (str(self.name_of(weight)), 1)
        self.mixings.append(Mixing(source[0], None, source, output.shape[-1], 0))
        return taint(output, -1, self.taints[source]) if source in self.taints else output

    def _pass_quantised(self, data: Tensor, axis: int, *vectors: Tensor) -> Tensor:
        """Let a tensor through; what has a number for every index of an axis of a weight belongs to it."""
        weight = self.computed.original(data)
        if self.name_of(weight):
            self.computed.tie(weight, vectors, axis)
        return data

    def opaque_call(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Treat a call as a wall: what goes in stays whole, what comes out is clean."""
        family = (f"{self.path.current}#{len(self.opaque)}", 0)
        self.opaque.append(self.path.current)
        inputs = [t for t in tensors_in([args, kwargs]) if t.is_floating_point() and not self.name_of(t)]
        self.see("opaque", family, torch.tensor([any(has_nan(tensor) for tensor in inputs)]))
        safe = torch.utils._pytree.tree_map(lambda v: cleaned(v) if any(v is t for t in inputs) else v, (args, kwargs))
        output = func(*safe[0], **safe[1])
        return torch.utils._pytree.tree_map(lambda v: cleaned(v) if isinstance(v, Tensor) else v, output)

    def _carry(self, func: Callable[..., Any], values: list[Tensor], output: Any) -> None:
        """Record what reaches the per-channel parameters of an operation; any other use makes a parameter loose."""
        if not tensors_in(output):
            return
        aligned = getattr(func, "__name__", "") in ELEMENTWISE or func in PER_CHANNEL
        if not aligned or not isinstance(output, Tensor) or not output.is_floating_point():
            self._note_loose(values)
            return
        reached = cache(partial(nan_along, output))  # weight, bias and statistics of a norm lie along one axis
        for tensor in values:
            offset = 1 if func in PER_CHANNEL else output.dim() - tensor.dim()
            for dim, size in enumerate(tensor.shape):
                axis = offset + dim
                if size > 1 and 0 <= axis < output.dim() and output.shape[axis] == size:
                    self.see("carrier", (str(self.name_of(tensor)), dim), reached(axis))

    def _note_loose(self, values: Iterable[Tensor]) -> None:
        self.loose.update(name for value in values if (name := self.name_of(value)))
