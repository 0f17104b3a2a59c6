"""Coupling as Torch-Pruning sees it: partitions of (tensor, dimension, index), restricted to what both report."""

import pytest
import torch
import torchvision

from experiments.training.models import CifarResNet
from physprune_pl.tracing.tracer import trace

tp = pytest.importorskip("torch_pruning")

Places = set[tuple[str, int, int]]


def _reference_places(names, dep, index) -> Places:
    """Where one index of a dependency lives."""
    module = dep.target.module
    if not isinstance(module, torch.nn.Module) or module not in names:
        return set()
    name = names[module]
    if "in_channels" in dep.handler.__name__ and isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
        return set() if getattr(module, "groups", 1) > 1 else {(f"{name}.weight", 1, index)}
    tensors = {**module._parameters, **module._buffers}
    return {(f"{name}.{key}", 0, index) for key, value in tensors.items() if value is not None and value.dim()}


def _reference_partition(model, example, head) -> list[Places]:
    graph = tp.DependencyGraph().build_dependency(model, example)
    names = {module: name for name, module in model.named_modules()}
    blocks: list[Places] = []
    for group in graph.get_all_groups(ignored_layers=[head], root_module_types=[torch.nn.Conv2d, torch.nn.Linear]):
        channels: dict[int, Places] = {}
        for item in group:
            for index, root in zip(item.idxs, item.root_idxs, strict=True):
                channels.setdefault(root, set()).update(_reference_places(names, item.dep, index))
        blocks += channels.values()
    return blocks


def _our_partition(model, example) -> list[Places]:
    blocks = []
    for group in trace(model, example).groups:
        channels: list[Places] = [set() for _ in range(group.size)]
        for part in group.slices:
            for index, channel in zip(part.index, part.channel, strict=True):
                channels[channel].add((part.name, part.dim, index))
        blocks += channels
    return blocks


def _restricted(blocks: list[Places], places: Places) -> set[frozenset[tuple[str, int, int]]]:
    return {frozenset(block & places) for block in blocks} - {frozenset()}


def _torchvision(name):
    model = torchvision.models.get_model(name, weights=None, num_classes=10)
    return model, model.fc if hasattr(model, "fc") else model.classifier


def _cifar():
    model = CifarResNet(8)
    return model, model.head


@pytest.mark.parametrize(
    "build",
    [
        pytest.param(_cifar, id="cifar_resnet8"),
        pytest.param(lambda: _torchvision("resnet18"), id="resnet18"),
        pytest.param(lambda: _torchvision("mobilenet_v2"), id="mobilenet_v2", marks=pytest.mark.slow),
        pytest.param(lambda: _torchvision("densenet121"), id="densenet121", marks=pytest.mark.slow),
    ],
)
def test_partition_equals_torch_pruning(build):
    model, head = build()
    head = head[-1] if isinstance(head, torch.nn.Sequential) else head
    example = torch.randn(1, 3, 32, 32)
    reference, ours = _reference_partition(model.eval(), example, head), _our_partition(model, example)
    known, found = set().union(*reference), set().union(*ours)
    assert known
    assert known - found == set()
    assert _restricted(ours, known) == _restricted(reference, found)
