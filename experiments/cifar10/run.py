"""ResNet-20 on CIFAR-10 with a short schedule, 2.5x fewer MACs: ``python -m experiments.cifar10.run``."""

from experiments.bench.compare import Comparison
from experiments.digits.run import LAWS

COMPARISON = Comparison(
    "cifar10",
    # Sixteen-bit multiplication halves the time on a CPU; a re-encoded copy of the pictures will do.
    ("data=cifar10", "data.verify=false", "model=resnet20", "trainer.precision=bf16-mixed"),
    0.4,
    ("none", *LAWS),
    sparsify=10,
    finetune=3,
)

if __name__ == "__main__":
    COMPARISON.main()
