"""A tiny CLIP in a folder, small pictures to learn from, and a generator of digits to adapt."""

import json
import string

import numpy as np
import pandas as pd
import pytest
import tomli_w
import torch
from sklearn.datasets import load_digits
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

from scarce.contract import Dataset
from scarce.runs import api


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory):
    """A CLIP of random weights with a tokenizer of single letters."""
    folder = tmp_path_factory.mktemp("clip")
    letters = [*string.ascii_lowercase, *(f"{c}</w>" for c in string.ascii_lowercase)]
    vocabulary = {token: i for i, token in enumerate([*letters, "<|startoftext|>", "<|endoftext|>"])}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=24).save_pretrained(folder)
    tower = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    end = vocabulary["<|endoftext|>"]
    text = {**tower, "vocab_size": len(vocabulary), "max_position_embeddings": 24, "bos_token_id": end - 1, "eos_token_id": end}
    config = CLIPConfig(text_config=text, vision_config={**tower, "image_size": 16, "patch_size": 4}, projection_dim=16)
    torch.manual_seed(0)
    CLIPModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def pipeline(clip_folder, tmp_path_factory):
    """A tiny Stable Diffusion of random weights that predicts velocities, as 2.1 does, in diffusers' format."""
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    words = CLIPTokenizer.from_pretrained(clip_folder)
    torch.manual_seed(1)
    unet = UNet2DConditionModel(
        block_out_channels=(8, 16), layers_per_block=1, sample_size=4, norm_num_groups=4, cross_attention_dim=16, attention_head_dim=2,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    )  # fmt: skip
    vae = AutoencoderKL(
        block_out_channels=(8,) * 4, down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        norm_num_groups=4, sample_size=32,
    )  # fmt: skip
    text = CLIPTextConfig(
        hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, vocab_size=len(words), max_position_embeddings=24,
        eos_token_id=words.eos_token_id, bos_token_id=words.bos_token_id,
    )  # fmt: skip
    scheduler = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", prediction_type="v_prediction", clip_sample=False,
        set_alpha_to_one=True,
    )  # fmt: skip
    pipe = StableDiffusionPipeline(
        vae=vae, unet=unet, scheduler=scheduler, tokenizer=words, text_encoder=CLIPTextModel(text), safety_checker=None,
        feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("pipeline")
    pipe.save_pretrained(folder, safe_serialization=True)
    return folder


def pictures(n, seed=0, noise=20, shift=0):
    """n rows of pictures 16 x 16, bright above ("top") or below ("bottom")."""
    rng = np.random.default_rng(seed)
    kinds = np.array(["top", "bottom"])[np.arange(n) % 2]
    cells = []
    for kind in kinds:
        cell = rng.normal(60, noise, (16, 16, 3))
        cell[:8] += 120 if kind == "top" else 0
        cell[8:] += 120 if kind == "bottom" else 0
        cells.append((cell + shift).clip(0, 255).astype(np.uint8))
    return pd.DataFrame({"image": pd.Series(cells, dtype=object), "place": pd.Series(kinds, dtype=object)})


@pytest.fixture(scope="session")
def bands():
    """`pictures` as a function, and as a data set."""

    def dataset(frame, every=3):
        n, target = len(frame), frame["place"].to_numpy(dtype=object)
        return Dataset(
            name="bands", ids=np.arange(n).astype(str), records=frame, task="classification", target_name="place", target=target,
            classes=("bottom", "top"), labelled=np.ones(n, dtype=bool), groups=np.arange(n).astype(str),
            split=np.where(np.arange(n) // 2 % every == 0, "train", "test"), schema={"size": 16},
        )  # fmt: skip

    return pictures, dataset


CLASSES = "0147"
PARENT = {
    "data": {"modality": "images", "target": "digit", "options": {"size": 8}},
    "backbone": {"name": "conv-transformer", "width": 48, "layers": 2, "heads": 4, "patch": 2, "channels": 16},
    "conditioner": [{"name": "words", "width": 32}],
    "diffusion": {"schedule": "flow", "target": "flow", "times": "logit-normal", "prior": "standard"},
    "train": {"steps": 400, "batch": 32, "rate": 3e-3, "warmup": 20, "null": 0.1, "ema": 0.98},
    "generate": {"prompt": "digit {}", "per_class": 40, "sampler": "dpm++", "eta": 0.0, "steps": 8},
    "runtime": {"threads": 1, "precision": "fp32"},
}


def written(change=None):
    """scikit-learn's digits 0, 1, 4 and 7 as pictures 8 x 8; change(picture [8, 8, 3] in 0-1, class) makes another domain of them."""
    x, y = load_digits(return_X_y=True)
    kept = [i for i in range(len(y)) if str(y[i]) in CLASSES]
    plain = [np.repeat(x[i].reshape(8, 8, 1) / 16, 3, axis=2) for i in kept]
    labels = [str(y[i]) for i in kept]
    cells = [np.rint(255 * (a if change is None else change(a, c))).astype(np.uint8) for a, c in zip(plain, labels, strict=True)]
    return pd.DataFrame({"image": pd.Series(cells, dtype=object), "digit": pd.Series(labels, dtype=object)})


@pytest.fixture(scope="session")
def parent(tmp_path_factory):
    """A run that learnt to draw plain digits: half a minute."""
    folder = tmp_path_factory.mktemp("parent")
    (folder / "parent.toml").write_text(tomli_w.dumps(PARENT))
    return api.run(str(folder / "parent.toml"), data=written(), set={"data.target": "digit"}, out=folder / "run", quiet=True)


@pytest.fixture
def adapt(parent, tmp_path):
    """A run that goes on from `parent` with some strategies, on digits of another domain."""

    def run(strategy, data=None, shots="4 per class", seed=0, **sets):
        recipe = {k: v for k, v in PARENT.items() if k in ("data", "generate", "runtime")}
        recipe |= {"generator": {"from": f"run:{parent.folder}"}, "strategy": strategy, "seed": seed}
        name = f"run{len(list(tmp_path.iterdir()))}"
        (tmp_path / f"{name}.toml").write_text(tomli_w.dumps(recipe))
        sets = {"data.target": "digit", "data.labelled": shots, **sets}
        data = written() if data is None else data
        return api.run(str(tmp_path / f"{name}.toml"), data=data, set=sets, out=tmp_path / name, quiet=True)

    return run


@pytest.fixture
def untrained(tmp_path):
    """A run from scratch that has hardly learnt anything."""

    def run(**changes):
        recipe = {**PARENT, "train": {**PARENT["train"], "steps": 2}, **changes}
        (tmp_path / "scratch.toml").write_text(tomli_w.dumps(recipe))
        sets = {"data.target": "digit", "generate.per_class": 2}
        return api.run(str(tmp_path / "scratch.toml"), data=written(), set=sets, out=tmp_path / "scratch", quiet=True)

    return run


@pytest.fixture(scope="session")
def digits():
    """`written` as a function."""
    return written
