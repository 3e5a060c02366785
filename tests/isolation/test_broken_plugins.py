"""Bad distributions beside good ones, as pip would install them, in fresh processes: the rest keeps working."""

from __future__ import annotations

import json

import pytest

from scarce.testing.toys import vectors

CRASHES = {
    "acme-import": "import a_module_nobody_has",
    "acme-exit": "raise SystemExit(7)",
    "acme-assert": "assert False, 'broken on purpose'",
    "acme-interrupt": "raise KeyboardInterrupt",
    "acme-library": "import ctypes\nctypes.CDLL('libacme-not-there.so.7')",
    "acme-native": "from acme_native import _native",
}
CAUSES = {
    "acme-import": "ModuleNotFoundError: No module named 'a_module_nobody_has'",
    "acme-exit": "SystemExit: 7",
    "acme-assert": "AssertionError: broken on purpose",
    "acme-interrupt": "KeyboardInterrupt",
    "acme-library": "OSError: libacme-not-there.so.7: cannot open shared object file",
    "acme-native": "ImportError: ",
}
HEAVY = ("numpy", "pydantic", "torch", "pluggy", "stevedore", "pandas", "sklearn")
GOOD = """
from scarce.contract import hookimpl
import torch
class Good:
    @hookimpl
    def acquisition_score(self, ctx):
        return torch.zeros(len(ctx.logits))
class Wrong:
    @hookimpl
    def acquisition_score(self, ctx):
        return "high"
class Raising:
    @hookimpl
    def evaluator_measure(self, ctx):
        raise ZeroDivisionError("judged by nothing")
class Listing:
    @hookimpl
    def evaluator_measure(self, ctx):
        return {"accuracy": 1.0}
class Watch:
    @hookimpl
    def run_started(self, ctx):
        raise RuntimeError("observer fell over")
"""


@pytest.fixture
def crowded(site, component):
    """One good distribution among every kind of bad one."""
    for name, crash in CRASHES.items():
        package = name.replace("-", "_")
        entries = {"scarce.acquisitions": {name: f"{package}.score:Score"}, "scarce.commands": {name: f"{package}.verb:main"}}
        manifest = component("acquisition", name)
        site.install(name, entries=entries, manifest=manifest, files={"score.py": crash, "verb.py": crash, "__init__.py": crash})
    for library in ("_native.abi3.so", "_native.so"):
        (site.folder / "acme_native" / library).write_text("no library")
    for name in ("acme-twin-a", "acme-twin-b"):
        entries = {"scarce.acquisitions": {"twin": f"{name.replace('-', '_')}.score:Good"}}
        site.install(name, entries=entries, manifest=component("acquisition", "twin"), files={"score.py": GOOD})
    role = component("acquisiton", "role")
    site.install("acme-role", entries={"scarce.acquisitions": {"role": "acme_role:T"}}, manifest=role)
    site.install("acme-bare", entries={"scarce.acquisitions": {"bare": "acme_bare:T"}})
    (site.folder / "acme_gone-3.2.dist-info").mkdir()
    (site.folder / "acme_gone-3.2.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-gone\nVersion: 3.2\n")
    gone = "[scarce.plugins]\nacme-gone = acme_gone:plugin.toml\n[scarce.acquisitions]\ngone = acme_gone:T\n"
    (site.folder / "acme_gone-3.2.dist-info" / "entry_points.txt").write_text(gone)
    site.install("acme-toml", entries={"scarce.acquisitions": {"toml": "acme_toml:T"}}, manifest="api = [")
    newer = component("acquisition", "newer", api="1.9")
    site.install("acme-newer", entries={"scarce.acquisitions": {"newer": "acme_newer:T"}}, manifest=newer)
    manifest = component("acquisition", "acme-good") + '[[component]]\nrole = "acquisition"\nname = "acme-wrong"\n'
    manifest += '[[component]]\nrole = "lifecycle"\nname = "acme-watch"\n'
    manifest += "".join(f'[[component]]\nrole = "evaluator"\nname = "acme-{name}"\n' for name in ("raising", "listing"))
    entries = {
        "scarce.evaluators": {"acme-raising": "acme_good.score:Raising", "acme-listing": "acme_good.score:Listing"},
        "scarce.acquisitions": {"acme-good": "acme_good.score:Good", "acme-wrong": "acme_good.score:Wrong"},
        "scarce.lifecycle": {"acme-watch": "acme_good.score:Watch"},
        "scarce.commands": {"acme-hello": "acme_good.verb:main", "plugins": "acme_good.verb:main"},
        "scarce.recipes": {"acme/broken": "acme_good.recipes:broken.toml", "acme/fine": "acme_good.recipes:fine.toml"},
    }
    fine = "# A fine recipe\nseed = 0\n[preset.test]\nseed = 1\n[preset.full]\nseed = 2\n"
    verb = "def main(argv):\n    print('hello', *argv)\n    return 3\n"
    files = {"score.py": GOOD, "verb.py": verb, "recipes/fine.toml": fine, "recipes/broken.toml": "= ="}
    site.install("acme-good", entries=entries, manifest=manifest, files=files)
    return site


def test_listing_shows_every_state_and_the_rest_stays_ready(crowded):
    done = crowded.run("-m", "scarce", "plugins", "list", "--json", SCARCE_BLOCK="acme-exit")
    assert done.returncode == 0, done.stderr
    rows = {(row["role"], row["name"]): row for row in json.loads(done.stdout) if row["name"] != "twin"}
    mine = {key: row for key, row in rows.items() if not row["distribution"].startswith("scarce-")}
    states = {name: row["status"] for (role, name), row in mine.items() if role == "acquisition"}
    assert states == {
        "acme-import": "ready", "acme-exit": "blocked", "acme-assert": "ready", "acme-interrupt": "ready", "acme-library": "ready",
        "acme-native": "ready", "toml": "malformed", "role": "malformed", "bare": "malformed", "gone": "malformed",
        "newer": "incompatible", "acme-good": "ready", "acme-wrong": "ready",
    }  # fmt: skip
    assert rows["conditioner", "label"]["status"] == "ready"
    text = crowded.run("-m", "scarce", "plugins", "list").stdout
    assert text.count("claimed by acme-twin-a 1.0 and by acme-twin-b 1.0") == 2
    for name in (*CRASHES, "acme-good", "acme-toml", "acme-newer", "acme-role", "acme-bare", "acme-gone"):
        assert name in text


LOAD = """
import sys
from scarce.catalogue import read_catalogue
from scarce.errors import ScarceError
from scarce.host import build, load_options
catalogue = read_catalogue()
for name in sys.argv[1:]:
    try:
        build(load_options(catalogue, "acquisition", name, {}, "acquisition"))
        print(name, "loaded")
    except ScarceError as err:
        print(name, "refused:", err.message, "TRY", err.hint)
print(sorted(module for module in sys.modules if module.startswith("acme")))
"""


def test_each_bad_one_asked_for_by_name_is_one_clear_error_with_a_remedy_and_the_good_one_loads(crowded):
    done = crowded.run("-c", LOAD, *CRASHES, "twin", "toml", "role", "bare", "gone", "newer", "acme-good")
    assert done.returncode == 0, done.stderr
    said = dict(line.split(" ", 1) for line in done.stdout.splitlines()[:-1])
    for name, cause in CAUSES.items():
        target = f"{name.replace('-', '_')}.score:Score"
        assert said[name].startswith(f"refused: acquisition '{name}' of {name} 1.0 can't be imported from {target}: {cause}")
        remedy = said[name].partition(" TRY ")[2]
        assert f"SCARCE_BLOCK={name} leaves it out" in remedy or f"pip install --upgrade {name}" in remedy
    for name, parts in {
        "twin": ("acme-twin-a 1.0 and by acme-twin-b 1.0", "SCARCE_BLOCK=acme-twin-b"),
        "toml": ("acme-toml 1.0: plugin.toml can't be read", "pip install --upgrade acme-toml"),
        "role": ("acme-role 1.0: plugin.toml: component 0: unknown role 'acquisiton' (did you mean 'acquisition'?)", "acme-role"),
        "bare": ("acme-bare 1.0: it must have one 'scarce.plugins' entry point, not 0", "pip install --upgrade acme-bare"),
        "gone": ("acme-gone 3.2: 'acme_gone:plugin.toml': package 'acme_gone' is not there", "pip install --upgrade acme-gone"),
        "newer": ("acme-newer 1.0: it needs API 1.9, core has 1.0", "pip install --upgrade scarce acme-newer"),
    }.items():
        for words in parts:
            assert words in said[name], name
    assert said["acme-good"] == "loaded"


def test_the_remedy_for_one_name_twice_leaves_one(crowded):
    done = crowded.run("-c", LOAD, "twin", SCARCE_BLOCK="acme-twin-b")
    assert done.stdout.startswith("twin loaded"), done.stdout


def test_blocked_before_import(crowded):
    done = crowded.run("-c", LOAD, *CRASHES, "acme-good", SCARCE_ONLY="")
    assert done.stdout.count("refused: ") == len(CRASHES) + 1
    assert done.stdout.count("not in SCARCE_ONLY") == len(CRASHES) + 1
    assert done.stdout.splitlines()[-1] == "[]"


CALL = """
from pathlib import Path
import torch
from scarce.catalogue import read_catalogue
from scarce.contract import Event, ScoreContext
from scarce.errors import PluginError
from scarce.host import Scope, build, load_options
catalogue, scope = read_catalogue(), Scope("data")
names = [("acquisition", "acme-good"), ("acquisition", "acme-wrong"), ("lifecycle", "acme-watch")]
for i, (role, name) in enumerate(names):
    loaded = build(load_options(catalogue, role, name, {}, f"{role}.{i}"))
    scope.register(loaded.path, loaded.instance, role, loaded.row)
scope.freeze()
for _ in range(3):
    scope.broadcast("run_started", Event(folder=Path()))
context = ScoreContext(logits=torch.zeros(2, 2))
print(scope.acquisition_score("acquisition.0", context).shape)
try:
    scope.acquisition_score("acquisition.1", context)
except PluginError as err:
    print(err.message)
"""


def test_a_raising_observer_is_muted_and_a_wrong_result_names_its_plugin(crowded):
    done = crowded.run("-c", CALL)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("observer fell over") == 1
    assert "torch.Size([2])" in done.stdout
    assert "'acme-wrong' of acme-good 1.0 (at acquisition.1): hook acquisition_score must return Tensor" in done.stdout


RECIPE = """
[data]
modality = "tabular"
target = "side"
[backbone]
name = "mlp"
width = 8
layers = 1
[diffusion]
steps = 20
[train]
steps = 3
[generate]
steps = 2
count = 20
[runtime]
threads = 1
[[evaluator]]
name = "acme-raising"
[[evaluator]]
name = "acme-listing"
[[evaluator]]
name = "diversity"
[[lifecycle]]
name = "acme-watch"
"""


def test_a_run_among_all_of_them_keeps_what_works_and_says_what_did_not(crowded):
    (crowded.folder / "r.toml").write_text(RECIPE)
    vectors(60).to_csv(crowded.folder / "my.csv", index=False)
    out = crowded.folder / "out"
    done = crowded.run("-m", "scarce", "run", str(crowded.folder / "r.toml"), "--data", str(crowded.folder / "my.csv"), "--set",
                       "data.target=side", "--out", str(out), "--quiet")  # fmt: skip
    assert done.returncode == 0, done.stderr
    metrics = json.loads((out / "metrics.json").read_text())["metrics"]
    errors = {m["evaluator"]: m["error"] for m in metrics if m["error"]}
    assert set(errors) == {"evaluator.0", "evaluator.1"}
    assert errors["evaluator.0"].startswith("evaluator 'acme-raising' of acme-good 1.0 (at evaluator.0): hook evaluator_measure failed")
    assert "ZeroDivisionError: judged by nothing" in errors["evaluator.0"]
    assert "must return list" in errors["evaluator.1"]
    assert "it returned dict" in errors["evaluator.1"]
    assert any(m["evaluator"] == "evaluator.2" and m["source"] == "synthetic" for m in metrics)
    assert done.stderr.count("observer fell over") == 1
    assert "lifecycle 'acme-watch' of acme-good 1.0" in done.stderr
    used = {part["distribution"] for part in json.loads((out / "plugins.lock.json").read_text())["parts"]}
    assert used == {"scarce", "scarce-tabular", "acme-good"}


def test_third_party_verbs_run_only_when_typed_and_never_hide_ours(crowded):
    done = crowded.run("-m", "scarce", "acme-hello", "a", "b")
    assert (done.returncode, done.stdout) == (3, "hello a b\n")
    assert "acme-hello" in crowded.run("-m", "scarce", "--help").stdout
    assert "role" in crowded.run("-m", "scarce", "plugins").stdout
    for name in ("acme-import", "acme-exit"):
        broken = crowded.run("-m", "scarce", name)
        assert broken.returncode == 2
        assert broken.stderr.startswith(f"error: command '{name}' of {name} 1.0 can't be imported")
        assert "Traceback" not in broken.stderr


def test_recipes_are_listed_with_presets_and_a_broken_one_says_why(crowded):
    done = crowded.run("-m", "scarce", "recipes", "--json")
    found = {recipe["name"]: recipe for recipe in json.loads(done.stdout)}
    fine = found["acme/fine"]
    assert (fine["distribution"], fine["summary"], fine["presets"]) == ("acme-good", "A fine recipe", ["test", "full"])
    assert "can't be read" in found["acme/broken"]["reason"]
    text = crowded.run("-m", "scarce", "recipes").stdout
    assert "A fine recipe" in text
    assert "test, full" in text


def test_info_shows_everything_and_unknown_names_are_plain_errors(crowded):
    done = crowded.run("-m", "scarce", "plugins", "info", "privacy")
    for part in ("evaluator privacy", "scarce.parts.privacy:Privacy", "codec:vectors", "nearest", "int ≥ 0", "5"):
        assert part in done.stdout
    assert "claimed by" in crowded.run("-m", "scarce", "plugins", "info", "twin").stdout
    wrong = crowded.run("-m", "scarce", "plugins", "info", "privcy")
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("error: ")
    assert "did you mean 'privacy'" in wrong.stderr
    assert "Traceback" not in wrong.stderr
    verb = crowded.run("-m", "scarce", "plugns")
    assert (verb.returncode, verb.stdout) == (2, "")
    assert "did you mean 'plugins'" in verb.stderr


@pytest.mark.parametrize(
    "verb", ["['plugins']", "['plugins', '--json']", "['recipes']", "['--help']", "['plugins', 'info', 'tabular/churn']"]
)
def test_listing_verbs_import_nothing_heavy_and_no_plugin(crowded, verb):
    code = f"import sys; from scarce.cli.app import main; code = main({verb}); print('LOADED', *sys.modules); sys.exit(code)"
    done = crowded.run("-c", code)
    assert done.returncode == 0, done.stderr
    loaded = {name.partition(".")[0] for name in done.stdout.partition("LOADED")[2].split()}
    assert not loaded & {*HEAVY, "scarce_tabular"}
    assert not any(name.startswith("acme") for name in loaded)


def test_listing_twenty_distributions_imports_none_of_them(site, component):
    for i in range(20):
        name = f"acme-part-{i}"
        entries = {"scarce.evaluators": {name: f"{name.replace('-', '_')}.judge:Judge"}}
        files = {"judge.py": "raise AssertionError('nobody asked')", "__init__.py": "raise AssertionError('nobody asked')"}
        site.install(name, entries=entries, manifest=component("evaluator", name), files=files)
    code = "import sys; from scarce.cli.app import main; code = main(['plugins', 'list']); print('LOADED', *sys.modules); sys.exit(code)"
    done = site.run("-c", code)
    assert done.returncode == 0, done.stderr
    table, _, loaded = done.stdout.partition("LOADED")
    assert sum(f"acme-part-{i} " in table for i in range(20)) == 20
    assert not {name.partition(".")[0] for name in loaded.split()} & {*HEAVY, *(f"acme_part_{i}" for i in range(20)), "scarce_tabular"}
