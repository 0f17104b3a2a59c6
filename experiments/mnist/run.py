"""LeNet-5 on MNIST under every force law, 5x fewer MACs: ``python -m experiments.mnist.run``."""

from experiments.bench.compare import Comparison
from experiments.digits.run import LAWS

COMPARISON = Comparison("mnist", ("data=mnist", "model=lenet5"), 0.2, ("none", *LAWS), sparsify=15, finetune=5)

if __name__ == "__main__":
    COMPARISON.main()
