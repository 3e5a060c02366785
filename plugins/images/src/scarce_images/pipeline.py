"""A generator of pictures in the clothes of a diffusers pipeline: `ScarcePipeline.from_pretrained(FOLDER)`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline, ImagePipelineOutput
from PIL import Image

from scarce import load

INDEX = {"_class_name": "ScarcePipeline", "_diffusers_version": "0.30.0"}
"""What diffusers' `model_index.json` says of such a folder; it has no parts of its own, the generator opens as a whole."""


class ScarcePipeline(DiffusionPipeline):  # type: ignore[misc]
    """Pictures of texts by a generator that `scarce export --to diffusers` wrote; every network and conditioner of scarce."""

    def __init__(self) -> None:
        super().__init__()
        self.register_modules()
        self._run: Any = None

    @torch.no_grad()
    def __call__(
        self, prompt: str | Sequence[str], *, num_images_per_prompt: int = 1, num_inference_steps: int | None = None,
        guidance_scale: float | None = None, generator: torch.Generator | None = None, output_type: str = "pil",
        return_dict: bool = True,
    ) -> Any:  # fmt: skip
        """`images`: PIL pictures, or arrays [h, w, 3] for output_type "np", of each prompt in turn.

        num_inference_steps, guidance_scale: those of the exported recipe where left out; the sampler is always its. generator: its
        initial seed is that of `scarce sample --seed`, and equal seeds give equal pictures.
        """
        texts = [text for text in ([prompt] if isinstance(prompt, str) else prompt) for _ in range(num_images_per_prompt)]
        kept = {name: value for name, value in (("steps", num_inference_steps), ("guidance", guidance_scale)) if value is not None}
        if self._run is None:
            self._run = load(Path(self.config["_name_or_path"]))
        records = self._run.sample(len(texts), prompt=texts, seed=0 if generator is None else generator.initial_seed(), set=kept)
        pictures = list(records["image"])
        shown = [Image.fromarray(picture) for picture in pictures] if output_type == "pil" else pictures
        return ImagePipelineOutput(images=shown) if return_dict else (shown,)
