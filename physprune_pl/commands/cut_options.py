"""Options that say what is cut from a network, and the plan that they stand for."""

from __future__ import annotations

from argparse import ArgumentTypeError
from pathlib import Path
from typing import Literal

from jsonargparse import ArgumentParser, Namespace
from torch import nn

from physprune_pl.commands.network_options import dense_of, example_of, network_of
from physprune_pl.commands.parsers import read_by
from physprune_pl.latency import Stopwatch
from physprune_pl.preview import Preview, preview
from physprune_pl.surgery.apply import apply_plan
from physprune_pl.surgery.plan import PruningPlan
from physprune_pl.targets.target import parse_target
from physprune_pl.targets.widths import SameWidth, Widths


def add_target_options(parser: ArgumentParser) -> None:
    """Add ``--target`` and what limits it."""
    group = parser.add_argument_group("what is cut")
    group.add_argument(
        "--target",
        type=read_by(share),
        metavar="KIND=SHARE",
        help="what to keep, such as macs=0.4, params=0.3, latency=0.5 (timed here) or threshold=1e-3",
    )
    group.add_argument(
        "--ignore",
        action="append",
        default=[],
        metavar="PATTERN",
        help="name or regular expression of modules not pruned; may be repeated",
    )
    group.add_argument(
        "--round-to",
        type=multiple,
        metavar="N",
        help='channels kept are a multiple of N; "auto": of what this device likes',
    )
    group.add_argument(
        "--same-width",
        action="append",
        default=[],
        metavar="PATTERN",
        help='modules that keep one width in all layers; "auto": all, as the config of a transformers model needs it',
    )
    group.add_argument(
        "--latency-batch", type=int, default=1, metavar="N", help="samples of a call that --target latency times"
    )
    group.add_argument("--latency-cache", metavar="FILE", help="where measured times are kept")
    for name, word in (("--min-share", "least"), ("--max-share", "most")):
        group.add_argument(
            name,
            action="append",
            default=[],
            type=read_by(share),
            metavar="PATTERN=SHARE",
            help=f"keep at {word} that share of the channels of matching modules; may be repeated",
        )


def add_cut_options(parser: ArgumentParser) -> None:
    """Add the options of a target, and ``--plan``."""
    add_target_options(parser)
    parser.add_argument("--plan", metavar="FILE", help="a plan that was saved, instead of --target")


def previewed_by(options: Namespace, model: nn.Module) -> Preview:
    """Trace the network, and plan for the target of the options if they have one.

    Raises:
        ValueError: an option is outside its range, or nothing meets the target.
    """
    found = preview(
        model,
        example_of(options),
        parse_target(dict([share(options.target)])) if options.target else None,
        _widths(options),
        name=options.model,
        ignore=options.ignore,
        stopwatch=Stopwatch(options.latency_batch, options.latency_cache),
    )
    if found.out_of_reach is not None:
        raise found.out_of_reach
    return found


def _widths(options: Namespace) -> Widths:
    least, most = (dict(map(share, words)) for words in (options.min_share, options.max_share))
    same: SameWidth = "auto" if options.same_width == ["auto"] else tuple(options.same_width)
    return Widths(round_to=options.round_to, min_share=least, max_share=most, same_width=same)


def planned_by(options: Namespace, model: nn.Module) -> PruningPlan:
    """Return the plan that meets the target of the options, which have one; errors as :func:`previewed_by`."""
    plan = previewed_by(options, model).plan
    assert plan is not None
    return plan


def dense_and_cut(options: Namespace) -> tuple[nn.Module, nn.Module | None]:
    """Make the network twice: as the factory makes it, and loaded or cut as the options say, None if they do not.

    Raises:
        ValueError: both a plan and a target are given, or either does not fit the network.
    """
    if options.plan and options.target:
        raise ValueError("--plan and --target: expected one of them, got both")
    dense = dense_of(options)
    if not (options.plan or options.target or options.checkpoint):
        return dense, None
    model = network_of(options)
    if options.plan:
        apply_plan(model, PruningPlan.from_json(Path(options.plan).read_text(encoding="utf-8")))
    elif options.target:
        apply_plan(model, planned_by(options, model))
    return dense, model


def multiple(text: str | int) -> int | Literal["auto"]:
    """Read a whole number or "auto".

    Raises:
        ArgumentTypeError: it is neither.

    >>> multiple("8"), multiple("auto")
    (8, 'auto')
    """
    if text == "auto":
        return "auto"
    if not str(text).lstrip("-").isdigit():
        raise ArgumentTypeError(f'expected a whole number or "auto", got {text!r}')
    return int(text)


def share(text: str) -> tuple[str, float]:
    """Read a name and a number.

    Raises:
        ArgumentTypeError: it is not of the form ``name=0.5``.

    >>> share("layer4.*=0.5")
    ('layer4.*', 0.5)
    """
    name, _, number = text.rpartition("=")
    try:
        value = float(number)
    except ValueError:
        name = ""
    if not name:
        raise ArgumentTypeError(f"expected a name and a number such as macs=0.4, got {text!r}")
    return name, value
