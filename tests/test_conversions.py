"""Pruned networks with odd channel counts go to OpenVINO and ExecuTorch, and compute there what they compute here."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from experiments.training.models import resnet20
from physprune_pl import apply_plan, plan_pruning
from physprune_pl.export import export_program

pytestmark = pytest.mark.filterwarnings("ignore")

EXAMPLE = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def pruned() -> nn.Module:
    """A residual network cut to half of its MACs, with odd channel counts, and batch norms that have seen data."""
    torch.manual_seed(0)
    model = resnet20((3, 16, 16), 4)
    model(torch.randn(8, 3, 16, 16))
    apply_plan(model.eval(), plan_pruning(model, EXAMPLE, {"macs": 0.5}))
    widths = {part.out_channels for part in model.modules() if isinstance(part, nn.Conv2d)}
    assert any(width % 2 for width in widths)
    return model


def assert_same(found: Tensor, model: nn.Module) -> None:
    with torch.no_grad():
        torch.testing.assert_close(found, model(EXAMPLE), rtol=1e-4, atol=1e-4)


def test_openvino() -> None:
    openvino = pytest.importorskip("openvino", reason="the extra openvino is not installed")
    model = pruned()
    converted = openvino.convert_model(export_program(model, EXAMPLE, dynamic_batch=False))
    compiled = openvino.compile_model(converted, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    assert_same(torch.as_tensor(compiled(EXAMPLE.numpy())[0]), model)


def test_executorch(tmp_path: Path) -> None:
    pytest.importorskip("executorch.exir", reason="the extra executorch is not installed")
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower
    from executorch.runtime import Runtime

    model = pruned()
    program = export_program(model, EXAMPLE, dynamic_batch=False)
    lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()]).to_executorch()
    (tmp_path / "model.pte").write_bytes(lowered.buffer)
    method = Runtime.get().load_program(tmp_path / "model.pte").load_method("forward")
    assert_same(method.execute([EXAMPLE])[0], model)
