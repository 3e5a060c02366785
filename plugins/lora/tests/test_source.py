"""Adapters of whole pipelines, as diffusers writes them, as where training begins."""

import json

import pytest
import torch
from safetensors.torch import save_file

from scarce.errors import RunError
from scarce_lora.source import read_source

LAYERS = ["unet.mid.to_q", "unet.mid.to_k", "text_encoder.encoder.q_proj"]


def tensors(rank=3, layers=("unet.mid.to_q", "text_encoder.text_model.encoder.q_proj"), ends=("lora_A", "lora_B"), dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    out = {}
    for layer in layers:
        for end, shape in zip(ends, ((rank, 6), (4, rank)), strict=True):
            out[f"{layer}.{end}.weight"] = torch.randn(*shape, generator=generator).to(dtype)
    return out


def update(source, layer):
    a, b = (source.weights[f"base_model.model.{layer}.lora_{end}.weight"] for end in "AB")
    return source.alpha / source.rank * b @ a


@pytest.mark.parametrize("ends", [("lora_A", "lora_B"), ("lora.down", "lora.up")])
def test_layers_of_the_target_are_taken_whatever_the_version_called_them(tmp_path, ends):
    given = tensors(ends=ends)
    save_file(given, tmp_path / "pytorch_lora_weights.safetensors")
    for path in (tmp_path, tmp_path / "pytorch_lora_weights.safetensors"):
        found = read_source(path, [n for n in LAYERS if n.startswith("unet")])
        assert (found.rank, found.alpha, found.layers) == (3, 3.0, ["unet.mid.to_q"])
        expected = given[f"unet.mid.to_q.{ends[1]}.weight"] @ given[f"unet.mid.to_q.{ends[0]}.weight"]
        assert torch.allclose(update(found, "unet.mid.to_q"), expected)
        assert read_source(path, LAYERS).layers == ["text_encoder.encoder.q_proj", "unet.mid.to_q"]


def test_the_scale_is_read_from_alphas_and_from_the_header(tmp_path):
    given = tensors()
    plain = given["unet.mid.to_q.lora_B.weight"] @ given["unet.mid.to_q.lora_A.weight"]
    save_file({**given, "unet.mid.to_q.alpha": torch.tensor(1.5)}, tmp_path / "alphas.safetensors")
    said = {"lora_adapter_metadata": json.dumps({"unet.lora_alpha": 6, "unet.r": 3})}
    save_file(given, tmp_path / "header.safetensors", said)
    for name, scale in (("alphas", 0.5), ("header", 2.0)):
        found = read_source(tmp_path / f"{name}.safetensors", LAYERS)
        assert torch.allclose(update(found, "unet.mid.to_q"), scale * plain)


def test_what_does_not_fit_is_said(tmp_path):
    with pytest.raises(RunError, match="neither"):
        read_source(tmp_path / "nowhere", LAYERS)
    save_file(tensors(), tmp_path / "a.safetensors")
    with pytest.raises(RunError, match=r"nothing for these layers; it holds text_encoder"):
        read_source(tmp_path / "a.safetensors", ["body.0"])
    given = tensors()
    save_file({**given, "unet.mid.to_q.lora_magnitude_vector": torch.ones(4)}, tmp_path / "dora.safetensors")
    with pytest.raises(RunError, match=r"layer unet\.mid\.to_q has lora_magnitude_vector"):
        read_source(tmp_path / "dora.safetensors", LAYERS)
    given.pop("unet.mid.to_q.lora_A.weight")
    save_file(given, tmp_path / "half.safetensors")
    with pytest.raises(RunError, match=r"layer unet\.mid\.to_q lacks one of A and B"):
        read_source(tmp_path / "half.safetensors", LAYERS)


def test_layers_of_several_ranks_and_scales_become_one_rank(tmp_path):
    given = {**tensors(2, ["unet.mid.to_q"]), **tensors(3, ["unet.mid.to_k"])}
    facts = {"unet.lora_alpha": 6, "unet.use_rslora": True, "unet.alpha_pattern": {"mid.to_k": 1}}
    save_file(given, tmp_path / "b.safetensors", {"lora_adapter_metadata": json.dumps(facts)})
    found = read_source(tmp_path / "b.safetensors", LAYERS)
    assert (found.rank, found.alpha) == (3, 3.0)
    for layer, scale in (("unet.mid.to_q", 6 / 2**0.5), ("unet.mid.to_k", 1 / 3**0.5)):
        plain = given[f"{layer}.lora_B.weight"] @ given[f"{layer}.lora_A.weight"]
        assert torch.allclose(update(found, layer), scale * plain, atol=1e-5)
    save_file(given, tmp_path / "c.safetensors", {"lora_adapter_metadata": json.dumps({**facts, "unet.use_dora": True})})
    with pytest.raises(RunError, match="use_dora = True"):
        read_source(tmp_path / "c.safetensors", LAYERS)


@pytest.mark.parametrize("name", ["pytorch_lora_weights.bin", "style.pt", "adapter_model.bin"])
def test_pickles_are_refused_by_name_in_folders_too(tmp_path, name):
    torch.save(tensors(), tmp_path / name)
    if name.startswith("adapter"):
        (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    for path in [tmp_path / name, tmp_path] if "_" in name else [tmp_path / name]:
        with pytest.raises(RunError, match=rf"{name} is a pickle, which can run anything when it is read") as error:
            read_source(path, LAYERS)
        assert "write it as safetensors once" in error.value.hint
