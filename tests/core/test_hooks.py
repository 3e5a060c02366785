"""Calling plugins: by recipe path, in recipe order, with checked results and errors that name the plugin."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from scarce.catalogue import Row
from scarce.contract import Event, Metric, PlanContext, ScoreContext, hookimpl
from scarce.contract.plan import Phase, Plan
from scarce.errors import DataError, PluginError
from scarce.host import Scope

CTX = ScoreContext(logits=torch.zeros(3, 2))


def row(role, name="toy"):
    return Row(role=role, name=name, distribution="acme-toy", version="1.0", target="acme_toy:Toy")


def scope_of(*parts):
    scope = Scope("data")
    for path, role, instance in parts:
        scope.register(path, instance, role, row(role))
    scope.freeze()
    return scope


@dataclass(frozen=True)
class Score:
    """Equal instances: pluggy alone would refuse the second."""

    value: float = 1.0

    @hookimpl
    def acquisition_score(self, ctx):
        return torch.full((len(ctx.logits),), self.value)


class Answer:
    def __init__(self, answer):
        self.answer = answer

    def _say(self):
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer

    @hookimpl
    def acquisition_score(self, ctx):
        return self._say()

    @hookimpl
    def evaluator_measure(self, ctx):
        return self._say()

    @hookimpl
    def strategy_measure(self, ctx):
        return self._say()

    @hookimpl
    def modality_codec(self, ctx):
        return self._say()

    @hookimpl
    def backbone_build(self, ctx):
        return self._say()

    @hookimpl
    def modality_write(self, ctx):
        return self._say()


def test_one_class_twice_and_each_is_called_by_its_own_path():
    scope = scope_of(("acquisition", "acquisition", Score()), ("acquisition.1", "acquisition", Score()))
    assert scope.paths("acquisition") == ("acquisition", "acquisition.1")
    assert scope.acquisition_score("acquisition.1", CTX).tolist() == [1, 1, 1]
    assert Score() == Score()


def test_strategies_fold_in_recipe_order_and_one_without_the_hook_keeps_the_plan():
    class Rename:
        def __init__(self, mark):
            self.mark = mark

        @hookimpl
        def strategy_amend_plan(self, ctx):
            return Plan(phases=tuple(p.with_(name=p.name + self.mark) for p in ctx.plan.phases))

    class Silent:
        @hookimpl
        def strategy_measure(self, ctx):
            return {}

    scope = scope_of(*((f"strategy.{i}", "strategy", s) for i, s in enumerate((Rename("a"), Silent(), Rename("b")))))
    plan = Plan(phases=(Phase(name="train"),))
    for path in scope.paths("strategy"):
        plan = scope.strategy_amend_plan(path, PlanContext(plan=plan, path=path, n_rows=1, n_labelled=1, classes=(), targets=()))
    assert plan.phases[0].name == "trainab"


@pytest.mark.parametrize(
    ("call", "answer", "flaw"),
    [
        ("acquisition_score", [1.0], "must return Tensor, but it returned list"),
        ("evaluator_measure", None, "it returned NoneType"),
        ("evaluator_measure", [Metric(name="m", value=1.0), 2], "an entry: it returned int"),
        ("strategy_measure", {"xi": 1.0}, "an entry: it returned float"),
        ("backbone_build", "net", "it returned str"),
        ("modality_codec", object(), "object lacks decode, encode, known, save, soft, space, vectors"),
        ("modality_write", "out.csv", "must return Path, but it returned str"),
    ],
)
def test_a_wrong_result_names_plugin_distribution_and_hook(call, answer, flaw):
    role = call.split("_")[0]
    scope = scope_of((role, role, Answer(answer)))
    with pytest.raises(PluginError) as caught:
        getattr(scope, call)(*(() if role == "modality" else (role,)), CTX)
    assert flaw in caught.value.message
    assert f"{role} 'toy' of acme-toy 1.0 (at {role}): hook {call}" in caught.value.message


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        ("evaluator_measure", []),
        ("evaluator_measure", [Metric(name="m", value=1.0)]),
        ("strategy_measure", {"xi": torch.zeros(())}),
        ("backbone_build", torch.nn.Linear(1, 1)),
        ("modality_write", Path("out.csv")),
    ],
)
def test_right_results_pass_unchanged(call, answer):
    role = call.split("_")[0]
    scope = scope_of((role, role, Answer(answer)))
    assert getattr(scope, call)(*(() if role == "modality" else (role,)), CTX) is answer


@pytest.mark.parametrize("error", [ZeroDivisionError("z"), SystemExit(1), AssertionError("a")])
def test_an_error_in_a_role_hook_names_the_plugin_and_keeps_its_cause(error):
    scope = scope_of(("acquisition", "acquisition", Answer(error)))
    with pytest.raises(PluginError, match=r"acme-toy 1\.0.*acquisition_score failed") as caught:
        scope.acquisition_score("acquisition", CTX)
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("error", [DataError("d"), MemoryError(), torch.cuda.OutOfMemoryError("o"), KeyboardInterrupt()])
def test_plain_refusals_lack_of_memory_and_interrupts_pass_unchanged(error):
    scope = scope_of(("acquisition", "acquisition", Answer(error)))
    with pytest.raises(type(error)) as caught:
        scope.acquisition_score("acquisition", CTX)
    assert caught.value is error


class Unknown:
    @hookimpl
    def acquisition_scores(self, ctx): ...


class Arguments:
    @hookimpl
    def acquisition_score(self, ctx, extra): ...


class First:
    @hookimpl(tryfirst=True)
    def acquisition_score(self, ctx): ...


class Unmarked:
    def acquisition_score(self, ctx): ...


@pytest.mark.parametrize(
    ("plugin", "flaw"),
    [(Unknown, "unknown hook 'acquisition_scores'"), (Arguments, "extra"), (First, "tryfirst"), (Unmarked, "implements none of")],
)
def test_hooks_that_do_not_fit_the_specs_are_refused_before_the_run(plugin, flaw):
    with pytest.raises(PluginError, match=flaw) as caught:
        scope_of(("a", "acquisition", Score()), ("b", "acquisition", plugin()))
    assert "acquisition 'toy' of acme-toy 1.0 (at b)" in caught.value.message


def test_an_optional_unknown_hook_is_left_alone():
    class Later(Score):
        @hookimpl(optionalhook=True)
        def acquisition_of_tomorrow(self, ctx): ...

    assert scope_of(("acquisition", "acquisition", Later())).has("acquisition", "acquisition_score")


def test_taken_paths_late_registration_and_absent_hooks_are_errors():
    scope = scope_of(("acquisition", "acquisition", Score()))
    with pytest.raises(PluginError, match="can't be registered at 'late'"):
        scope.register("late", Score(), "acquisition", row("acquisition"))
    with pytest.raises(PluginError, match="has no hook learner_build"):
        scope.learner_build("acquisition", CTX)
    with pytest.raises(PluginError, match="must have one modality"):
        scope.modality_load(CTX)
    fresh = Scope("data")
    fresh.register("acquisition", Score(), "acquisition", row("acquisition"))
    with pytest.raises(PluginError, match="can't be registered"):
        fresh.register("acquisition", Score(), "acquisition", row("acquisition"))


class Watch:
    def __init__(self, seen, name, error=None):
        self.seen, self.name, self.error = seen, name, error

    @hookimpl
    def run_started(self, ctx):
        self.seen.append((self.name, ctx.step))
        if self.error:
            raise self.error

    @hookimpl
    def run_finished(self):
        self.seen.append((self.name, "done"))


@pytest.mark.parametrize("error", [RuntimeError("boom"), SystemExit(1)])
def test_lifecycle_is_broadcast_in_recipe_order_and_a_raising_hook_is_muted(caplog, error):
    seen = []
    watchers = [Watch(seen, "a"), Watch(seen, "b", error), Watch(seen, "c")]
    scope = scope_of(*((f"lifecycle.{i}", "lifecycle", w) for i, w in enumerate(watchers)))
    with caplog.at_level(logging.WARNING):
        for step in (1, 2):
            scope.broadcast("run_started", Event(folder=Path(), step=step))
    assert seen == [("a", 1), ("b", 1), ("c", 1), ("a", 2), ("c", 2)]
    assert len(caplog.records) == 1
    assert "lifecycle.1" in caplog.text
    scope.broadcast("run_finished", Event(folder=Path()))
    assert seen[-3:] == [("a", "done"), ("b", "done"), ("c", "done")]
    with pytest.raises(ValueError, match="unknown lifecycle event"):
        scope.broadcast("run_strated", Event(folder=Path()))


def test_scopes_share_nothing():
    one, two = (scope_of(("acquisition", "acquisition", Score(value))) for value in (1.0, 2.0))
    assert one.acquisition_score("acquisition", CTX)[0] == 1
    assert two.acquisition_score("acquisition", CTX)[0] == 2
