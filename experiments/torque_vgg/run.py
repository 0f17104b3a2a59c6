"""The recipe of linear torque, VGG-16, on handwritten digits: ``python -m experiments.torque_vgg.run``."""

from experiments.bench.compare import Comparison

COMPARISON = Comparison(
    "torque_vgg",
    ("experiment=torque_vgg", "data=digits", "optimizer.lr=0.01"),
    0.04,
    ("none", "uniform", "torque"),
    sparsify=40,
    finetune=10,
    kind="params",
)

if __name__ == "__main__":
    COMPARISON.main()
