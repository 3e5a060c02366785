"""Views by a pipeline of diffusers that is named as it lies there."""

import json
import string

import numpy as np
import pandas as pd
import pytest
import torch

from scarce.errors import RunError
from scarce.files import read_json
from scarce.runs import api

LETTERS = [*string.ascii_lowercase, *(f"{c}</w>" for c in string.ascii_lowercase)]


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    """A Stable Diffusion of random weights that makes pictures of 16 x 16, and whose texts are single letters."""
    pytest.importorskip("scarce_images")
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    words = tmp_path_factory.mktemp("words")
    codes = {token: i for i, token in enumerate([*LETTERS, "<|startoftext|>", "<|endoftext|>"])}
    (words / "vocab.json").write_text(json.dumps(codes))
    (words / "merges.txt").write_text("#version: 0.2\n")
    with torch.random.fork_rng():
        torch.manual_seed(1)
        unet = UNet2DConditionModel(
            block_out_channels=(8, 16), layers_per_block=1, sample_size=4, norm_num_groups=4, cross_attention_dim=16,
            attention_head_dim=2, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        )  # fmt: skip
        vae = AutoencoderKL(
            block_out_channels=(8,) * 4, down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
            norm_num_groups=4, sample_size=32,
        )  # fmt: skip
        text = CLIPTextConfig(
            hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, vocab_size=len(codes),
            max_position_embeddings=77, eos_token_id=len(codes) - 1, bos_token_id=len(codes) - 2,
        )  # fmt: skip
        tower = CLIPTextModel(text)
    scheduler = DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False)
    made = StableDiffusionPipeline(
        vae=vae, unet=unet, scheduler=scheduler, text_encoder=tower, safety_checker=None, feature_extractor=None,
        tokenizer=CLIPTokenizer(str(words / "vocab.json"), str(words / "merges.txt"), model_max_length=77), requires_safety_checker=False,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("pipeline")
    made.save_pretrained(folder, safe_serialization=True)
    return folder


def texts():
    """Sixty sentences on fruit and tools."""
    rng = np.random.default_rng(0)
    kinds = np.array(["fruit", "tools"], dtype=object)[np.arange(60) % 2]
    nouns = [rng.choice(["apple", "pear"] if kind == "fruit" else ["saw", "drill"]) for kind in kinds]
    return pd.DataFrame({"text": [f"my {noun} is old, said number {i}" for i, noun in enumerate(nouns)], "kind": kinds})


def test_a_checkpoint_makes_views_as_it_is_and_the_run_keeps_what_its_weights_hash_to(pipeline, tmp_path):
    pytest.importorskip("scarce_text")
    settings = {
        "data.target": "kind", "generator.from": str(pipeline), "generator.options": {"size": 32}, "generate.prompt": "keywords",
        "generate.steps": 2, "generate.guidance": 1.5, "learner.student": {"name": "text", "steps": 20, "max_tokens": 16},
        "learner.view": None, "learner.teacher": {"steps": 20, "width": 8}, "learner.grid": [0.0, 1.0], "learner.folds": 2,
        "learner.controls": ["baseline"], "learner.alpha": 1.0, "learner.beta": 0.0, "runtime.threads": 1,
    }  # fmt: skip
    run = api.run("lugpi/sd2", data=texts(), set=settings, out=tmp_path / "run", quiet=True)
    assert [m["error"] for m in run.metrics if m["error"]] == []
    kept = read_json(run.folder / "model" / "checkpoint.json")
    assert kept["source"] == str(pipeline)
    views = pd.read_parquet(run.folder / "samples" / "synthetic.parquet")
    assert len(views) == read_json(run.folder / "metrics.json")["cost"]["samples"]
    (run.folder / "model" / "checkpoint.json").write_text(json.dumps({**kept, "sha256": "0" * 64}))
    (run.folder / "metrics.json").unlink()
    with pytest.raises(RunError, match="are not those the run began with"):
        api.resume(run.folder)
