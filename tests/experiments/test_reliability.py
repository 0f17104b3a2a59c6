"""Fits under every setting of a trainer; see experiments/reliability."""

import pytest

from experiments.reliability.setting import Setting
from experiments.reliability.settings import SETTINGS, judge


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if one.slow else name for name, one in SETTINGS.items()]
)
@pytest.mark.filterwarnings("default")
def test_setting(name, tmp_path):
    assert SETTINGS[name].check(tmp_path)


def test_a_row_that_fails_is_told():
    def fails(folder):
        assert folder is None, "a folder"

    row = judge(Setting("name", "checked", fails))
    assert not row.ok
    assert row.result.startswith("AssertionError: a folder")
