"""Shared test setup: one thread and fixed seeds, so that figures repeat."""

import os

import pytest
import torch

# Tests of one callback are about that one, whether the package's entry points are installed or not.
os.environ["PHYSPRUNE_EVERY_TRAINER"] = "0"


@pytest.fixture(autouse=True)
def _repeatable() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
