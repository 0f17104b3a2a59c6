"""Shared test setup: one thread and fixed seeds, so that figures repeat."""

import pytest
import torch


@pytest.fixture(autouse=True)
def _repeatable() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
