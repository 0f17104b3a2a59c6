"""A transformer encoder on SST-2, 3x fewer MACs: ``python -m experiments.sst2.run``."""

from experiments.bench.compare import Comparison
from experiments.digits.run import LAWS

OVERRIDES = ("data=sst2", "model=text_encoder", "model.width=32", "model.heads=2", "optimizer=adamw")
COMPARISON = Comparison("sst2", OVERRIDES, 0.333, ("none", *LAWS), sparsify=6, finetune=2)

if __name__ == "__main__":
    COMPARISON.main()
