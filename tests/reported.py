"""A report with something in every field, written down by hand."""

from physprune_pl.reports.report import PruningReport

REPORT = PruningReport(
    macs={"dense": 7_920_000, "pruned": 2_376_000},
    params={"dense": 855_482, "pruned": 300_000},
    metric={
        "name": "accuracy",
        "split": "test",
        "dense": None,
        "after_sparsify": 0.99,
        "after_cut": 0.9875,
        "after_recalibration": 0.975,
        "after_finetune": 0.9925,
    },
    groups=[
        {"name": "conv1", "before": 16, "after": 9, "exact": True},
        {"name": "conv2", "before": 32, "after": 32, "exact": False},
    ],
    left_whole=[
        {"name": "head", "reason": "it is the output"},
        *({"name": f"norm{number}", "reason": "it is in ignore"} for number in range(7)),
    ],
    seconds={"trace": 0.5, "sparsify": 12.34, "finetune": 5.0},
    epochs={"macs": [7_920_000, 7_920_000, 5_000_000, 2_376_000], "seconds": [6.0, 4.0, 3.0, 2.0]},
    peak_memory_bytes={"sparsify": 1_234_567_890, "finetune": 950_000_000},
    memory_kind="cuda",
    not_arrived=["conv1"],
    dead_groups=["conv2"],
    file_bytes={"dense": 3_400_000, "pruned": 1_200_000},
    latency_ms={"batch_1": {"dense": 8.0, "pruned": 4.0}, "batch_32": {"dense": 40.0, "pruned": 16.0}},
    command="python train.py 'seed=1|2'",
    versions={"torch": "2.0"},
    seed=3,
)
