"""The generators that ship: opened as a recipe opens them, asked, and read by the oracle of shapes."""

import json

import numpy as np
import pytest
from PIL import Image

import scarce
from scarce.catalogue import read_catalogue
from scarce.contract import Prompt
from scarce.errors import DataError
from scarce.runs.opening import open_generator
from scarce_images.reading import measure
from scarce_images.shapes import COLUMNS, caption, table
from scarce_tiny_t2i.prepare import main, rows


def test_shapes_are_drawn_as_they_are_asked():
    catalogue = read_catalogue()
    generator, _, _ = open_generator(catalogue.generator_path("shapes"), catalogue)
    asked = table(24, seed=9)
    prompts = [Prompt(label=row["shape"], text=caption(row)) for row in asked[list(COLUMNS)].to_dict("records")]
    read = measure(np.stack(list(generator.sample(prompts, seed=2)["image"])))
    right = {name: float(np.mean(read["valid"] & (read[name].to_numpy() == asked[name].to_numpy()))) for name in COLUMNS}
    assert min(right.values()) >= 0.95, right
    assert sum(p.numel() for p in generator.model.base.values()) < 6e6


def test_a_recipe_adapts_the_shipped_generator(tmp_path):
    run = scarce.run(
        "images/finetune", data="builtin:shapes-dark", preset="test", set={"data.target": "shape"}, out=tmp_path / "r", quiet=True
    )
    assert {m["source"] for m in run.metrics} >= {"synthetic", "bootstrap"}
    assert len(run.sample(3)) == 3
    assert not (tmp_path / "r" / "model" / "base.safetensors").exists()


def test_emoji_become_a_table_and_what_is_missing_is_named(tmp_path):
    package = tmp_path / "emoji-datasource-google"
    (package / "img" / "google" / "64").mkdir(parents=True)
    Image.new("RGBA", (64, 64), "red").save(package / "img" / "google" / "64" / "1f34e.png")
    facts = {"short_name": "apple", "unified": "1F34E", "image": "1f34e.png", "subcategory": "food-fruit", "has_img_google": True}
    listed = [
        {**facts, "name": "RED APPLE", "category": "Food & Drink"},
        {**facts, "name": "FLAG", "category": "Flags"},
        {**facts, "name": "NO PICTURE", "category": "Food & Drink", "image": "none.png"},
    ]
    (package / "emoji.json").write_text(json.dumps(listed))
    found = rows(package, "noto", "google")
    named = ("red apple, noto", "food-fruit", "1F34E")
    assert [(r["caption"], r["class"], r["code"]) for r in found] in ([named], [named, ("food fruit, noto", "food-fruit", "1F34E")])
    many = [{**facts, "name": "APPLE", "category": "Food & Drink", "unified": f"1F3{i:02X}"} for i in range(40)]
    (package / "emoji.json").write_text(json.dumps(many))
    captions = [r["caption"] for r in rows(package, "noto", "google")]
    assert captions.count("apple, noto") == 40
    assert 10 < captions.count("food fruit, noto") < 30  # every second emoji is described by its class too
    with pytest.raises(DataError, match="emoji-datasource-twitter"):
        main([str(tmp_path), "-o", str(tmp_path / "emoji.jsonl")])
    assert not (tmp_path / "emoji.jsonl").exists()
