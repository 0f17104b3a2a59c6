"""Checkpoint files read as plain data, without running anything of them."""

from __future__ import annotations

import sys
import warnings
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from physprune_pl.tools.inert_pickle import InertUnpickler, StandIn

_STORAGES = {
    "torch.BFloat16Storage": torch.bfloat16,
    "torch.BoolStorage": torch.bool,
    "torch.ByteStorage": torch.uint8,
    "torch.CharStorage": torch.int8,
    "torch.ComplexDoubleStorage": torch.complex128,
    "torch.ComplexFloatStorage": torch.complex64,
    "torch.DoubleStorage": torch.float64,
    "torch.FloatStorage": torch.float32,
    "torch.HalfStorage": torch.float16,
    "torch.IntStorage": torch.int32,
    "torch.LongStorage": torch.int64,
    "torch.ShortStorage": torch.int16,
    "torch.storage.UntypedStorage": torch.uint8,
}
_DTYPES = {f"torch.{name}": value for name, value in vars(torch).items() if isinstance(value, torch.dtype)}


def read_checkpoint(path: str | Path) -> Any:
    """Return what ``torch.save`` wrote, on the CPU.

    Tensors, numbers, texts, lists and dicts come back. What is of another kind, such as a network among the
    hyper-parameters, is read as a :class:`~physprune_pl.tools.inert_pickle.StandIn`.

    Raises:
        FileNotFoundError, IsADirectoryError, PermissionError: the file cannot be opened.
        ValueError: it holds more than plain data and was not written in torch's format of today, or it is broken.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Detected pickle protocol")  # those that it cannot read are read below
            return torch.load(path, map_location="cpu", weights_only=True)
    except (FileNotFoundError, IsADirectoryError, PermissionError):
        raise
    except Exception as error:  # there is more than plain data, or whatever the bytes that somebody wrote lead to
        if not zipfile.is_zipfile(path):
            raise ValueError(_UNKNOWN.format(path=str(path))) from error
    try:
        with zipfile.ZipFile(path) as archive:
            return _Archive(archive).load()
    except Exception as error:  # likewise
        raise ValueError(f"path: {str(path)!r} does not load: {type(error).__name__}: {error}") from error


_UNKNOWN = (
    "path: {path!r} does not load with weights_only=True, nor is it a file as torch.save writes them since torch 1.6. "
    "If it is older and you trust it, write it anew: torch.save(torch.load(path, weights_only=False), path)"
)


class _Mapping(dict[Any, Any]):
    """An OrderedDict of a file; its attributes, such as the versions of the modules in a state_dict, are left out."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        pass


class _Archive:
    """A file as ``torch.save`` writes it: a zip archive of a pickle and of the bytes that its tensors refer to."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        (self._root,) = {name.partition("/")[0] for name in archive.namelist() if name.endswith("/data.pkl")}
        self._archive = archive
        self._bytes = cache(self._read)  # tensors may share their memory

    def load(self) -> Any:
        """Return what the pickle holds.

        Raises:
            ValueError: it was written by a processor with another order of bytes.
        """
        if f"{self._root}/byteorder" in self._archive.namelist():
            order = self._content("byteorder").decode()
            if order != sys.byteorder:
                raise ValueError(f"expected numbers in {sys.byteorder} byte order, got {order}")
        makers: dict[str, Callable[..., Any]] = {
            "collections.OrderedDict": _Mapping,
            "torch._utils._rebuild_tensor_v2": _tensor,
            "torch._utils._rebuild_tensor_v3": _tensor_of_dtype,
            "torch._utils._rebuild_parameter": lambda tensor, *_: tensor,
        }
        return InertUnpickler(self._content("data.pkl"), makers, self._storage).load()

    def _content(self, name: str) -> bytes:
        info = self._archive.getinfo(f"{self._root}/{name}")
        if info.compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"{name} is compressed, which torch.save never does")
        return self._archive.read(info)

    def _storage(self, pid: Any) -> Any:
        """Return the numbers that a tensor is a view of, in one dimension; a stand-in for kinds that are not known."""
        _, kind, key, *_ = pid
        dtype = _STORAGES.get(kind.origin)
        return kind if dtype is None else self._bytes(key).view(dtype)

    def _read(self, key: str) -> Tensor:
        content = bytearray(self._content(f"data/{key}"))
        return torch.frombuffer(content, dtype=torch.uint8) if content else torch.empty(0, dtype=torch.uint8)


def _tensor(flat: Any, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> Any:
    """Return a view of some numbers; one that does not lie within them is an error."""
    return flat if isinstance(flat, StandIn) else flat.as_strided(size, stride, offset)


def _tensor_of_dtype(flat: Any, offset: int, size: Any, stride: Any, grad: Any, hooks: Any, dtype: Any, *_: Any) -> Any:  # noqa: ARG001
    return _tensor(flat.view(_DTYPES[dtype.origin]), offset, size, stride)
