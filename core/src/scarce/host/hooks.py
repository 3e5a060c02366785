"""Calling plugins: one pluggy manager per scope and run, roles called by recipe path, only lifecycle broadcast."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping
from functools import cache
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import pluggy
import torch

from scarce.catalogue import EVENTS, ROLES, Row
from scarce.contract import contexts as c
from scarce.contract import specs
from scarce.errors import PluginError, ScarceError
from scarce.host.trace import Invoke, traced

log = logging.getLogger(__name__)
C = TypeVar("C")
R = TypeVar("R")

PASSED_ON = (ScarceError, MemoryError, torch.cuda.OutOfMemoryError)
"""What a role hook may raise unchanged: the training loop answers lack of memory with smaller micro-batches."""


class _Hooks:
    """The marked methods of one instance; compared by identity, since pluggy refuses instances that compare equal."""

    def __init__(self, instance: object) -> None:
        for name in dir(instance):
            if isinstance(getattr(inspect.getattr_static(instance, name, None), "scarce_impl", None), dict):
                setattr(self, name, getattr(instance, name))


def _by_path(spec: Callable[[Any, C], R], absent: Callable[[C], R] | None = None) -> Callable[[Scope, str, C], R]:
    """A facade method for one hook; absent: what a plugin without the hook answers, by default an error."""

    def call(self: Scope, path: str, ctx: C) -> R:
        return absent(ctx) if absent and not self.has(path, spec.__name__) else self._call(spec, path, ctx)

    return call


def _of_modality(spec: Callable[[Any, C], R]) -> Callable[[Scope, C], R]:
    def call(self: Scope, ctx: C) -> R:
        paths = self.paths("modality")
        if len(paths) != 1:
            raise PluginError(f"scope '{self.name}' must have one modality (it has {len(paths)})")
        return self._call(spec, paths[0], ctx)

    return call


class Scope:
    """The plugins of one scope of a run ("data", "generator"), each under its recipe path.

    Call `register` in recipe order, then `freeze` once, then the facade.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._rows: dict[str, Row] = {}
        self._instances: dict[str, Any] = {}
        self._impls: dict[tuple[str, str], pluggy.HookImpl] = {}
        self._muted: set[tuple[str, str]] = set()
        self._frozen = False
        self._invoke: Invoke = self._plainly
        self._manager = pluggy.PluginManager("scarce")
        for role in ROLES.values():
            if role.spec:
                self._manager.add_hookspecs(getattr(specs, role.spec.partition(":")[2]))

    def register(self, path: str, instance: Any, role: str, row: Row) -> None:
        """Add an instance under its recipe path, in recipe order; raises PluginError when the path is taken."""
        if path in self._rows or self._frozen or row.role != role:
            raise PluginError(f"{role} '{row.name}' can't be registered at '{path}' of scope '{self.name}'")
        self._rows[path], self._instances[path] = row, instance

    def freeze(self) -> None:
        """Hand all to pluggy and check them; raises PluginError naming a plugin whose hooks don't fit the specs.

        pluggy's own order of calls (last registered first) never shows: every call goes by path, in recipe order.
        """
        for path, row in self._rows.items():
            plugin = _Hooks(self._instances[path])
            try:
                self._manager.register(plugin, name=path)
                self._manager.check_pending()
            except Exception as err:
                raise PluginError(f"{self._who(path)}: {str(err).splitlines()[-1]}", hint=self._advice(path)) from err
            for caller in self._manager.get_hookcallers(plugin) or ():
                impl = next(impl for impl in caller.get_hookimpls() if impl.plugin is plugin)
                if impl.wrapper or impl.hookwrapper or impl.tryfirst or impl.trylast:
                    raise PluginError(f"{self._who(path)}: hook {caller.name} may not be a wrapper, tryfirst or trylast")
                self._impls[caller.name, path] = impl
            if not any(self.has(path, hook) for hook in ROLES[row.role].hooks):
                wanted = ", ".join(ROLES[row.role].hooks)
                raise PluginError(f"{self._who(path)} implements none of {wanted}", hint="mark its methods with @hookimpl")
        self._frozen = True
        self._invoke = traced(self._plainly, self.name, self._rows)

    def paths(self, role: str) -> tuple[str, ...]:
        """Recipe paths of a role's plugins, in recipe order."""
        return tuple(path for path, row in self._rows.items() if row.role == role)

    def row(self, path: str) -> Row:
        """The catalogue row of the plugin at a recipe path; raises KeyError."""
        return self._rows[path]

    def has(self, path: str, hook: str) -> bool:
        """Whether the plugin at `path` implements `hook`."""
        return (hook, path) in self._impls

    # The typed facade: documented in the specs; every call but those of the scope's one modality takes a recipe path.
    modality_load = _of_modality(specs.ModalitySpec.modality_load)
    modality_codec = _of_modality(specs.ModalitySpec.modality_codec)
    modality_caption = _of_modality(specs.ModalitySpec.modality_caption)
    modality_write = _of_modality(specs.ModalitySpec.modality_write)
    modality_draw = _of_modality(specs.ModalitySpec.modality_draw)
    modality_baselines = _of_modality(specs.ModalitySpec.modality_baselines)
    backbone_build = _by_path(specs.BackboneSpec.backbone_build)
    conditioner_build = _by_path(specs.ConditionerSpec.conditioner_build)
    strategy_amend_plan = _by_path(specs.StrategySpec.strategy_amend_plan, lambda ctx: ctx.plan)
    strategy_adapt = _by_path(specs.StrategySpec.strategy_adapt)
    strategy_term = _by_path(specs.StrategySpec.strategy_term)
    strategy_update = _by_path(specs.StrategySpec.strategy_update)
    strategy_measure = _by_path(specs.StrategySpec.strategy_measure)
    acquisition_score = _by_path(specs.AcquisitionSpec.acquisition_score)
    learner_build = _by_path(specs.LearnerSpec.learner_build)
    evaluator_measure = _by_path(specs.EvaluatorSpec.evaluator_measure, lambda ctx: [])
    evaluator_draw = _by_path(specs.EvaluatorSpec.evaluator_draw, lambda ctx: [])

    def broadcast(self, event: str, ctx: c.Event) -> None:
        """Tell every lifecycle plugin, in recipe order; a hook that raises is logged once and muted."""
        if event not in EVENTS:
            raise ValueError(f"unknown lifecycle event '{event}'")
        for path in self.paths("lifecycle"):
            if self.has(path, event) and (event, path) not in self._muted:
                try:
                    self._invoke(event, path, ctx)
                except (Exception, SystemExit) as err:
                    self._muted.add((event, path))
                    log.warning("%s: hook %s failed and is left out of this run: %s: %s", self._who(path), event, type(err).__name__, err)

    def _call(self, spec: Callable[[Any, C], R], path: str, ctx: C) -> R:
        hook = spec.__name__
        if not self.has(path, hook):
            who = self._who(path) if path in self._rows else f"'{path}' of scope '{self.name}'"
            raise PluginError(f"{who} has no hook {hook}")
        try:
            result: R = self._invoke(hook, path, ctx)
        except PASSED_ON:
            raise
        except (Exception, SystemExit) as err:
            raise PluginError(f"{self._who(path)}: hook {hook} failed: {type(err).__name__}: {err}", hint=self._advice(path)) from err
        expected = _returns(spec)
        if flaw := _mismatch(result, expected):
            raise PluginError(f"{self._who(path)}: hook {hook} must return {_shown(expected)}, but {flaw}", hint=self._advice(path))
        return result

    def _plainly(self, hook: str, path: str, ctx: object) -> Any:
        impl = self._impls[hook, path]
        return impl.function(*(ctx for _ in impl.argnames))

    def _who(self, path: str) -> str:
        row = self._rows[path]
        return f"{row.role} '{row.name}' of {row.distribution} {row.version} (at {path})"

    def _advice(self, path: str) -> str:
        row = self._rows[path]
        return f"use another {row.role}, or pip install --upgrade {row.distribution} and tell its author"


@cache
def _returns(spec: Callable[..., Any]) -> Any:
    return get_type_hints(spec)["return"]


def _mismatch(value: Any, expected: Any) -> str:
    """Why a value is not of the type a spec returns, empty when it is."""
    origin, args = get_origin(expected), get_args(expected)
    if expected is Any:
        return ""
    if origin is UnionType:
        flaws = [_mismatch(value, kind) for kind in args]
        return flaws[0] if all(flaws) else ""
    if getattr(expected, "_is_protocol", False):
        lacking = sorted(name for name in _members(expected) if not hasattr(value, name))
        return f"{type(value).__name__} lacks {', '.join(lacking)}" if lacking else ""
    if not isinstance(value, origin or expected):
        return f"it returned {type(value).__name__}"
    items = value.values() if isinstance(value, Mapping) else value if origin is list else ()
    return next((f"an entry: {flaw}" for item in items if (flaw := _mismatch(item, args[-1]))), "")


@cache
def _members(protocol: type) -> frozenset[str]:
    return frozenset(n for base in protocol.__mro__[:-1] for n in (*vars(base), *vars(base).get("__annotations__", ())) if n[0] != "_")


def _shown(expected: Any) -> str:
    return str(expected) if get_origin(expected) else getattr(expected, "__name__", str(expected))
