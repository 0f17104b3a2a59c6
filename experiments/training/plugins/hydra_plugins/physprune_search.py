"""Where Hydra looks for sweepers: it takes them from this package alone."""

from experiments.training.sweeps.search import Search


class OptunaSearch(Search):
    """``hparams_search=optuna``."""
