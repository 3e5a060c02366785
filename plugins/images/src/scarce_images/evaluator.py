"""Evaluators of pictures: useful, alike, various, not copied, and fair to groups.

Distances are between features in a named space (`encoder`), which every note says: they compare with nothing measured in
another space.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import confusion_matrix

from scarce.contract import EvaluatorContext, EvaluatorSpec, Figure, Metric, hookimpl, take
from scarce_images import config
from scarce_images.distances import kernel_distances, nearest, within
from scarce_images.encoder import Space, Vectors
from scarce_images.figures import bars, confusion, histogram, pairs
from scarce_images.likeness import Judged, equal, shuffled, space_of, too_few
from scarce_images.privacy import Shots, copies, holdout_share, too_near, wilson
from scarce_images.scores import apart, class_scores, gap, share_of, within_groups
from scarce_images.sides import FEWEST, NAN, Side, failed, few, learnt, note_of, real, side


class ImageAccuracy(EvaluatorSpec):
    """Scores on real test pictures of the learner fitted on each source, and which classes it confuses."""

    def __init__(self, options: config.ImageAccuracy) -> None:
        self.options = options

    @hookimpl
    def evaluator_measure(self, ctx: EvaluatorContext) -> list[Metric]:
        """`macro_f1` and `accuracy`; floor: the model trained on real pictures, ceiling: always the most frequent class."""
        data = ctx.dataset
        if data.task != "classification" or data.target is None:
            return [Metric(name="accuracy", value=NAN, source=s, error="the data set has no classes") for s in ctx.predictions]
        truth = data.codes_of(data.target)
        test, train = truth[data.rows("test")], truth[data.rows("train")]
        if not (test >= 0).any():
            return [Metric(name="accuracy", value=NAN, source=s, error="no test picture has a known class") for s in ctx.predictions]
        found = {s: class_scores(test, data.codes_of(p.values)) for s, p in ctx.predictions.items()}
        counts = np.bincount(train[train >= 0], minlength=len(data.classes))
        useless, floor = class_scores(test, np.full(len(test), counts.argmax())), found.get("real", {})
        return [
            Metric(
                name=name, value=value, source=source, direction="higher", floor=floor.get(name), ceiling=useless[name],
                n=int((test >= 0).sum()),
            )
            for source, scores in found.items() for name, value in scores.items()
        ]  # fmt: skip

    @hookimpl
    def evaluator_draw(self, ctx: EvaluatorContext) -> list[Figure]:
        """Confusion of the model trained on synthetic and real pictures, and accuracy in each class by source."""
        data = ctx.dataset
        if data.task != "classification" or data.target is None or not ctx.predictions:
            return []
        truth = data.codes_of(data.target)[data.rows("test")]
        known, k = truth >= 0, len(data.classes)
        if not known.any():
            return []
        said = {s: data.codes_of(p.values)[known] for s, p in ctx.predictions.items() if s in ("real", "synthetic", "both")}
        shown = next((s for s in ("both", "synthetic", "real") if s in said), None)
        if shown is None:
            return []
        counts = confusion_matrix(truth[known], said[shown], labels=range(k))
        rates = {s: within_groups(truth[known], v == truth[known], dict(enumerate(map(str, data.classes))), 1) for s, v in said.items()}
        title, caption = "Accuracy in each class", "Share of each class's real test pictures that the model trained on a source recognises."
        names = {"both": "real + synthetic"}
        return [
            *confusion(counts, data.classes, names.get(shown, shown)),
            *bars("image_classes", title, caption, "accuracy", rates, "utility"),
        ]


class Frechet(EvaluatorSpec):
    """Fréchet and kernel distance to real hold-out pictures in a named feature space."""

    def __init__(self, options: config.Frechet) -> None:
        self.options = options

    @hookimpl
    def evaluator_measure(self, ctx: EvaluatorContext) -> list[Metric]:
        """`frechet_distance` and `kernel_distance` of every source; per class also `frechet_class_mean` and `_worst`.

        floor: as many real training pictures; ceiling: those with their pixels shuffled. The Fréchet distance is that of the
        first principal components of the real pictures, the kernel distance that of all features, with an interval of one
        standard deviation over subsets on either side.
        """
        train, held = real(ctx, "train"), real(ctx, "validation", "test")
        if why := few(train, held):
            return failed(ctx, "frechet_distance", why)
        sides, space = {s: side(ctx, s) for s in ctx.samples}, space_of(ctx, self.options)
        train, held, used, n = equal(ctx, train, held, sides, self.options.rows)
        near = Judged(space.vectors(held.records), space.vectors(train.records), self.options.dimensions)
        noise = space.vectors(shuffled(train.records, ctx.seed))
        out = [too_few("frechet_distance", s, found) for s, found in sides.items() if s not in used]
        for source, found in used.items():
            vectors = space.vectors(found.records)
            says = note_of(found, f"{space}, {near.dimensions} principal components, {n} against {len(held)} pictures")
            out.append(self._metric("frechet_distance", source, found, near.frechet(vectors), near.floor, near.frechet(noise), n, says))
            out.append(self._kernel(ctx, source, found, vectors, near, noise, space))
        return [*out, *(self._classes(ctx) if self.options.per_class else [])]

    @hookimpl
    def evaluator_draw(self, ctx: EvaluatorContext) -> list[Figure]:
        """Fréchet distance of each class by source, if asked."""
        values = {s: {str(k): v for k, v in row.items()} for s, row in self._by_class(ctx)[0].items()} if self.options.per_class else {}
        caption = f"Fréchet distance of each class to its real hold-out pictures, {space_of(ctx, self.options)}; real: training pictures."
        return bars("frechet_classes", "Likeness by class", caption, "Fréchet distance", values, "fidelity")

    def _metric(self, name: str, source: str, found: Side, value: float, floor: float, ceiling: float, n: int, note: str) -> Metric:
        return Metric(
            name=name, value=found.penalised(value, ceiling), source=source, direction="lower", floor=floor, ceiling=ceiling, n=n, note=note
        )

    def _kernel(
        self, ctx: EvaluatorContext, source: str, found: Side, vectors: Vectors, near: Judged, noise: Vectors, space: Space
    ) -> Metric:
        o = self.options

        def distances(rows: Vectors) -> Vectors:
            return kernel_distances(rows, near.held, subsets=o.subsets, size=o.subset, seed=ctx.seed)

        values, ceiling = distances(vectors), float(distances(noise).mean())
        size = max(2, min(o.subset, len(vectors) // 2, len(near.held) // 2))
        note = note_of(found, f"{space}, {o.subsets} subsets of {size} pictures")
        made = self._metric(
            "kernel_distance", source, found, float(values.mean()), float(distances(near.train).mean()), ceiling, len(vectors), note
        )
        return made.with_(low=made.value - found.share * float(values.std()), high=made.value + found.share * float(values.std()))

    def _by_class(self, ctx: EvaluatorContext) -> tuple[dict[str, dict[Any, float]], dict[Any, int]]:
        """Fréchet distance by source ("real": training pictures) and class, and n of each class; where all sources have enough."""
        space, every = space_of(ctx, self.options), {s: side(ctx, s) for s in ctx.samples}
        out: dict[str, dict[Any, float]] = {"real": {}, **{s: {} for s in every}}
        sizes: dict[Any, int] = {}
        for label in ctx.dataset.classes:
            sides = {s: found.of(label) for s, found in every.items()}
            train, held = real(ctx, "train").of(label), real(ctx, "validation", "test").of(label)
            if few(train, held) or min(map(len, sides.values()), default=0) < FEWEST:
                continue
            train, held, used, sizes[label] = equal(ctx, train, held, sides, self.options.rows)
            near = Judged(space.vectors(held.records), space.vectors(train.records), self.options.dimensions)
            noise = near.frechet(space.vectors(shuffled(train.records, ctx.seed)))
            out["real"][label] = near.floor
            for source, found in used.items():
                # What is invalid or missing has no class of its own: each class bears the source's share.
                out[source][label] = every[source].penalised(near.frechet(space.vectors(found.records)), noise)
        return out, sizes

    def _classes(self, ctx: EvaluatorContext) -> list[Metric]:
        found, sizes = self._by_class(ctx)
        if not sizes:
            why = f"no class has {FEWEST} pictures of every source"
            return [Metric(name="frechet_class_mean", value=NAN, source=s, error=why) for s in ctx.samples]
        floor, out, n = found.pop("real"), list[Metric](), min(sizes.values())
        for source, values in found.items():
            worst = max(values, key=lambda label: values[label])
            where = f"{space_of(ctx, self.options)}, {len(values)} of {len(ctx.dataset.classes)} classes with at least {n} pictures"
            for name, value, usual, note in (
                ("frechet_class_mean", float(np.mean(list(values.values()))), float(np.mean(list(floor.values()))), where),
                ("frechet_class_worst", values[worst], floor[worst], f"class '{worst}', {where}"),
            ):
                out.append(Metric(name=name, value=value, source=source, direction="lower", floor=usual, n=n, note=note))
        return out


class PrecisionRecall(EvaluatorSpec):
    """Share of synthetic pictures among real ones, and of real ones among synthetic (Kynkäänniemi et al. 2019)."""

    def __init__(self, options: config.PrecisionRecall) -> None:
        self.options = options

    @hookimpl
    def evaluator_measure(self, ctx: EvaluatorContext) -> list[Metric]:
        """`manifold_precision` and `manifold_recall` against as many hold-out pictures; floor: training pictures, ceiling: 0.

        Pictures far from real ones lie far from each other too, so their balls are wide: recall means little where precision is low.
        """
        train, held = real(ctx, "train"), real(ctx, "validation", "test")
        if why := few(train, held):
            return failed(ctx, "manifold_precision", why)
        sides, space, k = {s: side(ctx, s) for s in ctx.samples}, space_of(ctx, self.options), self.options.neighbours
        train, held, used, n = equal(ctx, train, held, sides, min(self.options.rows, len(held)))
        truth, trained = space.vectors(held.some(n, ctx.seed).records), space.vectors(train.records)
        floors = within(trained, truth, k), within(truth, trained, k)
        out = [too_few("manifold_precision", s, found) for s, found in sides.items() if s not in used]
        for source, found in used.items():
            # What was asked for and is missing lies nowhere and reaches nothing.
            rows = space.vectors(found.some(max(k + 1, round(n * found.share)), ctx.seed).records)
            note = note_of(found, f"{space}, {k} neighbours; recall means little where precision is low")
            values = found.share * within(rows, truth, k), within(truth, rows, k)
            for name, value, floor in zip(("manifold_precision", "manifold_recall"), values, floors, strict=True):
                out.append(Metric(name=name, value=value, source=source, direction="higher", floor=floor, ceiling=0.0, n=n, note=note))
        return out

    @hookimpl
    def evaluator_draw(self, ctx: EvaluatorContext) -> list[Figure]:
        """No figures."""
        return []


class NearestShot(EvaluatorSpec):
    """Do pictures lie nearer to training pictures than unseen real ones do, or repeat them?"""

    def __init__(self, options: config.NearestShot) -> None:
        self.options = options

    @hookimpl
    def evaluator_measure(self, ctx: EvaluatorContext) -> list[Metric]:
        """`shot_nearest_ratio`, `shot_holdout_share`, `shot_memorised` and `shot_copies` of every source.

        Ratio: median distance to the nearest training picture over that of hold-out pictures; hold-out share: pictures nearer
        to training than to as many hold-out pictures; memorised: pictures nearer to a training picture than all but 1 % of
        hold-out pictures are; copies: equal to a training picture byte for byte. Invalid pictures copy nobody and are left out.
        """
        train, held = learnt(ctx), real(ctx, "validation", "test")
        if why := few(train, held, training=1):
            return failed(ctx, "shot_nearest_ratio", why)
        shots = Shots(ctx, self.options, train, held)
        return [m for source in ctx.samples for m in self._source(ctx, source, shots)]

    @hookimpl
    def evaluator_draw(self, ctx: EvaluatorContext) -> list[Figure]:
        """A histogram of distances beside the real one, and the nearest pairs."""
        train, held = learnt(ctx), real(ctx, "validation", "test")
        found = side(ctx, "synthetic").some(self.options.rows, ctx.seed) if "synthetic" in ctx.samples else None
        if found is None or len(found) == 0 or few(train, held, training=1):
            return []
        shots = Shots(ctx, self.options, train, held)
        distances, places = nearest(shots.space.vectors(found.records), shots.train)
        order = np.argsort(distances[:, 0], kind="stable")[: self.options.shown]
        ours, theirs = found.records["image"].iloc[order], shots.records["image"].iloc[places[order, 0]]
        shown = [pairs(list(ours), list(theirs), distances[order, 0], str(shots.space))] if len(order) else []
        return [histogram(distances[:, 0], shots.usual, str(shots.space)), *shown]

    def _source(self, ctx: EvaluatorContext, source: str, shots: Shots) -> list[Metric]:
        every = side(ctx, source)
        if len(every) == 0:
            return [Metric(name="shot_nearest_ratio", value=NAN, source=source, error="no valid picture")]
        rows = shots.space.vectors(every.some(self.options.rows, ctx.seed).records)
        distances, n = nearest(rows, shots.train)[0][:, 0], len(rows)
        share, near = holdout_share(rows, *shots.equal), float(too_near(distances, shots.usual).mean())
        same, middle = float(copies(every.records["image"], shots.every["image"]).mean()), float(np.median(shots.usual))
        low, high = wilson(share, n)
        bounds, exact = wilson(near, n), wilson(same, len(every))
        note = f"{shots.space}, {len(shots.train)} training and {len(shots.usual)} hold-out pictures"
        return [
            Metric(
                name="shot_nearest_ratio", value=float(np.median(distances)) / middle if middle > 0 else NAN, source=source, note=note,
                direction="higher", floor=1.0, ceiling=0.0, n=n, error="" if middle > 0 else "hold-out pictures equal training pictures",
            ),
            Metric(
                name="shot_holdout_share", value=share, source=source, direction="target", target=0.5, low=low, high=high, floor=0.5, n=n,
                note=f"{shots.space}, against {len(shots.equal[0])} training and as many hold-out pictures",
            ),
            Metric(
                name="shot_memorised", value=near, source=source, direction="lower", low=bounds[0], high=bounds[1], n=n, note=note,
                floor=float(too_near(shots.usual, shots.usual).mean()), ceiling=1.0,
            ),
            Metric(
                name="shot_copies", value=same, source=source, direction="lower", low=exact[0], high=exact[1], ceiling=1.0, n=len(every),
                floor=shots.copied, note=f"equal in every byte to one of {len(shots.every)} training pictures",
            ),
        ]  # fmt: skip


class Groups(EvaluatorSpec):
    """Is each group as frequent among synthetic pictures as among real ones, and as well recognised?"""

    def __init__(self, options: config.Groups) -> None:
        self.options = options

    @hookimpl
    def evaluator_measure(self, ctx: EvaluatorContext) -> list[Metric]:
        """`group_share_distance`, and of the learner `group_accuracy_worst` and `group_accuracy_gap`.

        Distance: half the sum of differences of shares between a source that has the column and real training pictures.
        Worst, gap: least accuracy in a group of real test pictures, and how far the best lies above it.
        """
        column = self.options.column
        names = self._names(ctx)
        if not names:
            why = f"the records have no values in a column '{column}'"
            return [Metric(name="group_share_distance", value=NAN, source=s, error=why) for s in ctx.samples]
        return [*self._shares(ctx, names), *self._accuracies(ctx, names)]

    @hookimpl
    def evaluator_draw(self, ctx: EvaluatorContext) -> list[Figure]:
        """Shares of each group by source, and accuracy in each group by what the learner was trained on."""
        names = self._names(ctx)
        if not names:
            return []
        column = self.options.column
        shares = {"real": share_of(real(ctx, "train").records, column, names)}
        shares |= {s: share_of(r, column, names) for s, r in ctx.samples.items() if column in getattr(r, "columns", ())}
        caption = f"Share of each value of '{column}' among real training pictures and in each source that has the column."
        right = {s: row for s, row in self._right(ctx, names).items() if s in ("real", "synthetic", "both")}
        said = f"Accuracy on real test pictures within each value of '{column}' with at least {FEWEST} of them."
        return [
            *bars("group_shares", "Groups among pictures", caption, "share", shares, "fidelity"),
            *bars("group_accuracy", "Accuracy within groups", said, "accuracy", right, "utility"),
        ]

    def _names(self, ctx: EvaluatorContext) -> list[str]:
        records = real(ctx, "train", "test").records
        values = records[self.options.column].dropna() if self.options.column in getattr(records, "columns", ()) else []
        return sorted({str(value) for value in values})

    def _shares(self, ctx: EvaluatorContext, names: Sequence[str]) -> list[Metric]:
        column = self.options.column
        truth, out = share_of(real(ctx, "train").records, column, names), []
        floor = apart(share_of(real(ctx, "validation", "test").records, column, names), truth)
        for source in ctx.samples:
            found = side(ctx, source)
            if len(found) == 0:
                continue
            if column not in found.records.columns:
                why = f"pictures of this source have no column '{column}': a generator gives them their class alone"
                out.append(Metric(name="group_share_distance", value=NAN, source=source, error=why))
                continue
            value = found.penalised(apart(share_of(found.records, column, names), truth), 1.0)
            note = note_of(found, f"column '{column}', {len(names)} groups")
            out.append(
                Metric(
                    name="group_share_distance", value=value, source=source, direction="lower", floor=floor, ceiling=1.0, n=len(found),
                    note=note,
                )
            )  # fmt: skip
        return out

    def _accuracies(self, ctx: EvaluatorContext, names: Sequence[str]) -> list[Metric]:
        found = {s: row for s, row in self._right(ctx, names).items() if row}
        if ctx.predictions and not found:
            why = f"no value of '{self.options.column}' has {FEWEST} test pictures with a class"
            return [Metric(name="group_accuracy_worst", value=NAN, source=s, error=why) for s in ctx.predictions]
        floor = found.get("real", {})
        out, n = [], len(ctx.dataset.rows("test"))
        for source, row in found.items():
            worst, best = (choose(row, key=row.__getitem__) for choose in (min, max))
            note = f"column '{self.options.column}', {len(row)} groups with at least {FEWEST} test pictures: worst '{worst}', best '{best}'"
            least, usual = (min(floor.values()), gap(floor)) if floor else (None, None)
            out += [
                Metric(name="group_accuracy_worst", value=row[worst], source=source, direction="higher", floor=least, n=n, note=note),
                Metric(name="group_accuracy_gap", value=gap(row), source=source, direction="lower", floor=usual, n=n, note=note),
            ]
        return out

    def _right(self, ctx: EvaluatorContext, names: Sequence[str]) -> dict[str, dict[str, float]]:
        data = ctx.dataset
        if data.task != "classification" or data.target is None:
            return {}
        test = data.rows("test")
        truth, groups = data.codes_of(data.target)[test], take(data.records, test)[self.options.column].map(str)
        known = truth >= 0
        said = {s: data.codes_of(p.values) for s, p in ctx.predictions.items()}
        called = {name: name for name in names}
        return {s: within_groups(groups[known], codes[known] == truth[known], called, FEWEST) for s, codes in said.items()}
