"""ResNet-56 on CIFAR-10 and VGG-19 on CIFAR-100, slice by slice: ``python -m experiments.gpu.run --minutes 9``.

Call it again until nothing is left; every run goes on from its last epoch.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from experiments.bench.law_comparison import LawComparison
from experiments.gpu.slices import Task, run_slice

TRAIN = str(Path(__file__).parents[2] / "train.py")
LAWS = ("none", "uniform", "exponential", "gravity", "electrostatic")
ON_GPU = ("trainer=gpu", "callbacks=gpu", "trainer.precision=bf16-mixed", "data.batch_size=128", "optimizer.lr=0.1")
RESNET = ("data=cifar10", "model=resnet56", *ON_GPU)
VGG = ("data=cifar100", "model=vgg19_bn", *ON_GPU)
COMPARISONS = (
    LawComparison("gpu/resnet56_at_2.1x", RESNET, 0.476, LAWS, sparsify=100, finetune=100, seeds=(0,)),
    LawComparison("gpu/resnet56_at_2.55x", RESNET, 0.392, LAWS, sparsify=100, finetune=100, seeds=(0,)),
    LawComparison("gpu/vgg19_at_9x", VGG, 0.111, LAWS, sparsify=100, finetune=100, seeds=(0,)),
)


def tasks(comparison: LawComparison, seeds: Sequence[int], runs: Path, more: Sequence[str] = ()) -> Iterator[Task]:
    """Yield all runs of a comparison, those that are compared with a dense network only once that is done."""
    every = comparison.arms
    dense = every[0]
    for seed in seeds:
        baseline = runs / comparison.name / dense.name / str(seed)
        for arm in every:
            folder = runs / comparison.name / arm.name / str(seed)
            compared = () if arm is dense else (f"baseline={baseline / 'checkpoints' / 'best.ckpt'}",)
            settings = (*arm.overrides, *compared, f"seed={seed}", f"hydra.run.dir={folder}", *more)
            waits = None if arm is dense else baseline / "report.json"
            yield Task((sys.executable, TRAIN, *settings, "ckpt_path=last"), folder / "report.json", waits)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one slice; write results and tables of the comparisons that are complete."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=9.0, help="length of the slice")
    parser.add_argument("--jobs", type=int, default=4, help="runs side by side")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of the single runs")
    options = parser.parse_args(arguments)
    every = [task for one in COMPARISONS for task in tasks(one, one.seeds, options.runs)]
    left = {task.done for task in run_slice(every, options.jobs, 60 * options.minutes)}
    for one in COMPARISONS:
        if left.isdisjoint(task.done for task in tasks(one, one.seeds, options.runs)):
            one.main(["--runs", str(options.runs / one.name)])
    print(f"{len(left)} of {len(every)} runs are left")


if __name__ == "__main__":
    main()
