"""pytorch-forecasting: forecasts by a temporal fusion transformer."""

from __future__ import annotations

from functools import cache
from typing import Any

from experiments.clients.client import Client, Loaders
from experiments.clients.libraries.synthetic import waves

SERIES, PAST, FUTURE = 32, 12, 4


@cache
def dataset(seed: int) -> Any:
    """Return series of two groups with a known and an unknown input, as the library's data set."""
    import pandas
    from pytorch_forecasting import TimeSeriesDataSet
    from pytorch_forecasting.data import NaNLabelEncoder

    length = PAST + FUTURE + 3
    values = waves(SERIES, seed, length)[..., 0].numpy()
    rows = [
        pandas.DataFrame({"group": str(index), "kind": str(index % 2), "step": range(length), "value": one + 3.0})
        for index, one in enumerate(values)
    ]
    table = pandas.concat(rows, ignore_index=True)
    table["phase"] = (table["step"] % 3).astype(float)
    return TimeSeriesDataSet(
        table,
        "step",
        "value",
        ["group"],
        max_encoder_length=PAST,
        max_prediction_length=FUTURE,
        static_categoricals=["kind"],
        time_varying_known_reals=["step", "phase"],
        time_varying_unknown_reals=["value"],
        categorical_encoders={"group": NaNLabelEncoder(add_nan=True)},
    )


def client() -> Client:
    """Return a TemporalFusionTransformer of hidden size 16."""
    from pytorch_forecasting import TemporalFusionTransformer
    from pytorch_forecasting.metrics import QuantileLoss

    sizes = {"hidden_size": 16, "attention_head_size": 2, "hidden_continuous_size": 8, "dropout": 0.1}
    return Client(
        module=lambda: TemporalFusionTransformer.from_dataset(
            dataset(1), loss=QuantileLoss(), learning_rate=0.01, log_interval=-1, **sizes
        ),
        data=Loaders(
            lambda: dataset(1).to_dataloader(train=True, batch_size=16, num_workers=0),
            lambda: dataset(2).to_dataloader(train=False, batch_size=16, num_workers=0),
        ),
        metric="val_loss",
        what="TemporalFusionTransformer, two noisy sines",
        style="batch is (dict, (target, weight)); the weight is None; forward takes the dict and returns an own named "
        "tuple; gates, LSTMs and attention with one value matrix for all heads",
    )
