"""Time a convolution by its channels, in four runtimes: ``python -m experiments.channel_counts.run`` (minutes)."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

from experiments.bench.runs import save, write_table
from experiments.int8.run import session_of
from physprune_pl.export import export_onnx
from physprune_pl.latency.race import turns

FOLDER = Path(__file__).parent
COUNTS = tuple(middle + step for middle in (16, 32, 64, 128) for step in (-1, 0, 1))
SIZE = 28
ROUNDS, ROUND_SECONDS = 11, 0.02

Call = Callable[[], object]
Result = dict[str, Any]


def layer(channels: int) -> nn.Sequential:
    """Return a 3 x 3 convolution from so many channels to as many, and a ReLU."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU()).eval()


def eager(model: nn.Module, example: Tensor) -> Call:
    """Run it as it is."""
    return partial(model, example)


def compiled(model: nn.Module, example: Tensor) -> Call:
    """Run what torch.compile makes of it, for this size alone.

    The compiler remembers what it made by the code that it was made from: with one code for all counts it would make
    one program for any size, or give up after eight.
    """

    def run(pictures: Tensor) -> object:
        return model(pictures)

    run.__code__ = run.__code__.replace(co_name=f"run_{example.shape[1]}")
    return partial(torch.compile(run, dynamic=False), example)


def onnxruntime(model: nn.Module, example: Tensor) -> Call:
    """Run its ONNX file."""
    with TemporaryDirectory() as folder:
        run = session_of(export_onnx(model, example, Path(folder) / "layer.onnx", dynamic_batch=False))
    return partial(run, example.numpy())


def openvino(model: nn.Module, example: Tensor) -> Call:
    """Run it as OpenVINO converts it, on one thread and in 32 bits."""
    import openvino as library

    settings = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    program = library.convert_model(torch.export.export(model, (example,)))
    return partial(library.compile_model(program, "CPU", settings), example.numpy())


RUNTIMES = {"eager": eager, "compile": compiled, "onnxruntime": onnxruntime, "openvino": openvino}


def installed() -> dict[str, Callable[[nn.Module, Tensor], Call]]:
    """Return the runtimes that are here; torch's own always are."""
    return {name: make for name, make in RUNTIMES.items() if name in ("eager", "compile") or find_spec(name)}


@torch.no_grad()
def measured(counts: Sequence[int], rounds: int = ROUNDS, round_seconds: float = ROUND_SECONDS) -> list[Result]:
    """Time all runtimes with all counts in turns; a result for each of both."""
    calls = {
        (name, count): make(layer(count), torch.randn(1, count, SIZE, SIZE))
        for name, make in installed().items()
        for count in counts
    }
    times = turns({f"{name} {count}": call for (name, count), call in calls.items()}, rounds, round_seconds)
    return [
        {"runtime": name, "version": _version(name), "channels": count, "ms": times[f"{name} {count}"]}
        for name, count in calls
    ]


def _version(runtime: str) -> str:
    return version(runtime if runtime in ("onnxruntime", "openvino") else "torch")


def table(results: Sequence[Result]) -> str:
    """Return the markdown table: microseconds, and times as long as with the multiple of 16 beside it."""
    times = {(one["runtime"], one["channels"]): one["ms"] for one in results}
    names = list(dict.fromkeys(name for name, _ in times))
    lines = [f"| channels | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    for count in dict.fromkeys(count for _, count in times):
        lines.append(f"| {count} | {' | '.join(_cells(times, names, count))} |")
    return "\n".join(lines) + "\n"


def _cells(times: Mapping[tuple[str, int], Sequence[float]], names: Sequence[str], count: int) -> Iterator[str]:
    beside = 16 * round(count / 16)
    for name in names:
        own, other = times[name, count], times[name, beside]
        ratio = median(one / two for one, two in zip(own, other, strict=True))
        yield f"{1000 * median(own):.0f}" + (f" ({ratio:.2f}x)" if count != beside else "")


def main() -> None:
    """Measure, then write results.json and the table of the README."""
    argparse.ArgumentParser(description=str(__doc__)).parse_args()
    torch.set_num_threads(1)
    results = measured(COUNTS)
    save(results, "python -m experiments.channel_counts.run", FOLDER / "results.json")
    write_table(FOLDER / "README.md", table(results))


if __name__ == "__main__":
    main()
