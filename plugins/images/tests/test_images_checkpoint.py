"""Checkpoints that are damaged or lack a part: each is refused by the file's name before a picture is made of it."""

import json

import pytest
from transformers import CLIPTokenizer

from scarce.contract import BackboneContext
from scarce.errors import RecipeError
from scarce.runtime.options import RuntimeOptions
from scarce.runtime.runtime import SharedRuntime
from scarce_images import config
from scarce_images.checkpoint import Incomplete
from scarce_images.codec import ImageCodec
from scarce_images.stable import StableDiffusion, read_tokenizer


def build(folder):
    codec, runtime = ImageCodec(size=32), SharedRuntime(seed=0, options=RuntimeOptions(precision="fp32", threads=1))
    ctx = BackboneContext(space=codec.space, condition_width=1, steps=10, classes=(), runtime=runtime, codec=codec)
    return StableDiffusion(config.StableDiffusion(source=str(folder))).backbone_build(ctx)


def emptied(folder):
    for file in folder.iterdir():
        file.unlink()


def wordless(folder):
    """A tokenizer whose two tokens are its marks."""
    emptied(folder)
    (folder / "vocab.json").write_text(json.dumps({"<|startoftext|>": 0, "<|endoftext|>": 1}))
    (folder / "merges.txt").write_text("#version: 0.2\n")


@pytest.mark.parametrize("part", ["tokenizer", "tokenizer_2"])
def test_a_tokenizer_without_words_is_no_tokenizer(changed, part):
    folder = changed("xl")
    whole = {file.name: file.read_bytes() for file in (folder / part).iterdir()}
    words = CLIPTokenizer.from_pretrained(folder / part)
    for left in ([], [name for name in whole if name not in ("tokenizer.json", "vocab.json", "merges.txt")]):
        emptied(folder / part)
        for name in left:
            (folder / part / name).write_bytes(whole[name])
        with pytest.raises(Incomplete, match=rf"{part} lacks its words: tokenizer\.json or vocab\.json and merges\.txt"):
            build(folder)
    wordless(folder / part)
    with pytest.raises(RecipeError, match=f"{part} knows no words"):
        build(folder)
    emptied(folder / part)
    for name, data in whole.items():
        (folder / part / name).write_bytes(data)
    with pytest.raises(RecipeError, match=f"{part} has {len(words)} words, its text encoder knows 10"):
        read_tokenizer(folder / part, 10)
    assert build(folder).conditioner is not None


def cut(file):
    file.write_bytes(file.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("name", "damage", "said"),
    [
        ("text_encoder/model.safetensors", cut, "text_encoder can't be read"),
        ("unet/diffusion_pytorch_model.safetensors", cut, "unet can't be read"),
        ("unet/diffusion_pytorch_model.safetensors", lambda f: f.write_bytes(b""), "unet can't be read"),
        ("vae/config.json", lambda f: f.write_text("[]"), r"vae/config\.json is damaged: it holds a list"),
        ("text_encoder/config.json", lambda f: f.write_text("{"), r"text_encoder/config\.json is damaged"),
        ("scheduler/scheduler_config.json", lambda f: f.write_text("[1]"), r"scheduler_config\.json is damaged: it holds a list"),
        ("scheduler/scheduler_config.json", cut, r"scheduler_config\.json is damaged"),
        ("scheduler/scheduler_config.json", lambda f: f.unlink(), r"scheduler_config\.json is missing"),
        ("model_index.json", cut, r"model_index\.json is damaged"),
        ("model_index.json", lambda f: f.write_bytes(b"\xff\xfe{"), r"model_index\.json is damaged"),
        ("model_index.json", lambda f: f.write_text('"text"'), r"model_index\.json is damaged: it holds a str"),
        ("tokenizer/tokenizer.json", lambda f: f.write_text("{}"), "tokenizer can't be read"),
        ("tokenizer/tokenizer.json", cut, r"tokenizer/tokenizer\.json is damaged"),
    ],
)
def test_a_damaged_file_is_named_and_to_be_fetched_again(changed, name, damage, said):
    folder = changed("eps")
    damage(folder / name)
    with pytest.raises(RecipeError, match=rf"backbone\.source: {folder}.*{said.split('/')[-1]}") as error:
        build(folder)
    assert "fetch it again (hf download" in error.value.hint


def test_an_index_that_names_parts_oddly_is_of_another_kind(changed):
    folder = changed("eps")
    facts = json.loads((folder / "model_index.json").read_text())
    for odd in (5, "UNet", ["UNet"]):
        (folder / "model_index.json").write_text(json.dumps({**facts, "unet": odd}))
        with pytest.raises(RecipeError, match=r"'unet' of .* not a UNet2DConditionModel"):
            build(folder)
