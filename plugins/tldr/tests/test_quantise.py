"""Frozen layers in 8 and 4 bits: small, close, trainable through, kept as plain tensors."""

import pytest
import torch
from torch import nn
from transformers import BertConfig

from scarce.contract import BackboneContext, Block, Condition, Space, State
from scarce.errors import PluginError
from scarce.files import read_tensors, write_tensors
from scarce_lora.adapter import attach
from scarce_lora.layers import linear_layers
from scarce_tldr.backbone import Bert
from scarce_tldr.config import Bert as Options
from scarce_tldr.quantise import QuantisedLinear, quantise, weight_bytes

SPACE = Space(layout="vector", blocks=tuple(Block(name=n, kind="continuous", size=1) for n in ("a", "b", "c")))
# relative error of a normal weight matrix, measured 0.007 and 0.09
CLOSE = {"int8": 0.01, "4bit": 0.11}


def network(kind="none", seed=0):
    """A small random BERT over three numbers, as a saved run would rebuild it."""
    torch.manual_seed(seed)
    config = BertConfig(hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=256, vocab_size=10)
    ctx = BackboneContext(space=SPACE, condition_width=4, steps=50, classes=(), runtime=None, saved={"bert": config.to_diff_dict()})
    made = Bert(Options()).backbone_build(ctx)
    if kind != "none":
        quantise(made.encoder, kind)
    return made


def batch(seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = State(torch.randn(32, 3, generator=generator), torch.zeros(32, 0, dtype=torch.int64))
    pooled = torch.zeros(32, 4)
    return x, torch.arange(32), Condition(pooled[:, None], torch.ones(32, 1, dtype=torch.bool), pooled)


@pytest.mark.parametrize("kind", ["int8", "4bit"])
def test_a_layer_is_close_and_passes_gradients_to_its_input(kind):
    layer = nn.Linear(96, 48)
    small = QuantisedLinear.of(layer, kind)
    assert float((small.weight - layer.weight).norm() / layer.weight.norm()) < CLOSE[kind] * 2  # uniform weights quantise worse
    x = torch.randn(7, 96, requires_grad=True)
    out = small(x)
    assert torch.allclose(out, x @ small.weight.T + layer.bias, atol=1e-5)
    out.pow(2).sum().backward()
    again = x.detach().clone().requires_grad_(True)
    (again @ small.weight.T + layer.bias).pow(2).sum().backward()
    assert torch.allclose(x.grad, again.grad, atol=1e-4)


@pytest.mark.parametrize("kind", ["int8", "4bit"])
def test_frozen_linear_weights_take_a_third_of_their_memory_at_most(kind):
    whole, small = network(), network(kind)
    share = weight_bytes(small.encoder) / weight_bytes(whole.encoder)
    assert share <= 0.35
    assert sum(p.numel() for n, p in small.encoder.named_parameters() if n.endswith(".weight") and "Norm" not in n) == 0


@pytest.mark.parametrize("kind", ["int8", "4bit"])
def test_adapters_on_a_quantised_base_lower_the_loss_and_leave_it_alone(kind):
    module = network(kind)
    module.requires_grad_(False)
    with torch.no_grad():
        module.number_heads.copy_(0.1 * torch.randn(module.number_heads.shape, generator=torch.Generator().manual_seed(1)))
    codes = {n: b.clone() for n, b in module.encoder.named_buffers()}
    handle = attach(module, list(linear_layers(module, ["query", "key", "value", "dense"])), name="a", rank=4, alpha=4, dropout=0, seed=0)
    handle.enable(True)
    for p in handle.parameters():
        p.requires_grad_(True)
    optimizer = torch.optim.Adam(handle.parameters(), 3e-3)
    x, t, condition = batch()
    losses = []
    for _ in range(30):
        loss = (module(x, t, condition, None).num - x.num[:, [1, 2, 0]]).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
    assert all(torch.equal(codes[n.replace(".base_layer", "")], b) for n, b in module.encoder.named_buffers())
    with pytest.raises(PluginError, match="is quantised"):
        handle.merge()


@pytest.mark.parametrize("kind", ["int8", "4bit"])
def test_codes_are_plain_tensors_that_a_blank_network_takes_back(kind, tmp_path):
    module = network(kind)
    write_tensors(tmp_path / "w.safetensors", module.state_dict())
    blank = network(seed=5)
    quantise(blank.encoder, kind, empty=True)
    blank.load_state_dict(read_tensors(tmp_path / "w.safetensors")[0])
    with torch.no_grad():
        assert torch.equal(module(*batch(), None).num, blank(*batch(), None).num)
    layer = next(m for m in blank.encoder.modules() if isinstance(m, QuantisedLinear))
    assert not layer.weight.requires_grad


def test_without_the_library_the_line_to_install_it_is_said(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "bitsandbytes.functional", None)
    with pytest.raises(PluginError) as caught:
        QuantisedLinear.of(nn.Linear(8, 8), "int8")
    assert caught.value.hint == "pip install 'scarce-tldr[quantise]'"
