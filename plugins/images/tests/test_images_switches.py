"""Switches of training Stable Diffusion: each trains a step of a tiny checkpoint, and does what its name says."""

import numpy as np
import pandas as pd
import pytest
import torch

import scarce
from scarce.files import read_json, read_tensors
from scarce_images.write import write_images

LORA = {"name": "lora", "rank": 2, "targets": ["backbone"], "modules": ["to_q", "to_v"]}
PRIOR = {"name": "prior-preservation", "each": 1, "weight": 0.5}
RECIPE = """
[data]
modality = "images"
target = "label"
[data.options]
size = 32
[backbone]
name = "stable-diffusion"
source = "path:{source}"
[train]
steps = 1
batch = 8
rate = 0.01
warmup = 0
[generate]
prompt = "a photo of a {{}} circle"
count = 2
steps = 2
sampler = "ddim"
guidance = 2.0
[runtime]
threads = 1
precision = "fp32"
"""


@pytest.fixture
def trained(checkpoint, tmp_path):
    """Losses of one step by term, the adapter's weights, and the run."""
    rng, labels = np.random.default_rng(0), np.tile(["red", "blue"], 12)
    pictures = pd.Series(list(rng.integers(0, 256, (24, 32, 32, 3), dtype=np.uint8)), dtype=object)
    data = write_images(pd.DataFrame({"image": pictures, "label": labels}), tmp_path / "pictures.parquet")
    (tmp_path / "r.toml").write_text(RECIPE.format(source=checkpoint("eps")))

    def train(name, *strategies, **changes):
        asked = {"strategy": [*strategies, LORA], **changes}
        run = scarce.run(str(tmp_path / "r.toml"), data=data, set=asked, out=tmp_path / name, quiet=True)
        home = run.folder / "model"
        adapter = next((home / "adapters" / "train").glob("*-backbone"))
        return read_json(home / "phases" / "train.json")["losses"], read_tensors(adapter / "adapter_model.safetensors")[0], run

    return train


def test_min_snr_weighs_down_losses_at_little_noise_and_trains_otherwise(trained):
    plain, before, _ = trained("plain")
    capped, after, _ = trained("capped", **{"diffusion.weighting": "min-snr"})
    assert 0 < capped["denoise"] < 0.99 * plain["denoise"]  # of noise, each loss counts min(SNR, 5) / SNR of itself
    moved = [name for name in after if "lora_B" in name and float(after[name].abs().max()) > 0]
    assert moved
    assert any(not torch.equal(before[name], after[name]) for name in moved)


def test_prior_preservation_adds_a_loss_on_what_the_checkpoint_draws(trained):
    plain, before, _ = trained("plain")
    losses, after, run = trained("prior", PRIOR)
    assert plain.keys() == {"denoise"}
    assert losses["denoise"] == pytest.approx(plain["denoise"])
    assert 0 < losses["prior"] < 10
    assert any(not torch.equal(before[name], after[name]) for name in after)
    (phase,) = read_json(run.folder / "plan.json")
    assert [(term["name"], term["weight"]) for term in phase["terms"]] == [("denoise", 1.0), ("prior", 0.5)]


def test_gradient_checkpointing_leaves_a_step_as_it_is_and_no_step_leaves_the_checkpoint(trained):
    (_, before, _), (_, after, _) = trained("plain"), trained("again", **{"backbone.gradient_checkpointing": True})
    assert all(torch.allclose(before[name], after[name], atol=1e-5) for name in before)
    losses, weights, run = trained("none", **{"train.steps": 0})
    assert losses == {}
    assert all(float(w.abs().max()) == 0 for name, w in weights.items() if "lora_B" in name)
    assert len(run.sample(1)) == 1
