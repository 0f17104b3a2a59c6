"""What to change in a network where a reason says why something of it is not pruned."""

from __future__ import annotations

from collections.abc import Iterable

ADVICE = (
    ("the model returns its channels", "nothing where you need them; else return less, such as the scores alone"),
    ("the model returns a mean, or the like", "return the mean in training only, or take it of what stays"),
    ("its control flow depends on values", "choose by shapes, settings or torch.where instead of by values"),
    ("it is combined with all other channels", "nothing: a softmax, a sort or a sum needs them all"),
    (
        "tracing cannot look into that",
        "trace before the part is scripted or exported, or write it in operations of torch",
    ),
    (
        "an operation mixes them before they reach",
        "let a linear layer or a convolution mix channels, not a view or matmul",
    ),
    ("fed by a mixture of channels", "as for the layer in front of it, which has a reason of its own"),
    ("as a position does", "nothing: the positions of a stream stay"),
    ("fed by the model's input", "nothing: the channels of the input stay"),
    ("nothing was seen to read its channels", "an example input on which they are used; or take the layer out"),
    ("nothing that was traced runs it", "an example input on which it runs; or take it out"),
    ("all of them go with", "several heads, of which some can go, or another size than the input has"),
    ("in equal parts", "shuffle less: parts that stay equal tie channels in pairs, and shuffles tie the pairs"),
    ("would be left without channels", "do not feed all of its channels from one: another layer is one unit with them"),
    ("its channels are tied into one", "more than one head or group, as they can only go as a whole"),
    ("as a gate does", "nothing: one channel for all is what a gate is"),
    (
        "once cut, it raises an error",
        "take sizes from tensors (x.shape) or from attributes of the module, each layer its own",
    ),
    ("is standardised over its inputs", "another convolution, or a norm behind it: a weight's mean needs all inputs"),
    ("once cut, it changes", "address channels by what they are, not by number; sqrt(width) as a number stays right"),
    ("ignored by the user", "take it out of ignore"),
    ("no number in the config", "plan without same_width, and load with load_pruned"),
    ("frozen", "train it, or name what to prune with module"),
)
"""Words of a reason, and what to do about it."""


def advice(reason: str) -> str:
    """Return what to change so that something is pruned, given why it is not; empty where nothing is known.

    >>> advice("96 of 128 channels: fed by the model's input")
    'nothing: the channels of the input stay'
    """
    return next((words for part, words in ADVICE if part in reason), "")


def explained(left_whole: Iterable[tuple[str, str]]) -> list[str]:
    """Return a line for every reason, with the modules that it is for and what to do, given names and reasons.

    >>> explained([("a", "ignored by the user"), ("b", "ignored by the user")])
    ['a, b: ignored by the user. What to do: take it out of ignore']
    """
    modules: dict[str, list[str]] = {}
    for name, reason in left_whole:
        modules.setdefault(reason, []).append(name)
    return [f"{', '.join(names)}: {reason}{_to_do(reason)}" for reason, names in modules.items()]


def _to_do(reason: str) -> str:
    words = advice(reason)
    return f". What to do: {words}" if words else ""
