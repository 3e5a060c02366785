"""Conditions on fields, as typed and as given from Python."""

import pytest

from scarce.errors import DataError
from scarce.runs.where import Between, Equals, OneOf, parse_where

CASES = {
    "left=yes": ("left", Equals("yes")),
    "my col = a b": ("my col", Equals("a b")),
    "city in {Ulm, Bonn}": ("city", OneOf(("Ulm", "Bonn"))),
    "30<age<40": ("age", Between("30", "40")),
    "30<=age<40": ("age", Between("30", "40", (True, False))),
    "-1.5e3 < x <= 2": ("x", Between("-1.5e3", "2", (False, True))),
    "age>30": ("age", Between("30", None)),
    "age>=30": ("age", Between("30", None, (True, False))),
    "age<40": ("age", Between(None, "40")),
    "2020-01-01<since<2021-06-30": ("since", Between("2020-01-01", "2021-06-30")),
    "note=": ("note", Equals("")),
}


@pytest.mark.parametrize("text", CASES)
def test_typed_conditions(text):
    name, constraint = CASES[text]
    assert parse_where([text]) == {name: constraint}


def test_python_conditions():
    given = {"left": "yes", "city": ["Ulm"], "age": (30, None), 3: 4}
    wanted = {"left": Equals("yes"), "city": OneOf(("Ulm",)), "age": Between(30, None, (True, True)), "3": Equals(4)}
    assert parse_where(given) == wanted


@pytest.mark.parametrize("texts", [["???"], ["a=1", "a=2"], [""]])
def test_what_cannot_be_read_is_said(texts):
    with pytest.raises(DataError, match="--where"):
        parse_where(texts)
