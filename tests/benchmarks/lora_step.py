"""Fine-tuning by low-rank adapters, and generation, beside a plain loop of diffusers and peft (CPU time, one thread, fp32).

A pipeline of Stable Diffusion's classes with random weights (a 12 M network on 8 x 8 latents) and rank 16 on the attention of
network and text encoder: latents encoded once, texts by the adapted encoder at every step, AdamW, clipped gradients, in both.
Ours is a whole run whose length differs, so that everything which is not a step cancels. Medians of interleaved repeats.
"""

from __future__ import annotations

import importlib.util
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F

ROOT = Path(__file__).parents[2]
BATCH, FEW, MANY, PICTURES, DRAWN, CALLS, BOUND = 8, 4, 16, 32, 16, 8, 1.1
NETWORK, TEXT = ("to_q", "to_k", "to_v", "to_out.0"), ("q_proj", "k_proj", "v_proj", "out_proj")
TEXTS = {"cat": "a photo of a cat", "dog": "a photo of a dog"}


def pipeline(folder: Path) -> Path:
    """A random pipeline on disk, with the words of the images' tests."""
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    spec = importlib.util.spec_from_file_location("images_conftest", ROOT / "plugins/images/tests/conftest.py")
    assert spec is not None
    assert spec.loader is not None
    tests = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tests)
    words, count = tests.tokenizer(folder / "words")
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        block_out_channels=(64, 128, 256), layers_per_block=1, sample_size=8, in_channels=4, out_channels=4, norm_num_groups=32,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"), cross_attention_dim=128, attention_head_dim=8,
    )  # fmt: skip
    vae = AutoencoderKL(
        block_out_channels=(16,) * 4, down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4, norm_num_groups=4, sample_size=64,
    )  # fmt: skip
    shape = CLIPTextConfig(
        hidden_size=128, intermediate_size=512, num_hidden_layers=4, num_attention_heads=4, vocab_size=count,
        eos_token_id=count - 1, bos_token_id=count - 2, pad_token_id=count - 1,
    )  # fmt: skip
    betas = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "clip_sample": False}
    StableDiffusionPipeline(
        vae=vae, unet=unet, scheduler=DDIMScheduler(**betas, set_alpha_to_one=False, steps_offset=1), tokenizer=words,
        text_encoder=CLIPTextModel(shape), safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    ).save_pretrained(folder / "pipe", safe_serialization=True)  # fmt: skip
    return folder / "pipe"


def pictures() -> pd.DataFrame:
    """Random pictures of two classes."""
    cells = np.random.default_rng(0).integers(0, 256, (PICTURES, 64, 64, 3), dtype=np.uint8)
    return pd.DataFrame({"image": pd.Series(list(cells), dtype=object), "animal": [list(TEXTS)[i % 2] for i in range(PICTURES)]})


def ours(folder: Path, steps: int) -> dict[str, float]:
    """CPU seconds of training for `steps`, and of drawing."""
    from scarce.runs import api

    adapters = {"name": "lora", "rank": 16, "targets": ["backbone", "conditioner.0"], "modules": [*NETWORK, *TEXT]}
    sets = {
        "data.target": "animal", "data.options.size": 64, "data.shares": [0.9, 0.05, 0.05], "generator.from": f"path:{folder / 'pipe'}",
        "strategy": [adapters], "learner": None, "evaluator": [], "train.steps": steps, "train.batch": BATCH, "train.ema": 0.0,
        "train.warmup": 0, "generate.prompt": "a photo of a {}", "generate.count": DRAWN, "generate.steps": CALLS,
        "generate.sampler": "ddim", "generate.guidance": 2.0, "runtime.threads": 1, "runtime.precision": "fp32",
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as out:
        run = api.run("images/finetune", preset="test", data=pictures(), set=sets, out=Path(out) / "run", quiet=True)
        cost = run.results.children[0].cost
    return {"train": float(cost["train_cpu_seconds"]), "draw": float(cost["sample_cpu_seconds"])}


def plain(folder: Path, steps: int) -> dict[str, float]:
    """The same with diffusers and peft alone."""
    from diffusers import StableDiffusionPipeline
    from peft import LoraConfig

    torch.manual_seed(0)
    pipe = StableDiffusionPipeline.from_pretrained(folder / "pipe")
    pipe.set_progress_bar_config(disable=True)
    for part, modules in ((pipe.unet, NETWORK), (pipe.text_encoder, TEXT)):
        part.requires_grad_(False)
        part.add_adapter(LoraConfig(r=16, lora_alpha=16, target_modules=list(modules)))
    frame = pictures()
    x = torch.from_numpy(np.stack(list(frame["image"]))).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        latents = pipe.vae.encode(x).latent_dist.mean * pipe.vae.config.scaling_factor
    ids = pipe.tokenizer([TEXTS[v] for v in frame["animal"]], padding="max_length", truncation=True, return_tensors="pt").input_ids
    trained = [p for part in (pipe.unet, pipe.text_encoder) for p in part.parameters() if p.requires_grad]
    optimizer, noises = torch.optim.AdamW(trained, 1e-3), pipe.scheduler
    pipe.unet.train()
    began = time.process_time()
    for _ in range(steps):
        rows = torch.randint(0, PICTURES, (BATCH,))
        noise, t = torch.randn(BATCH, *latents.shape[1:]), torch.randint(0, 1000, (BATCH,))
        noisy = noises.add_noise(latents[rows], noise, t)
        loss = F.mse_loss(pipe.unet(noisy, t, pipe.text_encoder(ids[rows])[0]).sample, noise)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
    train, began = time.process_time() - began, time.process_time()
    texts = [TEXTS[v] for v in frame["animal"][:DRAWN]]
    with torch.no_grad():
        pipe(texts, num_inference_steps=CALLS, guidance_scale=2.0, height=64, width=64, output_type="np")
    return {"train": train, "draw": time.process_time() - began}


def peak(which: str, folder: Path) -> float:
    """MB that a process of its own takes at most for FEW steps and drawing."""
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import lora_step; lora_step.alone({which!r}, {str(folder)!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def alone(which: str, folder: str) -> None:
    """Print the peak memory of one of the two."""
    torch.set_num_threads(1)
    import scarce.runs.api  # what both have loaded

    assert scarce.runs.api
    {"ours": ours, "plain": plain}[which](Path(folder), FEW)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def run(repeats: int = 3) -> list[dict[str, Any]]:
    """Rows {name, value, bound, ok, note}: ours over plain."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    found: dict[str, list[float]] = {name: [] for name in ("ours step", "plain step", "ours draw", "plain draw")}
    try:
        with tempfile.TemporaryDirectory() as home:
            pipeline(folder := Path(home))
            for _ in range(repeats):
                for name, how in (("ours", ours), ("plain", plain)):
                    short, long = how(folder, FEW), how(folder, MANY)
                    found[f"{name} step"].append((long["train"] - short["train"]) / (MANY - FEW))
                    found[f"{name} draw"] += [short["draw"] / DRAWN, long["draw"] / DRAWN]
            memory = {name: peak(name, folder) for name in ("ours", "plain")}
    finally:
        torch.set_num_threads(threads)
    middle = {name: median(values) for name, values in found.items()}
    rows = []
    for name, what in (("step", "training step, adapters of rank 16"), ("draw", "one picture, 8 calls with guidance")):
        value = middle[f"ours {name}"] / middle[f"plain {name}"]
        note = f"{1e3 * middle[f'ours {name}']:.0f} ms over {1e3 * middle[f'plain {name}']:.0f} ms"
        rows.append({"name": what, "value": value, "bound": BOUND, "ok": value <= BOUND, "note": note})
    value = memory["ours"] / memory["plain"]
    note = f"{memory['ours']:.0f} MB over {memory['plain']:.0f} MB, the libraries of both included"
    return [*rows, {"name": "peak memory", "value": value, "bound": 1.0, "ok": value <= 1.0, "note": note}]
