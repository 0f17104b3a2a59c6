"""What carrying optimizer state through a cut is worth: ``python -m experiments.reliability.moments``."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from experiments.reliability.page import write
from experiments.training.data.digits import Digits
from physprune_pl import apply_plan, plan_pruning
from physprune_pl.reports.tables import markdown

Make = Callable[[Iterable[nn.Parameter], float], Optimizer]
SEEDS, EPOCHS, BATCH, STEPS = (0, 1, 2), 15, 64, 50


def adamw(parameters: Iterable[nn.Parameter], share: float) -> Optimizer:
    """AdamW at a share of its usual learning rate."""
    return torch.optim.AdamW(parameters, lr=3e-3 * share)


def sgd(parameters: Iterable[nn.Parameter], share: float) -> Optimizer:
    """SGD with momentum at a share of its usual learning rate."""
    return torch.optim.SGD(parameters, lr=0.05 * share, momentum=0.9)


OPTIMIZERS: Mapping[str, Make] = {"AdamW, 3e-3": adamw, "SGD, 0.05, momentum 0.9": sgd}
# The rate after the cut: that from before it, and a tenth, which is what fine-tuning takes.
SHARES = (1.0, 0.1)


def network() -> nn.Sequential:
    """Three convolutions with norms for pictures of 8 x 8 pixels."""
    layers: list[nn.Module] = []
    for before, after in ((1, 16), (16, 32), (32, 32)):
        layers += [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))


@dataclass
class Training:
    """A network, its optimizer, and batches without end in an order of their own.

    Attributes:
        net: the network.
        optimizer: its optimizer.
        inputs: pictures [N, 1, 8, 8].
        labels: classes [N].
        order: gives the order of the pictures.
    """

    net: nn.Module
    optimizer: Optimizer
    inputs: Tensor
    labels: Tensor
    order: torch.Generator

    def losses(self, steps: int) -> list[float]:
        """Train for some steps; return the loss of each."""
        return [self._step(rows) for rows, _ in zip(self._batches(), range(steps), strict=False)]

    def _batches(self) -> Iterator[Tensor]:
        while True:
            rows = torch.randperm(len(self.labels), generator=self.order)
            yield from rows[: len(rows) // BATCH * BATCH].view(-1, BATCH)

    def _step(self, rows: Tensor) -> float:
        self.optimizer.zero_grad()
        loss = nn.functional.cross_entropy(self.net(self.inputs[rows]), self.labels[rows])
        torch.autograd.backward(loss)
        self.optimizer.step()
        return loss.item()

    def cut(self, make: Make, share: float, *, carried: bool) -> Training:
        """A copy that is cut to half of its MACs; its new optimizer has the old state, or none."""
        twin: Training = copy.deepcopy(self)
        plan = plan_pruning(twin.net, self.inputs[:2], target={"macs": 0.5})
        apply_plan(twin.net, plan, [twin.optimizer])
        fresh = make(twin.net.parameters(), share)
        if carried:
            fresh.state.update(twin.optimizer.state)
        order = torch.Generator()
        order.set_state(self.order.get_state())
        return Training(twin.net, fresh, self.inputs, self.labels, order)

    def __deepcopy__(self, memo: Any) -> Training:
        # A copy of both at once keeps the parameters of one in the other.
        net, optimizer = copy.deepcopy((self.net, self.optimizer), memo)
        return Training(net, optimizer, self.inputs, self.labels, self.order)


def run(make: Make, seed: int, epochs: int = EPOCHS, steps: int = STEPS) -> dict[str, Any]:
    """Train with one seed, cut, and train on with and without the old state.

    Returns:
        ``before``: mean loss of the last epoch before the cut; ``after``: share of the learning rate -> ``carried``
        and ``dropped``, the loss of each step after the cut.
    """
    split = Digits(BATCH).load()["train"]
    torch.manual_seed(seed)
    net = network()
    training = Training(
        net,
        make(net.parameters(), 1.0),
        split.inputs.float() / 16.0,
        split.labels,
        torch.Generator().manual_seed(seed),
    )
    per_epoch = len(split.labels) // BATCH
    before = training.losses(epochs * per_epoch)[-per_epoch:]
    after = {
        str(share): {
            name: [round(loss, 5) for loss in training.cut(make, share, carried=carried).losses(steps)]
            for name, carried in (("carried", True), ("dropped", False))
        }
        for share in SHARES
    }
    return {"seed": seed, "before": mean(before), "after": after}


SPANS = {"first step": slice(0, 1), "steps 2 to 10": slice(1, 10), "steps 11 to 50": slice(10, 50)}


def table(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Mean and standard deviation of the loss over the seeds, in each span of steps."""
    head = ("optimizer", "rate after the cut", "state", "last epoch before", *SPANS)
    rows = []
    for name, runs in found.items():
        before = _spread([run["before"] for run in runs])
        for share in SHARES:
            for state in ("carried", "dropped"):
                curves = [run["after"][str(share)][state] for run in runs]
                cells = (_spread([mean(curve[span]) for curve in curves]) for span in SPANS.values())
                rows.append((name, "the same" if share == 1.0 else "a tenth", state, before, *cells))
    return markdown(head, rows)


def _spread(values: Sequence[float]) -> str:
    return f"{mean(values):.3f} ± {stdev(values):.3f}" if len(values) > 1 else f"{mean(values):.3f}"


def main() -> None:
    """Run all seeds and write results.json and README.md."""
    torch.set_num_threads(1)
    found = {name: [run(make, seed) for seed in SEEDS] for name, make in OPTIMIZERS.items()}
    write("moments", found, table(found))


if __name__ == "__main__":
    main()
