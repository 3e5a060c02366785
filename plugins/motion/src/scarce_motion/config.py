"""Options of the motion components; importing this brings no network code."""

from __future__ import annotations

from pydantic import Field

from scarce.contract.options import Options


class Motion(Options):
    """Modality `motion`: frame rate, lengths, and what is made of the training clips.

    fps: frames per second that every clip is brought to; length: most frames of a record, longer clips are cut; scale: metres per
    unit of length in BVH files; variants: records of each clip (mirrored, faster or slower, turned, repeated), 1 is the clip as it
    is; compositions: records of each pair of actions, one after the other (0: none); blend: seconds in which one passes
    into the other.
    """

    fps: float = Field(20.0, gt=0)
    length: int = Field(80, ge=2)
    scale: float = Field(1.0, gt=0)
    variants: int | None = Field(None, ge=1)
    compositions: int | None = Field(None, ge=0)
    blend: float = Field(0.4, gt=0)


class MotionTransformer(Options):
    """Backbone `motion-transformer`: width and number of layers, heads, frames per token, and weights of the losses on joints.

    positions, velocities, feet: of squared errors of joint positions, of their movement, and of the movement of feet that stand,
    in variances of training motion; they act where records are motions of a skeleton.
    """

    width: int = Field(160, ge=2)
    layers: int = Field(4, ge=1)
    heads: int = Field(4, ge=1)
    patch: int = Field(4, ge=1)
    dropout: float = Field(0.0, ge=0, lt=1)
    positions: float = Field(1.0, ge=0)
    velocities: float = Field(1.0, ge=0)
    feet: float = Field(2.0, ge=0)


class RPrecision(Options):
    """Evaluator `r-precision`: how many motions are asked for, and the judge that is trained on real ones.

    rows: motions drawn for captions of test records; batch: different captions among which the right one is sought; captions,
    repeats: of the multimodality; steps, width: of the judge's training and its embedding.
    """

    rows: int = Field(128, ge=4)
    batch: int = Field(32, ge=2)
    captions: int = Field(8, ge=0)
    repeats: int = Field(6, ge=2)
    steps: int = Field(300, ge=1)
    width: int = Field(64, ge=4)


class FootSkate(Options):
    """Evaluator `foot-skate`: height above the floor, in metres, below which a foot's sliding counts."""

    height: float = Field(0.05, gt=0)


class BoneLength(Options):
    """Evaluator `bone-length`: most motions that are written as BVH and read again."""

    rows: int = Field(64, ge=1)


class ClipPrivacy(Options):
    """Evaluator `clip-privacy`: most motions of each source."""

    rows: int = Field(400, ge=2)
