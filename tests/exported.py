"""What the tests of exports have in common: cut networks, calls with any kind of input, outputs of ONNX files."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import physprune_pl.export
from physprune_pl.planning import plan_pruning
from physprune_pl.surgery.apply import apply_plan


def pruned(build, example) -> nn.Module:
    """A network cut to half of its MACs, with batch norms that have seen data."""
    torch.manual_seed(0)
    model = build()
    call(model.train(), resized(example, 6))
    return apply_plan(model, plan_pruning(model, example, {"macs": 0.5}))


def resized(example, batch: int):
    if isinstance(example, dict):
        return {name: resized(value, batch) for name, value in example.items()}
    if isinstance(example, tuple):
        return tuple(resized(value, batch) for value in example)
    if not example.is_floating_point():
        return example[:1].repeat(batch, *[1] * (example.dim() - 1))
    return torch.randn(batch, *example.shape[1:])


def call(model, example):
    if isinstance(example, dict):
        return model(**example)
    return model(*example) if isinstance(example, tuple) else model(example)


def tensors(value) -> list[Tensor]:
    return torch.utils._pytree.tree_leaves(value)


def onnx_outputs(path, example) -> list[Tensor]:
    runtime = pytest.importorskip("onnxruntime", reason="the extra export is not installed")
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    inputs = {name: value.numpy() for name, value in zip(names, tensors(example), strict=True)}
    return [torch.from_numpy(value) for value in session.run(None, inputs)]


def assert_equal(got: list[Tensor], wanted: list[Tensor]) -> None:
    torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-4)


needs_onnx = pytest.mark.skipif(
    any(physprune_pl.export.missing()), reason="onnx or onnxscript (the extra export) is not installed"
)
