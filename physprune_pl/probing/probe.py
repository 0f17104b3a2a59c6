"""Runs a model under a mode that watches its channels: NaN goes in at one operation and is looked for at the others."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any
from weakref import proxy

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from physprune_pl.networks.nested import tensors_in
from physprune_pl.probing.flow.flow import Flow
from physprune_pl.probing.flow.heads import HeadWatch
from physprune_pl.probing.flow.junctions import Junctions, JunctionWatch
from physprune_pl.probing.flow.norms import NormWatch, Walls
from physprune_pl.probing.mixing.computed_weights import ComputedWatch
from physprune_pl.probing.mixing.einsums import as_product
from physprune_pl.probing.mixing.mixing import Crossings, MixWatch
from physprune_pl.probing.mixing.replay import Replay
from physprune_pl.probing.operations.axis_rows import (
    Expansion,
    Indexing,
    MultipliedHalves,
    Narrowing,
    Parts,
    ReadsShape,
    View,
)
from physprune_pl.probing.operations.operation_rows import (
    ActivationProduct,
    Assignment,
    Attention,
    Convolves,
    Creation,
    LooksUp,
    Mixes,
    Multiplies,
    NormOfGroups,
    NormOfShape,
    Opaque,
    Operation,
    Quantisation,
    Softmax,
    Statistic,
)
from physprune_pl.probing.operations.operations import TELLING, operation_of, sealed
from physprune_pl.probing.operations.transposes import transposed_parameter
from physprune_pl.probing.sizes.axes import AxisWatch
from physprune_pl.probing.sizes.known_numbers import Remembered
from physprune_pl.probing.sizes.sizes import SizeWatch, sizes_of_view
from physprune_pl.probing.sizes.widths import Asked
from physprune_pl.probing.watching.decisions import BRANCH, Decisions
from physprune_pl.probing.watching.invocation import Invocation, invocation
from physprune_pl.probing.watching.observations import Family, Kind, Mixing, Observation, Tie
from physprune_pl.probing.watching.tainting import ModulePath, cleaned, has_nan, nan_along, tensors_of_call
from physprune_pl.tools.user_code import line_running


class SeenEnough(BaseException):
    """Ends a run; of no sort that the code of a model catches to go on in another way."""


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
        asked: axes whose sizes are asked of others, as far as that is known.
        decisions: masks and indices that the model chose in an earlier run.
        sums: which sums are sources of their own.
        stopping: whether channels end there in this run.
        flow: where it is noted what goes into what; None: nowhere.
        last: the last place of an observation that the run is made for; behind it the run ends.
        crossings: which calls channels pass along another axis than the one that is mixed.
        ended: the sum that the running call is, if channels end there.
        over: whether the run has ended early.
    """

    names: Mapping[int, str]
    path: ModulePath
    taints: Mapping[Family, Tensor] = field(default_factory=dict)
    mode: str = "eval"
    replay: Replay = field(default_factory=Replay)
    tainted: Collection[str] = ()
    walls: Walls = field(default_factory=Walls)
    leaking: Collection[int] = ()
    asked: Asked = field(default_factory=Asked)
    decisions: Decisions = field(default_factory=Decisions)
    sums: Junctions = field(default_factory=Junctions)
    stopping: bool = False
    flow: Flow | None = None
    last: float = math.inf
    crossings: Crossings = field(default_factory=Crossings)

    def __post_init__(self) -> None:
        super().__init__()
        self.observations: list[Observation] = []
        self.mixings: list[Mixing] = []
        self.ties: list[Tie] = []
        # A cycle would keep every run, until the garbage collector comes by, between the activations of the next.
        own = proxy(self)
        self.heads, self.computed, self.mixes = HeadWatch(own), ComputedWatch(own), MixWatch(own, self.crossings)
        self.sizes = SizeWatch(own, self.asked)
        self.axes = AxisWatch(own, self.sizes)
        self.ended: Family | None = None
        self.over = False
        self.junctions = JunctionWatch(own, self.sums, self.stopping)
        self.norms = NormWatch(own, self.walls, self.sizes, self.leaking)
        self.inexact: set[Family] = set()
        self.loose: set[str] = set()
        self.opaque: list[tuple[str, str]] = []
        self.lines: dict[Family, str] = {}
        self.sequence: list[str] = []
        self.used: set[str] = set()

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Watch one operation, as its row in the table of operations says."""
        if len(self.observations) > self.last:
            self.over = True
            raise SeenEnough
        if func is torch.einsum:
            with self:
                product = as_product(args)
            if product is not None:
                return product
        self.sequence.append(getattr(func, "__name__", str(func)))
        if func in TELLING:
            self.name_of(args[0])
            return func(*args, **(kwargs or {}))
        call = invocation(func, args, kwargs or {})
        watched = _WATCHED.get(type(call.row), Probe.pass_on)
        return watched(self, call) if self.flow is None else self.flow.follow(self, call, watched)

    def are_scores(self, tensor: Tensor) -> bool:
        """Return whether a tensor comes from a product of activations."""
        return self.heads.are_scores(tensor)

    def name_of(self, value: object) -> str | None:
        """Return the name of a parameter or buffer, None for any other value."""
        name = self.names.get(id(self.computed.original(value))) if isinstance(value, Tensor) else None
        if name is not None:
            self.used.add(name)
        return name

    def see(self, kind: Kind, family: Family, pattern: Tensor) -> None:
        """Record which entries of a family are NaN now."""
        self.sequence.append(f"{kind} {family}")
        if kind in ("consumer", "head", "part") and family not in self.lines and not (self.taints or self.tainted):
            self.lines[family] = line_running()
        self.observations.append(Observation(kind, family, pattern.detach().cpu()))

    def note_loose(self, values: Iterable[Tensor]) -> None:
        """Record parameters and buffers that are used in a way that no rule reads."""
        self.loose.update(name for value in values if (name := self.name_of(value)))

    def pass_on(self, call: Invocation[Any]) -> Any:
        """Let NaN pass as it does; record what becomes of axes, and what reaches parameters and buffers."""
        inputs = tensors_of_call(call.args, call.kwargs)
        named = [value for value in inputs if self.name_of(value)]
        kind = type(call.row)
        output = self.decisions.of(call, inputs, _COMPUTED.get(kind, Probe.compute)(self, call, inputs))
        if self.decisions.branches(call, inputs):
            self.sequence.append(f"{BRANCH} at {line_running() or self.path.current}")
        if self.computed.follow(call.func, call.args, output):
            return output
        if kind in _AXES:
            _AXES[kind](self.axes, call, output)
        if named and transposed_parameter(output) is None:  # of a transpose it shows where it is used
            self._carry(call.row, named, output)
        self.note_loose(turned for value in inputs if (turned := transposed_parameter(value)) is not None)
        return output

    def compute(self, call: Invocation[Any], inputs: list[Tensor]) -> Any:
        """Make a call; what is made of scores may be scores."""
        output = self.junctions.meet(call, inputs, call.run())
        self.heads.follow(inputs, output)
        return output

    def create(self, call: Invocation[Creation], inputs: list[Tensor]) -> Any:
        """Make a tensor; one of as many matrices as a module remembers may be a table for its heads."""
        output = self.compute(call, inputs)
        sizes = sizes_of_view(call.args if call.row.method else (None, *call.args), call.kwargs)
        if len(sizes) > 3 and isinstance(sizes[-3], Remembered) and output.is_floating_point():
            units = self.heads.table(output)
            self.sizes.part(sizes[-3], units, int(sizes[-3]), range(int(sizes[-3])))
        return output

    def assign(self, call: Invocation[Assignment], inputs: list[Tensor]) -> Any:
        """Write into a tensor: a parameter that is written has to be followed by its own entries."""
        self.note_loose(tensors_in(call.get(call.row.value)))
        return self.compute(call, inputs)

    def multiply(self, call: Invocation[ActivationProduct], inputs: list[Tensor]) -> Any:
        """Make a product: of activations, by head."""
        return self.compute(call, inputs) if any(map(self.name_of, inputs)) else self.heads.multiply(call)

    def normalise(self, call: Invocation[Softmax], inputs: list[Tensor]) -> Any:
        """Make a softmax: of scores, by head."""
        return self.heads.normalise(call) if self.heads.are_scores(call.data) else self.compute(call, inputs)

    def attend(self, call: Invocation[Attention]) -> Any:
        """Make a call of fused attention, on clean data: once for all runs."""
        return self.heads.attend(replace(call, func=self.replay.calling(call.func)))

    def pass_quantised(self, call: Invocation[Quantisation]) -> Any:
        """Let a tensor through; what has a number for every index of an axis of a weight belongs to it."""
        data, axis, *vectors = call.args
        weight = self.computed.original(data)
        if self.name_of(weight):
            self.computed.tie(weight, vectors, axis)
        return data

    def opaque_call(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Treat a call as a wall: what goes in stays whole, what comes out is clean."""
        family = (f"{self.path.current}#{len(self.opaque)}", 0)
        self.opaque.append((self.path.current, self._described(func)))
        inputs = [t for t in tensors_in([args, kwargs]) if t.is_floating_point() and not self.name_of(t)]
        self.see("opaque", family, torch.tensor([any(has_nan(tensor) for tensor in inputs)]))
        safe = torch.utils._pytree.tree_map(lambda v: cleaned(v) if any(v is t for t in inputs) else v, (args, kwargs))
        output = func(*safe[0], **safe[1])
        return torch.utils._pytree.tree_map(
            lambda v: self.decisions.choice(inputs, cleaned(v)) if isinstance(v, Tensor) else v, output
        )

    def _described(self, func: Callable[..., Any]) -> str:
        """Return the name of an operation and, in a run without NaN, the line that calls it."""
        name = "TorchScript" if func is sealed else str(getattr(func, "__name__", func)).removesuffix(".default")
        computed = " with a weight that is computed" if isinstance(operation_of(func), Mixes) else ""
        line = "" if self.taints or self.tainted else line_running()
        return f"{name}{computed}{f' at {line}' if line else ''}"

    def wall(self, call: Invocation[Any]) -> Any:
        """Treat a call as a wall."""
        return self.opaque_call(call.func, call.args, call.kwargs)

    def _carry(self, row: Operation, values: list[Tensor], output: Any) -> None:
        """Record what reaches the per-channel parameters of an operation; any other use makes a parameter loose."""
        if not tensors_in(output):
            return
        if row.carries is None or not isinstance(output, Tensor) or not output.is_floating_point():
            self.note_loose(values)
            return
        reached = cache(partial(nan_along, output))  # weight, bias and statistics of a norm lie along one axis
        for tensor in values:
            offset = 1 if row.carries == "from the channels" else output.dim() - tensor.dim()
            for dim, size in enumerate(tensor.shape):
                axis = offset + dim
                if size > 1 and 0 <= axis < output.dim() and output.shape[axis] == size:
                    self.see("carrier", (str(self.name_of(tensor)), dim), reached(axis))


_WATCHED: Mapping[type[Operation], Callable[[Probe, Invocation[Any]], Any]] = {
    **dict.fromkeys((Mixes, Convolves, Multiplies), lambda probe, call: probe.mixes.mix(call)),
    LooksUp: lambda probe, call: probe.mixes.look_up(call),
    NormOfShape: lambda probe, call: probe.norms.of_shape(call),
    NormOfGroups: lambda probe, call: probe.norms.of_groups(call),
    Quantisation: Probe.pass_quantised,
    ReadsShape: lambda probe, call: probe.sizes.shape(call),
    Opaque: Probe.wall,
}
"""How a kind of operation is watched that is more than passed on."""
_COMPUTED: Mapping[type[Operation], Callable[[Probe, Invocation[Any], list[Tensor]], Any]] = {
    Assignment: Probe.assign,
    Creation: Probe.create,
    Attention: lambda probe, call, _: probe.attend(call),
    ActivationProduct: Probe.multiply,
    Softmax: Probe.normalise,
    Statistic: lambda probe, call, _: probe.norms.statistic(call),
}
"""How a kind of operation is computed that is passed on, but not by itself."""
_AXES: Mapping[type[Operation], Callable[[AxisWatch, Invocation[Any], Any], None]] = {
    Parts: AxisWatch.parts,
    MultipliedHalves: AxisWatch.halves,
    View: AxisWatch.view,
    Expansion: AxisWatch.expansion,
    Indexing: AxisWatch.indexing,
    Narrowing: AxisWatch.narrowing,
}
"""What is noted of the axes of its data."""
