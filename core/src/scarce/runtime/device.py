"""Which device and precision are fast here."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import torch

from scarce.errors import RecipeError


def pick_device(wanted: str) -> torch.device:
    """The named device, or the first accelerator, or the CPU; an absent one is a RecipeError."""
    if wanted == "auto":
        return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    try:
        device = torch.device(wanted)
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


def set_threads(threads: int) -> int:
    """Use that many CPU threads (0: every core this process may use) and say how many."""
    count = threads or len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else threads or os.cpu_count() or 1
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
