"""pytorch-tabular: regression on a table with categories by an FT-Transformer."""

from __future__ import annotations

from functools import cache
from typing import Any

from experiments.clients.client import Client, Loaders
from experiments.clients.libraries.synthetic import SAMPLES, tables

NUMBERS = [f"x{index}" for index in range(6)]


def table(count: int, seed: int) -> Any:
    """Return rows of six numbers and a category, and what is to be predicted."""
    import pandas

    rows, values = tables(count, seed, len(NUMBERS))
    frame = pandas.DataFrame(rows.numpy(), columns=NUMBERS)
    return frame.assign(kind=["abc"[index % 3] for index in range(count)], y=values.numpy())


@cache
def library() -> tuple[Any, Any]:
    """Return pytorch-tabular's model object and its data module."""
    from pytorch_tabular import TabularModel
    from pytorch_tabular.config import DataConfig, OptimizerConfig, TrainerConfig
    from pytorch_tabular.models import FTTransformerConfig

    network = FTTransformerConfig("regression", input_embed_dim=16, num_heads=4, num_attn_blocks=2, seed=0)
    model = TabularModel(
        data_config=DataConfig(target=["y"], continuous_cols=NUMBERS, categorical_cols=["kind"]),
        model_config=network,
        optimizer_config=OptimizerConfig(),
        trainer_config=TrainerConfig(batch_size=16, load_best=False, checkpoints=None, early_stopping=None),
        verbose=False,
        suppress_lightning_logger=True,
    )
    return model, model.prepare_dataloader(train=table(SAMPLES, 1), validation=table(SAMPLES // 2, 2), seed=0)


def client() -> Client:
    """Return the module that TabularModel.prepare_model builds."""

    def module() -> Any:
        model, data = library()
        return model.prepare_model(data)

    return Client(
        module=module,
        data=Loaders(lambda: library()[1].train_dataloader(), lambda: library()[1].val_dataloader()),
        metric="valid_loss",
        what="FTTransformer, a table of 6 numbers and a category",
        style="batch is a dict with two inputs and the target in it; forward takes the dict and returns a dict; the "
        "backbone is reached through another method than its forward",
    )
