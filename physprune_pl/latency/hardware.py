"""The name of the device that a network runs on: times are only good for the same one."""

from __future__ import annotations

import platform
from pathlib import Path

import torch


def device_name(device: torch.device, dtype: torch.dtype) -> str:
    """Return a line that differs wherever times may differ: device, threads, type of numbers, version of torch."""
    if device.type == "cuda":
        chip = torch.cuda.get_device_name(device)
    else:
        chip = f"{device.type}: {processor()}, threads: {torch.get_num_threads()}"
    return f"{chip}, {str(dtype).removeprefix('torch.')}, torch {torch.__version__}"


def processor() -> str:
    """Return the model of the processor, which Linux keeps from Python's platform module."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
