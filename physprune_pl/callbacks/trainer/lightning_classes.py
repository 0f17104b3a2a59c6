"""What an object of Lightning is, whichever of its two packages (``lightning``, ``pytorch_lightning``) it is from."""

from __future__ import annotations


def is_a(thing: object, *names: str) -> bool:
    """Whether something is of a class of one of these names; both packages define the same classes.

    >>> from lightning.pytorch.callbacks import ModelCheckpoint
    >>> is_a(ModelCheckpoint(), "Checkpoint")
    True
    """
    return any(base.__name__ in names for base in type(thing).__mro__)
