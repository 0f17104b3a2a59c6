"""What a fit was: which network on which data, with which law and target, and what one needs to use its result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

TARGETS = {
    "macs": "{:.4g} % of the MACs",
    "params": "{:.4g} % of the parameters",
    "latency": "{:.4g} % of the latency",
}


@dataclass(frozen=True)
class FitFacts:
    """The facts of a fit that its figures do not tell; what is not known is empty.

    Attributes:
        network: class of the network that was pruned.
        data: what it was trained on.
        law: name of the force law.
        target: kind of the target -> share to keep.
        epochs: phase -> number of its epochs.
        factory: ``"module:name"`` of what makes the network, importable by another program.
        home: file of the program that defines the network, where no other program can import it.
        arguments: keyword arguments of the factory, all of them plain values.
        complete: whether the factory needs no other arguments.
        part: path of the pruned network in what the factory makes.
        inputs: what that network is called with, as words of the option ``--input``.
        checkpoint: file of the pruned network.

    >>> FitFacts.of({"network": "ResNet", "epochs": {"sparsify": 4}, "later": 1}).network
    'ResNet'
    """

    network: str = ""
    data: str = ""
    law: str = ""
    target: Mapping[str, float] = field(default_factory=dict)
    epochs: Mapping[str, int] = field(default_factory=dict)
    factory: str = ""
    home: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    complete: bool = True
    part: str = ""
    inputs: tuple[str, ...] = ()
    checkpoint: str = ""

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> FitFacts:
        """Read what a report says; what a later version adds is passed over."""
        known = {one.name for one in fields(cls)}
        facts = {name: value for name, value in found.items() if name in known}
        return cls(**{**facts, "inputs": tuple(facts.get("inputs", ()))})

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, as a report keeps it."""
        return {**asdict(self), "inputs": list(self.inputs)}

    @property
    def aim(self) -> str:
        """The target in words.

        >>> FitFacts(target={"macs": 0.4}).aim, FitFacts(target={"threshold": 1e-3}).aim, FitFacts().aim
        ('target 40 % of the MACs', 'threshold 0.001', '')
        """
        for kind, share in self.target.items():
            return f"target {TARGETS[kind].format(100 * share)}" if kind in TARGETS else f"{kind} {share:g}"
        return ""

    @property
    def length(self) -> str:
        """The epochs of all phases in words.

        >>> FitFacts(epochs={"sparsify": 60, "finetune": 20}).length
        '60 + 20 epochs'
        """
        return f"{' + '.join(map(str, self.epochs.values()))} epochs" if self.epochs else ""
