"""Peak memory: of the process where nothing else is known, of the device on CUDA."""

import builtins
import types
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from physprune_pl.tools import memory
from physprune_pl.tools.memory import PeakMemory, process_peak

CPU = torch.device("cpu")


@pytest.mark.skipif(not memory.STATUS.exists(), reason="needs Linux, to know how much is resident now")
def test_the_process_is_seen_to_grow() -> None:
    resident = next(int(line.split()[1]) for line in memory.STATUS.read_text().splitlines() if "VmRSS" in line) * 1024
    peak = PeakMemory(CPU)
    peak.start()
    before = peak.read()
    assert before is not None
    assert before > 10_000_000, "bytes, not KiB: torch alone takes more"
    # Written to, so that the pages are really there; larger than what earlier tests have left free.
    block = torch.ones((before - resident) // 4 + 50_000_000)
    after = peak.read()
    assert after is not None
    assert after >= before + 100_000_000
    del block
    peak.start()
    assert peak.read() == pytest.approx(after, rel=0.01), "the operating system counts in portions"


def without_status(monkeypatch: pytest.MonkeyPatch, path: Path, text: str | None) -> None:
    if text is not None:
        path.write_text(text)
    monkeypatch.setattr(memory, "STATUS", path)


def test_linux_tells_in_its_status(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    without_status(monkeypatch, tmp_path / "status", "Name:\tpython\nVmHWM:\t  2048 kB\nVmRSS:\t 10 kB\n")
    assert process_peak() == 2048 * 1024


@pytest.mark.parametrize(("platform", "unit"), [("linux", 1024), ("darwin", 1)])
@pytest.mark.parametrize("status", [None, "Name:\tpython\n"])
def test_other_systems_count_usage(
    status: str | None, platform: str, unit: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    resource = pytest.importorskip("resource")
    without_status(monkeypatch, tmp_path / "status", status)
    monkeypatch.setattr(memory.sys, "platform", platform)
    monkeypatch.setattr(resource, "getrusage", lambda who: types.SimpleNamespace(ru_maxrss=5000))
    assert process_peak() == 5000 * unit


def test_where_nothing_is_counted_nothing_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    without_status(monkeypatch, tmp_path / "status", None)
    real: Callable[..., object] = builtins.__import__

    def missing(name: str, *args: object, **kwargs: object) -> object:
        if name == "resource":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    assert process_peak() is None


def test_cuda_counts_anew_from_every_start(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, torch.device]] = []
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: calls.append(("reset", device)))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: calls.append(("read", device)) or 7)
    device = torch.device("cuda", 1)
    peak = PeakMemory(device)
    peak.start()
    assert peak.kind == "cuda"
    assert peak.read() == 7
    assert calls == [("reset", device), ("read", device)]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_real_device() -> None:
    peak = PeakMemory(torch.device("cuda"))
    peak.start()
    before = peak.read()
    block = torch.zeros(25_000_000, device="cuda")
    del block
    assert peak.read() >= before + 100_000_000
    peak.start()
    assert peak.read() < 100_000_000 + before
