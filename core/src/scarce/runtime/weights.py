"""The moving state of a fit - parameters, moments, running average - as one bag of named tensors."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from scarce.contract.plan import Budget


class Weights:
    """Trained parameters with AdamW and a running average; `bag` and `load` are exact inverses."""

    def __init__(self, parameters: Mapping[str, torch.nn.Parameter], buffers: Mapping[str, Tensor], budget: Budget) -> None:
        self.parameters = dict(parameters)
        self.buffers = dict(buffers)
        self.budget = budget
        self.tensors = list(self.parameters.values())
        self.average = [p.detach().clone() for p in self.tensors] if budget.ema else []
        device = self.tensors[0].device
        self.optimizer = torch.optim.AdamW(
            self.tensors, lr=budget.rate, betas=(0.9, 0.99), weight_decay=budget.weight_decay, fused=device.type in ("cpu", "cuda")
        )
        for p in self.tensors:  # state exists before the first step, so a bag always has the same names
            step = torch.zeros((), dtype=torch.float32, device=device)
            self.optimizer.state[p] = {"step": step, "exp_avg": torch.zeros_like(p), "exp_avg_sq": torch.zeros_like(p)}

    def step(self, rate: float, count: int) -> None:
        """One optimizer step at `rate` from the gradients in place, then the running average."""
        self.optimizer.param_groups[0]["lr"] = rate
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.average:
            decay = min(self.budget.ema, (1 + count) / (10 + count))
            torch._foreach_lerp_(self.average, [p.detach() for p in self.tensors], 1 - decay)

    def bag(self) -> dict[str, Tensor]:
        """Every moving tensor by name, not copied."""
        out: dict[str, Tensor] = {f"b/{name}": b for name, b in self.buffers.items()}
        for i, (name, p) in enumerate(self.parameters.items()):
            out[f"p/{name}"] = p.detach()
            out.update({f"{key}/{name}": value for key, value in self.optimizer.state[p].items()})
            if self.average:
                out[f"a/{name}"] = self.average[i]
        return out

    @torch.no_grad()
    def load(self, bag: Mapping[str, Tensor]) -> None:
        """Put the values of a bag back in place."""
        for name, tensor in self.bag().items():
            tensor.copy_(bag[name])

    def copy(self) -> dict[str, Tensor]:
        """A bag that later steps don't touch."""
        return {name: tensor.clone() for name, tensor in self.bag().items()}

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange parameters and their running average."""
        for p, mean in zip(self.tensors, self.average, strict=False):
            kept = p.detach().clone()
            p.copy_(mean)
            mean.copy_(kept)
