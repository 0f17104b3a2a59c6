"""The recipe of gravity, ResNet-56, on handwritten digits: ``python -m experiments.gravity_literal.run``."""

from experiments.bench.compare import Comparison

COMPARISON = Comparison(
    "gravity_literal",
    ("experiment=gravity_literal", "data=digits"),
    0.3,
    ("none", "uniform", "gravity", "gravity_literal"),
    sparsify=40,
    finetune=15,
)

if __name__ == "__main__":
    COMPARISON.main()
