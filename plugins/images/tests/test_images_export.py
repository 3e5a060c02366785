"""Export format `diffusers`: pictures of the exported files, in diffusers' own pipelines, are those of the generator."""

import numpy as np
import pandas as pd
import pytest
import torch
from diffusers import DiffusionPipeline
from safetensors.torch import load_file

import scarce
from scarce.catalogue import read_catalogue
from scarce.cli.app import main
from scarce.contract import Prompt
from scarce.errors import RunError
from scarce.files import read_json, read_tensors
from scarce.runs.exporting import export
from scarce.runs.opening import open_generator
from scarce.runtime.seeds import generator as seeded
from scarce_images.pipeline import ScarcePipeline
from scarce_images.write import write_images

RECIPE = """
[data]
modality = "images"
[data.options]
size = 32
[backbone]
name = "stable-diffusion"
[train]
steps = 2
batch = 4
rate = 0.02
ema = 0.0
[generate]
prompt = "a photo of a {} circle"
count = 2
steps = 4
sampler = "ddim"
guidance = 2.0
[runtime]
threads = 1
precision = "fp32"
"""
LORA = {"name": "lora", "rank": 2, "alpha": 3.0, "targets": ["backbone", "conditioner.0"], "modules": ["to_q", "to_v", "q_proj", "fc1"]}
TEXTS = ["a photo of a red circle", "a photo of a blue circle"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """24 pictures of two colours, and the recipe."""
    folder, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    labels = np.tile(["red", "blue"], 12)
    images = [rng.integers(0, 200, (32, 32, 3)).astype(np.uint8) + np.uint8(55 * (v == "red")) for v in labels]
    write_images(pd.DataFrame({"image": pd.Series(images, dtype=object), "label": labels}), folder / "pictures.parquet")
    (folder / "r.toml").write_text(RECIPE)
    return folder


def run(data, out, source, **changes):
    changes = {"backbone.source": str(source), "data.target": "label", **changes}
    scarce.run(str(data / "r.toml"), data=data / "pictures.parquet", set=changes, out=out, quiet=True)
    return out


def ours(folder, texts=TEXTS, labels=("red", "blue"), seed=5):
    made, _, _ = open_generator(folder, read_catalogue())
    with torch.no_grad():
        condition = made.encode_condition([Prompt(label=v, text=t) for v, t in zip(labels, texts, strict=True)])
        return made.codec.soft(made.draw(condition, seed=seed))


def theirs(pipe, texts=TEXTS, seed=5, n=2):
    """As many pictures of one batch as the generator draws, of the same noise."""
    pipe.set_progress_bar_config(disable=True)
    latents = torch.randn(n, 4, 4, 4, generator=seeded(seed, "noise"))
    facts = {"num_inference_steps": 4, "guidance_scale": 2.0, "latents": latents, "output_type": "pt", "height": 32, "width": 32}
    return pipe(prompt=texts, **facts).images * 2 - 1


@pytest.mark.parametrize("kind", ["v", "xl"])
def test_adapters_are_a_file_that_pipelines_load_and_that_training_can_begin_from(data, checkpoint, tmp_path, kind):
    whole = run(data, tmp_path / "r", checkpoint(kind), strategy=[LORA])
    out = export(whole, "diffusers", tmp_path / "lora", read_catalogue())
    assert [f.name for f in out.iterdir()] == ["pytorch_lora_weights.safetensors"]
    assert {k.partition(".")[0] for k in load_file(out / "pytorch_lora_weights.safetensors")} >= {"unet", "text_encoder"}
    pipe = DiffusionPipeline.from_pretrained(checkpoint(kind))
    bare = theirs(pipe)
    pipe.load_lora_weights(out)
    expected = ours(whole)
    assert (theirs(pipe) - expected).abs().max() < 1e-3
    assert (bare - expected).abs().max() > 1e-2
    begun = run(data, tmp_path / "s", checkpoint(kind), strategy=[{**LORA, "source": str(out)}], **{"train.rate": 1e-9})
    assert (ours(begun) - expected).abs().max() < 1e-3


def test_branches_are_a_folder_each(data, checkpoint, tmp_path):
    branches = {"name": "per-class"} if any(r.name == "per-class" for r in read_catalogue().entries("strategies")) else None
    if branches is None:
        pytest.skip("no installed strategy makes a branch per class")
    whole = run(data, tmp_path / "r", checkpoint("eps"), strategy=[branches, LORA])
    out = export(whole, "diffusers", tmp_path / "lora", read_catalogue())
    expected = ours(whole)
    folders = sorted(out.iterdir())
    assert len(folders) == 2
    for folder, row in zip(folders, (1, 0), strict=True):
        pipe = DiffusionPipeline.from_pretrained(checkpoint("eps"))
        pipe.load_lora_weights(folder)
        assert (theirs(pipe)[row] - expected[row]).abs().max() < 1e-3


@pytest.mark.parametrize("adapted", [False, True])
def test_moved_weights_are_a_whole_pipeline_with_adapters_merged(data, checkpoint, tmp_path, adapted):
    whole = run(data, tmp_path / "r", checkpoint("eps"), strategy=[])
    if adapted:
        whole = run(data, tmp_path / "s", checkpoint("eps"), strategy=[LORA], **{"generator.from": f"run:{whole}"})
        with pytest.raises(RunError, match=r"weights beside its adapters, .* among them, which no adapter holds") as error:
            export(whole, "peft", tmp_path / "peft", read_catalogue())
        assert "--to diffusers" in error.value.hint
    out = export(whole, "diffusers", tmp_path / "pipe", read_catalogue())
    expected = ours(whole)
    assert (theirs(DiffusionPipeline.from_pretrained(out)) - expected).abs().max() < 1e-3
    assert (theirs(DiffusionPipeline.from_pretrained(checkpoint("eps"))) - expected).abs().max() > 1e-2


FINETUNE = {
    "data.options.size": 32, "data.target": "label", "learner": None, "evaluator": [], "generate.prompt": "a photo of a {} circle",
    "generate.count": 2, "generate.steps": 4, "generate.sampler": "ddim", "runtime.precision": "fp32", "train.rate": 0.05,
}  # fmt: skip


@pytest.mark.parametrize("prior", [False, True])
def test_finetune_trains_nothing_of_a_checkpoint_but_adapters_and_its_file_is_all_there_is(data, checkpoint, tmp_path, prior):
    catalogue = read_catalogue()
    needed = {"generators": "shapes", "strategies": "prior-preservation"} if prior else {"generators": "shapes"}
    if any(all(row.name != name for row in catalogue.entries(kind)) for kind, name in needed.items()):
        pytest.skip("what the recipe needs is not installed")
    changes = {**FINETUNE, "generator.from": f"path:{checkpoint('eps')}"}
    changes |= {"strategy": [{"name": "prior-preservation", "each": 1}, {"name": "lora", "rank": 2}]} if prior else {}
    given = {"data": data / "pictures.parquet", "preset": "test", "set": changes, "quiet": True}
    whole = scarce.run("images/finetune", out=tmp_path / "r", **given).folder
    (phase,) = read_json(whole / "plan.json")
    assert (phase["trainable"], [a["target"] for a in phase["adapters"]]) == (["backbone:fresh"], ["backbone"])
    assert read_tensors(whole / "model" / "phases" / "train.safetensors")[0] == {}
    out, peft = (export(whole, kind, tmp_path / kind, catalogue) for kind in ("diffusers", "peft"))
    assert [f.name for f in out.iterdir()] == ["pytorch_lora_weights.safetensors"]
    assert [f.name for f in (peft / "train").iterdir()] == [f"strategy.{int(prior)}-backbone"]
    pipe, expected = DiffusionPipeline.from_pretrained(checkpoint("eps")), ours(whole)
    assert (theirs(pipe) - expected).abs().max() > 1e-2
    pipe.load_lora_weights(out)
    assert (theirs(pipe) - expected).abs().max() < 1e-3


def test_adapters_upon_adapters_are_one_file(data, checkpoint, tmp_path):
    first = run(data, tmp_path / "a", checkpoint("eps"), strategy=[LORA])
    second = run(data, tmp_path / "b", checkpoint("eps"), strategy=[{**LORA, "rank": 1}], **{"generator.from": f"run:{first}"})
    half, out = (export(second, "diffusers", tmp_path / name, read_catalogue(), half=name == "half") for name in ("half", "out"))
    pipe = DiffusionPipeline.from_pretrained(checkpoint("eps"))
    pipe.load_lora_weights(out)
    assert (theirs(pipe) - ours(second)).abs().max() < 1e-3
    assert (ours(first) - ours(second)).abs().max() > 1e-2
    assert {w.dtype for w in load_file(half / "pytorch_lora_weights.safetensors").values()} == {torch.float16}


def test_a_packed_generator_of_a_checkpoint_is_small_and_the_same(data, checkpoint, tmp_path):
    whole = run(data, tmp_path / "r", checkpoint("xl-empty"), strategy=[LORA])
    out = export(whole, "generator", tmp_path / "out", read_catalogue())
    assert torch.equal(ours(out), ours(whole))
    assert sum(f.stat().st_size for f in out.rglob("*")) < 0.2 * sum(f.stat().st_size for f in checkpoint("xl-empty").rglob("*"))
    with pytest.raises(RunError, match="not an empty folder"):
        export(whole, "diffusers", out, read_catalogue())


SMALL = {
    "backbone": {"name": "conv-transformer", "width": 16, "layers": 1, "heads": 2, "channels": 8}, "generate.sampler": "dpm++",
    "generate.guidance": 1.0,
}  # fmt: skip


def small(data, out, *conditioners, **more):
    changes = {**SMALL, "data.target": "label", "conditioner": [{"name": name, "width": 8} for name in conditioners], **more}
    scarce.run(str(data / "r.toml"), data=data / "pictures.parquet", set=changes, out=out, quiet=True)
    return out


def test_a_network_of_our_own_opens_as_a_pipeline_and_draws_the_same_pictures(data, tmp_path):
    whole = small(data, tmp_path / "r", "words")
    out = export(whole, "diffusers", tmp_path / "pipe", read_catalogue())
    pipe = ScarcePipeline.from_pretrained(out)
    drawn = pipe(TEXTS, generator=torch.Generator().manual_seed(7), output_type="np").images
    kept = scarce.load(whole)
    assert all(np.array_equal(a, b) for a, b in zip(drawn, kept.sample(2, prompt=TEXTS, seed=7)["image"], strict=True))
    (picture,) = pipe(TEXTS[0], generator=torch.Generator().manual_seed(7), num_inference_steps=2, guidance_scale=3.0).images
    again = kept.sample(1, prompt=TEXTS[:1], seed=7, set={"steps": 2, "guidance": 3.0})["image"][0]
    assert np.array_equal(np.asarray(picture), again)
    assert not np.array_equal(drawn[0], again)
    assert len(pipe(TEXTS[0], num_images_per_prompt=3).images) == 3


@pytest.mark.parametrize("conditioners", [["words"], ["words", "label"]])
def test_each_branch_of_our_own_network_is_a_folder_that_opens_alone(data, tmp_path, conditioners):
    if all(row.name != "per-class" for row in read_catalogue().entries("strategies")):
        pytest.skip("no installed strategy makes a branch per class")
    branches = {"name": "per-class", "epochs": 3, "rate": 0.02}
    whole = small(data, tmp_path / "r", *conditioners, strategy=[branches])
    out, kept, pictures = export(whole, "diffusers", tmp_path / "pipe", read_catalogue()), scarce.load(whole), {}
    assert sorted(f.name for f in out.iterdir()) == ["train-blue", "train-red"]
    for label in ("blue", "red"):
        alone = (out / f"train-{label}").rename(tmp_path / label)
        assert [f.stem for f in (alone / "model" / "phases").glob("*.safetensors")] == [f"train-{label}"]
        pipe = ScarcePipeline.from_pretrained(alone)
        pictures[label] = pipe(TEXTS, generator=torch.Generator().manual_seed(7), output_type="np").images
        expected = kept.sample(2, where={"label": label}, prompt=TEXTS, seed=7)["image"]
        assert all(np.array_equal(a, b) for a, b in zip(pictures[label], expected, strict=True))
        asked = scarce.load(alone).sample(2, seed=3), kept.sample(2, where={"label": label}, seed=3)
        assert all(np.array_equal(a, b) for a, b in zip(*(found["image"] for found in asked), strict=True))
        assert asked[0]["label"].tolist() == [label] * 2
        assert main(["verify", str(alone)]) == 0
    assert not np.array_equal(*(pictures[label][0] for label in ("blue", "red")))


def test_a_generator_that_hears_no_text_is_no_pipeline(data, tmp_path):
    whole = small(data, tmp_path / "r", "label")
    with pytest.raises(RunError, match="hears no text"):
        export(whole, "diffusers", tmp_path / "pipe", read_catalogue())
    assert not (tmp_path / "pipe").exists()
