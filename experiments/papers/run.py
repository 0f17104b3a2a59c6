"""Electrostatic force on LeNet-5 and MNIST as its summary says: ``python -m experiments.papers.run``."""

from experiments.bench.compare import Comparison

COMPARISON = Comparison(
    "papers",
    ("experiment=electrostatic_mnist",),
    0.2,
    ("none", "uniform", "electrostatic"),
    sparsify=15,
    finetune=5,
)

if __name__ == "__main__":
    COMPARISON.main()
