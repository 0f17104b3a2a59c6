"""Small networks that a tracer is judged by, one for every structure and trap."""

from experiments.structures.nets import (
    attention,
    composed,
    computed,
    coupled,
    crossed,
    fooled,
    hidden,
    indexing,
    inputs,
    masked,
    mixers,
    parameters,
    shared,
    stateful,
    stepping,
    summed,
    windows,
)
from experiments.structures.nets.case import CASES, Case

__all__ = [
    "CASES",
    "Case",
    "attention",
    "composed",
    "computed",
    "coupled",
    "crossed",
    "fooled",
    "hidden",
    "indexing",
    "inputs",
    "masked",
    "mixers",
    "parameters",
    "shared",
    "stateful",
    "stepping",
    "summed",
    "windows",
]
