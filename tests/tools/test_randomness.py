"""Random generators as tensors: every one goes on where it was, and the tensors are plain data."""

import random

import numpy as np
import pytest
import torch

from physprune_pl.networks.isolation import saved_random_state
from physprune_pl.tools.randomness import random_state, set_random_state

CPU = torch.device("cpu")


def drawn() -> tuple[float, ...]:
    """Numbers of every kind; normal ones come in pairs of which the second is kept for later."""
    numpy = np.random.standard_normal(), np.random.random_sample(), float(np.random.randint(1000))
    return *numpy, random.gauss(0.0, 1.0), random.random(), float(torch.randn(())), float(torch.rand(()))


@pytest.mark.parametrize("normals", [0, 1, 2])
def test_every_generator_goes_on_where_it_was(normals, tmp_path):
    with saved_random_state():
        for _ in range(normals):
            random.gauss(0.0, 1.0)
            np.random.standard_normal()
        torch.save(random_state(CPU), tmp_path / "states.pt")
        first = drawn() + drawn()
        set_random_state(torch.load(tmp_path / "states.pt", weights_only=True), CPU)
        assert drawn() + drawn() == first


def test_the_states_of_one_process_among_those_of_several():
    with saved_random_state():
        torch.manual_seed(5)
        rows = {name: torch.stack([torch.zeros_like(state), state]) for name, state in random_state(CPU).items()}
        first = drawn()
        set_random_state({name: states[1] for name, states in rows.items()}, CPU)
        assert drawn() == first


def test_what_is_not_there_stays_as_it_is():
    with saved_random_state():
        states = random_state(CPU)
        del states["numpy"], states["numpy_normal"]
        np.random.seed(3)
        set_random_state(states, CPU)
        assert np.random.random_sample() == np.random.RandomState(3).random_sample()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_generator_of_a_device_goes_on_where_it_was():
    device = torch.device("cuda", 0)
    states = random_state(device)
    first = torch.rand(3, device=device)
    set_random_state(states, device)
    assert torch.equal(torch.rand(3, device=device), first)
