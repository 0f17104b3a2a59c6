"""The force laws compared on one network and data set after another: ``python -m experiments.bench.comparisons NAME``.

Each has a folder of its name under ``experiments/`` with a method card, its results and their table.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from experiments.bench.law_comparison import LawComparison
from experiments.bench.runs import AT

LAWS = ("uniform", "torque", "exponential", "gravity", "gravity_literal", "electrostatic")
EVERY = ("none", *LAWS)

# The same laws with the norm of the filters alone as strength, and with the set to cut chosen by the law.
VARIANTS = {f"{law} on filters": (f"force={law}", "strength.scope=filter") for law in LAWS}
VARIANTS |= {f"{law} choosing": (f"force={law}", "select=law") for law in LAWS if law != "uniform"}
# Without a force and with the null, fine-tuned at the learning rate of the training instead of a tenth of it.
VARIANTS |= {f"{law} with full rate": (f"force={law}", "finetune=full_rate") for law in ("none", "uniform")}

# Sixteen-bit multiplication halves the time on a CPU; a re-encoded copy of the pictures will do.
CIFAR10 = ("data=cifar10", "data.verify=false", "model=resnet20", "trainer.precision=bf16-mixed")
# All arms of a seed start from the dense network of the comparison cifar10, which must be there.
TRAINED = "model.weights=runs/cifar10/dense/${seed}/checkpoints/best.ckpt"
MNIST_RESNET20 = ("data=mnist", "model=resnet20", "trainer.precision=bf16-mixed")
ENCODER = ("data=sst2", "model=text_encoder", "model.width=32", "model.heads=2", "optimizer=adamw")
# Trained before, so that the phase under the penalty is short.
MINILM = ("experiment=minilm_sst2", "trainer.precision=bf16-mixed")
# Trained before as well; an epoch is 150 of its 352 batches.
EFFICIENTNET = ("experiment=efficientnet_cifar10", "data.verify=false", "+trainer.limit_train_batches=150")
TORQUE_VGG = ("experiment=torque_vgg", "data=digits", "optimizer.lr=0.01")
GRAVITY = ("experiment=gravity_literal", "data=digits")
ELECTROSTATIC = ("experiment=electrostatic_mnist",)

THREE = ("none", "uniform", "exponential")


def _stronger(share: float) -> dict[str, tuple[str, ...]]:
    """Return rows of the same laws at a stronger target."""
    return {f"{law}{AT}{share}": (f"force={law}", f"target.macs={share}") for law in THREE}


_FIVE = (0, 1, 2, 3, 4)
_ALL = (
    LawComparison("digits", ("experiment=demo",), 0.3, EVERY, sparsify=40, finetune=15, seeds=_FIVE, variants=VARIANTS),
    LawComparison("mnist", ("data=mnist", "model=lenet5"), 0.2, EVERY, sparsify=15, finetune=5),
    LawComparison("mnist_resnet20", MNIST_RESNET20, 0.2, EVERY, sparsify=3, finetune=1),
    LawComparison("cifar10", CIFAR10, 0.4, EVERY, sparsify=10, finetune=3),
    LawComparison("cifar10_trained", (*CIFAR10, TRAINED), 0.4, EVERY, sparsify=4, finetune=2),
    LawComparison("sst2", ENCODER, 0.333, EVERY, sparsify=6, finetune=2),
    LawComparison("minilm", MINILM, 0.5, THREE, sparsify=2, finetune=1, seeds=(0,), variants=_stronger(0.2)),
    LawComparison(
        "efficientnet", EFFICIENTNET, 0.5, THREE, sparsify=3, finetune=2, seeds=(0,), variants=_stronger(0.25)
    ),
    LawComparison("papers", ELECTROSTATIC, 0.2, ("none", "uniform", "electrostatic"), sparsify=15, finetune=5),
    LawComparison(
        "torque_vgg", TORQUE_VGG, 0.04, ("none", "uniform", "torque"), sparsify=40, finetune=10, kind="params"
    ),
    LawComparison(
        "gravity_literal", GRAVITY, 0.3, ("none", "uniform", "gravity", "gravity_literal"), sparsify=40, finetune=15
    ),
)

COMPARISONS = {one.name: one for one in _ALL}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing of one comparison; further words are options of that one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=COMPARISONS)
    options, more = parser.parse_known_args(arguments)
    COMPARISONS[options.name].main(more)


if __name__ == "__main__":
    main()
