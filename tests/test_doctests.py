"""Every example in every docstring of the package runs."""

import doctest
import importlib
import pkgutil

import pytest

import physprune_pl

MODULES = ["physprune_pl", *(found.name for found in pkgutil.walk_packages(physprune_pl.__path__, "physprune_pl."))]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0
