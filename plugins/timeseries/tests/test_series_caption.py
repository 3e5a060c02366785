"""Captions say what is measured: exact ones can be read back, binned ones to the bin."""

import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from scarce.contract import CaptionContext
from scarce.errors import RecipeError
from scarce_timeseries.caption import BINS, TEMPLATES, captions, choice
from scarce_timeseries.properties import properties, quintiles

SPOKEN = {"dominant frequency": "frequency", "number of peaks": "peaks"}


def records(n=60, channels=2, seed=0):
    rng = np.random.default_rng(seed)
    cells = [np.cumsum(rng.normal(size=(int(rng.integers(5, 40)), channels)), 0) for _ in range(n)]
    return pd.DataFrame({"series": pd.Series(cells, dtype=object), "gesture": ["circle", "arc", None] * (n // 3)})


def said(frame, style, codec=None, seed=0, ids=()):
    return captions(CaptionContext(records=frame, style=style, seed=seed, ids=ids, codec=codec))


def parse(text):
    """Property -> what a caption says of it."""
    found = {}
    for part in text.partition(": ")[2].split(", "):
        *name, value = re.fullmatch(r"(.*?) (very low|very high|low|medium|high|[-+.\de]+)", part).groups()
        channel, _, last = name[0].partition(" ") if name[0].startswith(("x ", "y ", "dim_")) else ("", "", name[0])
        found[f"{channel} {SPOKEN.get(last, last)}".strip()] = value
    return found


def test_properties_of_a_known_series():
    t = np.arange(64)
    wave = 3 + 2 * np.sin(2 * np.pi * 4 * t / 64)
    found = properties(wave, ("value",))
    assert found["mean"] == pytest.approx(3)
    assert found["variance"] == pytest.approx(2)
    assert found["frequency"] == pytest.approx(4 / 64)
    assert found["peaks"] == 4
    assert found["length"] == 64
    assert abs(found["linearity"]) < 0.1
    falling = properties(-2.0 * t, ("value",))
    assert falling["linearity"] == pytest.approx(-1)
    assert falling["frequency"] == falling["peaks"] == 0
    skewed = np.random.default_rng(0).exponential(size=200)
    assert properties(skewed, ("value",))["skewness"] == pytest.approx(stats.skew(skewed))
    line = stats.linregress(np.arange(200), skewed)
    assert properties(skewed, ("value",))["linearity"] == pytest.approx(np.sign(line.slope) * line.rvalue**2, rel=1e-6)


def test_constant_missing_and_empty_channels_have_finite_properties_or_none():
    cell = np.array([[1.0, np.nan, 5.0], [np.nan, np.nan, 5.0], [3.0, np.nan, 5.0]])
    found = properties(cell, ("a", "b", "c"))
    assert found["a mean"] == 2
    assert not any(name.startswith("b ") for name in found)
    assert found["c variance"] == found["c frequency"] == 0
    assert all(np.isfinite(list(found.values())))


@pytest.mark.parametrize("channels", [1, 2])
def test_exact_captions_can_be_read_back_to_their_digits(channels):
    frame = records(channels=channels)
    for caption in said(frame, "exact"):
        read = parse(caption.text)
        assert set(read) == set(caption.props)
        for name, value in caption.props.items():
            assert float(read[name]) == pytest.approx(value, rel=5.1e-4, abs=1e-12)


def test_binned_captions_name_the_fifth_of_training():
    frame, train = records(), records(seed=1)
    names = ("dim_0", "dim_1")
    edges = quintiles([properties(c, names) for c in train["series"]])
    for caption in said(frame, "binned", SimpleNamespace(edges=edges, channels=names)):
        read = parse(caption.text)
        for name, value in caption.props.items():
            low, high = [-np.inf, *edges[name]], [*edges[name], np.inf]
            place = BINS.index(read[name])
            assert low[place] <= value <= high[place]
    shares = pd.Series(
        [parse(c.text)["dim_0 mean"] for c in said(train, "binned", SimpleNamespace(edges=edges, channels=names))]
    ).value_counts()
    assert shares.tolist() == [12] * 5


def test_a_property_that_never_varies_is_medium():
    cells = [np.random.default_rng(i).normal(size=(8, 1)) for i in range(10)]
    frame = pd.DataFrame({"series": pd.Series(cells, dtype=object)})
    assert all(parse(c.text)["length"] == "medium" for c in said(frame, "binned"))


def test_paraphrases_differ_are_stable_and_say_the_same():
    frame = records()
    ids = [f"r{i}" for i in range(len(frame))]
    first, again, other = (said(frame, "paraphrase", seed=s, ids=ids) for s in (0, 0, 1))
    assert [c.text for c in first] == [c.text for c in again]
    assert [c.text for c in first] != [c.text for c in other]
    assert {choice(0, i) for i in ids} == set(range(len(TEMPLATES)))
    assert len(TEMPLATES) >= 5
    assert [c.props for c in first] == [c.props for c in said(frame, "exact")]
    part = said(frame.iloc[7:8].reset_index(drop=True), "exact", ids=ids[7:8])
    assert part[0].text == said(frame, "exact", ids=ids)[7].text
    for caption, binned in zip(first, said(frame, "binned"), strict=True):
        assert all(word in caption.text for word in parse(binned.text).values())


def test_the_class_is_part_of_the_text():
    texts = [c.text for style in ("exact", "binned") for c in said(records(6), style)]
    assert texts[0].startswith("a circle gesture: ")
    assert texts[1].startswith("an arc gesture: ")
    assert texts[2].startswith("a series: ")
    numbered = records(6).rename(columns={"gesture": "class"}).assign(**{"class": [1, 2, 3, 1, 2, 3]})
    assert said(numbered, "exact")[1].text.startswith("a series of class 2: ")


def test_texts_of_a_person_are_kept_and_unknown_styles_refused():
    frame = records(6).assign(caption=["first", None, "third", np.nan, "", "last"])
    assert [c.text for c in said(frame, "user")] == ["first", "", "third", "", "", "last"]
    assert said(frame, "user")[0].props == said(frame, "exact")[0].props
    assert [c.text for c in said(records(3), "user")] == [""] * 3
    assert said(frame.iloc[:0], "exact") == []
    with pytest.raises(RecipeError, match="exact, binned, paraphrase, user, not 'loud'"):
        said(frame, "loud")
