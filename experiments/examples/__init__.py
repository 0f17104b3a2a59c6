"""Programs to copy: each is one task from beginning to end, ``python -m experiments.examples.own_law`` for example."""
