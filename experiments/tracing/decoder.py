"""Cuts a Llama-style decoder of 1.1 billion parameters to half of its MACs: ``python -m experiments.tracing.decoder``.

It is built from a config, with random weights in bfloat16; transformers must be installed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from experiments.bench.runs import save
from experiments.tracing.depth import written
from experiments.tracing.one_trace import memory_of, resident_from_now
from physprune_pl.networks.measure import count_macs
from physprune_pl.planning import plan_chosen
from physprune_pl.reports.tables import markdown
from physprune_pl.surgery.apply import apply_plan
from physprune_pl.targets.chooser import Chooser
from physprune_pl.targets.target import Target
from physprune_pl.targets.widths import Widths
from physprune_pl.tracing.tracer import trace

FOLDER = Path(__file__).parent
COMMAND = "python -m experiments.tracing.decoder"
CONFIG = {
    "vocab_size": 32000,
    "hidden_size": 2048,
    "num_hidden_layers": 22,
    "num_attention_heads": 32,
    "num_key_value_heads": 4,
    "intermediate_size": 5632,
    "max_position_embeddings": 2048,
}
SENTENCES, TOKENS, KEPT_MACS = 2, 8, 0.5

Row = dict[str, Any]
Result = TypeVar("Result")


def decoder(config: Mapping[str, int]) -> tuple[nn.Module, dict[str, Tensor]]:
    """Return a decoder of a config in bfloat16, and sentences of random words."""
    import transformers

    torch.manual_seed(0)
    words = {"input_ids": torch.randint(0, config["vocab_size"], (SENTENCES, TOKENS))}
    network = transformers.AutoModelForCausalLM.from_config(transformers.LlamaConfig(**config), dtype=torch.bfloat16)
    return network.eval(), words


class Stopwatch:
    """Times steps, and finds how much memory each of them takes on top of what was there before it.

    Attributes:
        row: name of a step -> its seconds, its processor seconds, and the bytes.
    """

    def __init__(self) -> None:
        self.row: Row = {}

    def of(self, name: str, step: Callable[[], Result]) -> Result:
        """Return the result of a step."""
        before, wall, processor = resident_from_now(), perf_counter(), process_time()
        result = step()
        seconds, own, peak = perf_counter() - wall, process_time() - processor, memory_of("VmHWM")
        more = None if before is None or peak is None else peak - before
        self.row[name] = {"seconds": seconds, "processor_seconds": own, "peak_bytes_more": more, "peak_bytes": peak}
        print(name, self.row[name], flush=True)
        return result


def measured(config: Mapping[str, int]) -> Row:
    """Return what it takes to build, trace, plan, cut and run a decoder.

    Raises:
        RuntimeError: the cut network has other MACs than planned, or puts out something that is not finite.
    """
    watch = Stopwatch()
    model, words = watch.of("build", lambda: decoder(config))
    bytes_of_parameters = sum(one.numel() * one.element_size() for one in model.parameters())
    found = watch.of("trace", lambda: trace(model, words))
    plan = watch.of("plan", lambda: plan_chosen(model, Chooser(found, Target("macs", KEPT_MACS), Widths())))
    watch.of("cut", lambda: apply_plan(model, plan))
    with torch.no_grad():
        logits = watch.of("run", lambda: model(**words).logits)
    macs = count_macs(model, words)
    if macs != plan.macs[1] or not bool(logits.isfinite().all()):
        raise RuntimeError(f"expected {plan.macs[1]} MACs and finite outputs, got {macs} and {logits}")
    return {
        "network": "Llama",
        "transformers": version("transformers"),
        "config": dict(config),
        "dtype": "bfloat16",
        "tokens": [SENTENCES, TOKENS],
        "threads": torch.get_num_threads(),
        "groups": len(found.groups),
        "exact_groups": sum(group.exact for group in found.groups),
        "parameter_bytes": bytes_of_parameters,
        "macs": plan.macs,
        "params": plan.params,
        "steps": watch.row,
    }


def table(row: Mapping[str, Any]) -> str:
    """Return the steps as Markdown, and what came of them."""
    head = ("step", "seconds", "processor seconds", "peak over what was there / parameters")
    body = [(name, *_cells(step, row["parameter_bytes"])) for name, step in row["steps"].items()]
    seconds = sum(step["seconds"] for step in row["steps"].values())
    threads = f"{row['threads']} thread{'s' if row['threads'] > 1 else ''}"
    said = (
        f"\n{row['params'][0] / 1e9:.2f} to {row['params'][1] / 1e9:.2f} billion parameters, "
        f"{row['macs'][0] / 1e9:.2f} to {row['macs'][1] / 1e9:.2f} billion MACs of {row['tokens'][1]} tokens, "
        f"{row['groups']} groups; {seconds:.0f} seconds in all on {threads}.\n"
    )
    return markdown(head, body) + said


def _cells(step: Mapping[str, Any], parameter_bytes: int) -> tuple[str, str, str]:
    more = step["peak_bytes_more"]
    times = "-" if more is None else f"{more / parameter_bytes:.2f}"
    return f"{step['seconds']:.1f}", f"{step['processor_seconds']:.1f}", times


def main() -> None:
    """Measure, and write decoder.json and the table."""
    row = measured(CONFIG)
    save([row], COMMAND, FOLDER / "decoder.json")
    page = FOLDER / "README.md"
    page.write_text(written(page.read_text(), table(row), "decoder"))


if __name__ == "__main__":
    main()
