"""What a fit on many processes costs beside one without pruning: ``python -m experiments.reliability.scale``.

The formulas of scale.md, with the numbers of two networks: ResNet-50 as it is traced here, and the sizes of a
transformer of 7 billion parameters.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torchvision.models import resnet50

from experiments.reliability.page import write
from physprune_pl.pressing.arrangement import LAUNCHED
from physprune_pl.reports.tables import markdown
from physprune_pl.tools.randomness import random_state
from physprune_pl.tracing.tracer import trace

PROCESSES = 1000
EPOCHS = 100
KEPT = 0.5


@dataclass(frozen=True)
class Sizes:
    """What the costs depend on.

    Attributes:
        groups: channels of each group.
        layers: convolutions and linear layers.
        filters: filters of all of them.
        parameters: of the whole network.
        touched: of them in slices of the groups.
        indices: of all slices.
        weight_bytes: bytes of a weight and of a gradient.
        sample_bytes: bytes of one training batch of a process, the example input where there is no other.
    """

    name: str
    groups: tuple[int, ...]
    layers: int
    filters: int
    parameters: int
    touched: int
    indices: int
    weight_bytes: int
    sample_bytes: int


def traced_resnet50() -> Sizes:
    """Trace ResNet-50; pictures of 64 pixels have the same groups as those of 224."""
    model = resnet50()
    found = trace(model, torch.zeros(1, 3, 64, 64))
    shapes = {name: parameter.numel() for name, parameter in model.named_parameters()}
    names = {part.name for group in found.groups for part in group.slices} & shapes.keys()
    made = [module for module in model.modules() if isinstance(module, torch.nn.Conv2d | torch.nn.Linear)]
    return Sizes(
        name="ResNet-50, float32",
        groups=tuple(group.size for group in found.groups),
        layers=len(made),
        filters=sum(module.weight.shape[0] for module in made),
        parameters=sum(shapes.values()),
        touched=sum(shapes[name] for name in names),
        indices=sum(len(part.index) for group in found.groups for part in group.slices if part.name in shapes),
        weight_bytes=4,
        sample_bytes=32 * 3 * 224 * 224 * 4,
    )


def transformer(layers: int = 32, width: int = 4096, inner: int = 11008, heads: int = 32, words: int = 32000) -> Sizes:
    """Return the sizes of a decoder with gated feed-forward parts, its residual stream not pruned.

    Per block: heads as units of the attention, and the inner features of the feed-forward part.
    """
    attention, feed = 4 * width * width, 3 * width * inner
    norms = (2 * layers + 1) * width
    return Sizes(
        name="transformer, 7 B, bfloat16",
        groups=(heads, inner) * layers,
        layers=7 * layers + 1,
        filters=layers * (5 * width + 2 * inner) + words,
        parameters=layers * (attention + feed) + norms + 2 * words * width,
        touched=layers * (attention + feed),
        indices=layers * (4 * width + 3 * inner),
        weight_bytes=2,
        sample_bytes=4 * 4096 * 8,
    )


def costs(sizes: Sizes) -> Iterator[tuple[str, str, float]]:
    """Yield what, how often, and bytes; of messages those that one process receives, of memory those of one process."""
    channels = sum(sizes.groups)
    masks = [torch.zeros(size, dtype=torch.bool) for size in sizes.groups]
    generators = sum(state.numel() * state.element_size() for state in random_state(torch.device("cpu")).values()) + 16
    weights = sizes.parameters * sizes.weight_bytes
    vectors = 4.0 * (2 * sizes.indices + 10 * channels)
    values = EPOCHS * (3 * channels + 2 * sizes.filters)
    yield "gradients, as without pruning", "every step", float(weights)
    yield "penalty and steering", "every step", 0.0
    yield "example input", "once, where there is no other", float(sizes.sample_bytes)
    yield "channels to cut", "once", float(len(pickle.dumps(masks)))
    yield "weights of the cut network, when it is wrapped again", "once", KEPT * weights
    yield "metrics of the tracker, 4 (G + 1) scalars", "every epoch", 16.0 * (len(sizes.groups) + 1)
    yield "random generators", "every checkpoint", float(PROCESSES * generators)
    yield "memory: gradients that are there before the backward", "sparsify", float(sizes.touched * sizes.weight_bytes)
    yield "memory: sums and factors of all slices, vectors of all channels", "sparsify", vectors
    yield "memory: scratch of the penalty, at most", "sparsify", 4.0 * LAUNCHED
    yield f"memory: history of {EPOCHS} epochs", "all the time", 4.0 * values
    yield "host memory: best weights of fine-tuning, with a monitor", "finetune", KEPT * weights


def readable(count: float) -> str:
    """Write a number of bytes.

    >>> readable(0.0), readable(999.0), readable(2.5e6)
    ('0', '999 B', '2.5 MB')
    """
    if not count:
        return "0"
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count:.0f} B"


def main() -> None:
    """Work out the numbers and write them."""
    networks = [traced_resnet50(), transformer()]
    columns = [list(costs(sizes)) for sizes in networks]
    names = {what: when for column in columns for what, when, _ in column}
    known = [{what: count for what, _, count in column} for column in columns]
    rows = [
        (what, when, *(readable(one[what]) if what in one else "" for one in known)) for what, when in names.items()
    ]
    facts = [{**vars(sizes), "groups": len(sizes.groups), "channels": sum(sizes.groups)} for sizes in networks]
    results = [{"sizes": fact, "bytes": one} for fact, one in zip(facts, known, strict=True)]
    table = markdown(("what", "when", *(sizes.name for sizes in networks)), rows)
    write("scale", results, table, page="scale.md")


if __name__ == "__main__":
    main()
