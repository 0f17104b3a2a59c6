"""neuralforecast: forecasts by N-HiTS, whose windows are drawn inside the step."""

from __future__ import annotations

from typing import Any

from experiments.clients.client import Client, Module
from experiments.clients.libraries.synthetic import waves

SERIES, LENGTH, HORIZON = 64, 80, 8


def data() -> Any:
    """Return neuralforecast's own data module over 64 series, the last 16 values of each for validation."""
    import pandas
    from neuralforecast.tsdataset import TimeSeriesDataModule, TimeSeriesDataset

    values = waves(SERIES, 1, LENGTH)[..., 0].numpy()
    parts = [pandas.DataFrame({"unique_id": index, "ds": range(LENGTH), "y": one}) for index, one in enumerate(values)]
    dataset = TimeSeriesDataset.from_df(pandas.concat(parts))[0]
    return TimeSeriesDataModule(dataset, batch_size=8, valid_batch_size=16)


def client() -> Client:
    """Return N-HiTS with two layers of 64 a block."""
    from neuralforecast.models import NHITS

    def module() -> Any:
        widths = {"mlp_units": 3 * [[64, 64]], "windows_batch_size": 64, "early_stop_patience_steps": -1}
        model = NHITS(h=HORIZON, input_size=24, max_steps=1000, val_check_steps=50, **widths)
        model.val_size = 2 * HORIZON
        return model

    return Client(
        module=module,
        data=Module(data),
        metric="ptl/val_loss",
        what="NHITS, two noisy sines",
        style="batch is a dict that forward never sees: windows are drawn from it at random in the step, and forward "
        "takes one dict with None in it",
    )
