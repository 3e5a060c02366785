"""How much memory and disk there is here, and what of it is free."""

from __future__ import annotations

import shutil
from pathlib import Path

import psutil
import torch

CGROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)
"""Files with the limit of a container and what it uses, of cgroups 2 and 1."""


def memory_free(device: torch.device, cgroups: tuple[tuple[str, str], ...] = CGROUPS) -> int:
    """Bytes that can still be had: of an accelerator's own memory, else of this machine's within the container's limit."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    free = int(psutil.virtual_memory().available)
    for limit, used in cgroups:
        try:
            left = int(Path(limit).read_text(encoding="utf-8")) - int(Path(used).read_text(encoding="utf-8")) + _cached(Path(used).parent)
        except (OSError, ValueError):  # no such files, or "max"
            continue
        free = min(free, max(0, left))
    return free


def _cached(folder: Path) -> int:
    """Bytes of files that a container counts as used and gives up when they are wanted."""
    try:
        lines = (folder / "memory.stat").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    stat = dict(line.split(maxsplit=1) for line in lines)
    return int(stat.get("total_inactive_file", stat.get("inactive_file", 0)))


def memory_used() -> int:
    """Bytes of memory that this process holds."""
    return int(psutil.Process().memory_info().rss)


def out_of_memory(error: BaseException) -> bool:
    """Whether an accelerator, or torch on a CPU, says that memory is used up."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)


def disk_free(folder: Path) -> int:
    """Bytes free where a folder is, or would be."""
    there = next(p for p in (folder.absolute(), *folder.absolute().parents) if p.exists())
    return shutil.disk_usage(there).free


def shown(size: float) -> str:
    """ "1.2 GB"."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"
