"""Data sets, networks and training code of the experiments; no part of the installed package."""
