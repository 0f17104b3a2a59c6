"""The first runs of a model that is traced: on how many samples it runs, and what it looks like once it has run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from torch import nn
from torch.overrides import TorchFunctionMode

from physprune_pl.networks.example import Example
from physprune_pl.networks.isolation import forget_tables
from physprune_pl.networks.names import named_tensors
from physprune_pl.networks.nested import tensors_in
from physprune_pl.networks.saved_state import SavedState
from physprune_pl.probing.watching.tainting import has_nan, tensors_of_call


@dataclass(frozen=True)
class FirstRuns:
    """What the first runs of a model have shown.

    Attributes:
        example: the inputs; they keep their batch if the model does not run on one and on two samples.
        fresh: the state before the first run.
        used: names of the parameters that the first run used.
    """

    example: Example
    fresh: SavedState
    used: frozenset[str]


def first_runs(model: nn.Module, example: Example, saved: SavedState) -> FirstRuns:
    """Run a model in eval mode, on one and on two samples if it can, and leave it as it is then.

    So it is traced: what is found must not depend on whether somebody has run it before. Hooks that a first run puts
    in are there; tables that eval mode keeps are not, where ``train()`` lets them go: every run makes them again from
    the parameters.

    Args:
        model: the model.
        example: inputs as the user gave them.
        saved: what puts the model back.

    Raises:
        ValueError: the model does not run on the example, however many samples of it.
    """
    model.eval()
    own = len(named_tensors(model))
    choices = [
        (example, [example.sized(1), example.sized(2)]),
        (replace(example, whole=True), [example]),
        (replace(example.sized(1), whole=True), [example.sized(1)]),
    ]
    errors: list[Exception] = []
    spoilt: FirstRuns | None = None
    for choice, needed in choices:
        try:
            runs = [_first_run(model, part) for part in needed]
        except Exception as error:  # whatever the model raises, the next choice may do
            errors.append(error)
            saved.restore()
        else:
            if len(named_tensors(model)) > own:  # who traces a model that has not run does not have those
                saved.restore()
            forget_tables(model)
            found = FirstRuns(choice, saved, runs[0].used)
            if not any(run.spoilt for run in runs):
                return found
            spoilt = spoilt or found
            saved.restore()
    if spoilt is not None:
        spoilt.example.copy().run(model)
        forget_tables(model)
        return spoilt
    _, as_given, _ = errors
    problem, way_round = example.refusal
    raise ValueError(f"{problem} ({type(as_given).__name__}: {as_given}); {way_round}") from as_given


class _FirstRun(NamedTuple):
    """What one run has used, and whether it puts out a NaN: what is computed over samples may want more of them."""

    used: frozenset[str]
    spoilt: bool


def _first_run(model: nn.Module, example: Example) -> _FirstRun:
    with _Parameters(model) as seen:
        output = example.copy().run(model)
    return _FirstRun(frozenset(seen.used), any(has_nan(tensor) for tensor in tensors_in(output)))


class _Parameters(TorchFunctionMode):
    """Notes the names of the parameters that operations get."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.used: set[str] = set()
        self._names = {id(parameter): name for name, parameter in model.named_parameters()}

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.used.update(
            self._names[id(value)] for value in tensors_of_call(args, kwargs or {}) if id(value) in self._names
        )
        return func(*args, **(kwargs or {}))
