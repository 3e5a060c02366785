"""Adapters: identity at the start (D1), off means untouched, merged means equal, and peft's own folders."""

import peft
import pytest
import torch
from torch import nn

from scarce.errors import RunError
from scarce_lora.adapter import attach
from scarce_lora.layers import linear_layers
from scarce_lora.source import read_source


def network(seed=0):
    torch.manual_seed(seed)
    body = nn.Sequential(nn.Linear(6, 16), nn.SiLU(), nn.Linear(16, 16), nn.SiLU(), nn.Linear(16, 3))
    return nn.Sequential(body, nn.LayerNorm(3))


X = torch.randn(40, 6, generator=torch.Generator().manual_seed(5))


def adapted(module, seed=1, rank=4, **extra):
    names = list(linear_layers(module))
    return attach(module, names, name=extra.pop("name", "a"), rank=rank, alpha=2.0 * rank, dropout=0.0, seed=seed)


def trained(module, handle, steps=20):
    """Losses of a few steps towards a fixed target."""
    goal = torch.randn(40, 3, generator=torch.Generator().manual_seed(9))
    handle.enable(True)
    for p in module.parameters():
        p.requires_grad_(False)
    for p in handle.parameters():
        p.requires_grad_(True)
    optimizer = torch.optim.Adam(handle.parameters(), 1e-2)
    losses = []
    for _ in range(steps):
        loss = ((module(X) - goal) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
    return losses


def test_d1_a_fresh_adapter_changes_no_output():
    module = network()
    before = module(X)
    handle = adapted(module)
    assert torch.equal(module(X), before)
    handle.enable(True)
    assert torch.equal(module(X), before)  # B is zero
    assert float(sum(p.abs().sum() for p in handle.parameters())) > 0  # A is not


def test_training_lowers_the_loss_and_touches_nothing_but_the_adapter():
    module = network()
    base = {n: p.detach().clone() for n, p in module.named_parameters()}
    before = module(X).detach()
    handle = adapted(module)
    losses = trained(module, handle)
    assert losses[-1] < 0.95 * losses[0]
    assert not torch.equal(module(X), before)
    handle.enable(False)
    assert torch.equal(module(X), before)
    now = {n.replace(".base_layer", ""): p for n, p in module.named_parameters() if "lora_" not in n}
    assert base.keys() == now.keys()
    assert all(torch.equal(base[n], now[n]) for n in base)


def test_merged_equals_adapted_and_unmerged_equals_base():
    module = network()
    handle = adapted(module)
    before = module(X).detach()
    trained(module, handle)
    on = module(X).detach()
    handle.merge()
    assert torch.allclose(module(X), on, atol=1e-5)
    handle.unmerge()
    handle.enable(False)
    assert torch.allclose(module(X), before, atol=1e-5)


def test_a_delta_fits_a_fresh_base_and_no_other():
    module = network()
    handle = adapted(module)
    trained(module, handle)
    on = module(X).detach()
    state = {k: v.clone() for k, v in handle.state().items()}
    assert sum(v.numel() for v in state.values()) == sum(p.numel() for p in handle.parameters())
    again = network()
    second = adapted(again, seed=77)
    second.load(state)
    second.enable(True)
    assert torch.equal(again(X), on)
    with pytest.raises(RunError, match=r"don't fit: base_model.*lora_A"):
        adapted(network(), rank=2).load(state)


def test_one_seed_gives_one_start_and_the_global_state_stays():
    states = [adapted(network(), seed=s).state() for s in (1, 1, 2)]
    name = next(n for n in states[0] if "lora_A" in n)
    assert torch.equal(states[0][name], states[1][name])
    assert not torch.equal(states[0][name], states[2][name])
    module = network()
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    adapted(module)
    assert torch.equal(torch.rand(4), expected)


def test_two_adapters_on_one_module_are_switched_apart():
    module = network()
    base = module(X).detach()
    first, second = adapted(module, name="strategy.0-backbone"), adapted(module, name="strategy.0-backbone", seed=2)
    trained(module, first)
    one = module(X).detach()
    first.enable(False)
    trained(module, second, steps=5)
    two = module(X).detach()
    first.enable(True)
    assert not torch.equal(module(X), one)
    second.enable(False)
    assert torch.equal(module(X), one)
    first.enable(False)
    assert torch.equal(module(X), base)
    second.enable(True)
    assert torch.equal(module(X), two)


def test_what_we_write_peft_reads_and_what_peft_writes_we_read(tmp_path):
    module = network()
    handle = adapted(module)
    trained(module, handle)
    on = module(X).detach()
    handle.write(tmp_path / "ours")
    theirs = peft.PeftModel.from_pretrained(network(), str(tmp_path / "ours"))
    assert torch.allclose(theirs(X), on, atol=1e-6)
    theirs.save_pretrained(str(tmp_path / "theirs"))
    found = read_source(tmp_path / "theirs", linear_layers(network()))
    assert (found.rank, found.alpha) == (4, 8.0)
    again = network()
    second = adapted(again)
    second.load(found.weights)
    second.enable(True)
    assert torch.equal(again(X), on)


def test_a_folder_without_lora_says_so(tmp_path):
    with pytest.raises(RunError, match=r"neither adapter_config\.json nor pytorch_lora_weights\.safetensors"):
        read_source(tmp_path, [])
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "IA3"}')
    with pytest.raises(RunError, match="holds IA3, not LoRA"):
        read_source(tmp_path, [])
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    (tmp_path / "adapter_model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(RunError, match="damaged"):
        read_source(tmp_path, [])


def test_layers_are_found_by_the_end_of_their_name_fresh_and_adapter_ones_left_out():
    module = network()
    assert list(linear_layers(module)) == ["0.0", "0.2", "0.4"]
    assert list(linear_layers(module, ["2", "0.4"])) == ["0.2", "0.4"]
    module.fresh = ("0.4.weight", "0.4.bias")
    assert list(linear_layers(module)) == ["0.0", "0.2"]
    adapted(module)
    assert list(linear_layers(module)) == ["0.0", "0.2"]
    assert list(linear_layers(nn.TransformerEncoderLayer(8, 2))) == ["linear1", "linear2"]
