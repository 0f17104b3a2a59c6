"""A transformer encoder on SST-2, 3x fewer MACs: ``python -m experiments.sst2.run``."""

from experiments.comparison import Comparison

OVERRIDES = ("data=sst2", "model=text_encoder", "optimizer=adamw", "optimizer.lr=1e-3")
COMPARISON = Comparison("sst2", OVERRIDES, 0.333, ("none", "uniform", "exponential"), sparsify=5, finetune=2)

if __name__ == "__main__":
    COMPARISON.main()
