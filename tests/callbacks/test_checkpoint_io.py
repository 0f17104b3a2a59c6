"""Checkpoints are written in one piece."""

import pytest
import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO
from small import Saver, fit

from physprune_pl.callbacks import AtomicCheckpointIO


def test_a_trainer_writes_and_reads_with_it(tmp_path):
    model, runner = fit(Saver(tmp_path), plugins=AtomicCheckpointIO())
    assert isinstance(runner.strategy.checkpoint_io, AtomicCheckpointIO)
    assert {path.name for path in tmp_path.iterdir()} == {"0.ckpt", "1.ckpt"}
    again, _ = fit(ckpt_path=tmp_path / "1.ckpt", plugins=AtomicCheckpointIO())
    assert all(torch.equal(one, other) for one, other in zip(model.parameters(), again.parameters(), strict=True))


def test_a_failed_write_leaves_the_checkpoint_before_it(tmp_path):
    path, plugin = tmp_path / "last.ckpt", AtomicCheckpointIO()
    plugin.save_checkpoint({"epoch": 1}, path)
    with pytest.raises(Exception, match=r"pickle|local object"):
        plugin.save_checkpoint({"epoch": 2, "bad": lambda: None}, path)
    assert torch.load(path, weights_only=True) == {"epoch": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_other_file_systems_are_left_to_lightning(monkeypatch):
    seen = []
    monkeypatch.setattr(TorchCheckpointIO, "save_checkpoint", lambda self, *arguments: seen.append(arguments))
    AtomicCheckpointIO().save_checkpoint({}, "memory://folder/last.ckpt")
    AtomicCheckpointIO().save_checkpoint({}, "last.ckpt", {"region": "x"})
    assert seen == [({}, "memory://folder/last.ckpt", None), ({}, "last.ckpt", {"region": "x"})]
