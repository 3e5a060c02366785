"""Evaluator `chemnet`: Fréchet ChemNet distance (Preuer et al., arXiv 1803.09518) by the weights of fcd-torch."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from scarce.contract import EvaluatorContext, EvaluatorSpec, Figure, Metric, hookimpl
from scarce.files import packaged
from scarce_molecules import config
from scarce_molecules.bonds import valid
from scarce_molecules.sides import NAN, asked, chosen, failed, real_smiles

NAME = "chemnet_distance"
FEWEST, BATCH = 10, 256
Floats = npt.NDArray[np.float64]


class ChemNet(EvaluatorSpec):
    """How far the distribution of a source's activations in ChemNet lies from that of unseen real molecules."""

    def __init__(self, options: config.ChemNet) -> None:
        self.options = options

    @hookimpl
    def evaluator_measure(self, ctx: EvaluatorContext) -> list[Metric]:
        """`chemnet_distance` of every source to the hold-out; floor: training molecules.

        What is no valid molecule, or missing, counts as one without atoms, so a source of few molecules lies far away. An error where
        fcd-torch is not installed.
        """
        if find_spec("fcd_torch") is None:
            return failed(ctx, NAME, "fcd-torch is not installed: pip install 'scarce-molecules[chemnet]'")
        held = chosen(real_smiles(ctx, "validation", "test"), self.options.rows, ctx.seed)
        train = chosen(real_smiles(ctx, "train"), len(held), ctx.seed)
        if min(len(held), len(train)) < FEWEST:
            return failed(ctx, NAME, f"needs {FEWEST} training and hold-out molecules, found {len(train)} and {len(held)}")
        with ctx.runtime.seeded("chemnet"):  # layers are drawn before their weights are read
            network = chemnet(ctx.runtime.device)
        usual = moments(activations(network, held, ctx.runtime.device))
        floor = frechet(moments(activations(network, train, ctx.runtime.device)), usual)
        return [self._metric(ctx, source, network, usual, floor, len(held)) for source in ctx.samples]

    @hookimpl
    def evaluator_draw(self, ctx: EvaluatorContext) -> list[Figure]:
        """No figures."""
        return []

    def _metric(self, ctx: EvaluatorContext, source: str, network: Any, usual: tuple[Floats, Floats], floor: float, most: int) -> Metric:
        all_texts = [str(s) if valid(s) else "" for s in ctx.samples[source]["smiles"]]
        texts = chosen([*all_texts, *[""] * (asked(ctx, source) - len(all_texts))], most, ctx.seed)
        if len(texts) < FEWEST:
            return Metric(name=NAME, value=NAN, source=source, error=f"needs {FEWEST} samples, found {len(texts)}")
        value = frechet(moments(activations(network, texts, ctx.runtime.device)), usual)
        note = f"{len(texts)} samples, {sum(map(bool, texts))} of them valid, against {most} unseen real molecules"
        return Metric(name=NAME, value=value, source=source, direction="lower", floor=floor, n=len(texts), note=note)


def chemnet(device: torch.device) -> Any:
    """The packaged network, frozen."""
    from fcd_torch.utils import load_imported_model

    path = packaged("fcd-torch", "fcd_torch/ChemNet_v0.13_pretrained.pt", install="fcd-torch")
    return load_imported_model(torch.load(path, weights_only=True)).eval().to(device)


def activations(network: Any, texts: list[str], device: torch.device) -> Floats:
    """[n, 512] activations of SMILES; an empty one has a code of zeros."""
    from fcd_torch.utils import SmilesDataset

    known = SmilesDataset(["C", *texts], canonize=True)
    empty = np.zeros_like(known[0])
    rows = [known[i + 1] if text else empty for i, text in enumerate(texts)]
    out = []
    with torch.no_grad():
        for start in range(0, len(texts), BATCH):
            batch = np.stack(rows[start : start + BATCH])
            out.append(network(torch.from_numpy(batch).float().transpose(1, 2).to(device)).cpu().double().numpy())
    return np.concatenate(out)


def moments(rows: Floats) -> tuple[Floats, Floats]:
    """Mean and covariance."""
    return rows.mean(0), np.cov(rows.T)


def frechet(one: tuple[Floats, Floats], other: tuple[Floats, Floats]) -> float:
    """|m1 - m2|² + tr(S1 + S2 - 2 (S1 S2)^½), the trace of the root by the eigenvalues of S1 S2."""
    roots = np.sqrt(np.clip(np.linalg.eigvals(one[1] @ other[1]).real, 0, None)).sum()
    return float(max(0.0, np.sum((one[0] - other[0]) ** 2) + np.trace(one[1]) + np.trace(other[1]) - 2 * roots))
