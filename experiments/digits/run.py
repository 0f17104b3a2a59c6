"""Every force law at the same target on handwritten digits: ``python -m experiments.digits.run``."""

from experiments.comparison import Comparison

LAWS = ("uniform", "torque", "exponential", "gravity", "gravity_literal", "electrostatic")
COMPARISON = Comparison("digits", ("experiment=demo",), 0.3, ("none", *LAWS), sparsify=40, finetune=15)

if __name__ == "__main__":
    COMPARISON.main()
