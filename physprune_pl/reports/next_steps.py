"""What to do with a pruned network: lines to copy that load, export, serve and time it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from physprune_pl.reports.fit_facts import FitFacts

UNSAVED = "pruned.ckpt"
COMMAND = "python -m physprune_pl"


@dataclass(frozen=True)
class NextStep:
    """Something to do with the network.

    Attributes:
        what: it is for, in a few words.
        language: of the code, ``"python"`` or ``"bash"``.
        code: to copy.
        note: what must be known beforehand; may be empty.
    """

    what: str
    language: str
    code: str
    note: str = ""


def next_steps(facts: FitFacts, metric: Mapping[str, Any], folder: str = "FOLDER") -> list[NextStep]:
    """Return the steps, in the order in which they are taken; none for a report that does not know its network.

    Args:
        facts: of the fit.
        metric: of the report, which may lack a dense baseline.
        folder: of the report, where it is known.
    """
    return list(_steps(facts, metric, folder)) if facts.network else []


def _steps(facts: FitFacts, metric: Mapping[str, Any], folder: str) -> Iterator[NextStep]:
    path = facts.checkpoint or UNSAVED
    if not facts.checkpoint:
        note = "The fit wrote no checkpoint: this line in its program, after trainer.fit, does."
        yield NextStep("Save", "python", f"trainer.save_checkpoint({UNSAVED!r})", note)
    yield _load(facts, path)
    yield _export(facts, path)
    if facts.inputs:
        yield NextStep("Serve", "python", _served(facts.inputs), "With onnxruntime alone; nothing else is needed.")
    if _of_command(facts):
        yield NextStep("Time", "bash", f"{COMMAND} latency {_options(facts, path)}", "Dense and pruned, in turns.")
    if metric.get("dense") is None:
        yield _baseline(folder)


def _load(facts: FitFacts, path: str) -> NextStep:
    """Return the lines that load the network; where no other program can make it, its own program must."""
    if not facts.factory:
        where = f" ({facts.home})" if facts.home else ""
        note = f"In the program that makes the module{where}; a module in a file of its own can be imported elsewhere."
        lines = ["from physprune_pl import load_pruned", "", f"module = load_pruned(module, {path!r})"]
        return NextStep("Load", "python", "\n".join(lines), note)
    origin, _, name = facts.factory.partition(":")
    arguments = ", ".join(f"{key}={value!r}" for key, value in facts.arguments.items())
    note = "" if facts.complete else f"Make {name} as for the training: with the other arguments that you gave it."
    lines = [f"from {origin} import {name.partition('.')[0]}", "", "from physprune_pl import load_pruned", ""]
    return NextStep("Load", "python", "\n".join([*lines, f"module = load_pruned({name}({arguments}), {path!r})"]), note)


def _export(facts: FitFacts, path: str) -> NextStep:
    if _of_command(facts):
        return NextStep("Export", "bash", f"{COMMAND} export {_options(facts, path)} --out model.onnx", _EXTRA)
    network = _inside(facts.part)
    example = _example(facts.inputs) if facts.inputs else "example_input"
    lines = ["import torch", "", "from physprune_pl.export import export_onnx", ""]
    code = "\n".join([*lines, f"export_onnx({network}, {example}, 'model.onnx')"])
    unknown = "" if facts.inputs else " example_input is what the network is called with."
    return NextStep("Export", "python", code, f"{_EXTRA}{unknown}")


def _inside(part: str) -> str:
    """Return a part of the module in Python.

    >>> _inside(""), _inside("net.head"), _inside("net.0")
    ('module', 'module.net.head', "module.get_submodule('net.0')")
    """
    named = all(map(str.isidentifier, part.split(".")))
    return f"module.{part}" if named else f"module.get_submodule({part!r})" if part else "module"


_EXTRA = "Needs onnx and onnxscript: the extra export."


def _of_command(facts: FitFacts) -> bool:
    """Whether the commands can make the network and its input."""
    return bool(facts.factory and facts.complete and facts.inputs and not facts.part)


def _options(facts: FitFacts, path: str) -> str:
    words = ["--model", facts.factory]
    if facts.arguments:
        words += ["--model-args", *(f"{name}={value!r}" for name, value in facts.arguments.items())]
    return shlex.join([*words, "--input", *facts.inputs, "--checkpoint", path])


def _example(inputs: tuple[str, ...]) -> str:
    """Return the input in Python.

    >>> _example(("1,4",)), _example(("ids=1,16:int64",))
    ('torch.zeros(1, 4)', "{'ids': torch.ones(1, 16, dtype=torch.int64)}")
    """
    parts = [_input(word) for word in inputs]
    made = [
        f"torch.zeros({shape})" if dtype == "float32" else f"torch.ones({shape}, dtype=torch.{dtype})"
        for _, shape, dtype in parts
    ]
    if any(name for name, _, _ in parts):
        return f"{{{', '.join(f'{name!r}: {tensor}' for (name, _, _), tensor in zip(parts, made, strict=True))}}}"
    return made[0] if len(made) == 1 else f"({', '.join(made)})"


def _input(word: str) -> tuple[str, str, str]:
    """Split a word of ``--input`` into name, shape and dtype.

    >>> _input("ids=1,16:int64")
    ('ids', '1, 16', 'int64')
    """
    name, _, rest = word.rpartition("=")
    shape, _, dtype = rest.partition(":")
    return name, ", ".join(shape.split(",")), dtype or "float32"


def _served(inputs: tuple[str, ...]) -> str:
    arrays = (
        f"{repr(name) if name else f'names[{place}]'}: np.ones(({shape},), {dtype!r})"
        for place, (name, shape, dtype) in enumerate(map(_input, inputs))
    )
    return (
        "import numpy as np\nimport onnxruntime\n\n"
        "session = onnxruntime.InferenceSession('model.onnx', providers=['CPUExecutionProvider'])\n"
        "names = [one.name for one in session.get_inputs()]\n"
        f"outputs = session.run(None, {{{', '.join(arrays)}}})"
    )


def _baseline(folder: str) -> NextStep:
    note = (
        "It was not measured. Train the module without these callbacks for as many epochs, and give its metric, or the "
        "folder of a report with it, to the next fit as baseline=0.93; or add it here."
    )
    command = f"{COMMAND} report {shlex.quote(folder)} --baseline 0.93"
    return NextStep("Compare with a dense network", "bash", command, note)
