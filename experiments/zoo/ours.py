"""One network through trace, plan, cut, a training step, and the oracle."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from time import process_time
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from experiments.structures.accounts import malformed, unaccounted
from experiments.structures.oracle import errors, forward, leaves, planned, redraw, visible_gain
from experiments.structures.rounding import moved_by_rounding
from experiments.structures.verdict import TOLERANCE
from experiments.zoo.limited_process import GIB, Row
from experiments.zoo.networks import make
from physprune_pl.networks.measure import count_macs
from physprune_pl.planning import plan_chosen
from physprune_pl.structure import Trace
from physprune_pl.surgery.apply import apply_plan
from physprune_pl.surgery.plan import PruningPlan
from physprune_pl.targets.chooser import Chooser
from physprune_pl.targets.target import TOLERANCE as OFF_TARGET
from physprune_pl.targets.target import Target
from physprune_pl.targets.widths import Widths
from physprune_pl.tools.memory import process_peak
from physprune_pl.tracing.tracer import trace

KEPT_MACS, FEW_MACS = 0.5, 0.25
MOST_BYTES = 6 * GIB
ROUNDINGS = 100

Result = TypeVar("Result")
Make = Callable[[str], tuple[nn.Module, Any]]


def cut_and_judge(name: str, build: Make = make) -> Iterator[Row]:
    """Yield what is found out about a network, in parts; a row has ``"problems"`` unless a step raises.

    The steps are those of ``plan_pruning`` and ``apply_plan``, apart so that each is timed.

    Args:
        name: of a network.
        build: returns that network and its example, the same each time.
    """
    model, example = build(name)
    training = model.training  # a detector is built in eval mode: in training it wants boxes
    traced, seconds = timed(lambda: trace(model, example))
    yield {"trace_seconds": seconds, **_described(traced)}
    plan, seconds = timed(lambda: plan_chosen(model, Chooser(traced, Target("macs", KEPT_MACS), Widths())))
    yield {"plan_seconds": seconds, "macs": plan.macs, "params": plan.params}
    _, seconds = timed(lambda: apply_plan(model, plan))
    yield {"cut_seconds": seconds, "peak_bytes": process_peak()}
    peak = process_peak() or 0
    problems = [f"{peak} bytes of memory up to the cut"] if peak > MOST_BYTES else []
    problems += [*malformed(traced), *(f"{module} is neither cut nor named" for module in unaccounted(traced))]
    used = {name: one for name, one in model.named_parameters() if name in traced.parameters}
    problems += _miscounted(
        model, example, plan, sum(one.numel() for one in used.values()), lambda: macs_vary(*build(name))
    )
    trained = [name for name, one in used.items() if one.requires_grad]
    problems += untrainable(model, example, trained) if training else []
    found = _judged(*build(name), traced, planned(plan))
    yield {**found, "problems": problems + found["problems"]}
    yield {"quarter": _cut_further(*build(name), traced)}


def _cut_further(model: nn.Module, example: Any, traced: Trace) -> Row:
    """Return what comes of a cut to a quarter of the MACs: the error, and what is wrong with it."""
    try:
        plan = plan_chosen(model, Chooser(traced, Target("macs", FEW_MACS), Widths()))
        return {"macs": plan.macs, **_judged(model, example, traced, planned(plan))}
    except ValueError as error:  # a target out of reach among them
        return {"problems": [str(error).partition("\n")[0]]}


def timed(step: Callable[[], Result]) -> tuple[Result, float]:
    """Return the result of a step, and its seconds of processor time."""
    start = process_time()
    result = step()
    return result, process_time() - start


def untrainable(model: nn.Module, example: Any, names: Sequence[str]) -> list[str]:
    """Say which of the named parameters a training step gives no gradient, or one that is not finite."""
    outputs = leaves(forward(model.train(), example))
    loss = torch.stack([out.square().mean() for out in outputs if isinstance(out, Tensor)]).sum()
    loss.backward()  # type: ignore[no-untyped-call]
    gradients = {name: parameter.grad for name, parameter in model.named_parameters() if name in set(names)}
    absent = [f"no gradient in {name}" for name, gradient in gradients.items() if gradient is None]
    wild = [name for name, gradient in gradients.items() if gradient is not None and not gradient.isfinite().all()]
    return absent + [f"the gradient of {name} is not finite" for name in wild]


def _described(traced: Trace) -> Row:
    reasons: dict[str, list[str]] = {}
    for left in traced.left_whole:
        reasons.setdefault(left.reason, []).append(left.name)
    return {
        "groups": len(traced.groups),
        "exact_groups": sum(group.exact for group in traced.groups),
        "channels": sum(group.size for group in traced.groups),
        "left_whole": reasons,
    }


def _miscounted(
    model: nn.Module, example: Any, plan: PruningPlan, params: int, varies: Callable[[], bool]
) -> list[str]:
    """Say where counted costs are not the planned ones; MACs need only be close if those of the dense network vary."""
    counted, written = (count_macs(model, example), params), (plan.macs[1], plan.params[1])
    close = abs(counted[0] / written[0] - 1) <= OFF_TARGET and params == written[1]
    alike = counted == written or (close and varies())
    found = [] if alike else [f"planned {written} MACs and parameters, counted {counted}"]
    kept = plan.macs[1] / plan.macs[0]
    return found if abs(kept / KEPT_MACS - 1) <= OFF_TARGET else [*found, f"{kept:.3f} of the MACs stay"]


def macs_vary(model: nn.Module, example: Any) -> bool:
    """Whether MACs depend on the weights, as those of a detector do whose second stage looks at the boxes of the first.

    The weights are drawn anew, in place.
    """
    before = count_macs(model, example)
    redraw(model, 0)
    return count_macs(model, example) != before


def _judged(model: nn.Module, example: Any, traced: Trace, removed: Sequence[Tensor]) -> Row:
    """Return the errors against the masked network, at weights at which the removed channels matter, and what is wrong.

    Above the limit, the row says how far rounding alone moves the masked network.

    Raises:
        ValueError: the removed channels never matter, so that nothing would be judged.
    """
    gain = visible_gain(model, traced, example, removed)
    if gain is None:
        raise ValueError("no output changes without the removed channels, so nothing is judged")
    found = errors(model, traced, example, removed, torch.float64, gain)
    if all(error <= TOLERANCE[torch.float64] for error in found.values()):
        return {"error": found, "problems": []}
    moved = moved_by_rounding(model, traced, example, removed, gain)
    return {"error": found, "rounding": moved, "problems": inequalities(found, moved)}


def inequalities(found: Mapping[str, float], moved: Mapping[str, float]) -> list[str]:
    """Name the errors above the limit that are not rounding: more than so many times what one rounding makes."""
    limits = {mode: max(TOLERANCE[torch.float64], ROUNDINGS * moved[mode.partition(",")[0]]) for mode in found}
    return [f"{mode}: differs by {error:.1e}" for mode, error in found.items() if not error <= limits[mode]]
