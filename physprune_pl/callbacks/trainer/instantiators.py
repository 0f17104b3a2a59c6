"""How ``load_from_checkpoint`` builds a module: a checkpoint may name the function that does it."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from typing import Any

_KEY = "_instantiator"
# What very old versions of Lightning called the hyper-parameters; all versions read it beside today's.
_BESIDE = "module_arguments"


def name_instantiator(checkpoint: dict[str, Any], kind: type, path: str, path_of_cli: str) -> None:
    """Let ``load_from_checkpoint`` call a function to build the module, as ``function(kind, arguments)``.

    The hyper-parameters in the checkpoint stay as they are. Of LightningCLI, whose functions are called in the same
    way, the name is replaced.

    Args:
        checkpoint: changed in place.
        kind: class of the module that it is of.
        path: where the function is, such as ``"package.module.function"``.
        path_of_cli: where the one is that does what LightningCLI's does.
    """
    arguments = checkpoint.get("hyper_parameters") or {}
    if _KEY in arguments:
        checkpoint["hyper_parameters"] = {**arguments, _KEY: path_of_cli}
        return
    beside = {**checkpoint.get(_BESIDE, {}), _KEY: path}
    if (whole := checkpoint.get("hparams_name")) in _parameters(kind):
        # They are one argument of the module, as which Lightning would pass on the name too.
        if not _may_lie_side_by_side(arguments, kind):
            return
        beside[whole] = arguments
        checkpoint.pop("hparams_name")
        checkpoint.pop("hparams_type", None)
    checkpoint[_BESIDE] = beside


def _parameters(kind: Any) -> list[str]:
    """Names of the arguments of a class."""
    several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [name for name, one in inspect.signature(kind.__init__).parameters.items() if one.kind not in several]


def _may_lie_side_by_side(arguments: Mapping[str, Any], kind: Any) -> bool:
    """Whether a class takes none of some hyper-parameters as an argument of its own."""
    takes_all = inspect.getfullargspec(kind.__init__).varkw is not None
    return not takes_all and set(_parameters(kind)).isdisjoint(arguments)


def trust_instantiators(*paths: str) -> None:
    """Let ``load_from_checkpoint`` call functions of ours, of those versions of Lightning that ask for it."""
    for package in ("lightning.pytorch", "pytorch_lightning"):
        saving = sys.modules.get(f"{package}.core.saving")
        allowed: set[str] = getattr(saving, "_ALLOWED_INSTANTIATORS", set())
        allowed.update(paths)
