"""Backbone `acme-net` and conditioner `acme-kinds`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from acme_frozen.config import NetOptions
from scarce.contract import BackboneContext, BackboneSpec, Condition, ConditionerContext, ConditionerSpec, Embedded, Prompt, State, hookimpl


class Denoiser(nn.Module):
    """A hidden layer over the noisy point, the step and what is asked."""

    def __init__(self, space, condition, steps, width):
        super().__init__()
        self.steps, self.sizes = steps, {"width": width}
        self.enter = nn.Linear(space.width + condition + 1, width)
        self.leave = nn.Linear(width, space.width)

    def forward(self, x_t: State, t: Tensor, condition: Condition, mask: Tensor | None = None) -> State:
        assert condition.pooled is not None
        time = (t.float() / self.steps)[:, None]
        hidden = torch.tanh(self.enter(torch.cat([x_t.num, condition.pooled, time.to(x_t.num)], 1)))
        return State(self.leave(hidden), x_t.cat.float(), mask)

    def config_json(self):
        return self.sizes


class Net(BackboneSpec):
    def __init__(self, options: NetOptions) -> None:
        self.options = options

    @hookimpl
    def backbone_build(self, ctx: BackboneContext) -> nn.Module:
        width = ctx.saved["width"] if ctx.saved is not None else self.options.width
        return Denoiser(ctx.space, ctx.condition_width, ctx.steps, width)


class KindTokens(nn.Module):
    """The class as a one-hot, or the property of a caption, through a linear layer."""

    width = 4

    def __init__(self, classes):
        super().__init__()
        self.classes = tuple(classes)
        self.project = nn.Linear(len(self.classes) + 1, self.width)

    def prepare(self, prompts: Sequence[Prompt]) -> Tensor:
        out = torch.zeros(len(prompts), len(self.classes) + 1)
        for row, prompt in enumerate(prompts):
            if prompt.label in self.classes:
                out[row, self.classes.index(prompt.label)] = 1.0
            out[row, -1] = float(prompt.props.get("x", 0.0))
        return out

    def forward(self, inputs: Tensor) -> Embedded:
        pooled = self.project(inputs)
        return Embedded(pooled.unsqueeze(1), torch.ones(len(inputs), 1, dtype=torch.bool, device=inputs.device), pooled)


class Kinds(ConditionerSpec):
    @hookimpl
    def conditioner_build(self, ctx: ConditionerContext) -> nn.Module:
        assert len(ctx.prompts) or ctx.saved is not None or ctx.classes
        return KindTokens(ctx.classes)
