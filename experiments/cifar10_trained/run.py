"""A trained ResNet-20 on CIFAR-10, 2.5x fewer MACs: ``python -m experiments.cifar10_trained.run``.

The dense networks of ``python -m experiments.cifar10.run`` must be there: all arms of a seed start from its one.
"""

from experiments.bench.compare import Comparison
from experiments.cifar10.run import COMPARISON as FROM_SCRATCH

START = "model.weights=runs/cifar10/dense/${seed}/checkpoints/best.ckpt"
COMPARISON = Comparison(
    "cifar10_trained", (*FROM_SCRATCH.overrides, START), FROM_SCRATCH.share, FROM_SCRATCH.laws, sparsify=4, finetune=2
)

if __name__ == "__main__":
    COMPARISON.main()
