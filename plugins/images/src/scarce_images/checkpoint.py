"""What a diffusers folder or a hub id holds: which family, which files, and what is refused before anything is read."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download

from scarce.errors import RecipeError, RunError
from scarce.files import file_hash, read_json

PARTS = {
    "StableDiffusionPipeline": ("unet", "vae", "text_encoder", "tokenizer", "scheduler"),
    "StableDiffusionXLPipeline": ("unet", "vae", "text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2", "scheduler"),
}
"""Class of a pipeline -> sub-folders that are read; what else there is (a safety checker) is not."""

CLASSES = {
    "unet": "UNet2DConditionModel", "vae": "AutoencoderKL", "text_encoder": "CLIPTextModel",
    "text_encoder_2": "CLIPTextModelWithProjection",
}  # fmt: skip
"""Sub-folder -> class of its weights."""

PICKLES = (".bin", ".ckpt", ".pt", ".pth")
VARIANTS = ("", "fp16")
WORDS = (("tokenizer.json",), ("vocab.json", "merges.txt"))
"""Files that a tokenizer's words are in, either way; without them transformers opens one that knows none."""

AGAIN = "fetch it again (hf download ORG/NAME --force-download), or save the whole pipeline again"


class Incomplete(RecipeError):
    """A folder lacks a part, or the weights of one."""


@dataclass(frozen=True)
class Checkpoint:
    """A folder with a pipeline of known family; variants: sub-folder -> "" or "fp16", which of its weights are read."""

    folder: Path
    index: Mapping[str, Any]
    variants: Mapping[str, str]

    @property
    def family(self) -> str:
        """The pipeline's class."""
        return str(self.index["_class_name"])

    @property
    def is_large(self) -> bool:
        """Whether it is SDXL."""
        return self.family == "StableDiffusionXLPipeline"

    def sha256(self) -> str:
        """Hash of every file that is read."""
        files = {"model_index.json": self.folder / "model_index.json"}
        for part in PARTS[self.family]:
            for file in (self.folder / part).iterdir():
                if file.suffix in (".json", ".txt") or _is_read(file.name, self.variants[part]):
                    files[f"{part}/{file.name}"] = file
        return hashlib.sha256(repr([(name, file_hash(files[name])) for name in sorted(files)]).encode()).hexdigest()


def find_checkpoint(source: str) -> Checkpoint:
    """The checkpoint that "hub:org/name", "hub:org/name@revision", "path:FOLDER" or a folder means.

    Only what was named is fetched, and nothing that is on this machine already. Raises RecipeError for what is not there, of
    another family, lacks a part, or holds a part as a pickle.
    """
    kind, _, rest = source.partition(":")
    if kind == "hub":
        return _from_hub(rest)
    folder = Path(rest if kind == "path" else source)
    if not (folder / "model_index.json").is_file():
        what = f"backbone.source: {folder} is not a diffusers folder: it has no model_index.json"
        raise RecipeError(what, hint="--set backbone.source=hub:ORG/NAME, or a folder written by save_pretrained")
    return read_checkpoint(folder)


def read_checkpoint(folder: Path) -> Checkpoint:
    """The checkpoint in a folder with model_index.json; raises RecipeError as `find_checkpoint` does."""
    index = read_facts(folder / "model_index.json")
    family = str(index.get("_class_name"))
    if family not in PARTS:
        what = f"backbone.source: {folder} holds a {family}; what can be read are {' and '.join(PARTS)}"
        raise RecipeError(what, hint="--set backbone.source=FOLDER of a Stable Diffusion 1, 2 or XL text-to-image pipeline")
    for part in PARTS[family]:
        if not (folder / part).is_dir():
            what = f"backbone.source: {folder} lacks the part '{part}' of a {family}"
            raise Incomplete(what, hint=f"ls {folder}; download or save the whole pipeline again")
        found = index.get(part)
        kind = found[1] if isinstance(found, list) and len(found) == 2 else found
        if part in CLASSES and kind != CLASSES[part]:
            what = f"backbone.source: '{part}' of {folder} is a {kind}, not a {CLASSES[part]}"
            raise RecipeError(what, hint="choose another checkpoint")
        if part.startswith("tokenizer") and not any(all((folder / part / name).is_file() for name in names) for names in WORDS):
            what = f"backbone.source: {folder / part} lacks its words: {' or '.join(' and '.join(names) for names in WORDS)}"
            raise Incomplete(what, hint=f"ls {folder / part}; download or save the whole pipeline again")
    return Checkpoint(folder, index, {part: _variant(folder / part) if part in CLASSES else "" for part in PARTS[family]})


def read_facts(file: Path) -> dict[str, Any]:
    """What a JSON file of a checkpoint says; RecipeError for one that is missing, damaged, or holds something else than named values."""
    try:
        facts = read_json(file)
    except RunError as error:
        raise RecipeError(f"backbone.source: {error.message}", hint=AGAIN) from None
    if not isinstance(facts, dict):
        raise RecipeError(f"backbone.source: {file} is damaged: it holds a {type(facts).__name__}, no named values", hint=AGAIN)
    return facts


def _variant(folder: Path) -> str:
    """Which weights of a sub-folder are read: full precision where there are such, else "fp16"; pickles are refused."""
    names = [file.name for file in folder.iterdir()]
    for variant in VARIANTS:
        if any(_is_read(name, variant) for name in names):
            return variant
    pickled = next((n for n in names if n.endswith(PICKLES)), None)
    if pickled is None:
        raise Incomplete(f"backbone.source: {folder} has no weights", hint=f"ls {folder}; download or save the whole pipeline again")
    what = f"backbone.source: {folder / pickled} is a pickle, which can run anything when it is read"
    how = "DiffusionPipeline.from_pretrained(OLD, use_safetensors=False).save_pretrained(NEW, safe_serialization=True)"
    raise RecipeError(what, hint=f"where you trust it, write it as safetensors once: {how}")


def _is_read(name: str, variant: str) -> bool:
    """Whether a file holds weights, or a shard of them, in this variant; a hub's cache has files of other programs too."""
    dot = rf"\.{variant}" if variant else ""
    return re.fullmatch(rf"(diffusion_pytorch_)?model{dot}(-\d+-of-\d+)?\.safetensors", name) is not None


def _wanted(variant: str) -> list[str]:
    """Patterns of the files that are read; of weights only one variant, since hubs keep several beside each other."""
    dot = f".{variant}" if variant else ""
    weights = [f"{stem}{name}.safetensors" for stem in ("diffusion_pytorch_model", "model") for name in (dot, f"{dot}-0*-of-*")]
    parts = PARTS["StableDiffusionXLPipeline"]
    return ["model_index.json", *(f"{part}/{name}" for part in parts for name in ("*.json", "*.txt", *weights))]


def _from_hub(asked: str) -> Checkpoint:
    """A checkpoint of the hub: the copy on this machine where it is whole, else fetched."""
    name, _, revision = asked.partition("@")
    error: Exception = Incomplete("")
    for local in (True, False):
        for variant in VARIANTS:
            try:
                folder = snapshot_download(name, revision=revision or None, allow_patterns=_wanted(variant), local_files_only=local)
                return read_checkpoint(Path(folder))
            except (Incomplete, OSError, ValueError) as flaw:
                error = flaw
    if isinstance(error, Incomplete):
        raise error
    reason = (str(error).strip().splitlines() or [""])[0]
    what = f"backbone.source: hub:{asked} is not on this machine and can't be fetched ({type(error).__name__}: {reason})"
    raise RecipeError(what, hint=f"where there is a connection: hf download {name}; or --set backbone.source=FOLDER")
