"""What makes training on a GPU faster, as far as a processor can show it."""

from pathlib import Path

import lightning as L
import pytest
import torch
from configured import ADVICE, QUIET, SMALL

from experiments.training.accelerated import ChannelsLast, Compiled, ResidentData
from experiments.training.assembly import build_data, build_model, composed
from experiments.training.data.tensors import TensorData
from experiments.training.supervised import Supervised

pytestmark = [pytest.mark.filterwarnings(one) for one in ADVICE]
CONFIG = composed([*SMALL, *QUIET, "paths.output=unused"])


class Watch(L.Callback):
    """Notes the layout of the first convolution and the device of the pictures at the start of training."""

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        weights = [weight for weight in pl_module.parameters() if weight.dim() == 4 and weight.shape[1] > 1]
        self.last = [weight.is_contiguous(memory_format=torch.channels_last) for weight in weights]
        self.device = trainer.datamodule.splits["train"].inputs.device  # type: ignore[attr-defined]


def fitted(callbacks: list[L.Callback], folder: Path) -> tuple[Supervised, TensorData]:
    L.seed_everything(0)
    data = build_data(CONFIG)
    assert isinstance(data, TensorData)
    model = build_model(CONFIG, data)
    trainer = L.Trainer(
        max_epochs=1,
        callbacks=callbacks,
        default_root_dir=folder,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_checkpointing=False,
        enable_model_summary=False,
    )
    trainer.fit(model, datamodule=data)
    return model, data


def test_layout_and_residence_leave_the_training_as_it_is(tmp_path: Path) -> None:
    watch = Watch()
    plain, _ = fitted([], tmp_path)
    other, _ = fitted([ChannelsLast(), ResidentData(), watch], tmp_path)
    assert watch.last
    assert all(watch.last)
    assert watch.device == other.device
    for one, two in zip(plain.parameters(), other.parameters(), strict=True):
        assert torch.allclose(one, two, atol=1e-5)


def test_compiled_network_is_what_runs(tmp_path: Path) -> None:
    plain, _ = fitted([], tmp_path)
    compiled, _ = fitted([Compiled(backend="eager")], tmp_path)
    assert compiled.network._compiled_call_impl is not None
    for one, two in zip(plain.parameters(), compiled.parameters(), strict=True):
        assert torch.allclose(one, two, atol=1e-5)


def test_what_they_cannot_serve_is_refused() -> None:
    trainer = L.Trainer(logger=False, accelerator="cpu", enable_progress_bar=False, enable_checkpointing=False)
    module = L.LightningModule()
    with pytest.raises(TypeError, match=r"callbacks\.compiled: expected a Supervised, got LightningModule"):
        Compiled().setup(trainer, module, "fit")
    with pytest.raises(TypeError, match=r"callbacks\.resident: expected data that fit in memory, got "):
        ResidentData().on_fit_start(trainer, module)
