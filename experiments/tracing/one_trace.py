"""Traces one network with the build that PYTHONPATH names; prints what it took: ``python one_trace.py NETWORK``."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from time import process_time

import torch
import torchvision
from torch import Tensor, nn

MODELS = Path(__file__).parents[1] / "training" / "models"


def _cifar(depth: int) -> tuple[nn.Module, Tensor]:
    # The package of the networks imports the library, of which an older build may be the one to be measured.
    for name, folder in (("experiments.training", MODELS.parent), ("experiments.training.models", MODELS)):
        package = types.ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules.setdefault(name, package)
    sys.path.append(str(MODELS.parents[2]))
    from experiments.training.models.resnet import CifarResNet

    return CifarResNet(depth), torch.randn(2, 3, 32, 32)


def _vit() -> tuple[nn.Module, Tensor]:
    return torchvision.models.VisionTransformer(64, 16, 12, 12, 768, 3072), torch.randn(2, 3, 64, 64)


def _linears() -> tuple[nn.Module, Tensor]:
    layers = [layer for _ in range(4) for layer in (nn.Linear(4096, 4096), nn.ReLU())]
    return nn.Sequential(*layers[:-1]), torch.randn(2, 4096)


NETWORKS: Mapping[str, Callable[[], tuple[nn.Module, Tensor]]] = {
    **{f"resnet{depth}": lambda depth=depth: _cifar(depth) for depth in (20, 56, 110, 218)},  # type: ignore[misc]
    "vit_b_16": _vit,
    "four linear layers of 4096": _linears,
}


def measured(name: str) -> dict[str, float | None]:
    """Return processor seconds of a trace on one thread, and its peak over the model in bytes of the parameters."""
    from physprune_pl import trace_groups

    torch.set_num_threads(1)
    torch.manual_seed(0)
    model, example = NETWORKS[name]()
    with torch.no_grad():
        model.eval()(example)
    parameters = sum(one.numel() * one.element_size() for one in model.parameters())
    before, start = resident_from_now(), process_time()
    groups = trace_groups(model, example)
    seconds, peak = process_time() - start, memory_of("VmHWM")
    times = None if before is None or peak is None else (peak - before) / parameters
    return {"processor_seconds": seconds, "peak_over_model": times, "groups": len(groups)}


def resident_from_now() -> int | None:
    """Return what is resident, and count the peak anew from here on, where the system is Linux."""
    forget = Path("/proc/self/clear_refs")
    if forget.exists():
        forget.write_text("5")
    return memory_of("VmRSS")


def memory_of(name: str) -> int | None:
    """Return what Linux says of this process's memory, in bytes: ``VmRSS`` or ``VmHWM``; elsewhere None."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), None)


if __name__ == "__main__":
    print(json.dumps(measured(sys.argv[1])))
