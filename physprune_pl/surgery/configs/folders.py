"""Folders that ``save_pretrained`` of transformers wrote of a cut network load again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

from torch import nn

from physprune_pl.surgery.configs.blueprint import shapes_of
from physprune_pl.surgery.configs.following import follow_configs, listed, outermost
from physprune_pl.surgery.remembered import changed_numbers

Reshape = Callable[[nn.Module, Mapping[str, tuple[int, ...]], Mapping[str, tuple[int, int]]], None]


def load_folder(model: nn.Module, folder: Path, reshape: Reshape) -> None:
    """Load what ``save_pretrained`` wrote of a cut network into a network that may still be dense.

    Args:
        model: a transformers model.
        folder: where config and weights are.
        reshape: gives a network new shapes, and its modules new numbers, given as before and after.

    Raises:
        ValueError: the model is of no class of transformers, or the folder holds another network.
    """
    if next(outermost(model), None) is not model:
        raise ValueError(f"path: {str(folder)!r} is a folder of transformers, so model must be one of its models too")
    kind: Any = type(model)
    try:
        with _built_as_listed(kind, reshape):
            loaded = kind.from_pretrained(folder)
    except (OSError, RuntimeError) as error:
        raise ValueError(f"path: {str(folder)!r} does not load as a {kind.__name__}: {error}") from error
    reshape(model, shapes_of(loaded), changed_numbers(model, loaded))
    model.load_state_dict(loaded.state_dict())
    follow_configs(model)


@contextmanager
def _built_as_listed(kind: Any, reshape: Reshape) -> Iterator[None]:
    """Let a class build networks of the shapes that a config lists; the library renames weights by the class itself."""
    own = vars(kind).get("__init__")
    original = kind.__init__

    @wraps(original)
    def built(self: Any, config: Any, *args: Any, **kwargs: Any) -> None:
        original(self, config, *args, **kwargs)
        reshape(self, *listed(config))

    kind.__init__ = built
    try:
        yield
    finally:
        if own is None:
            del kind.__init__
        else:
            kind.__init__ = own
