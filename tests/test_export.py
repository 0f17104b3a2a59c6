"""Exports of cut networks compute what the networks compute, at batches that they were not exported with."""

from __future__ import annotations

import pytest
import torch
import torchvision
from exported import assert_equal, call, needs_onnx, onnx_outputs, pruned, resized, tensors
from lightning.pytorch import LightningModule
from torch import Tensor, nn

import physprune_pl.export
from experiments.structures.networks import UNet
from experiments.training.models import resnet20, vgg16_bn
from experiments.zoo import networks as zoo
from physprune_pl.export import export_onnx, export_program
from physprune_pl.planning import plan_pruning
from physprune_pl.surgery.apply import apply_plan

TINY = torch.randn(1, 3, 16, 16)
SMALL = torch.randn(1, 3, 32, 32)


def small(name: str, **options) -> nn.Module:
    return torchvision.models.get_model(name, weights=None, num_classes=4, **options)


class Block(nn.Module):
    """Keyword inputs, several outputs, and a batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv1d(3, 8, 3), nn.BatchNorm1d(8)
        self.mean, self.spread = nn.Conv1d(8, 2, 1), nn.Conv1d(8, 2, 1)

    def forward(self, signal: Tensor, offset: Tensor) -> dict[str, Tensor]:
        x = self.norm(self.stem(signal)).relu()
        return {"mean": self.mean(x) + offset, "spread": self.spread(x).exp()}


class Module(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.network = Block()

    def forward(self, signal: Tensor, offset: Tensor) -> dict[str, Tensor]:
        return self.network(signal, offset)


BLOCK_INPUT = {"signal": torch.randn(1, 3, 9), "offset": torch.randn(1, 2, 1)}
NETWORKS = {
    "Block": (Block, BLOCK_INPUT),
    "LightningModule": (Module, tuple(BLOCK_INPUT.values())),
    "U-Net": (lambda: UNet(4), TINY),
}
LARGER = {
    "resnet20": (lambda: resnet20((3, 16, 16), 4), TINY),
    "resnet18": (lambda: small("resnet18"), SMALL),
    "mobilenet_v2": (lambda: small("mobilenet_v2"), SMALL),
    "densenet": (lambda: torchvision.models.DenseNet(8, (2, 2, 2), 16, num_classes=4), SMALL),
    "vgg16_bn": (lambda: vgg16_bn((3, 32, 32), 4), SMALL),
}
CASES = [*NETWORKS.items(), *(pytest.param(*item, marks=pytest.mark.slow) for item in LARGER.items())]


@needs_onnx
@pytest.mark.parametrize(("name", "case"), CASES)
def test_onnx_of_a_cut_network_equals_it_at_every_batch(name, case, tmp_path):
    build, example = case
    model = pruned(build, example)
    path = export_onnx(model, example, tmp_path / "made" / "model.onnx")
    assert path == tmp_path / "made" / "model.onnx"
    assert model.training
    model.eval()
    for batch in (1, 3):
        inputs = resized(example, batch)
        with torch.no_grad():
            assert_equal(onnx_outputs(path, inputs), tensors(call(model, inputs)))


@pytest.mark.parametrize(("name", "case"), CASES)
def test_program_of_a_cut_network_equals_it_at_every_batch(name, case, tmp_path):
    build, example = case
    model = pruned(build, example)
    export_program(model, example, tmp_path / "model.pt2")
    program = torch.export.load(tmp_path / "model.pt2").module()
    assert model.training
    model.eval()
    for batch in (1, 3):
        inputs = resized(example, batch)
        assert_equal(tensors(call(program, inputs)), tensors(call(model, inputs)))


@needs_onnx
def test_a_fixed_batch_is_that_of_the_example(tmp_path):
    path = export_onnx(nn.Linear(3, 2), torch.zeros(4, 3), tmp_path / "model.onnx", dynamic_batch=False)
    onnx = pytest.importorskip("onnx")
    shape = onnx.load(path).graph.input[0].type.tensor_type.shape
    assert [size.dim_value for size in shape.dim] == [4, 3]


@needs_onnx
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the config of BertForSequenceClassification has no numbers for the widths")
@pytest.mark.parametrize("name", [*zoo.TORCHVISION, "transformers:bert"])
def test_published_networks_are_exported_after_a_cut(name, tmp_path):
    if name not in zoo.NETWORKS:
        pytest.skip("transformers is not installed")
    model, example = zoo.make(name)
    apply_plan(model, plan_pruning(model, example, {"macs": 0.5})).eval()
    path = export_onnx(model, example, tmp_path / "model.onnx")
    program = export_program(model, example).module()
    for batch in (1, 3):
        inputs = resized(example, batch)
        with torch.no_grad():
            wanted = tensors(call(model, inputs))
            assert_equal(onnx_outputs(path, inputs), wanted)
            assert_equal(tensors(call(program, inputs)), wanted)


def test_modes_tensors_and_random_numbers_stay():
    model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(), nn.Linear(4, 2))
    model[2].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    export_program(model, torch.zeros(1, 3))
    assert [part.training for part in model] == [True, True, False]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)


def test_a_program_outlives_a_cut():
    model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))
    inputs = torch.randn(5, 3)
    program, wanted = export_program(model, inputs), model(inputs)
    apply_plan(model, plan_pruning(model, inputs, {"macs": 0.5}))
    assert_equal([program.module()(inputs)], [wanted])


@pytest.mark.skipif(torch.__version__ < "2.7", reason="torch 2.6 exports no network with a compiled part")
def test_a_compiled_model_is_exported_as_the_one_it_was_made_from():
    model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), torch.compile(nn.Linear(8, 2), backend="eager"))
    inputs = torch.randn(5, 3)
    program = export_program(torch.compile(model, backend="eager"), inputs)
    with torch.no_grad():
        assert_equal([program.module()(inputs)], [model(inputs)])


class OnlyFour(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.part = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.part(x.view(4, 3))


class Branching(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.part = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.part(x) if x.sum() > 0 else self.part(-x)


@pytest.mark.parametrize(
    ("model", "example", "error", "message"),
    [
        (nn.Linear(3, 2), torch.zeros(1, 4), ValueError, r"example_input: Linear does not run on it \(RuntimeError"),
        (nn.Linear(3, 2), "text", TypeError, "example_input: expected a tensor.*got str"),
        (OnlyFour(), torch.zeros(4, 3), ValueError, "cannot export OnlyFour.*dynamic_batch=False"),
        (Branching(), torch.ones(4, 3), ValueError, "torch.export cannot export Branching"),
    ],
)
def test_what_cannot_be_exported_is_refused_in_words(model, example, error, message):
    with pytest.raises(error, match=message):
        export_program(model, example)


def test_a_batch_that_cannot_change_is_exported_as_it_is():
    program = export_program(OnlyFour(), torch.zeros(4, 3), dynamic_batch=False)
    assert program.module()(torch.zeros(4, 3)).shape == (4, 2)


def test_missing_libraries_are_named(monkeypatch, tmp_path):
    monkeypatch.setattr(physprune_pl.export, "NEEDED", ("onnx", "no_such_library"))
    with pytest.raises(ModuleNotFoundError, match=r"no_such_library.*physprune_pl\[export\]"):
        export_onnx(nn.Linear(3, 2), torch.zeros(1, 3), tmp_path / "model.onnx")
