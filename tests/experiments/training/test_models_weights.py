"""``model.weights``: what is taken, what is refused, and with which words."""

from types import SimpleNamespace

import lightning as L
import pytest
import torch
from torch import nn

from experiments.training.assembly import build_network, composed
from experiments.training.models import lenet5, resnet20, start_from
from experiments.training.supervised import Supervised
from experiments.training.tasks import CLASSIFICATION

SHAPE = (1, 8, 8)


def saved(tmp_path, content):
    torch.save(content, tmp_path / "weights.pt")
    return tmp_path / "weights.pt"


def assert_equal(one: nn.Module, other: nn.Module) -> None:
    others = other.state_dict()
    assert all(torch.equal(value, others[name]) for name, value in one.state_dict().items())


@pytest.mark.parametrize("key", [None, "state_dict"])
@pytest.mark.parametrize("prefix", ["", "network.", "network._orig_mod."])
def test_weights_come_back_from_a_state_dict_and_from_a_checkpoint(key, prefix, tmp_path):
    trained, fresh = lenet5(SHAPE, 10), lenet5(SHAPE, 10)
    state = {prefix + name: value for name, value in trained.state_dict().items()}
    assert start_from(fresh, saved(tmp_path, {key: state, "epoch": 3} if key else state)) is fresh
    assert_equal(fresh, trained)


def test_weights_come_back_from_a_checkpoint_of_lightning(tmp_path):
    model = Supervised(lenet5(SHAPE, 10), torch.optim.SGD, torch.zeros(2, *SHAPE), CLASSIFICATION)
    trainer = L.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, default_root_dir=tmp_path)
    trainer.strategy.connect(model)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    assert_equal(start_from(lenet5(SHAPE, 10), tmp_path / "last.ckpt"), model.network)


def test_the_configuration_takes_a_checkpoint(tmp_path):
    trained = lenet5(SHAPE, 10)
    path = saved(tmp_path, trained.state_dict())
    data = SimpleNamespace(sizes={"shape": SHAPE, "classes": 10})
    config = composed(["model=lenet5", f"model.weights={path}"])
    assert_equal(build_network(config.model, data), trained)
    assert config.model.weights == str(path)
    fresh = build_network(composed(["model=lenet5"]).model, data)
    assert not torch.equal(fresh[0].weight, trained[0].weight)


def test_a_checkpoint_for_other_classes_gives_all_but_its_head(tmp_path):
    trained, fresh = lenet5(SHAPE, 10), lenet5(SHAPE, 7)
    head = fresh[-1].weight.clone()
    path = saved(tmp_path, trained.state_dict())
    with pytest.warns(UserWarning, match=rf"weights={path} is for other classes: 11\.weight and 11\.bias stay"):
        start_from(fresh, path)
    assert_equal(fresh[:-1], trained[:-1])
    assert torch.equal(fresh[-1].weight, head)


def test_a_head_for_other_features_is_another_network(tmp_path):
    state = lenet5(SHAPE, 10).state_dict() | {"11.weight": torch.zeros(7, 5), "11.bias": torch.zeros(7)}
    with pytest.raises(ValueError, match=r"11\.weight: expected \(10, 84\), found \(7, 5\)"):
        start_from(lenet5(SHAPE, 10), saved(tmp_path, state))


def test_safetensors_are_read(tmp_path):
    files = pytest.importorskip("safetensors.torch", reason="pip install safetensors")
    trained = lenet5(SHAPE, 10)
    files.save_file(trained.state_dict(), tmp_path / "model.safetensors")
    assert_equal(start_from(lenet5(SHAPE, 10), tmp_path / "model.safetensors"), trained)


def test_another_network_is_named_by_its_first_tensors(tmp_path):
    path = saved(tmp_path, resnet20(SHAPE, 10).state_dict())
    with pytest.raises(ValueError, match=r"0\.weight: expected \(6, 1, 5, 5\), found none; .*; and \d+ more"):
        start_from(lenet5(SHAPE, 10), path)


def test_a_network_is_left_alone_by_weights_that_do_not_fit(tmp_path):
    network = lenet5(SHAPE, 10)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(ValueError, match="load_pruned"):
        start_from(network, saved(tmp_path, lenet5((1, 12, 12), 7).state_dict()))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("content", [{}, {"epoch": 1}, [1, 2], torch.zeros(2)])
def test_a_file_without_weights_is_refused(content, tmp_path):
    path = saved(tmp_path, content)
    with pytest.raises(ValueError, match=rf"model\.weights={path}: expected a state dict or a Lightning checkpoint"):
        start_from(lenet5(SHAPE, 10), path)


def test_pickled_modules_and_other_files_are_refused(tmp_path):
    path = saved(tmp_path, lenet5(SHAPE, 10))
    with pytest.raises(ValueError, match=rf"model\.weights={path} holds more than weights"):
        start_from(lenet5(SHAPE, 10), path)
    for content in (b"", b"no checkpoint at all"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="or is no checkpoint"):
            start_from(lenet5(SHAPE, 10), path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=rf"model\.weights={tmp_path}/none\.pt: no such file"):
        start_from(lenet5(SHAPE, 10), tmp_path / "none.pt")
