import pytest
import torch
from torch import nn

from physprune_pl.tools.user_code import line_of_error, line_running

HERE = "tools/test_user_code.py"


class Broken(nn.Module):
    def forward(self, x):
        return x.view(7, -1)


class Here(nn.Module):
    def forward(self, x):
        return line_running()


def test_an_error_has_the_innermost_line_that_is_not_of_torch():
    with pytest.raises(RuntimeError) as caught:
        nn.Sequential(Broken())(torch.zeros(2))
    assert line_of_error(caught.value) == f"{HERE}:12, `return x.view(7, -1)`"


def test_what_runs_has_one_too():
    assert nn.Sequential(Here())(torch.zeros(2)) == f"{HERE}:17, `return line_running()`"


def test_an_error_without_a_line_has_none():
    assert line_of_error(ValueError()) == ""
