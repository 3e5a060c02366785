"""Records and their views, found by id: of training and validation records, never of a test record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from scarce.contract import Codec, Dataset, Learner, LearnerContext, LearnerSpec, View, concat, take
from scarce.contract.dataset import Rows
from scarce.contract.frozen import Frozen
from scarce.errors import DataError, RunError
from scarce_lugpi import config
from scarce_lugpi.sides import Side, failed, side_of, standardised
from scarce_lugpi.tags import tagged

VIEW = "generated"


class Viewed(Frozen):
    """Training and then validation records with a view that can be used, and what teachers read of both sides.

    codes: [n] classes; rows: [trained] positions among the labelled training records; held: the validation records themselves;
    asked, lost: how many records should have had a view, and how many of those views failed.
    """

    own: Side
    view: Side
    codes: Rows
    rows: Rows
    held: Any
    asked: int
    lost: int

    @property
    def trained(self) -> int:
        """How many of the records are training ones."""
        return len(self.rows)


def viewed(
    ctx: LearnerContext, options: config.Lugpi, student: Learner, reader: LearnerSpec | None, records: Any, codes: Rows, ids: Any
) -> Viewed:
    """Pair the labelled training records [n], and the validation ones, with their views; views that failed are left out.

    Raises DataError where no training record has a view, RunError where one is asked for a test record.
    """
    data, most = ctx.dataset, options.teacher.tokens
    held = data.rows("validation")
    held = held[data.labelled[held]]
    if options.source == "tags":
        held = held[: len(codes)]  # as many as have generated views
    every, truth = concat([records, take(data.records, held)]), np.concatenate([codes, data.codes()[held]])
    names = [*np.asarray(ids).tolist(), *data.ids[held].tolist()]
    if options.source == "tags":
        view, usable, lost = tagged(every, options.text, most), np.ones(len(names), dtype=bool), 0
    else:
        places, lost = placed(data, names)
        usable = places >= 0
        found = given(data)
        kept = replace(found, ids=found.ids[places[usable]], records=take(found.records, places[usable]))
        view = _read(ctx, reader, kept, most) if usable.any() else Side(*np.zeros((2, 0)))
    trained = usable[: len(codes)]
    if not trained.any():
        what = f"none of {len(codes)} labelled training records has a view that can be used; {lost} views failed"
        raise DataError(what, hint="scarce doctor RECIPE")
    seen = slice(0, int(trained.sum()))
    return Viewed(
        own=standardised(side_of(student, ctx.codec, take(every, np.flatnonzero(usable)), most), seen),
        view=view if options.source == "tags" else standardised(view, seen),
        codes=truth[usable], rows=np.flatnonzero(trained), held=take(data.records, held[usable[len(codes) :]]),
        asked=int(usable.sum()) + lost, lost=lost,
    )  # fmt: skip


def given(data: Dataset) -> View:
    """The generated views of a data set; DataError where there are none."""
    if VIEW not in data.views:
        what = "there are no generated views: they come from a [generator] of another modality than the data's"
        raise DataError(what, hint="--set generator.from=generator:shapes, or --set learner.source=tags")
    return data.views[VIEW]


def placed(data: Dataset, ids: Sequence[str]) -> tuple[Rows, int]:
    """[n] positions of the records' generated views, -1 where there is none that can be used, and how many failed.

    Raises RunError for a test record: nothing that is used later may depend on a view.
    """
    tests = set(data.ids[data.rows("test")].tolist())
    if asked := [name for name in ids if name in tests]:
        what = f"a view of the test record '{asked[0]}' was asked for; views exist while a model is trained, not when it is used"
        raise RunError(what, hint="ask the student, which needs none")
    view = given(data)
    at, broken = view.rows_of(ids), failed(view.records)
    lost = (at >= 0) & broken[at]
    return np.where(lost, -1, at), int(lost.sum())


def _read(ctx: LearnerContext, reader: LearnerSpec | None, view: View, most: int) -> Side:
    """Tokens of views [n], by a learner built on them as data of their own modality, or by their codec alone."""
    codec: Codec = ctx.codec if ctx.generator is None else ctx.generator.codec
    n = len(view.ids)
    data = Dataset(
        name="views", ids=view.ids, records=view.records, labelled=np.zeros(n, dtype=bool), split=np.full(n, "train"), groups=view.ids
    )
    learner = reader.learner_build(replace(ctx, dataset=data, codec=codec, parts={})) if reader else None
    return side_of(learner, codec, view.records, most)
