"""Backbone `stable-diffusion`: network, text towers and autoencoder of a checkpoint of the families 1, 2 and XL."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer
from transformers.utils import logging

from scarce.contract import BackboneContext, BackboneSpec, Bundle, Condition, Space, State, hookimpl
from scarce.errors import RecipeError
from scarce_images.checkpoint import AGAIN, WORDS, Checkpoint, find_checkpoint, read_facts
from scarce_images.config import StableDiffusion as StableDiffusionOptions
from scarce_images.latents import LatentCodec
from scarce_images.stable_text import StableText

KINDS = {"unet": UNet2DConditionModel, "vae": AutoencoderKL, "text_encoder": CLIPTextModel, "text_encoder_2": CLIPTextModelWithProjection}
TARGETS = {"epsilon": "eps", "v_prediction": "v"}
BETAS = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "num_train_timesteps": 1000}
"""The noise schedule of every checkpoint of these families (arXiv 2112.10752)."""


class StableDiffusion(BackboneSpec):
    """Latent diffusion (Rombach et al., arXiv 2112.10752) from a checkpoint in diffusers' format."""

    def __init__(self, options: StableDiffusionOptions) -> None:
        self.options = options

    @hookimpl
    def backbone_build(self, ctx: BackboneContext) -> Bundle:
        """Everything the checkpoint brings; a recipe that names conditioners gives the network those instead of the text towers.

        Raises RecipeError for what is no picture in three colours, and for a checkpoint that can't be read or was trained otherwise.
        """
        check_space(ctx.space)
        assert ctx.codec is not None  # the core gives it to every backbone
        checkpoint = find_checkpoint(self.options.source)
        diffusion = diffusion_facts(checkpoint)
        ctx.runtime.say(f"reading {checkpoint.folder}")
        unet, vae = read_part(checkpoint, "unet"), read_part(checkpoint, "vae")
        codec = LatentCodec(ctx.codec, vae, ctx.runtime)
        own = ctx.condition_width <= 1
        check_widths(unet, codec.channels, checkpoint, None if own else ctx.condition_width)
        text = read_text(checkpoint) if own else None
        network = StableNetwork(unet, size=ctx.space.shape if checkpoint.is_large else None, masked=not own)
        if self.options.gradient_checkpointing:
            unet.enable_gradient_checkpointing()
            vae.enable_gradient_checkpointing()
            for tower in () if text is None else text.children():
                recompute(tower)
        return Bundle(
            network=network, conditioner=text, codec=codec, diffusion=diffusion, source=self.options.source, sha256=checkpoint.sha256()
        )


class StableNetwork(nn.Module):
    """See `contract.Backbone`: diffusers' U-Net, under the name it has in a pipeline.

    size: height and width in pixels, told to SDXL as original and target size without a crop; masked: whether tokens may be hidden.
    """

    fresh: tuple[str, ...] = ()

    def __init__(self, unet: nn.Module, *, size: tuple[int, ...] | None = None, masked: bool = False) -> None:
        super().__init__()
        self.unet, self.masked = unet, masked
        self.sizes = None if size is None else [float(v) for v in (*size, 0, 0, *size)]

    def forward(self, x_t: State, t: Tensor, condition: Condition, mask: Tensor | None = None) -> State:
        """num: [b, 4, h, w] what the checkpoint predicts of latents x_t at diffusers' timesteps t [b]."""
        told = None
        if self.sizes is not None:
            ids = torch.tensor(self.sizes, device=t.device).expand(len(t), -1)
            told = {"text_embeds": condition.pooled, "time_ids": ids}
        hidden = condition.mask if self.masked else None
        out = self.unet(
            x_t.num, t, encoder_hidden_states=condition.tokens, encoder_attention_mask=hidden, added_cond_kwargs=told, return_dict=False
        )[0]
        return State(out, x_t.cat[..., :0].to(out.dtype), None)


def recompute(tower: Any) -> None:
    """Activations of a text tower are computed again for gradients; transformers 5 calls that otherwise than 4."""
    enable = getattr(tower, "activation_checkpointing_enable", None) or tower.gradient_checkpointing_enable
    enable()


def check_space(space: Space) -> None:
    """RecipeError for what is no picture in three colours."""
    if space.layout != "image" or space.levels or space.width != 3:
        what = f"backbone: 'stable-diffusion' makes pictures in three colours, not a {space.layout} of {space.width} channels"
        raise RecipeError(what, hint="--set data.modality=images")


def check_widths(unet: nn.Module, channels: int, checkpoint: Checkpoint, condition_width: int | None) -> None:
    """RecipeError for a U-Net that denoises something else, and for conditioners of a recipe that don't fit it."""
    config: Any = unet.config
    if (config.in_channels, config.out_channels) != (channels, channels):
        what = f"backbone.source: its U-Net turns {config.in_channels} channels into {config.out_channels}; latents have {channels}"
        raise RecipeError(what, hint="choose a plain text-to-image checkpoint, none for inpainting")
    if condition_width is None:
        return
    if checkpoint.is_large:
        raise RecipeError("conditioner: SDXL hears only its own text towers", hint="--set conditioner=[]")
    if condition_width != config.cross_attention_dim:
        what = f"conditioner: tokens are {condition_width} wide, the checkpoint looks at tokens of {config.cross_attention_dim}"
        raise RecipeError(what, hint="--set conditioner=[] takes the checkpoint's own text tower")


def diffusion_facts(checkpoint: Checkpoint) -> Mapping[str, Any]:
    """Keys of `[diffusion]` that the checkpoint was trained under; RecipeError for a diffusion that the core does not have."""
    facts = read_facts(checkpoint.folder / "scheduler" / "scheduler_config.json")
    odd = [f"{key} {facts.get(key)}" for key, value in BETAS.items() if not _same(facts.get(key), value)]
    odd += [f"{key} true" for key in ("rescale_betas_zero_snr", "trained_betas") if facts.get(key)]
    predicts = str(facts.get("prediction_type", "epsilon"))
    odd += [] if predicts in TARGETS else [f"prediction_type {predicts}"]
    if odd:
        what = f"backbone.source: {checkpoint.folder} was trained under another diffusion: {', '.join(odd)}"
        raise RecipeError(what, hint="choose a checkpoint with the usual scaled-linear betas that predicts epsilon or v")
    own = {"steps": BETAS["num_train_timesteps"], "schedule": "scaled-linear", "shift": 1.0}
    return {**own, "target": TARGETS[predicts], "prior": "standard"}


def _same(found: Any, wanted: Any) -> bool:
    return found == wanted or (isinstance(wanted, float) and isinstance(found, float) and math.isclose(found, wanted, rel_tol=1e-6))


def read_part(checkpoint: Checkpoint, part: str) -> Any:
    """Network of a sub-folder in float32; RecipeError where weights are missing, damaged or of another shape."""
    folder = checkpoint.folder / part
    read_facts(folder / "config.json")
    try:
        with quiet():
            network, found = KINDS[part].from_pretrained(
                folder, variant=checkpoint.variants[part] or None, use_safetensors=True, local_files_only=True, output_loading_info=True
            )
    except Exception as error:  # a damaged file is another class of error to diffusers, transformers and safetensors each
        raise RecipeError(f"backbone.source: {folder} can't be read: {error}", hint=AGAIN) from None
    if found["missing_keys"]:
        first, count = sorted(found["missing_keys"])[0], len(found["missing_keys"])
        raise RecipeError(f"backbone.source: {folder} lacks {count} weights, {first} among them", hint="download the pipeline again")
    return network.float().eval()


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars of transformers, as it was before afterwards."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def read_text(checkpoint: Checkpoint) -> StableText:
    """The text towers of a checkpoint and their tokenizers; RecipeError for what can't be read, and for tokenizers that don't fit."""
    ends = ("", "_2") if checkpoint.is_large else ("",)
    towers = [read_part(checkpoint, f"text_encoder{end}") for end in ends]
    folders = [checkpoint.folder / f"tokenizer{end}" for end in ends]
    tokenizers = [read_tokenizer(folder, tower.config.vocab_size) for folder, tower in zip(folders, towers, strict=True)]
    zeros = checkpoint.is_large and bool(checkpoint.index.get("force_zeros_for_empty_prompt", True))
    return StableText(tokenizers, towers, zeros=zeros)


def read_tokenizer(folder: Path, known: int) -> Any:
    """The tokenizer of a text tower; RecipeError for one that can't be read, knows no words, or more than the tower's `known`."""
    for name in ("tokenizer_config.json", *(name for names in WORDS for name in names if name.endswith(".json"))):
        if (folder / name).is_file():
            read_facts(folder / name)
    try:
        tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
        one, other = tokenizer(["a", "b"]).input_ids
    except Exception as error:  # what the library `tokenizers` raises has no class of its own
        raise RecipeError(f"backbone.source: {folder} can't be read: {error}", hint=AGAIN) from None
    if one == other:
        raise RecipeError(f"backbone.source: {folder} knows no words: 'a' and 'b' are the same to it", hint=AGAIN)
    if len(tokenizer) > known:
        what = f"backbone.source: {folder} has {len(tokenizer)} words, its text encoder knows {known}"
        raise RecipeError(what, hint=AGAIN)
    return tokenizer
