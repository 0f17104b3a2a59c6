"""Configuration for Hydra; without models and data it is installed as ``physprune_pl.conf``."""
