"""A CLIP as a classifier: class weights are the texts of the classes, adapters stand on queries and values of both towers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from peft import LoraConfig, inject_adapter_in_model
from torch import Tensor, nn
from transformers import AutoConfig, AutoTokenizer, CLIPModel
from transformers.utils import logging

from scarce.errors import RecipeError
from scarce.files import read_json
from scarce_datadream.config import Clip

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # of every published CLIP
TARGETS = ("q_proj", "v_proj")


def locate(source: str) -> tuple[str, bool]:
    """What transformers loads, and whether it must be on this machine; RecipeError for a folder that holds no model."""
    kind, _, rest = source.partition(":")
    if kind == "hub":
        return rest, False
    folder = Path(rest if kind == "path" else source)
    if not (folder / "config.json").is_file():
        what = f"learner.source: {folder} is not a model folder: it has no config.json"
        raise RecipeError(what, hint="--set learner.source=path:FOLDER of a CLIP, or hub:ORG/NAME")
    return str(folder), True


@contextmanager
def _quiet() -> Iterator[None]:
    shown, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if shown:
            logging.enable_progress_bar()


@lru_cache(maxsize=8)
def check_source(source: str) -> None:
    """RecipeError where a source has no configuration of a CLIP; of the hub's only that small file is fetched."""
    name, local = locate(source)
    try:
        with _quiet():
            kind = AutoConfig.from_pretrained(name, local_files_only=local).model_type
    except (OSError, ValueError, KeyError) as error:
        raise _unloadable(source, name, error) from None
    if kind != "clip":
        what = f"learner.source: {source} is a '{kind}', not a whole CLIP with its text tower"
        raise RecipeError(what, hint="--set learner.source=path:FOLDER of a CLIP, or hub:ORG/NAME")


def _unloadable(source: str, name: str, error: Exception) -> RecipeError:
    why = (str(error).strip().splitlines() or [type(error).__name__])[0]
    hint = f"--set learner.source=path:FOLDER of a CLIP; where there is a connection: hf download {name}"
    return RecipeError(f"learner.source: {source} can't be loaded: {why}", hint=hint)


class ClipClassifier(nn.Module):
    """Logits exp(s) cos(f_image, f_text(class)) of pictures; of the weights only the adapters train, s is fixed (arXiv 2407.10910)."""

    text: Tensor
    mean: Tensor
    std: Tensor

    def __init__(self, model: Any, text: Tensor, mask: Tensor, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.model = model
        self.size = int(model.config.vision_config.image_size)
        self.register_buffer("text", text, persistent=False)
        self.register_buffer("mask", mask, persistent=False)
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def embed(self, pictures: Tensor) -> Tensor:
        """[n, d] image features of length 1; pictures: [n, 3, h, w] in [-1, 1], of any size."""
        if pictures.shape[-2:] != (self.size, self.size):
            pictures = F.interpolate(pictures, (self.size, self.size), mode="bicubic", antialias=True).clamp(-1, 1)
        made = self.model.vision_model(pixel_values=((pictures + 1) / 2 - self.mean) / self.std).pooler_output
        return F.normalize(self.model.visual_projection(made), dim=-1)

    def class_weights(self) -> Tensor:
        """[k, d] text features of the classes times exp(s): the last linear layer."""
        made = self.model.text_model(input_ids=self.text, attention_mask=self.mask).pooler_output
        weights: Tensor = F.normalize(self.model.text_projection(made), dim=-1) * self.model.logit_scale.exp()
        return weights

    def forward(self, pictures: Tensor) -> Tensor:
        """[n, k] logits."""
        return self.embed(pictures) @ self.class_weights().T


def load_clip(options: Clip, classes: Sequence[Any]) -> ClipClassifier:
    """The classifier of a source with fresh adapters, drawn from the global random state; RecipeError for what can't be loaded."""
    name, local = locate(options.source)
    texts = [options.template.format(str(label).replace("_", " ")) for label in classes]
    try:
        with _quiet():
            model = CLIPModel.from_pretrained(name, local_files_only=local, dtype=torch.float32)
            tokens = AutoTokenizer.from_pretrained(name, local_files_only=local)(
                texts, padding=True, truncation=True, max_length=model.config.text_config.max_position_embeddings, return_tensors="pt"
            )
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        raise _unloadable(options.source, name, error) from None
    model.requires_grad_(False)
    config = LoraConfig(r=options.rank, lora_alpha=options.alpha, lora_dropout=options.dropout, target_modules=list(TARGETS))
    inject_adapter_in_model(config, model, "learner")
    for key, parameter in model.named_parameters():
        parameter.requires_grad_("lora_" in key)
    return ClipClassifier(model.eval(), tokens["input_ids"], tokens["attention_mask"], *_normalisation(name))


def _normalisation(name: str) -> tuple[Sequence[float], Sequence[float]]:
    """Mean and standard deviation of channels as the folder's preprocessor says, those of CLIP without one."""
    file = Path(name) / "preprocessor_config.json"
    said = read_json(file) if file.is_file() else {}
    return said.get("image_mean", MEAN), said.get("image_std", STD)
