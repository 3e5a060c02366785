"""Whether two results are the same bytes, and whether something was changed: a fingerprint of any value."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch


def fingerprint(value: Any) -> str:
    """Hash of a value's content: tensors, modules, arrays, tables, contract objects, and plain data of them."""
    digest = hashlib.sha256()
    _feed(digest, value)
    return digest.hexdigest()


def _feed(digest: Any, value: Any) -> None:
    digest.update(type(value).__name__.encode())
    if isinstance(value, torch.nn.Module):
        _feed(digest, dict(value.state_dict()))
    elif isinstance(value, torch.Tensor):
        _feed(digest, value.detach().cpu().float().numpy() if value.dtype == torch.bfloat16 else value.detach().cpu().numpy())
    elif hasattr(value, "iloc"):
        _feed(digest, {str(name): list(value[name]) for name in value.columns} if hasattr(value, "columns") else list(value))
    elif isinstance(value, np.ndarray) and value.dtype != object:
        digest.update(f"{value.dtype}{value.shape}".encode() + np.ascontiguousarray(value).tobytes())
    elif isinstance(value, Mapping):
        for key in sorted(value, key=str):  # files of tensors are read back in any order
            _feed(digest, key)
            _feed(digest, value[key])
    elif isinstance(value, list | tuple | np.ndarray):
        for item in value:
            _feed(digest, item)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            _feed(digest, getattr(value, field.name))
    elif isinstance(value, str | bytes | int | float | bool | complex | None | Path | np.generic):
        digest.update(repr(value).encode())


def largest_difference(a: torch.Tensor, b: torch.Tensor) -> float:
    """The largest absolute difference; infinite for other shapes."""
    if a.shape != b.shape:
        return float("inf")
    return float((a.detach().float() - b.detach().float()).abs().max()) if a.numel() else 0.0
