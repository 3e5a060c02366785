"""What a component's source files say without running them: devices named by hand, and what is imported."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

DEVICE = re.compile(r"(cuda|mps|xpu|hpu|npu)(:\d+)?")
PUBLIC = ("scarce.contract", "scarce.errors", "scarce.files", "scarce.testing")
HEAVY = frozenset((
    "accelerate", "bitsandbytes", "catboost", "datasets", "diffusers", "jax", "keras", "lightgbm", "matplotlib", "numba",
    "peft", "plotly", "sklearn", "tensorflow", "timm", "torch", "torchaudio", "torchvision", "transformers", "tslearn", "xgboost",
))  # fmt: skip
"""Packages that take long to import; a module of options has no use for them."""


def file_of(module: str) -> Path | None:
    """The source file of a module; None for what has none."""
    try:
        spec = find_spec(module)
    except (ImportError, ValueError, AttributeError):
        return None
    return Path(spec.origin) if spec and spec.origin and spec.origin.endswith(".py") else None


@cache
def files_behind(module: str, *, at_import: bool = False) -> dict[str, Path]:
    """A module and every module of its own top-level package that it imports, directly or not.

    at_import: without what stands inside functions or under TYPE_CHECKING.
    """
    top, waiting, out = module.partition(".")[0], [module, module.partition(".")[0]], dict[str, Path]()
    while waiting:
        name = waiting.pop()
        path = None if name in out else file_of(name)
        if path is not None:
            out[name] = path
            found = {m for imported in imports(path, at_import=at_import) for m in imported if m.partition(".")[0] == top}
            waiting += sorted(found - set(out))
    return out


def imports(file: Path, *, at_import: bool = False) -> Iterator[tuple[str, ...]]:
    """Modules each import statement names: `from a import b` gives a and a.b."""
    waiting: list[ast.AST] = [ast.parse(file.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        typing = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if at_import and (typing or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)):
            continue
        if isinstance(node, ast.Import):
            yield tuple(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
        waiting.extend(ast.iter_child_nodes(node))


@cache
def named_devices(file: Path) -> list[str]:
    """Accelerators that the code names, with the line; comparisons with one are no choice of it."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    compared = {id(part) for node in ast.walk(tree) if isinstance(node, ast.Compare) for part in ast.walk(node)}
    out = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and DEVICE.fullmatch(node.value) and id(node) not in compared:
            out.append(f"{file.name}:{node.lineno} names '{node.value}'")
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("cuda", "xpu", "mps"):
            out.append(f"{file.name}:{node.lineno} calls .{node.func.attr}()")
    return out


@cache
def private_imports(file: Path) -> list[str]:
    """Modules of the core that no plugin may import, with the file."""
    found = {names[0] for names in imports(file) if names[0].partition(".")[0] == "scarce"}
    return [f"{file.name} imports {name}" for name in sorted(found) if not name.startswith(PUBLIC)]


def heavy_imports(module: str) -> list[str]:
    """Heavy packages that importing a module brings beside the contract, as its source says."""
    files = files_behind(module, at_import=True)
    found = {(file.name, m[0].partition(".")[0]) for file in files.values() for m in imports(file, at_import=True)}
    return [f"{file} imports {top}" for file, top in sorted(found) if top in HEAVY]
