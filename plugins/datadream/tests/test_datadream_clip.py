"""Learner `clip` on two kinds of pictures: what it learns, the two losses (D4), adapters, gradients, refusals."""

import huggingface_hub
import numpy as np
import pandas as pd
import pytest
import torch

from scarce.contract import LearnerContext, TrainingPart, take
from scarce.errors import DataError, RecipeError
from scarce.runtime.options import RuntimeOptions
from scarce.runtime.runtime import SharedRuntime
from scarce_datadream.augment import crop_and_flip, mixed
from scarce_datadream.config import Clip as ClipOptions
from scarce_datadream.learner import Clip, by_origin, origin_weights
from scarce_images.codec import ImageCodec

CODEC = ImageCodec(size=16, target="place", classes=("bottom", "top"))
SMALL = {"template": "a {}", "steps": 12, "batch": 8, "rate": 1e-2, "warmup": 2, "rank": 4, "alpha": 8.0, "crop": 1.0, "flip": False}


@pytest.fixture
def build(clip_folder, bands):
    def built(data, **options):
        runtime = SharedRuntime(seed=0, options=RuntimeOptions(threads=1, precision="fp32"))
        learner = Clip(ClipOptions(**({"source": f"path:{clip_folder}"} | SMALL | options)))
        return learner.learner_build(LearnerContext(dataset=data, codec=CODEC, runtime=runtime, seed=0))

    return built


@pytest.fixture
def data(bands):
    pictures, dataset = bands
    return dataset(pictures(120))


def part(data, split="train", origin="real", weight=1.0, other=None):
    rows = data.rows(split)
    records = take(data.records if other is None else other, rows)
    return TrainingPart(records=records, target=records["place"].to_numpy(dtype=object), origin=origin, weight=weight)


def said(learner, data):
    return learner.predict(take(data.records, data.rows("test")).drop(columns="place"))


def test_it_learns_by_adapters_on_queries_and_values_alone(build, data):
    learner = build(data, steps=250, rate=3e-3, rank=16, alpha=64.0, dropout=0.0, mix=0.0)
    learner.fit([part(data)])
    found = said(learner, data)
    truth = data.target[data.rows("test")]
    assert (found.values == truth).mean() > 0.9
    assert np.allclose(found.probabilities.sum(1), 1)
    model = learner.network.model
    layers = {name.split(".lora_")[0].rsplit(".", 1)[1] for name, _ in model.named_parameters() if "lora_" in name}
    assert layers == {"q_proj", "v_proj"}
    towers = {name.split(".")[0] for name, p in model.named_parameters() if "lora_B" in name and float(p.detach().abs().sum()) > 0}
    assert towers == {"text_model", "vision_model"}
    fresh = build(data, rank=16)
    fresh.fit([part(data)])
    mine, other = dict(model.named_parameters()), dict(fresh.network.model.named_parameters())
    assert all(torch.equal(p, other[name]) for name, p in mine.items() if "lora_" not in name)  # the base, and the logit scale


def test_d4_lambda_1_is_real_alone_and_lambda_0_is_synthetic_alone(build, data, bands):
    real, made = part(data), part(data, origin="synthetic", other=bands[0](120, seed=5, shift=30))

    def trained(parts, **options):
        learner = build(data, **options)
        learner.fit(parts)
        return said(learner, data).probabilities

    both = trained([real, made])
    only_real, only_made = trained([real]), trained([made])
    assert np.array_equal(trained([real, made], real_weight=1.0), only_real)
    assert np.array_equal(trained([real, made], real_weight=0.0), only_made)
    assert not np.allclose(both, only_real)
    assert not np.allclose(both, only_made)


def test_few_real_pictures_count_as_much_as_many_generated_ones(data):
    few = part(data)
    few = TrainingPart(records=few.records.iloc[:2], target=few.target[:2])
    many = part(data, "test", origin="synthetic")
    empty = TrainingPart(records=few.records.iloc[:0], target=few.target[:0])
    unknown = TrainingPart(records=few.records, target=np.array(["left", "right"], dtype=object))
    found = by_origin(data, [few, many, empty, unknown, part(data, weight=0.0)])
    assert {name: len(o.codes) for name, o in found.items()} == {"real": 2, "synthetic": 80}
    assert origin_weights(list(found), 0.8) == pytest.approx({"real": 0.8, "synthetic": 0.2})
    assert origin_weights(["synthetic"], 0.8) == {"synthetic": 1.0}
    assert origin_weights(["real"], 0.0) == {"real": 1.0}
    with pytest.raises(DataError, match="no training record has a known class"):
        by_origin(data, [empty, unknown])


def test_a_part_of_weight_0_changes_nothing_and_weights_are_relative(build, data, bands):
    made = part(data, origin="synthetic", other=bands[0](120, seed=7), weight=0.0)
    probabilities = []
    for parts in ([part(data)], [part(data), made], [part(data, weight=3.0)]):
        learner = build(data)
        learner.fit(parts)
        probabilities.append(said(learner, data).probabilities)
    assert np.array_equal(probabilities[0], probabilities[1])
    assert np.allclose(probabilities[0], probabilities[2], atol=1e-6)


def test_logits_are_those_of_transformers_and_gradients_reach_the_picture(build, data, clip_folder):
    from transformers import AutoTokenizer, CLIPModel

    learner = build(data, steps=1, rate=1e-12)  # adapters as good as untrained
    learner.fit([part(data)])
    x = CODEC.soft(CODEC.encode(take(data.records, data.rows("test")[:5]))).requires_grad_(True)
    logits = learner.logits(x)
    mean, std = learner.network.mean, learner.network.std
    tokens = AutoTokenizer.from_pretrained(clip_folder)(["a bottom", "a top"], padding=True, return_tensors="pt")
    with torch.no_grad():
        expected = CLIPModel.from_pretrained(clip_folder)(pixel_values=((x + 1) / 2 - mean) / std, **tokens).logits_per_image
    assert torch.allclose(logits, expected, atol=1e-4)
    logits[:, 0].sum().backward()
    assert x.grad.abs().amax((1, 2, 3)).min() > 0
    assert torch.allclose(learner.embed(x) @ learner.network.class_weights().T, logits, atol=1e-6)
    assert learner.embed(torch.nn.functional.interpolate(x, 40)).shape == (5, 16)


def test_crops_and_mixes_keep_shapes_means_and_labels():
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(64, 3, 20, 20, generator=generator)
    assert crop_and_flip(x, 16, smallest=0.25, flip=True, generator=generator).shape == (64, 3, 16, 16)
    whole = crop_and_flip(x, 20, smallest=1.0, flip=True, generator=generator)
    mirrored = torch.tensor([torch.allclose(a, b.flip(2), atol=1e-5) for a, b in zip(whole, x, strict=True)])
    same = torch.tensor([torch.allclose(a, b, atol=1e-5) for a, b in zip(whole, x, strict=True)])
    assert bool((mirrored | same).all())
    assert 15 < int(mirrored.sum()) < 49
    assert torch.equal(mixed(x, 0.0, generator)[0], x)
    parts = []
    for _ in range(200):
        out, _, part = mixed(x, 1.0, generator)
        parts.append(part)
        assert abs(float(out.mean() - x.mean())) < 0.05
    assert 0.4 < float(np.mean(parts)) < 0.6
    counts = sum(mixed(x, 0.2, generator)[2] < 1 for _ in range(500))
    assert 60 < counts < 145


def test_a_mixed_picture_has_the_named_part_of_each():
    generator = torch.Generator().manual_seed(1)
    x = torch.arange(8.0).view(8, 1, 1, 1).expand(8, 1, 10, 10)
    for _ in range(100):
        out, order, part = mixed(x, 1.0, generator)
        expected = part * torch.arange(8.0) + (1 - part) * order
        assert torch.allclose(out.mean((1, 2, 3)), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("template", "said"),
    [("a {label}", "can't be filled in"), ("a {} {}", "can't be filled in"), ("a {", "can't be filled in"), ("a photo", "all classes")],
)
def test_a_text_that_is_no_template_of_classes_is_refused(template, said):
    with pytest.raises(ValueError, match=said):
        ClipOptions(template=template)
    assert ClipOptions(template="a {0}").template == "a {0}"


def test_a_source_that_is_no_clip_is_said_when_the_learner_is_built(build, data, tmp_path, monkeypatch):
    with pytest.raises(RecipeError, match="is not a model folder"):
        build(data, source=f"path:{tmp_path}/none")
    (tmp_path / "config.json").write_text('{"model_type": "vit"}')
    with pytest.raises(RecipeError, match="is a 'vit', not a whole CLIP"):
        build(data, source=f"path:{tmp_path}")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(RecipeError, match="hub:some/clip can't be loaded") as error:
        build(data, source="hub:some/clip")
    assert "hf download some/clip" in error.value.hint


def test_what_cannot_be_loaded_is_said(build, data, tmp_path):
    with pytest.raises(RecipeError, match="is not a model folder"):
        build(data, source=f"path:{tmp_path}")
    (tmp_path / "config.json").write_text('{"model_type": "clip"}')
    with pytest.raises(RecipeError, match="can't be loaded"):
        build(data, source=str(tmp_path)).fit([part(data)])
    frame = pd.DataFrame({"image": [], "place": []})
    with pytest.raises(DataError):
        build(data).fit([TrainingPart(records=frame, target=np.zeros(0, dtype=object))])


def test_held_shots_do_not_train_and_choose_the_weights(build, data):
    """Of eight real pictures, two of each class are held; a rate at which training falls apart leaves weights from before it did."""
    few = part(data)
    rows = [i for place in ("bottom", "top") for i in np.flatnonzero(few.target == place)[:4]]
    few = TrainingPart(records=take(few.records, np.array(rows)), target=few.target[rows], origin="real")
    trains, held = by_origin(data, [few])["real"].apart(2)
    assert (trains.codes.bincount().tolist(), held.codes.bincount().tolist()) == ([2, 2], [2, 2])
    assert not {p.tobytes() for p in trains.records["image"]} & {p.tobytes() for p in held.records["image"]}
    alone, none = by_origin(data, [TrainingPart(records=take(few.records, [0, 4]), target=few.target[[0, 4]], origin="real")])[
        "real"
    ].apart(2)
    assert (len(alone.codes), len(none.codes)) == (2, 0)
    wild = {"steps": 40, "rate": 0.3, "dropout": 0.0, "mix": 0.0, "warmup": 0}
    chosen, last = build(data, held=2, **wild), build(data, **wild)
    chosen.fit([few])
    last.fit([TrainingPart(records=trains.records, target=trains.records["place"].to_numpy(dtype=object), origin="real")])
    assert chosen._loss_on(held) <= last._loss_on(held)
