"""Options of the diffusion process and of the samplers (a recipe's `[diffusion]` and part of `[generate]`)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from scarce.contract.options import Options


class DiffusionOptions(Options):
    """How samples are noised and what the network predicts.

    steps: T; schedule: "cosine", "linear" and "scaled-linear" are variance preserving, "flow" is a = 1 - u, s = u; shift: of
    the flow's times towards noise, u -> shift u / (1 + (shift - 1) u) (arXiv 2403.03206, section 5.3.2), more for larger
    pictures; times: which t are trained on, all alike, or those in the middle more often ("logit-normal", the same paper,
    3.1); weighting: of losses by noise level, "min-snr" caps the signal-to-noise ratio at 5 (arXiv 2303.09556); target: what
    the network predicts of the continuous channels; prior: law of x_T ("full" whitens vectors by their Ledoit-Wolf
    covariance, "per-class" by that of each class with more than 5 rows per channel; other layouts then stay standard);
    categorical_prior: where categories drift to; cat_loss_scale: the mean over columns of the predicted x_0's
    cross-entropy ("ce": same optimum, learnt in far fewer steps), of TabDDPM's KL between posteriors ("paper"), or
    `steps` times that ("code", what TabDDPM's code does).
    """

    steps: int = Field(1000, ge=2, le=10_000)
    schedule: Literal["cosine", "linear", "scaled-linear", "flow"] = "cosine"
    shift: float = Field(1.0, gt=0)
    times: Literal["uniform", "logit-normal"] = "uniform"
    weighting: Literal["none", "min-snr"] = "none"
    target: Literal["eps", "x0", "v", "flow"] = "v"
    prior: Literal["standard", "diagonal", "full", "per-class"] = "full"
    categorical_prior: Literal["uniform", "marginal"] = "uniform"
    cat_loss_scale: Literal["ce", "paper", "code"] = "ce"


class SamplerOptions(Options):
    """How x_T becomes x_0.

    sampler: ancestral ("ddpm"), deterministic first order ("ddim") or second-order multistep ("dpm++"); eta: share of the
    reverse SDE's noise in "dpm++", 0 solves the ODE; steps: network calls; guidance: classifier-free scale w, 1 is plain
    conditional; resample: repeats of each step while imposing known values (RePaint), which a table of numbers alone under
    a full prior doesn't need.
    """

    sampler: Literal["ddpm", "ddim", "dpm++"] = "dpm++"
    eta: float = Field(0.5, ge=0.0, le=1.0)
    steps: int = Field(50, ge=1, le=10_000)
    guidance: float = Field(1.0, ge=0.0)
    resample: int = Field(5, ge=1)
