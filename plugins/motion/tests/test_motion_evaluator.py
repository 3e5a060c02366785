"""What the evaluators of motion say of motions whose answer is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from motion_toys import BODY, bodies, clip

from scarce.contract import CaptionContext, EvaluatorContext, LoadContext, take
from scarce.runs.split import split
from scarce.runtime.options import RuntimeOptions
from scarce.runtime.runtime import SharedRuntime
from scarce_motion import config
from scarce_motion.codec import fit_codec
from scarce_motion.evaluator import BoneLength, ClipPrivacy, FootSkate, stretched
from scarce_motion.load import load_motion
from scarce_motion.retrieval import RPrecision, frechet, meaning_of
from scarce_motion.words import captions


@pytest.fixture(scope="module")
def data():
    return split(load_motion(LoadContext(source=bodies(80), target="side", seed=0), config.Motion()), 0)


class Answers:
    """A generator that gives a real record for what it is asked, or one of the other kind."""

    def __init__(self, data, right):
        self.data, self.right = data, right

    def sample(self, prompts, *, seed):
        rng = np.random.default_rng(seed % 2**32)
        actions = np.array(self.data.records["actions"].tolist())
        rows = []
        for p in prompts:
            asked = next(iter(p.props)).split(" ", 1)[1]
            rows.append(rng.choice(np.flatnonzero((actions == asked) == self.right)))
        return take(self.data.records, np.array(rows))


def context(data, tmp_path, samples=None, generator=None):
    codec = fit_codec(data)
    runtime = SharedRuntime(options=RuntimeOptions(threads=1, precision="fp32"), seed=0, folder=tmp_path)
    found = {"synthetic": bodies(30, seed=5) if samples is None else samples, "bootstrap": take(data.records, data.rows("train"))}
    return EvaluatorContext(
        dataset=data, codec=codec, seed=0, samples=found, targets={}, predictions={}, runtime=runtime, generator=generator,
        describe=lambda records: captions(CaptionContext(records=records, style="plain", seed=0)),
    )  # fmt: skip


def by_source(metrics, name):
    return {m.source: m for m in metrics if m.name == name}


def test_r_precision_is_high_for_right_answers_and_nothing_for_wrong_ones(data, tmp_path):
    judge = RPrecision(config.RPrecision(rows=24, steps=60, captions=2, repeats=3))
    right = judge.evaluator_measure(context(data, tmp_path, generator=Answers(data, True)))
    wrong = judge.evaluator_measure(context(data, tmp_path, generator=Answers(data, False)))
    good, bad = by_source(right, "r_precision_1"), by_source(wrong, "r_precision_1")
    assert good["real"].value > 0.9
    assert good["synthetic"].value > 0.9
    assert bad["synthetic"].value < 0.1
    assert good["synthetic"].ceiling == 0.5
    assert "2 different captions" in good["synthetic"].note
    assert not by_source(right, "r_precision_2")  # two captions: the second place is always right
    assert set(by_source(right, "motion_frechet")) == {"real", "synthetic", "bootstrap"}
    assert by_source(right, "multimodality")["synthetic"].value > 0
    assert len(judge.evaluator_draw(context(data, tmp_path, generator=Answers(data, True)))) == 2
    none = judge.evaluator_measure(context(data, tmp_path))
    assert "needs a generator" in none[0].error


def test_the_frechet_distance_is_zero_for_one_set_and_grows_with_a_shift():
    x = torch.randn(400, 5, generator=torch.Generator().manual_seed(0))
    assert abs(frechet(x, x)) < 1e-6
    assert frechet(x, x + 2.0) == pytest.approx(20.0, rel=1e-3)
    assert np.isnan(frechet(x[:1], x))


def test_captions_that_mean_the_same_are_no_rivals():
    frame = bodies(4)
    frame["actions"] = ["run > jump", "jump > run", "run > jump", None]
    said = captions(CaptionContext(records=frame, style="actions", seed=0))
    assert meaning_of(said[0]) == meaning_of(said[2]) != meaning_of(said[1])
    assert said[0].props == {"1 run": 1.0, "2 jump": 1.0}
    assert meaning_of(said[3]) == said[3].text


def test_feet_that_slide_are_seen(data, tmp_path):
    still = clip(20, step=0.0)
    stand = still.with_frames(np.tile(still.root[:1], (20, 1)), np.tile(still.rotations[:1], (20, 1, 1)))
    slide = stand.with_frames(stand.root + np.arange(20)[:, None] * [0.05, 0, 0], stand.rotations)
    frame = bodies(2)
    ctx = context(data, tmp_path)
    ctx = replace(ctx, codec=replace(ctx.codec, floor=(0.0, 0.0)))
    measure = FootSkate(config.FootSkate(height=0.2)).evaluator_measure
    values = []
    for made in (stand, slide):
        frame["motion"] = [made.frames, made.frames]
        values.append(by_source(measure(ctx.with_(samples={"synthetic": frame})), "foot_skate")["synthetic"].value)
    assert values[0] == pytest.approx(0, abs=1e-9)
    assert 0.5 < values[1] <= 1.0
    short = measure(ctx.with_(samples={"synthetic": frame}, expected=4))
    assert by_source(short, "foot_skate")["synthetic"].value >= values[1]


def test_bones_keep_their_length_through_bvh(data, tmp_path):
    assert stretched(clip()) < 1e-5
    found = by_source(BoneLength(config.BoneLength(rows=3)).evaluator_measure(context(data, tmp_path)), "bone_length_error")
    assert {m.value < 0.01 for m in found.values()} == {True}
    broken = bodies(3)
    broken["motion"] = [np.zeros((2, 5))] * 3
    found = by_source(BoneLength(config.BoneLength()).evaluator_measure(context(data, tmp_path, broken)), "bone_length_error")
    assert found["synthetic"].value == 1.0
    assert BODY.rest[1].tolist() == [0, -0.4, -0.1]


def test_copies_are_nearer_than_clips_that_were_held_out(data, tmp_path):
    found = by_source(ClipPrivacy(config.ClipPrivacy()).evaluator_measure(context(data, tmp_path)), "clip_nearest_ratio")
    assert found["bootstrap"].value < 0.05
    assert found["synthetic"].value > 0.7
    pairs = replace(data, groups=np.array([f"{g} > x" for g in data.groups]))
    found = ClipPrivacy(config.ClipPrivacy()).evaluator_measure(context(data, tmp_path).with_(dataset=pairs))
    assert "needs two held-out clips" in found[0].error
