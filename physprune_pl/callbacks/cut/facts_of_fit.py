"""What the report of a fit says of its network, its data, and how to use what came out."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer

from physprune_pl.callbacks.session.session import PruningSession
from physprune_pl.callbacks.trainer.monitors import saved_network
from physprune_pl.forces import name_of
from physprune_pl.networks.example import Example
from physprune_pl.networks.input_words import called_part, input_words
from physprune_pl.reports.fit_facts import FitFacts
from physprune_pl.reports.report import PruningReport, command_line
from physprune_pl.tools.randomness import global_seed

_GUARD = re.compile(r"^if __name__ ==", re.MULTILINE)


def report_of_fit(
    trainer: Trainer, pl_module: LightningModule, session: PruningSession, monitor: str | None
) -> PruningReport:
    """Return the report of a fit that is over and has cut; the arguments are those of :func:`facts_of_fit`."""
    fit = facts_of_fit(trainer, pl_module, session, monitor).to_dict()
    return PruningReport(**session.record.facts(monitor), command=command_line(), seed=global_seed(), fit=fit)


def facts_of_fit(
    trainer: Trainer, pl_module: LightningModule, session: PruningSession, monitor: str | None
) -> FitFacts:
    """Return the facts of a fit that is over, as far as they can be known.

    Args:
        trainer: of the fit.
        pl_module: its module.
        session: of the fit, not released yet.
        monitor: metric that chose the weights.
    """
    network = session.model if session.ready else pl_module
    factory, home = _origin(type(pl_module))
    arguments, complete = _arguments(pl_module)
    part, inputs = _called(pl_module, session)
    inside = f"{type(network).__name__} in " if network is not pl_module else ""
    return FitFacts(
        network=f"{inside}{type(pl_module).__name__}",
        data=_data(trainer),
        law="" if session.mean_coefficient is None else name_of(session.law.force),
        target={} if session.target is None else {session.target.kind: session.target.share},
        epochs=_epochs(trainer, session),
        factory=factory,
        home=home,
        arguments=arguments,
        complete=complete,
        part=part,
        inputs=inputs,
        checkpoint=saved_network(trainer, monitor),
    )


def _epochs(trainer: Trainer, session: PruningSession) -> dict[str, int]:
    record = session.record
    end = trainer.current_epoch if record.end is None else record.end
    return {"sparsify": end - record.start, "finetune": trainer.current_epoch - end}


def _called(pl_module: LightningModule, session: PruningSession) -> tuple[str, tuple[str, ...]]:
    """Return the path of what is called in a fit, and with what; the module itself where its example input says so."""
    if pl_module.example_input_array is not None:
        return "", input_words(Example.of(pl_module.example_input_array))
    names = {id(part): name for name, part in pl_module.named_modules()}
    outside = names.get(id(session.model), "") if session.ready else ""
    found = None if session.example_input is None else called_part(Example.of(session.example_input))
    if found is None:
        return outside, ()
    part, example = found
    return ".".join(filter(None, [outside, part])), input_words(example)


def _data(trainer: Any) -> str:
    """Return the name of the data module, else of the data set."""
    if trainer.datamodule is not None:
        return type(trainer.datamodule).__name__
    data = getattr(trainer.train_dataloader, "dataset", None)
    return "" if data is None else type(data).__name__


def _origin(kind: type) -> tuple[str, str]:
    """Return ``"module:name"`` of a class, and the file that has it where another program cannot import it.

    A script that trains wherever it is imported is no module to import from; one whose work is done under
    ``if __name__ == "__main__"`` is.
    """
    module, name = sys.modules.get(kind.__module__), kind.__qualname__
    path = getattr(module, "__file__", None)
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is not kind or path is None:
        return "", path or ""
    if kind.__module__ != "__main__":
        return f"{kind.__module__}:{name}", ""
    script = Path(path)
    importable = script.stem.isidentifier() and script.suffix == ".py" and _GUARD.search(script.read_text("utf-8"))
    return (f"{script.stem}:{name}", "") if importable else ("", str(script))


def _arguments(pl_module: LightningModule) -> tuple[dict[str, Any], bool]:
    """Return the plain arguments that the module was made with, as far as it saved them; whether these are all."""
    saved = dict(pl_module.hparams_initial)
    parameters = inspect.signature(type(pl_module)).parameters
    known = {name: saved[name] for name in parameters if name in saved and _plain(saved[name])}
    return known, known.keys() == parameters.keys()


def _plain(value: object) -> bool:
    """Whether Python writes a value as it is to be typed."""
    if type(value) in (list, tuple):
        return all(map(_plain, value))  # type: ignore[call-overload]
    if isinstance(value, Mapping):
        return type(value) is dict and all(_plain(part) for pair in value.items() for part in pair)
    return value is None or type(value) in (str, int, float, bool)
