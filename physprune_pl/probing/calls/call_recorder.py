"""Records the calls that somebody's program makes of a network, and whether they need one another."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from physprune_pl.networks.calls import Call
from physprune_pl.networks.nested import shared_in, tensors_in
from physprune_pl.probing.calls.call_watch import CallWatch, Mark

_ORIGINS = "_physprune_marks"
Marks = frozenset[Mark]


@dataclass(frozen=True)
class Recording:
    """What a program does with a network.

    Attributes:
        calls: the outermost calls of parts, with copies of what the parts were given.
        count: number of outermost calls, weights used outside of all parts included.
        outputs: the tensors, put out by calls, that reach the loss on a way without calls.
        independent: whether each call can be made without the others, and they are all there is.
        called: parameters and buffers of the parts that were called, and weights that were used outside of all parts.
        written: parameters and buffers that were changed in place.
        followers: those of them that are not watched and were computed from another one -> that one.
    """

    calls: tuple[Call, ...]
    count: int
    outputs: Marks
    independent: bool
    called: frozenset[str]
    written: frozenset[str]
    followers: Mapping[str, str]


class CallRecorder(CallWatch):
    """Follows which call every tensor comes from, while a program runs.

    An operation passes the marks of its arguments on; what a call puts out is marked anew.

    Args:
        network: a copy of the network.
        watched: names of parameters; a part is recorded if it has one of them.
    """

    def __init__(self, network: nn.Module, watched: Collection[str]) -> None:
        super().__init__(network, watched)
        self._calls: list[Call] = []
        self._outermost: list[Mark] = []
        self._count = 0
        self._alone = True
        self._needed: Marks = Marks()
        self._nodes: dict[Any, Marks] = {}
        self._written: set[str] = set()
        self._followers: dict[str, str] = {}
        self._called: set[str] = set()

    def recording(self, returned: object) -> Recording | None:
        """Return what was recorded so far, given what the program returns; None if no loss was computed."""
        losses = [one for one in [*tensors_in(returned), *self.losses] if one.is_floating_point()]
        if not losses or not self._count:
            return None
        reaching = Marks().union(*map(self._origins, losses))
        ends = Marks(self._outermost) - self._needed
        return Recording(
            calls=tuple(self._calls),
            count=self._count,
            outputs=reaching or ends,
            independent=self._alone and not self._needed and reaching <= ends,
            called=frozenset(self._called),
            written=self.written,
            followers=self.followers,
        )

    @property
    def written(self) -> frozenset[str]:
        """Names of the parameters and buffers that were changed so far."""
        return frozenset(self._written)

    @property
    def followers(self) -> Mapping[str, str]:
        """Those of them that are not watched and were computed from another one -> that one."""
        return dict(self._followers)

    def begin(self, call: Call) -> None:
        """Keep a call with a copy of its arguments."""
        self._count += 1
        self._called |= self._business(call)
        self._needed |= self._all_origins(tensors_in([call.args, call.kwargs]))
        if call.part is None or shared_in([call.args, call.kwargs]):
            self._alone = False
        else:
            self._calls.append(call.copy())

    def _business(self, call: Call) -> set[str]:
        """Return the names of what belongs to a part, or of the weights of an operation."""
        if call.part is None:
            return {name for one in tensors_in([call.args, call.kwargs]) for name in self.weights_of(one)}
        prefix = f"{call.part}." if call.part else ""
        return {name for name in self.tensors if name.startswith(prefix)}

    def put_out(self, marks: Sequence[tuple[Mark, Tensor]], outermost: bool) -> None:
        """Mark what a call has put out."""
        for mark, tensor in marks:
            self._mark(tensor, Marks([mark]))
        if outermost:
            self._outermost += [mark for mark, _ in marks]

    def operated(self, func: Callable[..., Any], args: tuple[Any, ...], inputs: list[Tensor], output: Any) -> None:
        """Pass marks on; note weights that are written from other weights."""
        self._note_written(func, args, inputs)
        origins = self._all_origins(inputs)
        if origins and isinstance(output, Tensor | tuple | list):
            for tensor in tensors_in(output):
                if tensor.is_floating_point() and id(tensor) not in self.names:
                    self._mark(tensor, origins)

    def _mark(self, tensor: Tensor, origins: Marks) -> None:
        setattr(tensor, _ORIGINS, origins)
        if tensor.grad_fn is not None:
            self._nodes[tensor.grad_fn] = origins

    def _all_origins(self, tensors: list[Tensor]) -> Marks:
        return Marks().union(*map(self._origins, tensors))

    def _origins(self, tensor: Tensor) -> Marks:
        """Return the marks of a tensor; one that an operation unseen by Python made is traced back by its gradient."""
        marks: Marks | None = getattr(tensor, _ORIGINS, None)
        if marks is None and tensor.grad_fn is not None and id(tensor) not in self.names:
            marks = Marks().union(*self._behind(tensor.grad_fn))
            setattr(tensor, _ORIGINS, marks)
        return marks or Marks()

    def _behind(self, node: Any) -> Iterator[Marks]:
        waiting, seen = [node], {node}
        while waiting:
            node = waiting.pop()
            if node in self._nodes:
                yield self._nodes[node]
                continue
            new = [one for one, _ in node.next_functions if one is not None and one not in seen]
            seen.update(new)
            waiting += new

    def _note_written(self, func: Callable[..., Any], args: tuple[Any, ...], inputs: list[Tensor]) -> None:
        for target, sources in _writes(func, args, inputs):
            name = self._written_name(target)
            if name is None:
                continue
            self._written.add(name)
            leaders = {one for source in sources for one in self.weights_of(source) if self._alike(one, name)}
            if name not in self.watched and leaders:
                self._followers[name] = min(leaders, key=lambda one: (one not in self.watched, one))

    def _written_name(self, target: Tensor) -> str | None:
        """Return the name of what an operation writes to: a named tensor, or another view of all of it."""
        names = [name for name in self.weights_of(target) if self.tensors[name].data_ptr() == target.data_ptr()]
        return next((name for name in names if self.tensors[name].shape == target.shape), None)

    def _alike(self, one: str, other: str) -> bool:
        return one != other and self.tensors[one].shape == self.tensors[other].shape


def _writes(
    func: Callable[..., Any], args: tuple[Any, ...], inputs: list[Tensor]
) -> Iterator[tuple[Tensor, Sequence[Tensor]]]:
    """Yield what an operation writes to, and what it computes that from."""
    name = getattr(func, "__name__", "")
    if name.startswith("_foreach_") and name.endswith("_"):
        targets, *others = [list(arg) for arg in args if isinstance(arg, list | tuple)]
        for target, *sources in zip(targets, *others, strict=False):
            yield target, [one for one in sources if isinstance(one, Tensor)]
    elif inputs and _in_place(func, name):
        yield inputs[0], inputs[1:]


def _in_place(func: Callable[..., Any], name: str) -> bool:
    if name == "__set__":
        return getattr(getattr(func, "__self__", None), "__name__", "") == "data"
    return name in ("__setitem__", "__iadd__", "__isub__", "__imul__") or (name[-1:] == "_" and name[-2:] != "__")
