"""Samplers of mixed spaces: pure functions of (network, process, x_T, generator), generic in signal a and noise s."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from scarce.contract.space import Known, State
from scarce.diffusion.categorical import draw
from scarce.diffusion.inpainting import Pin, pin
from scarce.diffusion.options import SamplerOptions
from scarce.diffusion.process import Network, Process
from scarce.diffusion.schedules import Level, grid, predicted_x0


def stepped(x: Tensor, x0: Tensor, now: Level, then: Level, eta: float, noise: Tensor | None) -> Tensor:
    """x_s of x_t and predicted x_0; eta 1 is a DDPM draw of q(x_s | x_t, x_0), eta 0 a DDIM or DPM-Solver++ step.

    In between, the reverse SDE with eta times its noise (Lu et al. 2022, Song et al. 2021). noise: None if eta is 0.
    """
    ratio = (now.a * then.s) / (now.s * then.a)
    kept, spread = math.pow(ratio, eta), then.s * math.sqrt(1 - math.pow(ratio, 2 * eta))
    mean = x * (then.s / now.s * kept) + x0 * (then.a * (1 - ratio * kept))
    return mean if noise is None else mean + noise * spread


def extrapolated(x0: Tensor, previous: Tensor, before: Level, now: Level, then: Level) -> Tensor:
    """The x_0 that makes `stepped` a second-order multistep DPM-Solver++ step (Lu et al. 2022, 2M)."""
    h, last = _log_snr(then) - _log_snr(now), _log_snr(now) - _log_snr(before)
    return x0 + (x0 - previous) * (h / (2 * last))


def _log_snr(level: Level) -> float:
    return math.log(level.a / level.s)


def sample(
    network: Network,
    process: Process,
    x_T: State,
    *,
    options: SamplerOptions,
    generator: torch.Generator,
    grad_steps: int = 0,
    known: Known | None = None,
    labels: Tensor | None = None,
    share: float = 1.0,
) -> State:
    """x_0 of x_T: channels in data coordinates inside the codec's range, and category codes [.., C].

    With grad_steps > 0 categories are expected one-hots [.., sum K], and gradients flow through the last grad_steps
    network calls to whatever the network depends on (drawn categories pass them straight through); the values are
    those of grad_steps = 0. known: values to impose,
    returned exactly; unless the prior's covariance carries them all, each step is repeated `options.resample` times (RePaint).
    labels: [b] class codes that the network is told, which choose the prior where classes have their own.
    share: of the steps that are taken, the last ones; x_T is then at the first of their times, see `times_of`.
    """
    times = times_of(process, options, share)
    pinned = None if known is None else pin(process, known, labels)
    repeats = 1 if pinned is None or pinned.exact else options.resample
    eta = {"ddpm": 1.0, "ddim": 0.0, "dpm++": options.eta}[options.sampler]
    x, previous, last_x0, tracked = x_T, None, x_T.num, torch.is_grad_enabled()
    p: list[Tensor] = []
    for i, t in enumerate(times):
        now, then = process.level(t), process.level(times[i + 1] if i + 1 < len(times) else -1)
        with torch.set_grad_enabled(tracked and i >= len(times) - grad_steps):
            rounds = repeats if then.s > 0 else 1
            for repeat in range(rounds):
                w0, last_x0, p = _predict(network, process, x, t, pinned, labels)
                d = w0
                if options.sampler == "dpm++" and previous is not None and pinned is None and then.s > 0:
                    d = extrapolated(w0, previous[0], previous[1], now, then)
                num = stepped(x.num, d, now, then, eta, _noise(process, x, generator) if eta > 0 else None)
                x = State(num, _step_categories(process, x, p, now, then, generator), x.mask)
                if repeat + 1 < rounds:
                    x = _renoised(process, x, now, then, generator)
            previous = (w0, now)
    num = last_x0 if x.mask is None else last_x0 * x.mask.unsqueeze(process.axis)
    return State(num, process.categories.join_one_hots(p, x.cat) if grad_steps and p else x.cat, x.mask)


def times_of(process: Process, options: SamplerOptions, share: float) -> list[int]:
    """Descending times of the network calls: the last `share` of the sampler's grid, at least one."""
    times = grid(process.options.steps, options.steps)
    return times[len(times) - max(1, round(share * len(times))) :]


def _predict(
    network: Network, process: Process, x: State, t: int, pinned: Pin | None, labels: Tensor | None
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """x_0 whitened and in data coordinates (clipped, conditioned on known values), and per band probabilities."""
    predicted = network(x, torch.full((1,), t, device=x.num.device).expand(len(x)))
    with torch.autocast(x.num.device.type, enabled=False):
        w0 = process.project(predicted_x0(process.options.target, x.num, predicted.num.float(), process.level(t)), x.mask)
        x0 = process.clip(process.prior.unwhiten(w0, labels))
        x0 = x0 if pinned is None else pinned.condition(x0, process)
        p = process.categories.probabilities(predicted.cat) if process.space.levels else []
        p = p if pinned is None else pinned.condition_categories(p)
        return process.project(process.prior.whiten(x0, labels), x.mask), x0, p


def _noise(process: Process, x: State, generator: torch.Generator) -> Tensor:
    return process.project(torch.randn(x.num.shape, generator=generator).to(x.num.device), x.mask)


def _step_categories(process: Process, x: State, p: list[Tensor], now: Level, then: Level, generator: torch.Generator) -> Tensor:
    """Codes drawn from p(x_s | x_t); where gradients flow, one-hots whose gradient is that of the probabilities."""
    categories = process.categories
    if not p:
        return x.cat
    uniform = torch.rand(*x.cat.shape[:-1], len(process.space.levels), generator=generator).to(x.cat.device)
    law = p if then.s == 0 else categories.posteriors(p, categories.one_hots(x.cat), now.keep, then.keep)
    codes = [draw(q.detach(), u) for q, u in zip(law, categories.split(uniform), strict=True)]
    drawn = categories.join(codes, x.cat)
    drawn = drawn if x.mask is None else drawn * x.mask.unsqueeze(-1)
    if then.s == 0 or not any(q.requires_grad for q in law):
        return drawn
    hard = categories.one_hots(drawn)
    return categories.join_one_hots([h + q - q.detach() for h, q in zip(hard, law, strict=True)], x.cat)


def _renoised(process: Process, x: State, now: Level, then: Level, generator: torch.Generator) -> State:
    """A draw of q(x_t | x_s): one forward step back to `now`."""
    ratio = now.a / then.a
    num = x.num * ratio + _noise(process, x, generator) * math.sqrt(now.s**2 - ratio**2 * then.s**2)
    if not process.space.levels:
        return State(num, x.cat, x.mask)
    codes, categories = x.cat, process.categories
    if codes.is_floating_point():  # straight-through one-hots, whose values are hard
        codes = categories.join([hot.argmax(1) for hot in categories.one_hots(codes)], codes)
    uniform = torch.rand(2, *codes.shape, generator=generator).to(codes.device)
    return State(num, categories.corrupt(codes, now.keep / then.keep, uniform), x.mask)
