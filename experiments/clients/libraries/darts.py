"""darts: forecasts by N-HiTS, its module and its data module as darts itself makes them."""

from __future__ import annotations

from functools import cache
from typing import Any

from experiments.clients.client import Client, Module
from experiments.clients.libraries.synthetic import waves

PAST, FUTURE = 24, 8


class HandedError(Exception):
    """Says that darts has handed over what it would train."""


@cache
def series() -> list[Any]:
    """Return a long series to train on and a short one to validate on."""
    import numpy
    from darts import TimeSeries

    return [TimeSeries.from_values(waves(1, seed, length)[0].numpy().astype(numpy.float32)) for seed, length in PARTS]


PARTS = ((1, PAST + FUTURE + 127), (2, PAST + FUTURE + 63))


def handed() -> dict[str, Any]:
    """Return the module and the data module that darts gives to the trainer of its fit."""
    import pytorch_lightning
    from darts.models import NHiTSModel

    found: dict[str, Any] = {}

    class Catcher(pytorch_lightning.Trainer):  # type: ignore[misc]
        """A trainer that only looks at what it is given."""

        def fit(self, model: Any, datamodule: Any = None, **_: Any) -> None:  # type: ignore[override]
            found.update(module=model, data=datamodule)
            raise HandedError

    model = NHiTSModel(PAST, FUTURE, num_layers=2, layer_widths=64, batch_size=16, dropout=0.1, random_state=0)
    train, validation = series()
    try:
        model.fit(train, val_series=validation, trainer=Catcher(logger=False, accelerator="cpu"))
    except HandedError:
        return found
    raise RuntimeError("darts did not call trainer.fit")


def client() -> Client:
    """Return N-HiTS with two layers of 64 a block."""
    return Client(
        module=lambda: handed()["module"],
        data=Module(lambda: handed()["data"]),
        metric="val_loss",
        epochs=300,
        what="NHiTSModel, two noisy sines",
        style="batch is a dataclass; the step calls self(...) with a tuple that the batch makes, some of it None",
    )
