"""What no other experiment measures: planning by arithmetic, and how much faster cut networks really are."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from experiments.speed.pressed import NETWORKS
from physprune_pl.export import export_onnx
from physprune_pl.latency.race import Call, race
from physprune_pl.networks.isolation import twin
from physprune_pl.planning import plan_chosen
from physprune_pl.surgery.apply import cut
from physprune_pl.surgery.plan import PruningPlan
from physprune_pl.targets.chooser import Chooser
from physprune_pl.targets.target import Target, TargetError
from physprune_pl.targets.widths import Widths
from physprune_pl.tracing.tracer import trace

FEWER = 2.5
MULTIPLE = 16
ROUNDED = f", multiples of {MULTIPLE}"
BATCHES = (1, 32)
ROUNDS, ROUND_SECONDS = 9, 0.2
Row = dict[str, Any]
Pair = Mapping[str, nn.Module]


def measured(name: str, ways: Mapping[str, Callable[[Pair, Tensor], dict[str, Call]]]) -> Iterator[Row]:
    """Yield what planning takes, then the times of the dense and the cut network in every way and batch size.

    Args:
        name: of a network of ``experiments.speed``.
        ways: name -> what makes one call of each of two networks on a picture.
    """
    torch.manual_seed(0)
    pixels = NETWORKS[name].pixels
    model, picture = NETWORKS[name].build().eval(), torch.randn(1, 3, pixels, pixels)
    traced = trace(model, picture)
    plans: list[PruningPlan] = []
    target = Target("macs", 1 / FEWER)
    times = race(
        {"plan": lambda: plans.append(plan_chosen(model, Chooser(traced, target, Widths())))}, round_seconds=0.0
    )
    plan = plans[-1]
    shares = {"macs_ratio": plan.macs[0] / plan.macs[1], "params_ratio": plan.params[0] / plan.params[1]}
    yield {"network": name, "pixels": pixels, "plan_seconds": times["plan"] / 1000, **shares}
    plans_by_widths = {"": plan}
    try:
        plans_by_widths[ROUNDED] = plan_chosen(model, Chooser(traced, target, Widths(round_to=MULTIPLE)))
    except TargetError as error:
        yield {"network": name, "way": f"any{ROUNDED}", "failure": str(error)}
    for suffix, one in plans_by_widths.items():
        pair = {"dense": model, "pruned": cut(twin(model), one)}
        for way, make in ways.items():
            for batch in BATCHES:
                row = {"network": name, "way": f"{way}{suffix}", "batch": batch, "fewer": one.macs[0] / one.macs[1]}
                yield row | raced(make(pair, picture.repeat(batch, 1, 1, 1)))


def raced(calls: Mapping[str, Call]) -> Row:
    """Return milliseconds of both networks, see :func:`~physprune_pl.latency.race.race`, and how much faster one is."""
    with torch.no_grad():
        for call in calls.values():
            call()  # what is compiled takes its time once
        found = race(calls, ROUNDS, ROUND_SECONDS)
    return {**found, "faster": found["dense"] / found["pruned"], "rounds": ROUNDS}


def eager(pair: Pair, pictures: Tensor) -> dict[str, Call]:
    """The networks as they are."""
    return {name: _call(model, pictures) for name, model in pair.items()}


def compiled(pair: Pair, pictures: Tensor) -> dict[str, Call]:
    """The networks through ``torch.compile``, which would leave off compiling after a few networks of one class."""
    torch.compiler.reset()
    return {name: _call(torch.compile(model, dynamic=False), pictures) for name, model in pair.items()}


def onnxruntime(pair: Pair, pictures: Tensor) -> dict[str, Call]:
    """The networks exported to ONNX, on one thread of onnxruntime."""
    import onnxruntime as runtime

    settings = runtime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    calls: dict[str, Call] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, model in pair.items():
            file = export_onnx(model, pictures, Path(folder) / f"{name}.onnx", dynamic_batch=False)
            session = runtime.InferenceSession(str(file), settings, providers=["CPUExecutionProvider"])
            calls[name] = _session(session, pictures.numpy())
    return calls


def _call(model: Callable[[Tensor], object], pictures: Tensor) -> Call:
    return lambda: model(pictures)


def _session(session: Any, pictures: np.ndarray[Any, Any]) -> Call:
    inputs = {session.get_inputs()[0].name: pictures}
    return lambda: session.run(None, inputs)


WAYS = {"eager": eager, "torch.compile": compiled, "onnxruntime": onnxruntime}
