"""Networks that classify pictures: trunks from pictures to features, and the classifier on top of one."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from scarce.errors import RecipeError
from scarce_images import config


class Classifier(nn.Module):
    """A trunk [n, 3, h, w] -> [n, d], dropout, and one linear layer to logits [n, k]."""

    def __init__(self, trunk: nn.Module, width: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.trunk, self.dropout, self.head = trunk, nn.Dropout(dropout), nn.Linear(width, classes)

    def forward(self, pictures: Tensor) -> Tensor:
        """[n, k] logits of pictures in [-1, 1]."""
        out: Tensor = self.head(self.dropout(self.trunk(pictures)))
        return out


class Standardised(nn.Module):
    """A trunk whose features are brought to mean 0 and standard deviation 1 of `seen` [n, d]."""

    mean: Tensor
    scale: Tensor

    def __init__(self, trunk: nn.Module, seen: Tensor) -> None:
        super().__init__()
        self.trunk = trunk
        self.register_buffer("mean", seen.mean(0))
        self.register_buffer("scale", seen.std(0, correction=0).clamp_min(1e-3))

    def forward(self, pictures: Tensor) -> Tensor:
        """[n, d] features."""
        return self.standardise(self.trunk(pictures))

    def standardise(self, features: Tensor) -> Tensor:
        """[n, d] features of the trunk, standardised."""
        return (features - self.mean) / self.scale


class Block(nn.Module):
    """Two convolutions and a shortcut (the basic block of arXiv 1512.03385)."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.second = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(outside), nn.BatchNorm2d(outside)])
        same = stride == 1 and inside == outside
        self.stride = stride
        self.short = nn.Identity() if same else nn.Sequential(nn.Conv2d(inside, outside, 1, bias=False), nn.BatchNorm2d(outside))

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> [n, outside, h / stride, w / stride]."""
        y = F.relu(self.norms[0](self.first(x)))
        # A 1x1 convolution with that stride is the same; with channels last and 2 to 7 of them torch 2.13 writes past its memory on AVX2.
        return F.relu(self.norms[1](self.second(y)) + self.short(x[..., :: self.stride, :: self.stride]))


def resnet(options: config.Resnet) -> tuple[nn.Module, int]:
    """A residual trunk and its width: one 3x3 convolution, then stages; each but the first halves the picture, doubles the width.

    Batch norm: with 1,000 digits it learns in half the steps that group norm takes, in less time each, and loses nothing with 100.
    """
    width, layers = options.width, list[nn.Module]()
    layers += [nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    for stage, blocks in enumerate(options.blocks):
        outside = options.width * 2**stage
        for i in range(blocks):
            layers.append(Block(width, outside, 2 if stage and i == 0 else 1))
            width = outside
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()), width


class Tokens(nn.Module):
    """The mean over patches of a vision transformer's last layer."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pictures: Tensor) -> Tensor:
        """[n, d] features of pictures [n, 3, h, w]."""
        out: Tensor = self.model(pictures).last_hidden_state
        return out[:, 1:].mean(1)


def check_patches(options: config.Vit, size: int) -> None:
    """RecipeError for pictures of a size that can't be cut into the patches."""
    if size % options.patch:
        near = min((p for p in range(2, size + 1) if size % p == 0), key=lambda p: abs(p - options.patch))
        what = f"learner.patch: pictures of {size} pixels can't be cut into patches of {options.patch}"
        raise RecipeError(what, hint=f"--set learner.patch={near}")


def vit(options: config.Vit, size: int) -> tuple[nn.Module, int]:
    """A transformer on patches (arXiv 2010.11929) from a random start, and its width.

    Weights start as large as the width asks: the published 0.02 suits a width of 768, and a small one learns slowly from it.
    """
    from transformers import ViTConfig, ViTModel

    shape = ViTConfig(
        image_size=size, patch_size=options.patch, hidden_size=options.width, num_hidden_layers=options.layers,
        num_attention_heads=options.heads, intermediate_size=options.width * 2, initializer_range=options.width**-0.5,
    )  # fmt: skip
    return Tokens(ViTModel(shape, add_pooling_layer=False)), options.width


class Pooled(nn.Module):
    """The pooled output of a transformers network."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pictures: Tensor) -> Tensor:
        """[n, d] features of pictures [n, 3, h, w]."""
        out: Tensor = self.model(pictures).pooler_output
        return out.flatten(1)


def mobilenet(options: config.Mobilenet) -> tuple[nn.Module, int]:
    """MobileNet V2 (arXiv 1801.04381) from a random start, and its width.

    Its first convolution keeps the size, as small pictures need; batch statistics follow at the usual tenth per step, where
    transformers' all but forget every batch except the last.
    """
    from transformers import MobileNetV2Config, MobileNetV2Model

    model = MobileNetV2Model(MobileNetV2Config(depth_multiplier=options.width, output_stride=options.stride))
    model.conv_stem.first_conv.convolution.stride = (1, 1)
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = 0.1
    return Pooled(model), int(model.conv_1x1.convolution.out_channels)
