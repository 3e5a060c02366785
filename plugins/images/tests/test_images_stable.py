"""Checkpoints of the Stable Diffusion families: the pictures are those of diffusers, and what can't be read is refused."""

import json

import huggingface_hub
import numpy as np
import pandas as pd
import pytest
import torch
from diffusers import DiffusionPipeline, UNet2DConditionModel

import scarce
from scarce.catalogue import read_catalogue
from scarce.cli.app import main
from scarce.contract import BackboneContext, Bundle, Phase, Plan, Prompt, Space, State
from scarce.diffusion.options import DiffusionOptions
from scarce.diffusion.process import Process
from scarce.errors import PluginError, RecipeError, RunError
from scarce.files import read_tensors
from scarce.host.hooks import Scope
from scarce.runs.conditioning import ConditionSet
from scarce.runs.experiment import Experiment
from scarce.runs.folder import read_recipe
from scarce.runs.generator import TrainedGenerator
from scarce.runs.model import Model
from scarce.runs.parents import settled
from scarce.runs.recipe import read_toml, resolve
from scarce.runs.sections import Generate
from scarce.runtime.options import RuntimeOptions
from scarce.runtime.runtime import SharedRuntime
from scarce_images import config
from scarce_images.codec import ImageCodec
from scarce_images.stable import StableDiffusion
from scarce_images.write import write_images

KINDS = ("eps", "v", "xl", "xl-empty")
TEXTS = ["a photo of a red circle", "blue square", ""]


def runtime_():
    return SharedRuntime(seed=0, options=RuntimeOptions(precision="fp32", threads=1))


def build(source, size=32, condition_width=1, **options) -> Bundle:
    codec, runtime = ImageCodec(size=size), runtime_()
    ctx = BackboneContext(space=codec.space, condition_width=condition_width, steps=10, classes=(), runtime=runtime, codec=codec)
    return StableDiffusion(config.StableDiffusion(source=str(source), **options)).backbone_build(ctx)


def generator(bundle, **options):
    runtime = runtime_()
    conditions = ConditionSet([bundle.conditioner], classes=(), generator=runtime.generator("null"))
    plan = Plan(phases=(Phase(name="train"),))
    model = Model(backbone=bundle.network, conditions=conditions, plan=plan, scope=Scope("test"), runtime=runtime, results={"train": {}})
    model.results["base"] = {n: p.detach().clone() for n, p in model.base.items()}
    process = Process(space=bundle.codec.space, options=DiffusionOptions(**bundle.diffusion))
    return TrainedGenerator(model=model, process=process, codec=bundle.codec, options=Generate(**options), runtime=runtime)


def noise(n, side=4, seed=3):
    num = torch.randn(n, 4, side, side, generator=torch.Generator().manual_seed(seed))
    return State(num, torch.zeros(n, side, side, 0, dtype=torch.int64))


def drawn(made, texts, start):
    with torch.no_grad():
        return made.codec.soft(made.draw(made.encode_condition([Prompt(text=t) for t in texts]), noise=start))


def theirs(folder, texts, start, guidance, size=32):
    pipe = DiffusionPipeline.from_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)
    facts = {"num_inference_steps": 5, "guidance_scale": guidance, "latents": start.num, "output_type": "pt", "height": size, "width": size}
    return pipe(prompt=texts, **facts).images * 2 - 1


@pytest.mark.parametrize("guidance", [1.0, 2.5])
@pytest.mark.parametrize("kind", KINDS)
def test_pictures_are_those_of_diffusers_with_and_without_guidance(checkpoint, kind, guidance):
    made = generator(build(checkpoint(kind)), sampler="ddim", steps=5, guidance=guidance)
    texts, start = TEXTS[:2], noise(2)
    ours, expected = drawn(made, texts, start), theirs(checkpoint(kind), texts, start, guidance)
    assert ours.shape == (2, 3, 32, 32)
    assert float(expected.std()) > 0.02
    assert (ours - expected).abs().max() < 1e-3
    assert (ours - drawn(made, texts[::-1], start)).abs().max() > 1e-3  # the text matters


def test_pictures_of_another_size_and_the_large_familys_size_ids(checkpoint):
    for kind in ("eps", "xl"):
        made = generator(build(checkpoint(kind), size=48), sampler="ddim", steps=5)
        start = noise(1, side=6)
        assert (drawn(made, TEXTS[:1], start) - theirs(checkpoint(kind), TEXTS[:1], start, 1.0, size=48)).abs().max() < 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_texts_are_embedded_as_the_pipeline_embeds_them(checkpoint, kind):
    text, pipe = build(checkpoint(kind)).conditioner, DiffusionPipeline.from_pretrained(checkpoint(kind))
    inputs = text.prepare([Prompt(text=t) for t in TEXTS] + [Prompt(text="red " * 200), Prompt(label=1)])
    assert (inputs.dtype, inputs.shape) == (torch.int64, (5, 2, 77) if kind.startswith("xl") else (5, 77))
    with torch.no_grad():
        ours = text(inputs)
        found = pipe.encode_prompt(TEXTS, device="cpu", num_images_per_prompt=1, do_classifier_free_guidance=True)
        nothing = text(text.nothing)
    assert torch.allclose(ours.tokens[:3], found[0], atol=1e-5)
    assert torch.allclose(nothing.tokens[0], found[1][0], atol=1e-5)
    assert ours.tokens.shape[-1] == text.width
    assert torch.equal(ours.tokens[4], ours.tokens[2])  # without a text: the empty one
    if kind.startswith("xl"):
        assert torch.allclose(ours.pooled[:3], found[2], atol=1e-5)
        assert torch.allclose(nothing.pooled[0], found[3][0], atol=1e-5)
        assert bool(nothing.tokens.any()) == (kind == "xl-empty")


def test_latents_are_the_scaled_posterior_mean_and_pictures_come_back_at_the_modalitys_size(checkpoint):
    bundle, pipe = build(checkpoint("xl")), DiffusionPipeline.from_pretrained(checkpoint("xl"))
    pixels = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    records = pd.DataFrame({"image": pd.Series(list(pixels), dtype=object)})
    state = bundle.codec.encode(records)
    with torch.no_grad():
        expected = pipe.vae.encode(bundle.codec.pixels.encode(records).num).latent_dist.mode() * pipe.vae.config.scaling_factor
        soft = bundle.codec.soft(state)
    assert torch.allclose(state.num, expected, atol=1e-5)
    assert (soft.shape, float(soft.abs().max()) <= 1) == ((5, 3, 32, 32), True)
    back = bundle.codec.decode(state, None, 0)
    assert back["image"][0].dtype == np.uint8
    assert np.abs(np.stack(back["image"]) / 127.5 - 1 - soft.permute(0, 2, 3, 1).numpy()).max() < 0.01
    assert len(bundle.codec.decode(bundle.codec.encode(records[:0]), None, 0)) == 0
    assert np.array_equal(bundle.codec.vectors(records), bundle.codec.pixels.vectors(records))


def test_shifted_and_whitened_latents_go_and_come_back(changed):
    folder = changed("eps")
    file = folder / "vae" / "config.json"
    facts = json.loads(file.read_text())
    records = pd.DataFrame({"image": pd.Series([np.full((32, 32, 3), 200, np.uint8)], dtype=object)})
    plain = build(folder).codec
    for extra in ({"shift_factor": 0.3}, {"latents_mean": [0.1, 0.2, 0.3, 0.4], "latents_std": [1.0, 2.0, 3.0, 4.0]}):
        file.write_text(json.dumps({**facts, **extra}))
        codec = build(folder).codec
        state = codec.encode(records)
        assert not torch.allclose(state.num, plain.encode(records).num, atol=1e-3)
        assert torch.allclose(codec.soft(state), plain.soft(plain.encode(records)), atol=1e-4)


def test_gradients_reach_the_tokens_from_decoded_pixels_and_checkpointing_changes_nothing(checkpoint):
    found = []
    for checkpointing in (False, True):
        made = generator(build(checkpoint("xl"), gradient_checkpointing=checkpointing), sampler="ddim", steps=3)
        made.model.module.train()
        condition = made.encode_condition([Prompt(text=TEXTS[0])])
        tokens = condition.tokens.clone().requires_grad_()
        pictures = made.codec.soft(made.draw(condition.with_(tokens=tokens), noise=noise(1), grad_steps=2))
        pictures.square().mean().backward()
        found.append(tokens.grad)
    assert float(found[0].abs().sum()) > 0
    assert torch.allclose(found[0], found[1], rtol=1e-4, atol=1e-8)


def test_a_recipes_own_conditioner_must_fit(checkpoint):
    assert build(checkpoint("eps"), condition_width=16).conditioner is None
    with pytest.raises(RecipeError, match="128 wide, the checkpoint looks at tokens of 16"):
        build(checkpoint("eps"), condition_width=128)
    with pytest.raises(RecipeError, match="only its own text towers"):
        build(checkpoint("xl"), condition_width=24)


def test_hidden_tokens_of_a_recipes_own_conditioner_are_not_looked_at(checkpoint):
    from scarce.contract import Condition

    network = build(checkpoint("eps"), condition_width=16).network.eval()
    tokens, mask = torch.randn(1, 3, 16, generator=torch.Generator().manual_seed(0)), torch.tensor([[True, True, False]])
    x, t = noise(1), torch.tensor([500])
    with torch.no_grad():
        base = network(x, t, Condition(tokens, mask)).num
        tokens[:, 2] += 100
        assert torch.allclose(network(x, t, Condition(tokens, mask)).num, base, atol=1e-5)
        assert not torch.allclose(network(x, t, Condition(tokens, mask | True)).num, base, atol=1e-3)


def edit(folder, file, **changes):
    facts = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps({**facts, **changes}))


def pickle_weights(folder):
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    torch.save(UNet2DConditionModel.from_pretrained(folder / "unet").state_dict(), file.with_suffix(".bin"))
    file.unlink()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda f: edit(f, "model_index.json", _class_name="FluxPipeline"), "holds a FluxPipeline"),
        (lambda f: edit(f, "model_index.json", vae=["diffusers", "AutoencoderTiny"]), "'vae' .* is a AutoencoderTiny"),
        (lambda f: (f / "vae").rename(f / "other"), "lacks the part 'vae'"),
        (lambda f: (f / "text_encoder" / "model.safetensors").unlink(), "text_encoder has no weights"),
        (pickle_weights, "diffusion_pytorch_model.bin is a pickle"),
        (lambda f: edit(f, "scheduler/scheduler_config.json", beta_schedule="linear"), "beta_schedule linear"),
        (lambda f: edit(f, "scheduler/scheduler_config.json", rescale_betas_zero_snr=True), "rescale_betas_zero_snr"),
        (lambda f: edit(f, "scheduler/scheduler_config.json", prediction_type="sample"), "prediction_type sample"),
        (lambda f: edit(f, "unet/config.json", in_channels=9), "in_channels|can't be read|9 channels"),
    ],
)
def test_what_cannot_be_read_is_named(changed, damage, said):
    folder = changed("eps")
    damage(folder)
    with pytest.raises(RecipeError, match=said):
        build(folder)


def test_half_weights_are_read_where_there_are_no_others(changed):
    folder = changed("v")
    pipe = DiffusionPipeline.from_pretrained(folder).to(torch.float16)
    for part in ("unet", "vae", "text_encoder"):
        getattr(pipe, part).save_pretrained(folder / part, variant="fp16")
        next(f for f in (folder / part).glob("*.safetensors") if ".fp16." not in f.name).unlink()
    bundle = build(folder)
    assert {p.dtype for p in bundle.network.parameters()} == {torch.float32}
    whole = generator(bundle, sampler="ddim", steps=5)
    assert drawn(whole, TEXTS[:1], noise(1)).isfinite().all()


@pytest.mark.parametrize(("size", "hint"), [(36, "data.options.size=32"), (4, "data.options.size=8")])
def test_sides_that_the_autoencoder_does_not_divide(checkpoint, size, hint):
    with pytest.raises(RecipeError, match="multiples of the autoencoder's 8") as error:
        build(checkpoint("eps"), size=size)
    assert hint in error.value.hint


def test_only_pictures_in_three_colours(checkpoint):
    space, codec = Space(layout="vector", blocks=()), ImageCodec(size=32)
    ctx = BackboneContext(space=space, condition_width=1, steps=10, classes=(), runtime=runtime_(), codec=codec)
    with pytest.raises(RecipeError, match="makes pictures"):
        StableDiffusion(config.StableDiffusion(source=str(checkpoint("eps")))).backbone_build(ctx)


def test_an_unknown_id_without_a_connection_and_a_wrong_folder(monkeypatch, tmp_path):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(RecipeError, match="hub:some/model is not on this machine") as error:
        build("hub:some/model")
    assert "hf download some/model" in error.value.hint
    with pytest.raises(RecipeError, match=r"has no model_index\.json"):
        build(tmp_path)


def test_what_the_hubs_cache_holds_is_read_without_a_connection(monkeypatch, tmp_path, checkpoint):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    import shutil

    home = tmp_path / "models--some--model"
    shutil.copytree(checkpoint("eps"), home / "snapshots" / "0123456789abcdef0123456789abcdef01234567")
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text("0123456789abcdef0123456789abcdef01234567")
    assert build("hub:some/model").sha256 == build(checkpoint("eps")).sha256
    other = home / "snapshots" / "0123456789abcdef0123456789abcdef01234567" / "unet" / "diffusion_pytorch_model.non_ema.safetensors"
    other.write_bytes(b"of another program")
    assert build("hub:some/model").sha256 == build(checkpoint("eps")).sha256


def pictures(n=24, side=32):
    rng, labels = np.random.default_rng(0), np.tile(["red", "blue"], n // 2)
    colour = {"red": (220, 20, 20), "blue": (20, 20, 220)}
    images = [(np.full((side, side, 3), colour[v]) + rng.integers(-20, 20, (side, side, 3))).astype(np.uint8) for v in labels]
    return pd.DataFrame({"image": pd.Series(images, dtype=object), "label": labels})


RECIPE = """
[data]
modality = "images"
target = "label"
[data.options]
size = 32
[backbone]
name = "stable-diffusion"
source = "{source}"
[[strategy]]
name = "lora"
rank = 2
alpha = 4.0
targets = ["backbone", "conditioner.0"]
modules = ["to_q", "to_v", "q_proj"]
[train]
steps = 3
batch = 4
rate = 0.05
null = 0.2
[generate]
prompt = "a photo of a {{}} circle"
count = 4
steps = 2
sampler = "ddim"
guidance = 2.0
[runtime]
threads = 1
precision = "fp32"
"""


def test_a_run_with_adapters_opens_again_and_keeps_no_checkpoint_weights(changed, tmp_path):
    folder = changed("eps")
    (tmp_path / "r.toml").write_text(RECIPE.format(source=folder))
    out = tmp_path / "run"
    data = write_images(pictures(), tmp_path / "pictures.parquet")
    run = scarce.run(str(tmp_path / "r.toml"), data=data, set={"data.target": "label"}, out=out, quiet=True)
    weights, _ = read_tensors(out / "model" / "base.safetensors")
    assert [n for n in weights if not n.startswith("buffer:")] == []
    assert read_tensors(out / "model" / "phases" / "train.safetensors")[0] == {}
    home = out / "model" / "adapters" / "train"
    for target in ("backbone", "conditioner.0"):
        state = read_tensors(home / f"strategy.0-{target}" / "adapter_model.safetensors")[0]
        assert any(float(w.abs().max()) > 0 for n, w in state.items() if "lora_B" in n)
    first, again = (scarce.load(out).sample(3, seed=1) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first["image"], again["image"], strict=True))
    assert not np.array_equal(first["image"][0], run.sample(3, seed=2)["image"][0])
    assert list(first.columns) == ["image", "label"]
    before = (out / "samples" / "synthetic.parquet").read_bytes()
    for finished in ("metrics.json", "hashes.json", "samples/synthetic.parquet"):
        (out / finished).unlink()
    assert main(["resume", str(out), "--quiet"]) == 0
    assert (out / "samples" / "synthetic.parquet").read_bytes() == before
    unet = UNet2DConditionModel.from_pretrained(folder / "unet")
    with torch.no_grad():
        next(unet.parameters()).add_(1e-3)
    unet.save_pretrained(folder / "unet")
    with pytest.raises(RunError, match="are not those the run was trained on"):
        scarce.load(out).sample(1)


def test_a_checkpoint_given_as_generator_is_the_backbone_that_opens_it(checkpoint, tmp_path, capsys):
    text = RECIPE.format(source="nothing").replace('name = "stable-diffusion"', 'name = "conv-transformer"').replace("source = ", "#")
    text = text.replace("[[strategy]]", '[[conditioner]]\nname = "words"\n[[strategy]]')
    (tmp_path / "r.toml").write_text(text)
    data = write_images(pictures(), tmp_path / "pictures.parquet")
    changes = {"data.target": "label", "generator.from": f"path:{checkpoint('v')}", "generate.count": 2}
    run = scarce.run(str(tmp_path / "r.toml"), data=data, set=changes, out=tmp_path / "run", quiet=True)
    recipe, _ = read_recipe(run.folder)
    assert (recipe.backbone.name, recipe.backbone.options) == ("stable-diffusion", {"source": f"path:{checkpoint('v')}"})
    assert (recipe.conditioner, recipe.generator.source) == ((), None)
    assert len(run.sample(2)) == 2
    bare = scarce.run(str(tmp_path / "r.toml"), data=data, set={**changes, "strategy": []}, out=tmp_path / "bare", quiet=True)
    assert json.loads((bare.folder / "plan.json").read_text()) == []  # a checkpoint without strategies is used as it is
    assert len(bare.sample(2)) == 2
    given = ["--data", str(data), "--set", "data.target=label", "--set", f"generator.from={checkpoint('v')}", "--set", "train.steps=2"]
    capsys.readouterr()
    assert main(["plan", str(tmp_path / "r.toml"), *given, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["recipe"]["backbone"]["source"] == str(checkpoint("v"))
    arms = {"arm.0.name": "a", "arm.0.generator.from": str(checkpoint("eps")), "arm.1.name": "b"}
    raw = resolve(read_toml(tmp_path / "r.toml"), overrides=[("data.target", "label"), *arms.items()])
    jobs = Experiment("two", raw, tmp_path / "two", read_catalogue()).jobs()
    assert [job.recipe.backbone.name for job in jobs] == ["stable-diffusion", "conv-transformer"]


def test_options_stay_and_without_a_backbone_that_opens_it_a_distribution_is_named():
    raw = {"data": {"modality": "images"}, "generator": {"from": "hub:some/model"}}
    own = {**raw, "backbone": {"name": "stable-diffusion", "source": "hub:other/model", "gradient_checkpointing": True}}
    found = settled(resolve(own), read_catalogue()).backbone.options
    assert found == {"source": "hub:some/model", "gradient_checkpointing": True}
    with pytest.raises(PluginError, match="no installed backbone opens hub:some/model"):
        settled(resolve({**raw, "data": {"modality": "timeseries"}}), read_catalogue(only={"scarce", "scarce-timeseries"}))
