"""Features, forward kinematics, the codec, and what is made of clips."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from motion_toys import BODY, bodies, clip

from scarce.contract import BackboneContext, BaselineContext, Block, CodecContext, Condition, DrawContext, LoadContext, Space, State, take
from scarce.errors import DataError, RecipeError
from scarce.runs.split import split
from scarce_motion import features as f
from scarce_motion.augment import composed, faster, fitting_pairs, headed, joined, mirrored, pool, repeated
from scarce_motion.backbone import MotionTransformer
from scarce_motion.clip import part
from scarce_motion.codec import fit_codec
from scarce_motion.config import Motion as Options
from scarce_motion.config import MotionTransformer as NetworkOptions
from scarce_motion.kinematics import Kinematics
from scarce_motion.load import load_motion, prepared, records
from scarce_motion.modality import Motion
from scarce_motion.parts import clip_splits, pair_splits
from scarce_motion.penalty import JointLosses
from scarce_motion.rotations import about, product
from scarce_motion.words import sentence


def features_of(*clips):
    frames, lengths = f.padded([c.frames for c in clips], max(len(c.frames) for c in clips), BODY.width)
    return f.encode(BODY, frames, lengths, 20.0, np.zeros(2)), frames


@pytest.fixture(scope="module")
def data():
    return split(load_motion(LoadContext(source=bodies(40), target="side", seed=0), Options()), 0)


@pytest.fixture(scope="module")
def codec(data):
    return fit_codec(data)


def test_features_know_nothing_of_place_and_heading_and_give_the_motion_back():
    made = clip(turn=0.1)
    there = headed(made.with_frames(made.root + np.array([3.0, 0.0, -2.0]), made.rotations), 2.0)
    first, _ = features_of(made)
    second, _ = features_of(there)
    assert np.abs(first - second).max() < 1e-9
    back = f.decode(BODY, first, 20.0)[0]
    joints = [f.positions(BODY, *f.split_frames(frames)) for frames in (back, made.frames)]
    apart = [np.linalg.norm(j[:, :, None] - j[:, None], axis=-1) for j in joints]
    assert np.abs(apart[0] - apart[1]).max() < 1e-9
    assert np.abs(np.diff(joints[0][:, 0, 1]) - np.diff(joints[1][:, 0, 1])).max() < 1e-9


def test_a_somersault_is_encoded_without_a_jump_and_comes_back():
    made = clip(21)
    tumble = product(about((0, 0, 1), np.linspace(0, -2 * np.pi, 21)), made.rotations[:, 0])
    made = made.with_frames(made.root, np.concatenate([tumble[:, None], made.rotations[:, 1:]], 1))
    values, _ = features_of(made)
    assert np.abs(np.diff(values[0], axis=0)).max() < 1.5
    again, _ = features_of(made.with_frames(*f.split_frames(f.decode(BODY, values, 20.0)[0])))
    assert np.abs(values - again).max() < 1e-6


def test_kinematics_in_torch_are_those_in_numpy_and_differentiable():
    values, _ = features_of(clip(turn=0.1), clip(seed=1))
    raw = torch.from_numpy(values).float().requires_grad_(True)
    moved = Kinematics(BODY, 20.0)(raw)
    joints = f.positions(BODY, *f.split_frames(f.decode(BODY, values, 20.0)))
    assert np.abs(moved.positions[..., 1].detach().numpy() - joints[..., 1]).max() < 1e-5
    size = np.linalg.norm(np.diff(joints, axis=1), axis=-1)
    assert np.abs(moved.steps.norm(dim=-1).detach().numpy() - size).max() < 1e-5
    moved.positions[..., 4, 0].sum().backward()
    assert float(raw.grad.abs().sum()) > 0


def test_losses_on_joints_are_zero_for_the_truth_and_see_feet_that_slide(data, codec):
    state = codec.encode(data.records)
    losses = JointLosses(codec, NetworkOptions(positions=1, velocities=1, feet=0))
    assert float(losses(state, state).abs().max()) < 1e-8
    wrong = State(state.num + 0.3 * torch.randn(state.num.shape, generator=torch.Generator().manual_seed(0)), state.cat, state.mask)
    assert float(losses(wrong, state).min()) > 1e-3
    feet = JointLosses(codec, NetworkOptions(positions=0, velocities=0, feet=1))
    standing = codec.raw(state.num)
    standing[..., feet.contact :] = 1.0
    kept = codec.kept
    truth = State(((standing - torch.tensor(codec.mean)) / torch.tensor(codec.sd).clamp(min=1e-9))[..., kept], state.cat, state.mask)
    assert float(feet(truth, truth).min()) > 1e-3  # feet that are said to stand and move
    gone = State(state.num * state.mask[..., None] + 9.0 * ~state.mask[..., None], state.cat, state.mask)
    assert torch.allclose(losses(gone, state), losses(state, state), atol=1e-6)  # frames after the end don't count


def test_a_codec_gives_records_back_and_leaves_out_what_never_moves(data, codec, tmp_path):
    assert codec.variable
    assert codec.space.width < sum(n for _, n in f.parts_of(BODY))
    assert {b.name for b in codec.space.blocks} >= {"height", "velocity", "turn", "root", "left_knee"}
    state = codec.encode(data.records)
    back = codec.decode(state, data.target.tolist(), 0)
    assert torch.allclose(codec.encode(back).num, state.num, atol=1e-3)
    assert back["side"].tolist() == data.records["side"].tolist()
    knee = BODY.turning.index(1)
    turns = np.stack([m[0, 3 + 4 * knee : 7 + 4 * knee] for m in back["motion"]])
    assert np.abs(turns[:, 1:3]).max() < 1e-9  # a hinge turns about its axis alone
    far = codec.vectors(data.records)
    same = np.linalg.norm(far[0] - far[2])
    assert 0 < same < np.linalg.norm(far[0] - far[1])
    assert codec.decode(state[:3], None, 1)["side"].notna().all()
    noise = State(3 * torch.randn(state.num.shape, generator=torch.Generator().manual_seed(1)), state.cat, state.mask)
    assert np.isfinite(np.concatenate(codec.decode(noise, None, 0)["motion"].tolist())).all()


def test_a_point_that_moves_in_the_plane_is_a_motion(tmp_path):
    t = np.linspace(0, 1, 20)
    frame = pd.DataFrame({"motion": [np.stack([t * (i % 3 + 1), np.sin(t * i)], 1) for i in range(16)], "kind": ["a", "b"] * 8})
    data = split(load_motion(LoadContext(source=frame, target="kind", seed=0), Options()), 0)
    codec = fit_codec(data)
    assert (codec.space.width, codec.space.shape, codec.variable) == (2, (20,), False)
    back = codec.decode(codec.encode(data.records), data.target.tolist(), 0)
    assert np.allclose(back["motion"].iloc[3][:, 1], frame["motion"].iloc[3][:, 1], atol=1e-5)
    assert sentence(("circle",), "plain", False, 0, "") == "a hand makes a circle"


def test_mirroring_exchanges_sides_and_is_its_own_inverse():
    made = clip(turn=0.1, actions=("turn left",), caption="turns left")
    other = mirrored(made)
    assert (other.actions, other.caption) == (("turn right",), "turns right")
    joints, flipped = (f.positions(BODY, *f.split_frames(c.frames)) for c in (made, other))
    swap = [0, 3, 4, 1, 2, 5]
    assert np.allclose(flipped, joints[:, swap] * [1, 1, -1], atol=1e-9)
    assert np.allclose(mirrored(other).frames, made.frames)
    lame = made.skeleton.names.index("left_knee")
    offsets = list(BODY.offsets)
    offsets[lame] = (0, -0.3, -0.1)
    assert mirrored(replace(made, skeleton=replace(BODY, offsets=tuple(offsets)))) is None


def test_clips_go_on_where_others_end_without_a_jump():
    first, second = clip(20, turn=0.1, actions=("curve",)), headed(clip(20, seed=1, actions=("walk",)), 2.5)
    made = joined(first, second, 6)
    steps = np.linalg.norm(np.diff(made.root, axis=0), axis=1)
    assert len(made.frames) == 34
    assert steps.max() < 0.15
    turns = np.abs((made.rotations[1:] * made.rotations[:-1]).sum(-1))
    assert turns.min() > 0.97
    assert repeated(clip(20, wraps=True), 3.0).seconds >= 3.0
    assert len(faster(first, 2.0).frames) == 11
    pair = composed(first, second, np.random.default_rng(0), 30, 6)
    assert pair.actions == ("curve", "walk")
    assert len(pair.frames) <= 30
    low = second.with_frames(second.root * [1, 0.1, 1], second.rotations)
    assert fitting_pairs({"a": [first], "b": [second], "low": [low]}) == [("a", "b"), ("b", "a")]


def test_clips_are_split_before_anything_is_made_of_them():
    clips = [clip(20, seed=i, name=f"{a}{i}", actions=(a,)) for a in ("walk", "hop", "wave", "bow") for i in range(2 if a == "walk" else 1)]
    options = Options(variants=4, compositions=2, length=40)
    rows, notes = records(prepared(clips, options)[0], options, 0)
    held = {clip.name for clip, where in zip(clips, clip_splits(clips, 0), strict=True) if where == "test"}
    assert len(held) == 1
    assert next(iter(held)).startswith("walk")
    made = {where: {g for _, w, g, _ in rows if w == where} for where in ("train", "validation", "test")}
    assert not (made["train"] & made["test"])
    assert held <= made["test"]
    assert not any(name in c.name for c, where, *_ in rows if where == "train" for name in held)
    pairs = {g for g in made["test"] | made["validation"] if " > " in g}
    assert pairs
    assert not pairs & made["train"]
    assert any("never trained on" in note for note in notes)
    again, _ = records(prepared(clips, options)[0], options, 0)
    assert all(np.array_equal(a[0].frames, b[0].frames) and a[3] == b[3] for a, b in zip(rows, again, strict=True))
    other, _ = records(prepared(clips, options)[0], options, 1)
    assert {g for _, w, g, _ in other if w == "test"} != made["test"]
    with pytest.raises(DataError, match="no action has two clips"):
        records(clips[2:], Options(variants=2), 0)


def test_every_action_is_trained_on_in_both_places():
    pairs = [(a, b) for a in "abcdef" for b in "abcdef" if a != b]
    where = pair_splits(pairs, 3)
    kept = [p for p, s in zip(pairs, where, strict=True) if s == "train"]
    assert {a for a, _ in kept} == {b for _, b in kept} == set("abcdef")
    assert (where.count("test"), where.count("validation")) == (8, 3)


def test_long_clips_are_cut_and_short_ones_left_out():
    rows, notes = records([clip(100, name="long")], Options(length=40), 0)
    assert [len(c.frames) for c, *_ in rows] == [33, 34, 33]
    assert "are cut" in notes[0]
    kept, notes = prepared([clip(20), part(clip(20), 0, 1)], Options())
    assert len(kept) == 1
    assert "fewer than two frames are left out" in notes[0]
    assert set(pool([clip(9, actions=("turn left",))])) == {"turn left", "turn right"}


def test_sentences_say_actions_in_order():
    assert sentence(("run", "jump"), "plain", True, 0, "") == "a person runs, then jumps"
    assert sentence(("golf swing",), "plain", True, 0, "") == "a person performs golf swing"
    said = {sentence(("run", "jump"), "actions", True, 0, str(i)) for i in range(60)}
    assert len(said) > 20
    assert all("then" in s or "after that" in s for s in said)


def test_a_network_of_pieces_serves_any_length_and_refuses_tables(data, codec):
    options = NetworkOptions(width=16, layers=1, heads=2, patch=4)
    ctx = {"condition_width": 8, "steps": 10, "classes": (), "runtime": None}
    network = MotionTransformer(options).backbone_build(BackboneContext(space=codec.space, codec=codec, **ctx))
    state = codec.encode(data.records)[:5]
    condition = Condition(torch.randn(5, 3, 8), torch.ones(5, 3, dtype=torch.bool), torch.randn(5, 8))
    out = network(state, torch.arange(5), condition)
    assert out.num.shape == state.num.shape
    assert network.penalty(out, state).shape == (5,)
    assert not any(name.startswith("joints") for name in network.state_dict())
    plain = MotionTransformer(options).backbone_build(BackboneContext(space=codec.space, **ctx))
    assert float(plain.penalty(out, state).sum()) == 0
    table = Space(layout="vector", blocks=(Block(name="x", kind="continuous", size=2),))
    with pytest.raises(RecipeError, match="denoises sequences of numbers"):
        MotionTransformer(options).backbone_build(BackboneContext(space=table, **ctx))


def test_pictures_move_without_scripts(data, codec):
    train = take(data.records, data.rows("train"))
    [figure] = Motion(Options()).modality_draw(DrawContext(real=train, synthetic=train[:2], dataset=data, codec=codec, seed=0))
    assert figure.html.count("<animate") == 8
    assert "<script" not in figure.html
    baselines = Motion(Options()).modality_baselines(BaselineContext(dataset=data, codec=codec, n=5, seed=0))
    assert {len(v) for v in baselines.values()} == {5}
    near = codec.vectors(baselines["jitter"])
    assert np.linalg.norm(near - codec.vectors(baselines["bootstrap"]), axis=1).max() > 1e-3
    assert Motion(Options()).modality_codec(CodecContext(dataset=data, seed=0)) == codec
