"""The application that train.py runs: data, models, one run, sweeps."""
