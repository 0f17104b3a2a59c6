"""From a trained network to a file that onnxruntime serves: cut, export, run at any batch size, compare."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from experiments.examples.digits import small_network
from physprune_pl import apply_plan, plan_pruning
from physprune_pl.export import export_onnx

Pictures = NDArray[np.float32]


def serve(path: Path, pictures: Pictures) -> Pictures:
    """Run the file on one thread; this is all that a server needs, torch is not."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    (scores,) = session.run(None, {session.get_inputs()[0].name: pictures})
    return np.asarray(scores)


def main(path: str | Path = "runs/pruned.onnx") -> float:
    """Export a network cut to half of its MACs; return the largest difference between file and network."""
    model, example = small_network().eval(), torch.rand(1, 1, 8, 8)
    apply_plan(model, plan_pruning(model, example, target={"macs": 0.5}))
    file = export_onnx(model, example, path)
    worst = 0.0
    for batch in (1, 5, 32):
        pictures = torch.rand(batch, 1, 8, 8)
        with torch.no_grad():
            expected = model(pictures).numpy()
        worst = max(worst, float(np.abs(serve(file, pictures.numpy()) - expected).max()))
    return worst


if __name__ == "__main__":
    print(f"largest difference: {main():.1e}")
