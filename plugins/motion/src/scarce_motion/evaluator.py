"""Evaluators of motions as bodies: feet that slide, bones that keep their length, and clips that are copied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from scarce.contract import EvaluatorContext, EvaluatorSpec, Figure, Metric, hookimpl, take
from scarce.errors import ScarceError
from scarce_motion import config
from scarce_motion import features as f
from scarce_motion.bvh import bvh_clip, bvh_text
from scarce_motion.clip import Clip
from scarce_motion.codec import MotionCodec, as_frames
from scarce_motion.rotations import Floats

NAN = float("nan")


def sources(ctx: EvaluatorContext) -> dict[str, Any]:
    """ "real": all training records; then every source of samples."""
    return {"real": take(ctx.dataset.records, ctx.dataset.rows("train")), **ctx.samples}


def sound(records: Any, codec: MotionCodec) -> list[Floats]:
    """Frames of the records that are motions of the skeleton; others are failures."""
    out = []
    for cell in records["motion"]:
        try:
            values = as_frames(cell)
        except (ScarceError, TypeError, ValueError):
            continue
        out += [values] if values.shape[1] == codec.skeleton.width else []
    return out


def asked_of(ctx: EvaluatorContext, source: str, records: Any) -> int:
    """How many records there should be."""
    return max(ctx.expected, len(records)) if source == "synthetic" else len(records)


class FootSkate(EvaluatorSpec):
    """How far feet that are on the floor slide."""

    def __init__(self, options: config.FootSkate) -> None:
        self.options = options

    @hookimpl
    def evaluator_measure(self, ctx: EvaluatorContext) -> list[Metric]:
        """`foot_skate` of every source in metres per second; floor: real training motions, which slide too.

        Horizontal speed of each foot below `height` h above its floor, weighted 2 - 2^(z / h) by its height z (Zhang 2018, Mode-adaptive
        networks, section 7.3), averaged over such moments. Motions that fail are as bad as the worst.
        """
        codec = ctx.codec
        if not isinstance(codec, MotionCodec) or not codec.skeleton.feet:
            why = "the skeleton has no joint called ankle, foot or toe"
            return [Metric(name="foot_skate", value=NAN, source=s, error=why) for s in ctx.samples]
        made = {s: (sound(records, codec), asked_of(ctx, s, records)) for s, records in sources(ctx).items()}
        slides = {s: slide_of(motions, codec, self.options.height) for s, (motions, _) in made.items()}
        floor = mean_of(slides["real"])
        out = []
        for source, (motions, asked) in made.items():
            value, share = mean_of(slides[source]), len(motions) / max(asked, 1)
            worst = float(np.max(slides[source])) if len(slides[source]) else NAN
            value = share * value + (1 - share) * worst if share < 1 else value
            why = "" if np.isfinite(value) else "no foot is ever near the floor"
            out.append(
                Metric(name="foot_skate", value=value, source=source, direction="lower", floor=floor, n=len(motions), unit="m/s", error=why)
            )
        return out

    @hookimpl
    def evaluator_draw(self, ctx: EvaluatorContext) -> list[Figure]:
        """No figures: skeletons move in those of the modality."""
        return []


def slide_of(motions: Sequence[Floats], codec: MotionCodec, height: float) -> Floats:
    """[m] weighted sliding speeds, m/s, of every foot and moment near the floor."""
    out = [np.zeros(0)]
    for frames in motions:
        feet = f.positions(codec.skeleton, *f.split_frames(frames))[:, list(codec.skeleton.feet)]
        above = (feet[:-1, :, 1] - np.array(codec.floor)).clip(0)
        speed = np.linalg.norm(np.diff(feet, axis=0)[..., [0, 2]], axis=-1) * codec.fps
        low = above < height
        out.append((speed * (2 - 2 ** (above / height)))[low])
    return np.concatenate(out)


def mean_of(values: Floats) -> float:
    """The mean, NaN of nothing."""
    return float(values.mean()) if len(values) else NAN


class BoneLength(EvaluatorSpec):
    """Are bones as long after a motion was written as BVH and read again? Forward kinematics keeps them by construction."""

    def __init__(self, options: config.BoneLength) -> None:
        self.options = options

    @hookimpl
    def evaluator_measure(self, ctx: EvaluatorContext) -> list[Metric]:
        """`bone_length_error` of every source: the largest relative error of any bone in any frame, from joint positions.

        A motion that can't be written and read counts as an error of 1.
        """
        if not isinstance(ctx.codec, MotionCodec):
            return [Metric(name="bone_length_error", value=NAN, source=s, error="records are no motions") for s in ctx.samples]
        out = []
        for source, records in sources(ctx).items():
            motions = sound(take(records, np.arange(min(len(records), self.options.rows))), ctx.codec)
            errors = [stretched(Clip(name=source, skeleton=ctx.codec.skeleton, frames=m, fps=ctx.codec.fps)) for m in motions]
            failed = len(motions) < min(len(records), self.options.rows) or not errors
            value = 1.0 if failed else max(errors)
            note = "after writing and reading BVH"
            out.append(
                Metric(
                    name="bone_length_error", value=value, source=source, direction="lower", floor=0.0, ceiling=1.0, n=len(errors),
                    note=note,
                )
            )  # fmt: skip
        return out

    @hookimpl
    def evaluator_draw(self, ctx: EvaluatorContext) -> list[Figure]:
        """No figures."""
        return []


def stretched(clip: Clip) -> float:
    """Largest relative error of a bone after a round trip through BVH; 0 for a skeleton without bones."""
    skeleton, back = clip.skeleton, bvh_clip("round trip", bvh_text(clip).splitlines(), 1.0)
    joints = f.positions(back.skeleton, *f.split_frames(back.frames))
    lengths = {n: np.linalg.norm(o) for n, o in zip(skeleton.names, skeleton.rest, strict=True)}
    ends = {f"{skeleton.names[p]}_end": n for n, p, k in zip(skeleton.names, skeleton.parents, skeleton.kinds, strict=True) if k == "fixed"}
    worst = 0.0
    for j, (name, parent) in enumerate(zip(back.skeleton.names, back.skeleton.parents, strict=True)):
        true = lengths.get(ends.get(name, name), 0.0)
        if parent >= 0 and true > 1e-6:
            worst = max(worst, float(np.abs(np.linalg.norm(joints[:, j] - joints[:, parent], axis=-1) / true - 1).max()))
    return worst


class ClipPrivacy(EvaluatorSpec):
    """Do motions lie nearer to training clips than clips that were held out do?"""

    def __init__(self, options: config.ClipPrivacy) -> None:
        self.options = options

    @hookimpl
    def evaluator_measure(self, ctx: EvaluatorContext) -> list[Metric]:
        """`clip_nearest_ratio` of every source: median distance to the nearest training motion over that of held-out clips.

        Distances are root mean square ones of joints, in metres, at 20 moments of both motions. Compositions made of training clips
        are no hold-out: only test records of clips that no training record was made of are.
        """
        data, codec = ctx.dataset, ctx.codec
        held = held_out(ctx)
        if not isinstance(codec, MotionCodec) or len(held) < 2:
            why = f"needs two held-out clips, found {len(held)}"
            return [Metric(name="clip_nearest_ratio", value=NAN, source=s, error=why) for s in ctx.samples]
        rng = np.random.default_rng([ctx.seed, 12])
        train = codec.vectors(take(data.records, data.rows("train")))
        usual = float(np.median(nearest(codec.vectors(take(data.records, held)), train)))
        out = []
        for source, records in ctx.samples.items():
            chosen = np.sort(rng.permutation(len(records))[: self.options.rows])
            if not len(chosen):
                out.append(Metric(name="clip_nearest_ratio", value=NAN, source=source, error="no motion"))
                continue
            near = nearest(codec.vectors(take(records, chosen)), train)
            note = f"median {np.median(near):.3f} m to training, held-out clips {usual:.3f} m ({len(held)} records)"
            value = float(np.median(near)) / usual if usual > 0 else NAN
            error = "" if usual > 0 else "held-out clips equal training clips"
            out.append(
                Metric(
                    name="clip_nearest_ratio", value=value, source=source, direction="higher", floor=1.0, ceiling=0.0, n=len(chosen),
                    note=note, error=error,
                )
            )  # fmt: skip
        return out

    @hookimpl
    def evaluator_draw(self, ctx: EvaluatorContext) -> list[Figure]:
        """No figures."""
        return []


def held_out(ctx: EvaluatorContext) -> Any:
    """Validation and test records of groups that are clips, not compositions of training ones."""
    data = ctx.dataset
    rows = data.rows("validation", "test")
    return np.array([r for r in rows.tolist() if " > " not in str(data.groups[r])], dtype=np.int64)


def nearest(rows: Floats, to: Floats) -> Floats:
    """[n] Euclidean distance of each vector to the nearest of `to`."""
    squared = (rows**2).sum(1)[:, None] - 2 * rows @ to.T + (to**2).sum(1)
    return np.asarray(np.sqrt(squared.clip(0)).min(1))
