"""ResNet-20 on MNIST under every force law, 5x fewer MACs: ``python -m experiments.mnist_resnet20.run``."""

from experiments.bench.compare import Comparison
from experiments.digits.run import LAWS

COMPARISON = Comparison(
    "mnist_resnet20",
    # Sixteen-bit multiplication halves the time on a CPU.
    ("data=mnist", "model=resnet20", "trainer.precision=bf16-mixed"),
    0.2,
    ("none", *LAWS),
    sparsify=3,
    finetune=1,
)

if __name__ == "__main__":
    COMPARISON.main()
