"""What a learner of texts trains: a head on mean token states, and as much of the encoder below it as is asked."""

from __future__ import annotations

import copy
from collections.abc import Mapping

from torch import Tensor, nn

from scarce.errors import RecipeError
from scarce_text.config import TextLearner
from scarce_text.encoder import Encoder, mean_state

ATTENTION = ("query", "key", "value", "q_lin", "k_lin", "v_lin", "q_proj", "k_proj", "v_proj", "q", "k", "v", "Wqkv")


class Head(nn.Module):
    """Mean states [n, d] to class logits: standardised, dropout, a hidden layer if there is one, dropout, one linear layer."""

    mean: Tensor
    std: Tensor

    def __init__(self, seen: Tensor, hidden: int, classes: int, dropout: float) -> None:
        """`seen`: [n, d] mean states of the training texts by the encoder as it was pretrained, of which mean and spread are kept."""
        super().__init__()
        self.register_buffer("mean", seen.mean(0))
        self.register_buffer("std", seen.std(0, correction=0).clamp_min(1e-4))
        self.dropout = nn.Dropout(dropout)
        self.hidden = nn.Sequential(nn.Dropout(dropout), nn.Linear(seen.shape[1], hidden), nn.GELU()) if hidden else nn.Identity()
        self.width = hidden or seen.shape[1]
        self.last = nn.Linear(self.width, classes)

    def embed(self, pooled: Tensor) -> Tensor:
        """[n, width] inputs of the last linear layer."""
        out: Tensor = self.hidden((pooled - self.mean) / self.std)
        return out

    def forward(self, pooled: Tensor) -> Tensor:
        """[n, k] logits."""
        return self.logits(self.embed(pooled))

    def logits(self, embed: Tensor) -> Tensor:
        """[n, k] logits of embeddings."""
        out: Tensor = self.last(self.dropout(embed))
        return out


class Tuned(nn.Module):
    """A copy of an encoder of which a part trains; its output is the mean token state."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """[b, d] mean states of padded inputs; places that no text of the batch fills are left out."""
        longest = int(inputs["attention_mask"].sum(1).max())
        some = {name: value[:, :longest] for name, value in inputs.items()}
        return mean_state(self.network(**some).last_hidden_state.float(), some["attention_mask"])


def tuned(encoder: Encoder, options: TextLearner) -> Tuned:
    """A copy of the encoder with what `tune` says trainable; draws from the global generator. RecipeError for one without blocks."""
    network = copy.deepcopy(encoder.network)
    if options.tune == "full":
        network.requires_grad_(True)
    elif options.tune == "last":
        for block in blocks(network)[-options.last :]:
            block.requires_grad_(True)
    else:
        network = _with_lora(network, options.rank)
    return Tuned(network)


def blocks(network: nn.Module) -> nn.ModuleList:
    """The longest list of modules in a network: its transformer's blocks."""
    found = [m for m in network.modules() if isinstance(m, nn.ModuleList)]
    if not found:
        what = f"learner.tune: {type(network).__name__} has no list of blocks, of which the last could be trained"
        raise RecipeError(what, hint="--set learner.tune=lora, or full")
    return max(found, key=len)


def _with_lora(network: nn.Module, rank: int) -> nn.Module:
    """Adapters on the projections of attention, on all linear layers where none is called like one; the scale is 1."""
    from peft import LoraConfig, inject_adapter_in_model

    linear = [name for name, m in network.named_modules() if isinstance(m, nn.Linear)]
    targets = [name for name in linear if name.rpartition(".")[2] in ATTENTION] or linear
    out: nn.Module = inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=rank, target_modules=targets), network)
    return out
