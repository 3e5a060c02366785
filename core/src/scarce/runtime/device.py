"""Which device and precision are fast here."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import torch

from scarce.errors import RecipeError


def pick_device(wanted: str) -> torch.device:
    """The named device, or the first accelerator, or the CPU; an absent one is a RecipeError.

    Of several processes that a launcher started on one machine, each has the accelerator of its number.
    """
    try:
        found = torch.accelerator.current_accelerator(check_available=True) if wanted == "auto" else torch.device(wanted)
        device = found or torch.device("cpu")
        if device.type == "cuda" and device.index is None and "LOCAL_RANK" in os.environ:
            device = torch.device(device.type, int(os.environ["LOCAL_RANK"]))
            torch.cuda.set_device(device)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        said = f"runtime.device: '{wanted}' is not usable here ({str(error).splitlines()[0]})"
        raise RecipeError(said, hint="--set runtime.device=auto") from None
    return device


def pick_precision(wanted: str, device: torch.device) -> str:
    """ "bf16" where the hardware multiplies it natively, else "fp32", unless the recipe says."""
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    return "bf16" if device.type == "cpu" and torch.cpu._is_avx512_bf16_supported() else "fp32"


def cores() -> int:
    """CPU cores that this process may use, less what other processes of its launcher on this machine have."""
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, found // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def set_threads(threads: int) -> int:
    """Use that many CPU threads and say how many; 0: what an executor gave this worker, else every core this process may use."""
    count = threads or int(os.environ.get("SCARCE_THREADS", "0")) or cores()
    torch.set_num_threads(count)
    return count


def machine() -> dict[str, str | int]:
    """What the run computed on, for its record."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8", errors="replace").splitlines() if info.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.processor() or platform.machine(),
        "cores": os.cpu_count() or 1,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "system": platform.platform(),
    }
