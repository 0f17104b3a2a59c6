"""Names of a network's modules and tensors, free of what compiling puts in front of them."""

from __future__ import annotations

from torch import Tensor, nn

COMPILED = "_orig_mod"


def plain(name: str) -> str:
    """The name of a module or tensor, or a pattern for names, without the marks that ``torch.compile`` puts in.

    >>> plain("net._orig_mod.conv.weight"), plain("net._orig_mod")
    ('net.conv.weight', 'net')
    """
    return ".".join(part for part in name.split(".") if part.rstrip("\\") != COMPILED)


def uncompiled(model: nn.Module) -> nn.Module:
    """Return the network that ``torch.compile`` wrapped; any other network itself.

    >>> layer = nn.Linear(3, 2)
    >>> uncompiled(layer) is layer
    True
    """
    original: nn.Module = getattr(model, COMPILED, model)
    return original


def named_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Return every parameter and buffer of a model by name, a tied one once, under its first name."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def tensors_by_every_name(model: nn.Module) -> dict[str, Tensor]:
    """All parameters and buffers by plain name; a tied tensor appears under each of its names."""
    parameters = model.named_parameters(remove_duplicate=False)
    buffers = model.named_buffers(remove_duplicate=False)
    return {plain(name): tensor for part in (parameters, buffers) for name, tensor in part}
