"""ModelOpt's FastNAS on a few of the networks: ``python -m experiments.zoo.modelopt [NAME ...]``, in its environment.

It needs ``pip install nvidia-modelopt torchprofile==0.0.4 requests lightning torchmetrics torch torchvision``; what it
finds is written into ``modelopt.json`` beside this file.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from experiments.bench.runs import save
from experiments.zoo.limited_process import ProcessLimits, Row, run_apart
from experiments.zoo.networks import NETWORKS, make
from experiments.zoo.ours import KEPT_MACS, Make, timed, untrainable
from experiments.zoo.run import stored
from physprune_pl.networks.measure import count_macs, count_parameters
from physprune_pl.tools.memory import process_peak

NAMES = ("resnet18", "mobilenet_v2", "shufflenet_v2_x1_0", "densenet121", "vit_b_16")
PATH = Path(__file__).with_name("modelopt.json")


def cut_by_fastnas(name: str, build: Make = make) -> Iterator[Row]:
    """Yield what comes of a search for half of the MACs, as its documentation shows it, in parts.

    The score of a candidate, which would be its accuracy, is minus the mean square of its outputs: nothing is trained.

    Args:
        name: of a network.
        build: returns that network and its example.
    """
    prune = import_module("modelopt.torch.prune")
    model, example = build(name)
    shape = model.eval()(example).shape
    costs = count_macs(model, example), count_parameters(model)
    settings: dict[str, Any] = {"data_loader": [(example,)], "score_func": partial(_score, example=example)}
    found, seconds = timed(
        lambda: prune.prune(
            model,
            mode="fastnas",
            constraints={"flops": f"{KEPT_MACS:.0%}"},
            dummy_input=example,
            config={**settings, "checkpoint": None, "verbose": False},
        )
    )
    cut: nn.Module = found[0]
    yield {"cut_seconds": seconds, "peak_bytes": process_peak()}
    after = count_macs(cut, example), count_parameters(cut)
    yield {"macs": (costs[0], after[0]), "params": (costs[1], after[1])}
    got = cut.eval()(example).shape
    problems = [] if got == shape else [f"outputs have shape {tuple(got)}, not {tuple(shape)}"]
    problems += ["nothing was cut"] if after == costs else []
    yield {"problems": problems + untrainable(cut, example, [name for name, _ in cut.named_parameters()])}


def _score(model: nn.Module, example: Tensor) -> float:
    with torch.no_grad():
        outputs: Tensor = model.eval()(example)
    return -float(outputs.square().mean())


def main() -> None:
    """Cut the networks that are named, or the few that stand for the others, and store their rows."""
    for name in sys.argv[1:] or NAMES:
        about = {"network": name, "tool": "nvidia-modelopt", "tool_version": version("nvidia-modelopt")}
        result = run_apart(partial(cut_by_fastnas, name), ProcessLimits(), ("torch", "torchvision"))
        row = {**about, "library": NETWORKS[name].source, "size": NETWORKS[name].size, **result}
        save(
            [*(one for one in stored(PATH) if one["network"] != name), row], "python -m experiments.zoo.modelopt", PATH
        )
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
