"""Every force law at the same target on handwritten digits: ``python -m experiments.digits.run``."""

from experiments.bench.compare import Comparison

LAWS = ("uniform", "torque", "exponential", "gravity", "gravity_literal", "electrostatic")
# The same laws with the norm of the filters alone as strength, and with the set to cut chosen by the law.
VARIANTS = {f"{law} on filters": (f"force={law}", "strength.scope=filter") for law in LAWS}
VARIANTS |= {f"{law} choosing": (f"force={law}", "select=law") for law in LAWS if law != "uniform"}
# Without a force and with the null, fine-tuned at the learning rate of the training instead of a tenth of it.
VARIANTS |= {f"{law} with full rate": (f"force={law}", "finetune=full_rate") for law in ("none", "uniform")}
COMPARISON = Comparison(
    "digits",
    ("experiment=demo",),
    0.3,
    ("none", *LAWS),
    sparsify=40,
    finetune=15,
    seeds=(0, 1, 2, 3, 4),
    variants=VARIANTS,
)

if __name__ == "__main__":
    COMPARISON.main()
