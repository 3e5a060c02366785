"""`scarce annotate RUN`: a sheet of synthetic records for a person to say what they show, and how often that is what was asked."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from scarce.errors import DataError, RunError
from scarce.files import read_json, write_bytes
from scarce_galot.sheet import page

UNSURE = "?"


@dataclass(frozen=True)
class Samples:
    """Synthetic records of a run, the class each was asked for, all classes, and the share that the run's oracle calls right."""

    records: pd.DataFrame
    target: str
    classes: tuple[str, ...]
    oracle: float | None

    @property
    def asked(self) -> pd.Series:
        """[n] classes as text."""
        return as_text(self.records[self.target])


def main(argv: list[str]) -> None:
    """Run `annotate RUN [-n N] [--seed S] [--out DIR]`, or `annotate RUN --read FILE`."""
    parser = argparse.ArgumentParser(prog="scarce annotate", description="Have a person check the classes of synthetic records.")
    parser.add_argument("run", type=Path, help="run folder; of several arms or seeds one of RUN/arms/NAME/SEED")
    parser.add_argument("-n", type=int, default=50, help="how many records (default 50)")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same records")
    parser.add_argument("--out", metavar="DIR", type=Path, help="where sheet.html and labels.csv go (default: RUN-annotate)")
    parser.add_argument("--read", metavar="FILE", type=Path, help="a filled labels.csv")
    asked = parser.parse_args(argv)
    samples = open_samples(asked.run)
    if asked.read is not None:
        print(judged(samples, asked.read))
        return
    out = asked.out or asked.run.with_name(f"{asked.run.name}-annotate")
    sheet, table = write_sheet(samples, out, asked.n, asked.seed)
    print(f"{sheet}\n{table}\nfill the column 'shown', then: scarce annotate {asked.run} --read {table}")


def open_samples(run: Path) -> Samples:
    """The synthetic records of a finished run; RunError where there are none, DataError where they have no classes."""
    path = run / "samples" / "synthetic.parquet"
    if not path.is_file():
        arms = sorted(str(p.parents[1]) for p in run.glob("arms/*/*/samples/synthetic.parquet"))
        hint = f"scarce annotate {arms[0]}" if arms else "scarce runs lists run folders"
        raise RunError(f"{run} has no samples/synthetic.parquet", hint=hint)
    facts, records = read_json(run / "data.json"), pd.read_parquet(path)
    if facts["task"] != "classification" or facts["target"] not in records.columns:
        raise DataError(f"the samples of {run} have no classes to check", hint="annotate a run whose data.target is a class")
    metrics = read_json(run / "metrics.json")["metrics"] if (run / "metrics.json").is_file() else []
    found = [m["value"] for m in metrics if m["name"] == "label_accuracy" and m["source"] == "synthetic"]
    return Samples(records, facts["target"], tuple(facts["classes"]), found[0] if found else None)


def write_sheet(samples: Samples, out: Path, n: int, seed: int) -> tuple[Path, Path]:
    """sheet.html and labels.csv (id, shown) of n random records, in random order and without the class that was asked.

    Ids are positions among the run's samples. A labels.csv that is there already is left alone: DataError.
    """
    if n < 1:
        raise DataError(f"asked for {n} records", hint="-n 50")
    table = out / "labels.csv"
    if table.exists():
        raise DataError(f"{table} exists; what is filled in is not overwritten", hint="choose another --out")
    chosen = np.random.default_rng(seed).permutation(len(samples.records))[:n]
    shown = samples.records.iloc[chosen].drop(columns=samples.target)
    sheet = write_bytes(out / "sheet.html", page(shown, chosen.tolist(), samples.classes, samples.target, UNSURE).encode())
    blank = pd.DataFrame({"id": chosen, "shown": ""})
    return sheet, write_bytes(table, blank.to_csv(index=False).encode())


def judged(samples: Samples, file: Path) -> str:
    """What a filled sheet says: the share that shows its asked class with its 95 % Wilson interval, beside the oracle's share.

    "?" counts as not showing it; rows that are not filled in are left out, and said. DataError for anything else.
    """
    ids, shown = read_sheet(samples, file)
    filled = shown != ""
    if not filled.any():
        raise DataError(f"{file}: the column 'shown' is empty", hint="write a class, or ?, in each row")
    right = int((samples.asked.to_numpy()[ids[filled]] == shown[filled]).sum())
    total = int(filled.sum())
    low, high = binomtest(right, total).proportion_ci(method="wilson")
    lines = [f"person: {right} of {total} show the class that was asked: {right / total:.3f} [{low:.3f}, {high:.3f}] (95 %, Wilson)"]
    if not filled.all():
        lines.append(f"not filled in: {int((~filled).sum())}")
    told = (
        "this run has none (evaluator rounds)" if samples.oracle is None else f"{samples.oracle:.3f} of all {len(samples.records)} samples"
    )
    return "\n".join([*lines, f"oracle: {told}"])


def read_sheet(samples: Samples, file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Ids and shown classes of a sheet; DataError naming the first row that is not one."""
    try:
        table = pd.read_csv(file, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise DataError(f"{file} can't be read: {error}", hint="scarce annotate RUN writes a labels.csv to fill") from None
    if not {"id", "shown"} <= set(table.columns):
        raise DataError(f"{file} must have columns id and shown; it has {', '.join(table.columns)}", hint="scarce annotate RUN")
    shown, n = table["shown"].str.strip(), len(samples.records)
    for number, (name, value) in enumerate(zip(table["id"], shown, strict=True), start=2):
        if not name.isdecimal() or int(name) >= n:
            raise DataError(
                f"{file}, line {number}: id {name!r} is no sample of this run (0 to {n - 1})", hint="read the sheet of this run"
            )
        if value not in ("", UNSURE, *samples.classes):
            known = ", ".join(samples.classes[:20])
            raise DataError(f"{file}, line {number}: {value!r} is no class; classes: {known}", hint=f"write one of them, or {UNSURE}")
    if table["id"].duplicated().any():
        raise DataError(f"{file}: id {table['id'][table['id'].duplicated()].iloc[0]} is there twice", hint="one row per record")
    return table["id"].astype(int).to_numpy(), shown.to_numpy(dtype=object)


def as_text(values: pd.Series) -> pd.Series:
    """Class values as data.json has them: whole numbers without a decimal point."""
    whole = pd.api.types.is_float_dtype(values) and bool((values.dropna() % 1 == 0).all())
    return (values.astype("Int64") if whole else values).astype(str)
