"""A resumed epoch draws the random numbers that it would have drawn without the interruption."""

import random

import numpy as np
import pytest
import torch
from small import SAFE_LOAD, Classifier, Saver, cutter, data, trainer
from test_resume import assert_same, state_of
from torch import nn
from torch.utils.data import DataLoader

from physprune_pl.callbacks import RandomStates


def dropping():
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Conv2d(8, 8, 3),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(8, 2),
    )


class Noisy(Classifier):
    """Dropout, and augmentation with the generators that everybody shares."""

    def __init__(self):
        super().__init__(network=dropping)

    def training_step(self, batch, batch_idx):
        noise = torch.from_numpy(np.random.standard_normal(batch[0].shape)).float()
        scale = random.gauss(1.0, 0.1)
        return super().training_step((batch[0] * scale + 0.1 * noise, batch[1]), batch_idx)


def run(folder, *callbacks, ckpt_path=None, seed=0):
    folder.mkdir()
    torch.manual_seed(0)
    model = Noisy()
    for generator in (torch.manual_seed, np.random.seed, random.seed):
        generator(seed)
    cut = cutter()
    runner = trainer(*callbacks, cut, Saver(folder))
    batches = DataLoader(data().dataset, batch_size=16, shuffle=True)
    runner.fit(model, batches, data(), ckpt_path=ckpt_path, **(SAFE_LOAD if ckpt_path else {}))
    return state_of(model, runner, cut), torch.rand(1), np.random.standard_normal(), random.gauss(0.0, 1.0)


@pytest.mark.parametrize("epoch", range(3))
def test_dropout_and_augmentation_repeat_bit_for_bit(tmp_path, epoch):
    whole = run(tmp_path / "whole", RandomStates())
    resumed = run(tmp_path / "again", RandomStates(), ckpt_path=tmp_path / "whole" / f"{epoch}.ckpt", seed=99)
    assert_same(list(whole), list(resumed))


def test_without_the_states_they_do_not(tmp_path):
    whole = run(tmp_path / "whole")
    resumed = run(tmp_path / "again", ckpt_path=tmp_path / "whole" / "1.ckpt", seed=99)
    with pytest.raises(AssertionError):
        assert_same(list(whole), list(resumed))


def test_states_of_another_number_of_processes_are_left_alone(tmp_path):
    run(tmp_path / "whole", RandomStates())
    path = tmp_path / "whole" / "1.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    states = checkpoint["callbacks"]["RandomStates"]
    states.update({name: state.repeat(2, 1) for name, state in states.items()})
    torch.save(checkpoint, path)
    with pytest.warns(UserWarning, match="of 2 processes, not of 1"):
        run(tmp_path / "again", RandomStates(), ckpt_path=path)


def test_a_test_of_a_checkpoint_leaves_the_generators_alone(tmp_path):
    run(tmp_path / "whole", RandomStates())
    runner = trainer(RandomStates(), cutter())
    torch.manual_seed(5)
    runner.test(Noisy(), data(), ckpt_path=tmp_path / "whole" / "1.ckpt", **SAFE_LOAD, verbose=False)
    runner.fit(Noisy(), data(), data())
    assert runner.callbacks[0]._saved is None
