"""The latency table by channel count: every runtime answers alike, and a cell is a ratio within a round."""

import json

import pytest
import torch

import physprune_pl.export
from experiments.channel_counts import run

pytestmark = pytest.mark.filterwarnings("ignore")
LIBRARY = {"eager": "torch", "compile": "torch", "onnxruntime": "onnxruntime", "openvino": "openvino"}


@pytest.mark.parametrize("name", [name for name in run.RUNTIMES if name != "compile"])
def test_a_runtime_computes_what_the_layer_does(name: str) -> None:
    pytest.importorskip(LIBRARY[name])
    if name == "onnxruntime" and any(physprune_pl.export.missing()):
        pytest.skip("onnx or onnxscript is not installed")
    model, example = run.layer(17), torch.randn(1, 17, 9, 9)
    with torch.no_grad():
        found = run.RUNTIMES[name](model, example)()
        wanted = model(example)
    got = found if isinstance(found, torch.Tensor) else torch.as_tensor(found if name == "onnxruntime" else found[0])
    torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-4)


def test_a_result_for_every_runtime_and_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "installed", lambda: {"eager": run.eager})
    results = run.measured((15, 16), rounds=2, round_seconds=0.0)
    assert [(one["runtime"], one["channels"], len(one["ms"])) for one in results] == [
        ("eager", 15, 2),
        ("eager", 16, 2),
    ]


def test_a_cell_is_the_median_ratio_to_the_multiple_of_16_beside_it() -> None:
    times = {15: [2.0, 40.0, 6.0], 16: [1.0, 10.0, 4.0], 31: [1.0, 1.0, 1.0], 32: [2.0, 2.0, 2.0]}
    results = [{"runtime": "eager", "channels": count, "ms": own} for count, own in times.items()]
    assert run.table(results).splitlines()[2:] == [
        "| 15 | 6000 (2.00x) |",
        "| 16 | 4000 |",
        "| 31 | 1000 (0.50x) |",
        "| 32 | 2000 |",
    ]


def test_the_table_is_that_of_the_stored_results() -> None:
    results = json.loads((run.FOLDER / "results.json").read_text())["results"]
    assert {one["channels"] for one in results} == set(run.COUNTS)
    assert run.table(results) in (run.FOLDER / "README.md").read_text(), "write it again"
