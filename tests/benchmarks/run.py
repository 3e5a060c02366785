"""`make bench [ONLY=group]`: measure a group, print its table, keep it with commit and machine. Resumable.

Groups: tables (the default; the plan for <= 15 CPU seconds of training), tables-60 (for <= 60), train_step, sampling,
priors (full against standard), tldr (BERT beside the MLP), suite (ranks of TL;DR's adapters on one table), weights (its
pretrained weights beside random ones and the MLP), text2data (the barrier beside other ways to fine-tune on few captions),
text2data-sweep (its rho, alpha and beta), molecules (both recipes of
molecules beside controls and a blind arm), molecules-curve (validity as training goes on), egnn_step (a step of the equivariant network
over its matrix products), motion (a body that follows
compositions of actions never trained on), text_step (what a text adds to a training step), galot (rounds of generative active
learning beside random generation, and what an ascent step costs), galot-shapes (the same on drawn pictures), galot-reuse (their
samples under other classifiers and in cycles), tiny-t2i (what the
packaged generator of emoji can do), datadream (shapes of four unseen styles), datadream-emoji
(emoji of an unseen style), datadream-sweep (shots, and pictures per class), lora_step (adapters of a pipeline beside plain
peft), lugpi (students of generated pictures beside baseline and controls on reviews), lugpi-sweep (their weights,
the quality of views, gates and generators), sharding (memory and steps of two processes with whole and with sharded weights).
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
GROUPS: dict[str, tuple[str, dict[str, Any]]] = {
    "tables": ("tables", {}), "tables-60": ("tables", {"budget": 60}), "train_step": ("train_step", {}), "sampling": ("sampling", {}),
    "priors": ("priors", {}), "tldr": ("tldr", {}), "suite": ("suite", {}),
    "weights": ("suite", {"factor": "backbone"}),
    "molecules": ("molecules", {}), "molecules-curve": ("molecules", {"of_steps": True}), "egnn_step": ("egnn_step", {}),
    "motion": ("motion", {}), "text2data": ("text2data", {}), "text2data-sweep": ("text2data_sweep", {}), "text_step": ("text_step", {}),
    "datadream": ("datadream", {}), "datadream-emoji": ("datadream", {"data": "emoji"}),
    "datadream-sweep": ("datadream_sweep", {}),
    "tiny-t2i": ("tiny_t2i", {}), "lora_step": ("lora_step", {}), "galot": ("galot", {}),
    "lugpi": ("lugpi", {}), "lugpi-sweep": ("lugpi_sweep", {}), "galot-shapes": ("galot", {"data": "shapes"}),
    "galot-reuse": ("galot_reuse", {}), "sharding": ("sharding", {}),
}  # fmt: skip


def keep(group: str, rows: list[dict[str, Any]]) -> Path:
    """Write the group's rows with the commit and the machine they were measured on."""
    from scarce.files import write_json
    from scarce.runtime.device import machine

    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, cwd=HERE).stdout.strip()
    facts = {"group": group, "commit": commit, "machine": machine(), "date": time.strftime("%Y-%m-%d"), "rows": rows}
    return write_json(HERE / "results" / f"{group}.json", facts)


def show(rows: list[dict[str, Any]]) -> None:
    """Print rows as an aligned table."""
    names = list(rows[0])
    cells = [[f"{v:.3f}" if isinstance(v, float) else str(v) for v in (row.get(n, "") for n in names)] for row in rows]
    widths = [max(len(n), *(len(c[i]) for c in cells)) for i, n in enumerate(names)]
    for line in [names, *cells]:
        print("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip())


def main() -> int:
    """Run the asked group."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="tables", choices=list(GROUPS))
    group = parser.parse_args().only
    module, options = GROUPS[group]
    rows = importlib.import_module(module).run(**options)
    show(rows)
    print(f"kept in {keep(group, rows)}")
    missed = [json.dumps(row) for row in rows if row.get("ok") is False]
    print(f"{len(missed)} of {len(rows)} rows miss their bound")
    return 0


if __name__ == "__main__":
    sys.exit(main())
