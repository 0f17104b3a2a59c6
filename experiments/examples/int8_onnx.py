"""From a pruned network to int8: export, calibrate on a few pictures, quantise with onnxruntime, compare."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from experiments.examples.digits import Digits, small_network
from experiments.examples.serve_onnx import Pictures, serve
from physprune_pl import apply_plan, plan_pruning
from physprune_pl.export import export_onnx


class Calibration:
    """Hands onnxruntime what it measures the ranges of the activations on."""

    def __init__(self, name: str, batches: Iterator[Pictures]) -> None:
        self.name, self.batches = name, batches

    def get_next(self) -> dict[str, Pictures] | None:
        """Return the next batch, None after the last."""
        batch = next(self.batches, None)
        return None if batch is None else {self.name: batch}


def quantise(file: Path, pictures: Pictures) -> Path:
    """Write the int8 network beside its file: weights per channel, activations in the ranges that pictures have."""
    from onnxruntime import InferenceSession
    from onnxruntime.quantization import QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared, out = file.with_suffix(".prepared.onnx"), file.with_suffix(".int8.onnx")
    # Folds batch norms into the convolutions before them.
    quant_pre_process(file, prepared, skip_symbolic_shape=True)
    name = InferenceSession(str(file), providers=["CPUExecutionProvider"]).get_inputs()[0].name
    batches = Calibration(name, iter(np.array_split(pictures, max(1, len(pictures) // 32))))
    quantize_static(prepared, out, batches, per_channel=True, activation_type=QuantType.QUInt8)
    prepared.unlink()
    return out


def main(folder: str | Path = "runs/int8") -> float:
    """Quantise a network cut to half of its MACs; return the share of pictures with the same answer as before."""
    data = Digits()
    train, test = (next(iter(loader))[0] for loader in (data.train_dataloader(), data.val_dataloader()))
    model = small_network()
    model(train)  # the batch norms see data
    apply_plan(model.eval(), plan_pruning(model, train, target={"macs": 0.5}))
    file = export_onnx(model, train[:1], Path(folder) / "pruned.onnx")
    with torch.no_grad():
        expected = model(test).argmax(1).numpy()
    return float(np.mean(serve(quantise(file, train.numpy()), test.numpy()).argmax(1) == expected))


if __name__ == "__main__":
    print(f"same answer as the network in 32 bits: {main():.1%} of the pictures")
