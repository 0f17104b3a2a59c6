"""Handing a network on, pruned or dense: to ONNX, and to ``torch.export``."""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from physprune_pl.networks.example import Example
from physprune_pl.networks.isolation import copied, untouched
from physprune_pl.networks.names import uncompiled

if TYPE_CHECKING:
    from torch.export import ExportedProgram

NEEDED = ("onnx", "onnxscript")

Dynamic = Mapping[str, Sequence[int]]
"""Name of an argument of forward -> its dimensions that may have any size, besides the batch."""


def export_onnx(
    model: nn.Module,
    example_input: Any,
    path: str | Path,
    dynamic_batch: bool = True,
    dynamic: Dynamic | None = None,
) -> Path:
    """Write a network to an ONNX file, as it computes in eval mode.

    Args:
        model: a module, a LightningModule included; it stays as it is, its modes too.
        example_input: a tensor, a tuple of positional arguments or a dict of keyword arguments, the batch first.
        path: the file to write; its folder is made where it is missing.
        dynamic_batch: whether the file takes batches of any size; otherwise only of the example's size.
        dynamic: other dimensions that may have any size, such as ``{"pictures": (2, 3)}`` for height and width or
            ``{"input_ids": (1,)}`` for the length of a sequence; the example's size is at least 2 there.

    Returns:
        The path.

    Raises:
        ModuleNotFoundError: onnx or onnxscript is not installed.
        TypeError: ``example_input`` is of another type.
        ValueError: the model does not run on ``example_input``, cannot be exported, or not with those dimensions.
    """
    if missing():
        raise ModuleNotFoundError(
            f"export_onnx needs {' and '.join(missing())}: install the extra with pip install 'physprune_pl[export]'"
        )
    program = export_program(model, example_input, dynamic_batch=dynamic_batch, dynamic=dynamic)
    try:
        written = torch.onnx.export(program, dynamo=True, verbose=False)
    except torch.onnx.errors.OnnxExporterError as error:
        raise ValueError(f"model: {_name(model)} cannot be written as ONNX ({_reason(error)})") from error
    if written is None:
        raise RuntimeError("torch.onnx.export returned nothing to save")
    written.save(_file(path))
    return Path(path)


def missing() -> list[str]:
    """Return what must be installed before anything can be written as ONNX."""
    return [name for name in NEEDED if importlib.util.find_spec(name) is None]


def export_program(
    model: nn.Module,
    example_input: Any,
    path: str | Path | None = None,
    dynamic_batch: bool = True,
    dynamic: Dynamic | None = None,
) -> ExportedProgram:
    """Export a network by ``torch.export``, as it computes in eval mode.

    Args:
        model: a module, a LightningModule included; it stays as it is, its modes too. A compiled one is exported as
            the module it was made from. The program holds copies of its weights.
        example_input: a tensor, a tuple of positional arguments or a dict of keyword arguments, the batch first.
        path: file to save the program to, for ``torch.export.load``; None saves nothing.
        dynamic_batch: whether the program takes batches of any size; otherwise only of the example's size.
        dynamic: other dimensions that may have any size, see :func:`export_onnx`.

    Returns:
        The program; ``program.module()`` is callable.

    Raises:
        TypeError: ``example_input`` is of another type.
        ValueError: the model does not run on ``example_input``, cannot be exported, or not with those dimensions.

    Example:
        >>> program = export_program(nn.Conv1d(4, 3, 3), torch.zeros(1, 4, 8), dynamic={"input": (2,)})
        >>> program.module()(torch.zeros(5, 4, 20)).shape
        torch.Size([5, 3, 18])
    """
    example = Example.of(example_input).to(model)
    # A later cut of the model shrinks its parameters in place, under the program's feet.
    own = copied(uncompiled(model)).eval()
    with untouched(own):
        _run_once(own, example)
        # torch.export takes a size of 1 for a constant.
        batched = example.sized(max(2, example.batch)) if dynamic_batch else example
        program = _captured(own, batched, dynamic_batch, dynamic or {})
    if path is not None:
        torch.export.save(program, _file(path))
    return program


def _run_once(model: nn.Module, example: Example) -> None:
    try:
        example.copy().run(model)
    except Exception as error:  # whatever the model raises
        raise ValueError(
            f"example_input: {_name(model)} does not run on it ({type(error).__name__}: {error}); expected inputs as "
            "its forward takes them"
        ) from error


def _captured(model: nn.Module, example: Example, dynamic_batch: bool, dynamic: Dynamic) -> ExportedProgram:
    shapes = _shapes(model, example, dynamic_batch, dynamic) if dynamic_batch or dynamic else None
    try:
        return torch.export.export(model, example.args, dict(example.kwargs), dynamic_shapes=shapes, strict=False)
    except Exception as error:  # torch.export and the model raise errors of many kinds
        remedy = "; dynamic_batch=False exports the batch of the example only" if dynamic_batch else ""
        raise ValueError(f"model: torch.export cannot export {_name(model)} ({_reason(error)}){remedy}") from error


def _shapes(model: nn.Module, example: Example, dynamic_batch: bool, dynamic: Dynamic) -> dict[str, Any]:
    """Say of every argument which dimensions may have any size."""
    batch = torch.export.Dim("batch")
    marked = torch.utils._pytree.tree_map(
        lambda value: {0: batch} if dynamic_batch and isinstance(value, Tensor) and value.dim() else None,
        (example.args, dict(example.kwargs)),
    )
    signature = inspect.signature(model.forward)
    given = signature.bind(*example.args, **example.kwargs).arguments
    shapes = dict(signature.bind(*marked[0], **marked[1]).arguments)
    for name, dims in dynamic.items():
        _check_dims(name, dims, given)
        shapes[name] = {**(shapes[name] or {}), **dict.fromkeys(dims, torch.export.Dim.DYNAMIC)}
    return shapes


def _check_dims(name: str, dims: Sequence[int], given: Mapping[str, Any]) -> None:
    value = given.get(name)
    if not isinstance(value, Tensor):
        tensors = [known for known, one in given.items() if isinstance(one, Tensor)]
        raise ValueError(f"dynamic: expected arguments of forward that are tensors, such as {tensors}, got {name!r}")
    # A size of 1 is a constant for torch.export, which also broadcasts it.
    if wrong := [dim for dim in dims if not 0 <= dim < value.dim() or value.shape[dim] < 2]:
        raise ValueError(
            f"dynamic: expected dimensions of {name!r} with a size of at least 2, got {wrong} of shape "
            f"{tuple(value.shape)}"
        )


def _file(path: str | Path) -> str:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    return str(path)


def _name(model: nn.Module) -> str:
    return type(uncompiled(model)).__name__


def _reason(error: BaseException) -> str:
    """Type and first line of the error that came first."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"
