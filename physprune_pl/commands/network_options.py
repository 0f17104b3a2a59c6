"""Options that name a network and its input, and what they stand for."""

from __future__ import annotations

import ast
import importlib
from argparse import ArgumentTypeError
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jsonargparse import ArgumentParser, Namespace
from torch import Tensor, nn

from physprune_pl.commands.parsers import read_by
from physprune_pl.networks.example import Example
from physprune_pl.networks.input_words import DTYPES
from physprune_pl.surgery.loading import load_pruned


def add_network_options(parser: ArgumentParser) -> None:
    """Add ``--model``, ``--model-args``, ``--input`` and ``--checkpoint``."""
    group = parser.add_argument_group("network")
    group.add_argument(
        "--model", required=True, metavar="MODULE:FACTORY", help="what makes it, such as torchvision.models:resnet50"
    )
    group.add_argument(
        "--model-args",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        type=read_by(keyword),
        help="arguments of the factory; a value that is no Python literal is text",
    )
    group.add_argument(
        "--input",
        required=True,
        nargs="+",
        metavar="[NAME=]SHAPE[:DTYPE]",
        type=read_by(named_tensor),
        help=f"inputs, the batch first, such as 1,3,224,224 or input_ids=1,16:int64; dtypes: {', '.join(DTYPES)}; "
        "floating-point values are random, others are 1",
    )
    group.add_argument("--checkpoint", metavar="FILE", help="Lightning checkpoint to load, pruned or not")


def example_of(options: Namespace) -> Example:
    """Return the input that the options describe."""
    given = [named_tensor(word) for word in options.input]
    return Example(tuple(tensor for name, tensor in given if not name), {name: x for name, x in given if name})


def network_of(options: Namespace) -> nn.Module:
    """Make the network, with the weights of the checkpoint if there is one.

    Raises:
        ValueError: it cannot be made, or the checkpoint does not fit it.
    """
    model = dense_of(options)
    return load_pruned(model, options.checkpoint) if options.checkpoint else model


def dense_of(options: Namespace) -> nn.Module:
    """Make the network as its factory does; errors as :func:`made_by`."""
    return made_by(options.model, dict(map(keyword, options.model_args)))


def made_by(factory: str, arguments: Mapping[str, Any]) -> nn.Module:
    """Call a factory; its random numbers are the same in every process.

    Args:
        factory: ``"module:name"``; the module is imported as any other, from the working folder too.
        arguments: keyword arguments.

    Raises:
        ValueError: there is no such factory, it does not take the arguments, or it makes no network.

    >>> made_by("torch.nn:Linear", {"in_features": 3, "out_features": 2})
    Linear(in_features=3, out_features=2, bias=True)
    """
    make = _found(factory)
    torch.manual_seed(0)
    try:
        model = make(**arguments)
    except TypeError as error:
        raise ValueError(f"--model-args: {factory} does not take {dict(arguments)}: {error}") from error
    if not isinstance(model, nn.Module):
        raise ValueError(f"--model: expected {factory} to make a torch.nn.Module, got {type(model).__name__}")
    return model


def _found(factory: str) -> Any:
    module, _, path = factory.partition(":")
    if not module or not path:
        raise ValueError(f"--model: expected MODULE:FACTORY such as torchvision.models:resnet50, got {factory!r}")
    try:
        found: Any = importlib.import_module(module)
    except ImportError as error:
        raise ValueError(f"--model: {module!r} cannot be imported: {error}") from error
    for name in path.split("."):
        if not hasattr(found, name):
            raise ValueError(f"--model: {module!r} has no {path!r}")
        found = getattr(found, name)
    if not callable(found) or isinstance(found, nn.Module):
        raise ValueError(f"--model: expected {factory} to be a function or a class, got {type(found).__name__}")
    return found


def keyword(text: str) -> tuple[str, Any]:
    """Read an argument of a factory.

    Raises:
        ArgumentTypeError: there is no name.

    >>> keyword("width=2"), keyword("norm=batch"), keyword("weights=None")
    (('width', 2), ('norm', 'batch'), ('weights', None))
    """
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise ArgumentTypeError(f"expected NAME=VALUE, got {text!r}")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def named_tensor(text: str) -> tuple[str, Tensor]:
    """Read an input: its name, empty for a positional one, and a tensor.

    Raises:
        ArgumentTypeError: it is not of the form ``[name=]1,3,224,224[:dtype]``.

    >>> name, tensor = named_tensor("mask=1,4:int64")
    >>> name, tensor.tolist()
    ('mask', [[1, 1, 1, 1]])
    """
    name, _, rest = text.rpartition("=")
    sizes, _, dtype = rest.partition(":")
    shape = [int(size) for size in sizes.split(",") if size.strip().isdigit()]
    if len(shape) != len(sizes.split(",")) or 0 in shape or (dtype or "float32") not in DTYPES:
        raise ArgumentTypeError(
            f"expected a shape such as 1,3,224,224 or ids=1,16:int64 with one of {', '.join(DTYPES)}, got {text!r}"
        )
    return name, _filled(shape, DTYPES[dtype or "float32"])


def _filled(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    if dtype.is_floating_point:
        return torch.randn(shape, generator=generator, dtype=dtype)
    # A one is a word of every vocabulary, and lets everything through where it is a mask.
    return torch.ones(shape, dtype=dtype)
