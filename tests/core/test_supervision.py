"""The loss of learners: cross-entropy, and what a teacher adds to it."""

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F

from scarce.contract import Dataset, Guidance, Supervision, TrainingPart, View, thinned, usable_parts
from scarce.errors import DataError
from scarce.runtime.options import RuntimeOptions
from scarce.runtime.runtime import SharedRuntime

CLASSES = ("a", "b", "c")


def setting(guide=None, n=12):
    runtime = SharedRuntime(seed=0, options=RuntimeOptions(threads=1, precision="fp32"))
    target = np.array([CLASSES[i % 3] for i in range(n)], dtype=object)
    target[5] = None  # a row without a class is left out, and what is said of it too
    ids = np.array([f"r{i}" for i in range(n)])
    data = Dataset(
        name="t", ids=ids, records=pd.DataFrame({"x": range(n)}), task="classification", target_name="y", target=target,
        classes=CLASSES, labelled=np.ones(n, bool), split=np.array(["train"] * n), groups=ids,
    )  # fmt: skip
    part = TrainingPart(records=data.records, target=target, ids=ids, guide=guide)
    return usable_parts(data, [part]), runtime


def teacher(n=12, **changes):
    rng = np.random.default_rng(0)
    said = {"probabilities": rng.dirichlet(np.ones(3), n), "alpha": 0.7, "tau": 2.0, "embedding": rng.normal(size=(n, 4)), "beta": 0.1}
    return Guidance(**{**said, **changes})


def outputs(n=11):
    torch.manual_seed(3)
    return torch.arange(n), torch.randn(n, 3, requires_grad=True), torch.randn(n, 5, requires_grad=True)


def test_without_a_teacher_and_with_one_of_no_weight_the_loss_is_plain_cross_entropy_bit_for_bit():
    rows, logits, embed = outputs()
    losses = []
    for guide in (None, teacher(alpha=0.0, beta=0.0)):
        usable, runtime = setting(guide)
        torch.manual_seed(7)
        supervision = Supervision(usable, 5, runtime)
        assert torch.rand(1) == torch.rand(1, generator=torch.Generator().manual_seed(7))
        assert not list(supervision.parameters())
        losses.append(supervision(rows, logits, embed))
    codes = torch.tensor([i % 3 for i in range(12) if i != 5])
    assert torch.equal(losses[0], losses[1])
    assert torch.equal(losses[0], F.cross_entropy(logits, codes, reduction="none"))


def test_the_three_terms_are_those_of_the_formula_and_divergence_has_the_same_gradient():
    guide = teacher()
    usable, runtime = setting(guide)
    supervision = Supervision(usable, 5, runtime)
    rows, logits, embed = outputs()
    kept = [i for i in range(12) if i != 5]
    said = torch.from_numpy(guide.probabilities[kept]).float()
    soft = said.sqrt() / said.sqrt().sum(1, keepdim=True)  # tau = 2
    away = (supervision.projection(embed) - torch.from_numpy(guide.embedding[kept]).float()).square().mean(1)
    own = F.cross_entropy(logits, supervision.codes, reduction="none")
    agree = -(soft * F.log_softmax(logits / 2, 1)).sum(1)
    whole = supervision(rows, logits, embed)
    assert torch.allclose(whole, own + 0.7 * 4 * agree + 0.1 * away, atol=1e-5)
    (found,) = torch.autograd.grad(whole.sum(), logits)
    divergence = F.kl_div(F.log_softmax(logits / 2, 1), soft, reduction="none").sum(1)
    (other,) = torch.autograd.grad((own + 0.7 * 4 * divergence).sum(), logits)
    assert torch.allclose(found, other, atol=1e-6)


def test_rows_of_which_the_teacher_knows_nothing_have_the_plain_loss():
    usable, runtime = setting(teacher(known=np.arange(12) < 3))
    rows, logits, embed = outputs()
    supervision = Supervision(usable, 5, runtime)
    plain = F.cross_entropy(logits, supervision.codes, reduction="none")
    differs = (supervision(rows, logits, embed) - plain).abs() > 1e-6
    assert differs.tolist() == [True] * 3 + [False] * 8


def test_an_embedding_as_wide_as_the_learners_needs_no_map_and_two_temperatures_are_refused():
    usable, runtime = setting(teacher(embedding=np.zeros((12, 5))))
    assert not list(Supervision(usable, 5, runtime).parameters())
    other, _ = setting(teacher(tau=1.0))
    with pytest.raises(DataError, match="temperatures"):
        Supervision([*usable, *other], 5, runtime)


def test_views_are_found_by_id_whatever_their_order():
    view = View(ids=np.array(["c", "a"]), records=["C", "A"])
    assert view.rows_of(["a", "b", "c"]).tolist() == [1, -1, 0]


def test_passes_of_one_seed_share_their_masks_and_average_to_the_whole_network():
    head, embed = torch.nn.Linear(8, 3), torch.randn(5, 8)
    first, again = thinned(head, embed, 0.5, 4000, 1), thinned(head, embed, 0.5, 4000, 1)
    assert torch.equal(first, again)
    assert torch.allclose(first.mean(0), head(embed), atol=0.1)
    assert float(first.std(0).detach().min()) > 0.01
