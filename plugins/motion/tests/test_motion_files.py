"""Reading and writing motions: BVH, DeepMimic, npz and Parquet, and what is refused."""

import json

import numpy as np
import pandas as pd
import pytest
from motion_toys import BODY, bodies, clip

from scarce.contract import LoadContext, WriteContext
from scarce.errors import DataError
from scarce_motion.bvh import bvh_text, read_bvh
from scarce_motion.clip import at_rate, mended
from scarce_motion.config import Motion as Options
from scarce_motion.deepmimic import WIDTH, read_deepmimic
from scarce_motion.features import positions, split_frames
from scarce_motion.load import load_motion
from scarce_motion.modality import Motion
from scarce_motion.npzfile import npz_bytes, read_npz
from scarce_motion.rotations import about, from_euler, from_matrix, from_six, product, six, slerp, to_zxy, twist, unit, vector
from scarce_motion.skeleton import HUMANOID

ONE = """HIERARCHY
ROOT Hips
{
  OFFSET 0.0 0.0 0.0
  CHANNELS 6 %s
  JOINT Spine {
    OFFSET 0.0 10.0 0.0
    CHANNELS 3 %s
    End Site
    {
      OFFSET 0.0 5.0 0.0
    }
  }
}
MOTION
Frames: 2
Frame Time: 0.05
%s
"""


def load(source, **options):
    return load_motion(LoadContext(source=source, target=None, seed=0), Options(**options))


def alike(a, b):
    return np.abs(np.abs((a * b).sum(-1)) - 1).max()


def test_rotations_agree_with_each_other():
    rng = np.random.default_rng(0)
    a, b = unit(rng.normal(size=(200, 4))), unit(rng.normal(size=(200, 4)))
    assert alike(from_six(six(a)), a) < 1e-9
    assert alike(from_euler("ZXY", to_zxy(a)), a) < 1e-9
    assert alike(slerp(a, b, np.ones(200)), b) < 1e-9
    half = slerp(a, b, np.full(200, 0.5))
    assert np.allclose(np.linalg.norm(vector(product(half, a * [1, -1, -1, -1])), axis=-1) * 2,
                       np.linalg.norm(vector(product(b, a * [1, -1, -1, -1])), axis=-1))  # fmt: skip
    angle = rng.uniform(-3, 3, 50)
    assert np.allclose(twist(about((0, 1, 0), angle), (0, 1, 0)), angle)
    assert alike(from_six(np.zeros((3, 6))), from_six(np.zeros((3, 6)))) < 1e-9  # parallel columns still give a rotation
    assert alike(from_matrix(np.eye(3)[None]), np.array([[1.0, 0, 0, 0]])) < 1e-12


def test_channels_of_a_bvh_file_may_stand_in_any_order(tmp_path):
    plain, odd = tmp_path / "plain.bvh", tmp_path / "odd.bvh"
    plain.write_text(ONE % ("Xposition Yposition Zposition Zrotation Xrotation Yrotation", "Zrotation Xrotation Yrotation",
                            "1 90 2 10 20 30 5 6 7\n1 91 2 10 20 30 5 6 7"))  # fmt: skip
    odd.write_text(ONE % ("Yrotation Xposition Zrotation Zposition Xrotation Yposition", "Xrotation Yrotation Zrotation",
                          "30 1 10 2 20 90 6 7 5\n30 1 10 2 20 91 6 7 5"))  # fmt: skip
    first, second = read_bvh(plain, 0.01), read_bvh(odd, 0.01)
    assert np.allclose(first.root, [[0.01, 0.9, 0.02], [0.01, 0.91, 0.02]])
    assert np.allclose(first.root, second.root)
    assert first.skeleton.offsets[1] == (0.0, 0.1, 0.0)
    assert first.skeleton.names == ("Hips", "Spine", "Spine_end")
    degrees = np.deg2rad([[10.0, 20.0, 30.0]])
    assert alike(first.rotations[:1, 0], from_euler("ZXY", degrees)) < 1e-12
    assert alike(second.rotations[:1, 0], from_euler("YZX", degrees[:, [2, 0, 1]])) < 1e-12
    assert alike(second.rotations[:1, 1], from_euler("XYZ", np.deg2rad([[6.0, 7.0, 5.0]]))) < 1e-12
    assert first.fps == pytest.approx(20)
    assert not any("centimetres" in note for note in load(plain, scale=0.01).notes)
    assert any("reaches 15 m from its root" in note for note in load(plain).notes)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("Frames: 2", "Frames: 0"), "no frames"),
        (("Frames: 2", "Frames: 3"), "says 3 frames and has 2"),
        (("Frame Time: 0.05", "Frame Time: 0"), "frame time of 0 s"),
        (("CHANNELS 3 Zrotation", "CHANNELS 3 Wrotation"), "line 8: 'Spine' has the channels"),
        (("CHANNELS 3 Zrotation Xrotation Yrotation", "CHANNELS 2 Zrotation Xrotation"), "joints have 8 channels"),
        (("HIERARCHY\nROOT", "ROOT"), "no BVH file"),
        (("JOINT Spine", "BONE Spine"), "line 6: 'BONE Spine' is not understood"),
        (("1 91", "x 91"), "no number"),
    ],
)
def test_what_a_bvh_file_lacks_is_said(tmp_path, change, said):
    path = tmp_path / "one.bvh"
    text = ONE % ("Xposition Yposition Zposition Zrotation Xrotation Yrotation", "Zrotation Xrotation Yrotation",
                  "1 90 2 10 20 30 5 6 7\n1 91 2 10 20 30 5 6 7")  # fmt: skip
    assert change[0] in text
    path.write_text(text.replace(*change))
    with pytest.raises(DataError, match=said):
        read_bvh(path)


def test_a_motion_survives_bvh_and_npz(tmp_path):
    made = clip(turn=0.1)
    (tmp_path / "a.bvh").write_text(bvh_text(made))
    back = read_bvh(tmp_path / "a.bvh")
    assert back.skeleton.kinds[:3] == ("free", "hinge", "ball")
    here, there = (positions(c.skeleton, *split_frames(c.frames)) for c in (made, back))
    order = [back.skeleton.names.index(n) if n in back.skeleton.names else back.skeleton.names.index("root_end") for n in BODY.names]
    assert np.abs(here - there[:, order]).max() < 1e-5
    (tmp_path / "a.npz").write_bytes(npz_bytes([made, made], BODY, 20.0))
    clips = read_npz(tmp_path / "a.npz")
    assert len(clips) == 2
    assert np.allclose(clips[1].frames, made.frames)
    assert clips[0].skeleton == BODY
    np.savez(tmp_path / "b.npz", x=np.zeros(3))
    with pytest.raises(DataError, match="no array 'names'"):
        read_npz(tmp_path / "b.npz")


def row(**change):
    values = np.zeros(WIDTH)
    values[0], values[2], values[4] = 0.05, 0.9, 1.0
    place = 4
    for i in HUMANOID.turning:
        hinge = HUMANOID.kinds[i] == "hinge"
        values[place] = 0.0 if hinge else 1.0
        place += 1 if hinge else 4
    for at, value in change.items():
        values[int(at[1:])] = value
    return values.tolist()


def test_deepmimic_quaternions_are_normalised_and_counted_and_zero_ones_refused(tmp_path):
    path = tmp_path / "humanoid_run.txt"
    path.write_text(json.dumps({"Loop": "wrap", "Frames": [row(), row(_4=2.0), row()]}))
    made = mended(read_deepmimic(path))
    assert (made.mended, made.wraps, made.fps) == (1, True, pytest.approx(20))
    assert np.allclose(np.linalg.norm(made.rotations, axis=-1), 1)
    data = load(path)
    assert "1 quaternions were not of length 1" in " ".join(data.notes)
    path.write_text(json.dumps({"Frames": [row(), row(_4=0.0)]}))
    with pytest.raises(DataError, match="quaternion of 'root' in frame 1 is zero"):
        load(path)
    path.write_text(json.dumps({"Frames": [row()[:-4]]}))
    with pytest.raises(DataError, match="frame 0 has 40 numbers where a humanoid's has 44: joints are missing"):
        load(path)
    path.write_text(json.dumps({"Frames": []}))
    with pytest.raises(DataError, match="no frames"):
        load(path)


def test_rates_are_made_one_by_slerp():
    fast = clip(61)
    slow = at_rate(at_rate(fast, 40.0), 20.0)
    assert abs(slow.seconds - fast.seconds) < 0.1
    assert slow.fps == 20.0
    coarse = at_rate(fast, 10.0)
    assert np.allclose(coarse.frames[:, :3], fast.frames[::2, :3])
    assert alike(coarse.rotations, fast.rotations[::2]) < 1e-9


def test_a_folder_of_bvh_files_has_one_skeleton_and_may_have_a_sheet(tmp_path):
    for i in range(4):
        (tmp_path / f"walk_{i}.bvh").write_text(bvh_text(clip(seed=i)))
        (tmp_path / f"turn_{i}.bvh").write_text(bvh_text(clip(seed=i, turn=0.1)))
    data = load(tmp_path)
    assert (len(data), data.classes, data.target_name) == (8, ("turn", "walk"), "action")
    assert set(data.groups.tolist()) == {f"{a}_{i}" for a in ("walk", "turn") for i in range(4)}
    (tmp_path / "captions.csv").write_text("file,action,caption\nwalk_0.bvh,stroll > turn,somebody strolls\n")
    record = load(tmp_path).records
    assert record.loc[record["source"] == "walk_0", ["actions", "caption"]].iloc[0].tolist() == ["stroll > turn", "somebody strolls"]
    (tmp_path / "other.bvh").write_text(bvh_text(clip()).replace("left_foot", "left_paw"))
    with pytest.raises(DataError, match="'other' lacks left_foot and also has left_paw"):
        load(tmp_path)


def test_what_is_no_motion_is_refused(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        load(tmp_path / "nothing.bvh")
    with pytest.raises(DataError, match="no motion files"):
        load(tmp_path)
    with pytest.raises(DataError, match="have a column `motion`"):
        load(pd.DataFrame({"x": [1]}))
    cells = pd.DataFrame({"motion": [np.zeros((3, 23)).tolist()]})
    with pytest.raises(DataError, match="nothing says of which skeleton"):
        load(cells)
    frame = bodies(4)
    frame["motion"] = pd.Series([np.zeros((0, BODY.width))] * 4, dtype=object)
    with pytest.raises(DataError, match="clip '0' has no frames"):
        load(frame)


def test_records_are_written_and_read_again(tmp_path):
    frame, modality = bodies(12), Motion(Options())
    data = load_motion(LoadContext(source=frame, target="side", seed=0), Options())
    for name in ("all.npz", "all.parquet"):
        modality.modality_write(WriteContext(records=data.records, path=tmp_path / name, schema=data.schema))
        again = load(tmp_path / name)
        assert np.allclose(again.records["motion"].iloc[3], data.records["motion"].iloc[3])
        assert again.records["actions"].tolist() == data.records["actions"].tolist()
    modality.modality_write(WriteContext(records=data.records[:3], path=tmp_path / "few.bvh", schema=data.schema))
    assert sorted(p.name for p in tmp_path.glob("*.bvh")) == ["few-001.bvh", "few-002.bvh", "few-003.bvh"]
    assert len(read_bvh(tmp_path / "few-002.bvh").frames) == len(data.records["motion"].iloc[1])
    with pytest.raises(DataError, match=r"written as .npz, .bvh or .parquet, not '.csv'"):
        modality.modality_write(WriteContext(records=data.records, path=tmp_path / "x.csv", schema=data.schema))
