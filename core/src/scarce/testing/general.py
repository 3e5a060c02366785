"""Checks that every component with hooks goes through, whatever its role."""

from __future__ import annotations

import gc
import json
import pickle
import random
import tomllib
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import tomli_w
import torch
from pydantic import BaseModel, ValidationError

from scarce.catalogue import ROLES
from scarce.contract.frozen import Frozen
from scarce.errors import ScarceError
from scarce.host import load_config, load_options, load_target
from scarce.testing.bench import Bench
from scarce.testing.prints import fingerprint
from scarce.testing.report import Fatal, Flaw, Skip
from scarce.testing.signatures import hook_flaws
from scarce.testing.source import files_behind, heavy_imports, named_devices, private_imports

Check = Callable[[Bench], None]


class Worked(Frozen):
    """What a component did: objects that must be freed afterwards, and the result that a seed decides."""

    held: Sequence[object]
    result: Any


Work = Callable[[Bench], Worked]


def manifest(bench: Bench) -> None:
    """Manifest and entry point agree, and say in one line what the component is."""
    if bench.row.status != "ready":
        raise Fatal(bench.row.reason)
    if ROLES[bench.row.role].declared and not bench.row.summary.strip():
        raise Flaw("plugin.toml gives it no summary")


def importable(bench: Bench) -> None:
    """The target is imported and its options are accepted; a recipe or generator is a file that is there."""
    try:
        if bench.row.role in ("recipe", "generator"):
            getattr(bench.catalogue, f"{bench.row.role}_path")(bench.row.name)
            return
        load_target(bench.row)
        load_options(bench.catalogue, bench.row.role, bench.row.name, bench.options, bench.path)
    except ScarceError as error:
        raise Fatal(error.message) from error


def hooks(bench: Bench) -> None:
    """Hook names and annotations are those of the spec."""
    try:
        flaws = hook_flaws(instance_of(bench), bench.row.role)
        bench.scope()
    except ScarceError as error:
        raise Fatal(error.message) from error
    if flaws:
        raise Flaw("; ".join(flaws))


def instance_of(bench: Bench) -> Any:
    """A fresh instance, unregistered."""
    config = load_config(bench.row)
    target = load_target(bench.row)
    if not isinstance(target, type):
        return target
    return target() if config is None else target(config.model_validate(dict(bench.options)))


def _options(bench: Bench) -> tuple[type[BaseModel], BaseModel]:
    config = load_config(bench.row)
    if config is None:
        raise Skip("it takes no options")
    return config, config.model_validate(dict(bench.options))


def config_round_trip(bench: Bench) -> None:
    """Options are the same after JSON and after TOML, and their JSON Schema is plain data."""
    config, options = _options(bench)
    if config.model_validate_json(options.model_dump_json()) != options:
        raise Flaw("options written as JSON are read back as others")
    plain = options.model_dump(mode="json", exclude_none=True)
    if config.model_validate(tomllib.loads(tomli_w.dumps(plain))) != options:
        raise Flaw("options written as TOML are read back as others")
    schema = config.model_json_schema()
    if json.loads(json.dumps(schema)) != schema:
        raise Flaw("the JSON Schema of the options is no plain data")


def config_unknown(bench: Bench) -> None:
    """A key that is no option is an error."""
    config, _ = _options(bench)
    try:
        config.model_validate({**bench.options, "no_such_option": 1})
    except ValidationError:
        return
    raise Flaw("an unknown option is accepted; derive the class from scarce.contract.Options")


def config_frozen(bench: Bench) -> None:
    """Options can't be changed after they were checked."""
    config, options = _options(bench)
    for name in config.model_fields:
        try:
            setattr(options, name, getattr(options, name))
        except (ValidationError, TypeError, AttributeError):
            continue
        raise Flaw(f"option '{name}' can be changed afterwards; derive the class from scarce.contract.Options")


def config_light(bench: Bench) -> None:
    """The module of the options imports no network code."""
    if not bench.row.config:
        raise Skip("it takes no options")
    if found := heavy_imports(bench.row.config.partition(":")[0]):
        raise Flaw("; ".join(found) + ": keep options in a module of their own")


def device(bench: Bench) -> None:
    """No accelerator is named by hand."""
    found = [line for file in _files(bench) for line in named_devices(file)]
    if found:
        raise Flaw("; ".join(found) + ": use the device of ctx.runtime")


def public_imports(bench: Bench) -> None:
    """Of the core only its public floors are imported."""
    if bench.row.distribution == "scarce":
        raise Skip("it is a part of the core")
    if found := [line for file in _files(bench) for line in private_imports(file)]:
        raise Flaw("; ".join(found) + ": plugins import scarce.contract, scarce.errors and scarce.files")


def _files(bench: Bench) -> list[Any]:
    return [*files_behind(bench.row.target.partition(":")[0]).values()]


def pickles(bench: Bench) -> None:
    """An instance can be sent to another process, or says itself why not."""
    made = instance_of(bench)
    try:
        pickle.loads(pickle.dumps(made))  # of bytes made here and kept nowhere: nothing is read that another wrote
    except ScarceError:
        return
    except Exception as error:
        raise Flaw(f"{type(error).__name__}: {error}; keep what can't be pickled out of the instance, or raise a ScarceError") from error


def of_work(work: Work) -> dict[str, Check]:
    """The checks of what a component does, for one way of letting it do it."""
    return {
        "same-seed": lambda bench: _same_seed(bench, work),
        "global-random": lambda bench: _global_random(bench, work),
        "memory": lambda bench: _memory(bench, work),
    }


def _same_seed(bench: Bench, work: Work) -> None:
    prints = []
    for seed in (1, 2):
        with globally_seeded(seed):
            prints.append(fingerprint(work(bench).result))
    if prints[0] != prints[1]:
        raise Flaw("built and called twice with one seed it gives other bytes; draw from ctx.runtime.generator, or ctx.seed")


def _global_random(bench: Bench, work: Work) -> None:
    with globally_seeded(3), same_states():
        work(bench)


def _memory(bench: Bench, work: Work) -> None:
    done = work(bench)
    left = [(type(o).__name__, weakref.ref(o)) for o in done.held]
    del done
    gc.collect()
    alive = [name for name, ref in left if ref() is not None]
    if alive:
        raise Flaw(f"{', '.join(alive)} stays in memory when nothing of the run holds it any more")


@contextmanager
def same_states() -> Iterator[None]:
    """Raise Flaw when a global random state is another one afterwards."""
    before = _states()
    yield
    after = _states()
    if changed := [name for name, state in after.items() if state != before[name]]:
        raise Flaw(f"the global random state of {', '.join(changed)} is another one afterwards; use `with ctx.runtime.seeded(…)`")


def _states() -> dict[str, str]:
    return {
        "torch": fingerprint(torch.get_rng_state()), "numpy": fingerprint(np.random.get_state()), "random": fingerprint(random.getstate())
    }  # fmt: skip


@contextmanager
def globally_seeded(seed: int) -> Iterator[None]:
    """Another global random state inside, the old one after."""
    kept = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        np.random.seed(seed)
        random.seed(seed)
        try:
            yield
        finally:
            random.setstate(kept[0])
            np.random.set_state(kept[1])


BEFORE: dict[str, Check] = {
    "manifest": manifest,
    "import": importable,
    "hooks": hooks,
    "config-round-trip": config_round_trip,
    "config-unknown": config_unknown,
    "config-frozen": config_frozen,
    "config-light": config_light,
    "device": device,
    "public-imports": public_imports,
    "pickles": pickles,
}
"""Name of a check -> what makes it, in the order they are made."""
