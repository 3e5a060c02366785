"""Random series through encode, decode, save and read, and what the codec promises beyond that."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scarce.contract import LoadContext, State
from scarce.errors import DataError, RunError
from scarce.files import write_json
from scarce_timeseries.codec import fit_codec, read_codec
from scarce_timeseries.config import Timeseries
from scarce_timeseries.load import load_series

SETTINGS = settings(max_examples=60, deadline=None, derandomize=True)


def fitted(values, labels=None):
    frame = pd.DataFrame({"series": pd.Series(values, dtype=object)} | ({} if labels is None else {"kind": labels}))
    data = load_series(LoadContext(source=frame, target=None if labels is None else "kind", seed=0), Timeseries(max_missing=0.9))
    split = np.array(["train", "train", "test"])[np.arange(len(data)) % 3]
    return replace(data, split=split), fit_codec(replace(data, split=split))


def random_series(seed, n, low, high, channels, missing=0.0):
    rng = np.random.default_rng(seed)
    out = [rng.normal(size=(rng.integers(low, high + 1), channels)) * 10 ** rng.uniform(-3, 4) + rng.normal() for _ in range(n)]
    for v in out:
        v[rng.random(v.shape) < missing] = np.nan
        v[0], v[-1] = 1.0, 2.0
    return out


@SETTINGS
@given(seed=st.integers(0, 10**6), n=st.integers(3, 12), low=st.integers(2, 9), more=st.integers(0, 8), channels=st.integers(1, 3))
def test_decoding_what_was_encoded_gives_the_series_back(seed, n, low, more, channels):
    values = random_series(seed, n, low, low + more, channels)
    data, codec = fitted(values)
    train = data.part(data.rows("train")).records
    state = codec.encode(train)
    assert state.num.shape == (len(train), *codec.space.shape, channels)
    assert (state.mask is not None) == codec.space.variable == (len({len(v) for v in train["series"]}) > 1)
    again = codec.decode(state, None, 0)
    sd = np.array(codec.sd)
    for a, b in zip(again["series"], train["series"], strict=True):
        assert a.shape == b.shape
        assert np.abs((a - b) / sd).max() < 1e-5
    assert all(float(state.num[..., c].abs().max()) <= b.clip for c, b in enumerate(codec.space.blocks))
    assert np.abs(state.num.numpy()).max() > 0


def test_missing_values_lie_on_the_line_between_their_neighbours():
    values = random_series(1, 9, 6, 6, 1)
    values[0][:, 0] = [0.0, np.nan, np.nan, 3.0, 4.0, np.nan]
    data, codec = fitted(values)
    back = codec.decode(codec.encode(data.records.iloc[:1]), None, 0)["series"][0][:, 0]
    assert back == pytest.approx([0, 1, 2, 3, 4, 4], abs=1e-3 * codec.sd[0])


def test_longer_series_infinite_ones_and_empty_ones_still_have_a_code():
    _, codec = fitted(random_series(2, 9, 4, 8, 2))
    odd = [np.ones((50, 2)), np.full((3, 2), np.inf), np.zeros((0, 2))]
    state = codec.encode(pd.DataFrame({"series": pd.Series(odd, dtype=object)}))
    assert torch.isfinite(state.num).all()
    assert state.mask.sum(1).tolist() == [codec.length, 3, 1]
    with pytest.raises(DataError, match="1 channels where training has 2"):
        codec.encode(pd.DataFrame({"series": pd.Series([np.ones((4, 1))], dtype=object)}))


def test_saved_codecs_are_equal(tmp_path):
    data, codec = fitted(random_series(3, 12, 3, 7, 2, missing=0.2), ["a", "b", "c"] * 4)
    codec.save(tmp_path)
    again = read_codec(tmp_path)
    assert again == replace(codec, edges={k: list(v) for k, v in codec.edges.items()})
    assert again.space == codec.space
    assert np.array_equal(again.vectors(data.records), codec.vectors(data.records))
    write_json(tmp_path / "codec.json", {"format": 99})
    with pytest.raises(RunError, match="not of format"):
        read_codec(tmp_path)


def test_labels_asked_for_are_kept_and_others_drawn_from_training():
    _, codec = fitted(random_series(4, 12, 5, 5, 1), ["a", "a", "b", "a", "a", "a", "a", "a", "b", "a", "b", "a"])
    state = State(torch.zeros(400, 5, 1), torch.zeros(400, 5, 0).long())
    shares = pd.Series(codec.decode(state, None, 0)["kind"]).value_counts(normalize=True)
    assert shares["a"] == pytest.approx(7 / 8, abs=0.06)  # of the eight training rows
    assert codec.decode(state[:3], ["b", "a", None], 0)["kind"].tolist()[:2] == ["b", "a"]
    assert list(codec.decode(state[:1], None, 0).columns) == ["series", "kind"]


def test_conditions_on_the_class_become_labels_and_others_are_refused():
    _, codec = fitted(random_series(5, 12, 5, 5, 1), ["a", "b", "c"] * 4)
    assert codec.known({}, 3, 0) == (None, None)
    assert codec.known({"kind": SimpleNamespace(value="b")}, 3, 0) == (None, ["b"] * 3)
    assert set(codec.known({"kind": SimpleNamespace(values=("a", "b"))}, 50, 0)[1]) == {"a", "b"}
    with pytest.raises(DataError, match="no value 'z'"):
        codec.known({"kind": SimpleNamespace(value="z")}, 3, 0)
    with pytest.raises(DataError, match="no field of a series"):
        codec.known({"value": SimpleNamespace(value=1.0)}, 3, 0)


def test_soft_features_tell_where_a_series_ends_and_pass_gradients():
    data, codec = fitted(random_series(6, 9, 3, 9, 2))
    state = codec.encode(data.records)
    num = state.num.clone().requires_grad_()
    features = codec.soft(state.with_(num=num))
    assert features.shape[-1] == 3
    assert torch.equal(features[..., 2].bool(), state.mask)
    features[..., :2].sum().backward()
    assert torch.equal(num.grad.bool().all(-1), state.mask)


def test_distance_is_zero_only_for_equal_series():
    data, codec = fitted(random_series(7, 9, 6, 6, 2))
    vectors = codec.vectors(data.records)
    assert vectors.shape == (9, 12)
    assert np.linalg.norm(vectors[:, None] - vectors[None], axis=-1)[~np.eye(9, dtype=bool)].min() > 0
