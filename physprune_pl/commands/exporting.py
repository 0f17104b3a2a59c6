"""``export``: a network, dense or cut, as an ONNX file or a saved ``torch.export`` program."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from physprune_pl.commands.cut_options import add_cut_options, dense_and_cut
from physprune_pl.commands.network_options import add_network_options, example_of
from physprune_pl.commands.parsers import command_parser, read_by
from physprune_pl.export import export_onnx, export_program
from physprune_pl.networks.measure import count_parameters
from physprune_pl.tools.plain_tables import short

SUMMARY = "Write a network to ONNX or as a torch.export program."
EXAMPLES = """\
examples:
  python -m physprune_pl export --model my_package:build --input 1,3,32,32 --checkpoint last.ckpt --out model.onnx
  python -m physprune_pl export --model torchvision.models:resnet18 --model-args weights=DEFAULT \\
      --input 1,3,224,224 --plan plan.json --out model.pt2

  python -m physprune_pl export --model my_package:segmenter --input 1,3,64,64 --dynamic pictures=2,3 --out model.onnx

A pruned checkpoint is exported pruned. ONNX needs the extra: pip install 'physprune_pl[export]'.
"""
WRITERS: dict[str, Callable[..., object]] = {".onnx": export_onnx, ".pt2": export_program}


def parser() -> ArgumentParser:
    """Return the parser of the command."""
    own = command_parser(SUMMARY, EXAMPLES)
    add_network_options(own)
    add_cut_options(own)
    own.add_argument("--out", required=True, metavar="FILE", help="what to write: model.onnx, or model.pt2")
    own.add_argument(
        "--dynamic",
        nargs="+",
        default=[],
        type=read_by(dimensions),
        metavar="NAME=DIMS",
        help="other dimensions of any size, such as x=2,3 for height and width of forward's argument x",
    )
    own.add_argument("--fixed-batch", action="store_true", help="take batches of the size of --input only")
    return own


def run(options: Namespace) -> str:
    """Write the file and say so.

    Raises:
        ValueError: the network cannot be made, cut or exported, or the name of the file tells no format.
        ModuleNotFoundError: what writes ONNX is not installed.
    """
    path = Path(options.out)
    if path.suffix not in WRITERS:
        raise ValueError(f"--out: expected a file that ends in {' or '.join(WRITERS)}, got {options.out!r}")
    dense, cut = dense_and_cut(options)
    dynamic = dict(map(dimensions, options.dynamic))
    model = dense if cut is None else cut
    WRITERS[path.suffix](model, example_of(options), path, dynamic_batch=not options.fixed_batch, dynamic=dynamic)
    return f"{path}: {short(count_parameters(model))} parameters, {short(path.stat().st_size)}B."


def dimensions(text: str) -> tuple[str, tuple[int, ...]]:
    """Read the name of an argument and its dimensions.

    Raises:
        ArgumentTypeError: it is not of the form ``name=2,3``.

    >>> dimensions("pictures=2,3")
    ('pictures', (2, 3))
    """
    name, _, rest = text.partition("=")
    words = rest.split(",")
    if not name or not all(word.strip().isdigit() for word in words):
        raise ArgumentTypeError(f"expected a name and dimensions such as x=2,3, got {text!r}")
    return name, tuple(map(int, words))
