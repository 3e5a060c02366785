"""Tiny checkpoints of the real classes with random weights, written by diffusers itself."""

import json

import pytest
import torch

WORDS = ("a", "photo", "of", "red", "blue", "circle", "square", "cat", "dog")


def tokenizer(folder):
    """A CLIP tokenizer that knows letters and a few words."""
    from transformers import CLIPTokenizer

    letters = [chr(i) for i in range(33, 127)]
    merges, tokens = [], [*letters, *(f"{c}</w>" for c in letters)]
    for word in WORDS:
        parts = [*word[:-1], f"{word[-1]}</w>"]
        while len(parts) > 1:
            merges.append((parts[0], parts[1]))
            parts = [parts[0] + parts[1], *parts[2:]]
            tokens.append(parts[0])
    tokens = [*dict.fromkeys(tokens), "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps({t: i for i, t in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(" ".join(m) for m in dict.fromkeys(merges)) + "\n")
    facts = {"model_max_length": 77, "bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps({**facts, "tokenizer_class": "CLIPTokenizer", "pad_token": "<|endoftext|>"}))
    return CLIPTokenizer.from_pretrained(folder), len(tokens)


def scheduler(predicts):
    from diffusers import DDIMScheduler

    betas = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "prediction_type": predicts}
    exact = {"clip_sample": False, "set_alpha_to_one": True, "timestep_spacing": "trailing", "steps_offset": 1}
    return DDIMScheduler(**betas, **exact)


def unet(width, **extra):
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        block_out_channels=(8, 16), layers_per_block=1, sample_size=4, in_channels=4, out_channels=4, norm_num_groups=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=width, attention_head_dim=2, **extra,
    )  # fmt: skip


def make(folder, large=False, predicts="epsilon", scaling=0.18215, zeros=True):
    from diffusers import AutoencoderKL, StableDiffusionPipeline, StableDiffusionXLPipeline
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    words, count = tokenizer(folder / "words")
    vae = AutoencoderKL(
        block_out_channels=(8,) * 4, down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4, norm_num_groups=4, scaling_factor=scaling, sample_size=32,
    )  # fmt: skip

    def config(width):
        return CLIPTextConfig(
            hidden_size=width, intermediate_size=2 * width, num_hidden_layers=3, num_attention_heads=2, vocab_size=count, projection_dim=12,
            eos_token_id=count - 1, bos_token_id=count - 2, pad_token_id=count - 1,
        )  # fmt: skip

    if large:
        told = {"addition_embed_type": "text_time", "addition_time_embed_dim": 4, "projection_class_embeddings_input_dim": 6 * 4 + 12}
        pipe = StableDiffusionXLPipeline(
            vae=vae, unet=unet(24, **told), scheduler=scheduler(predicts), tokenizer=words, tokenizer_2=words,
            text_encoder=CLIPTextModel(config(8)), text_encoder_2=CLIPTextModelWithProjection(config(16)),
            force_zeros_for_empty_prompt=zeros, add_watermarker=False,
        )  # fmt: skip
    else:
        pipe = StableDiffusionPipeline(
            vae=vae, unet=unet(16), scheduler=scheduler(predicts), tokenizer=words, text_encoder=CLIPTextModel(config(16)),
            safety_checker=None, feature_extractor=None, requires_safety_checker=False,
        )  # fmt: skip
    with torch.no_grad():  # fresh outputs are nearly nothing: make texts and times matter
        for network in (pipe.unet, pipe.text_encoder):
            for weight in network.parameters():
                weight.mul_(1.5)
    pipe.save_pretrained(folder / "pipe", safe_serialization=True)
    return folder / "pipe"


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """Family ("eps", "v", "xl", "xl-empty") -> folder; each is made once and must not be changed."""
    made = {}
    kinds = {
        "eps": {}, "v": {"predicts": "v_prediction"}, "xl": {"large": True, "scaling": 0.13025},
        "xl-empty": {"large": True, "zeros": False},
    }  # fmt: skip

    def of(kind):
        if kind not in made:
            with torch.random.fork_rng():
                torch.manual_seed(7)
                made[kind] = make(tmp_path_factory.mktemp(kind), **kinds[kind])
        return made[kind]

    return of


@pytest.fixture
def changed(checkpoint, tmp_path):
    """A copy of a checkpoint that a test may damage."""
    import shutil

    def of(kind):
        return shutil.copytree(checkpoint(kind), tmp_path / "changed")

    return of
