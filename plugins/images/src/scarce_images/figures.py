"""Figures of the evaluators of pictures, as plain plotly data and tables of pictures."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from scarce.contract import Figure
from scarce_images.write import png

COLOURS = {"real": "#6b7280", "real hold-out": "#2f6fb0", "synthetic": "#d9622b", "both": "#4b8f5c"}
OTHERS = ("#8b6fb0", "#b08f2f", "#2fa0a0", "#b02f6f")
MOST = 40  # classes or groups a figure can name
SMALLEST = 48  # pixels of a picture on the page
Floats = npt.NDArray[np.float64]


def confusion(counts: npt.NDArray[np.int64], classes: Sequence[Any], source: str) -> list[Figure]:
    """A heat map of true by predicted class, as a share of each true class; nothing for more classes than can be named."""
    if len(classes) > MOST:
        return []
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    names = [str(c) for c in classes]
    trace = {
        "type": "heatmap", "x": names, "y": names, "z": np.round(share, 4).tolist(), "text": counts.tolist(), "zmin": 0, "zmax": 1,
        "texttemplate": "%{text}" if len(classes) <= 15 else "", "colorscale": "Blues", "colorbar": {"title": {"text": "share"}},
    }  # fmt: skip
    layout = {
        "xaxis": {"title": {"text": "predicted"}, "type": "category"}, "height": 420,
        "yaxis": {"title": {"text": "true"}, "type": "category", "autorange": "reversed"},
    }  # fmt: skip
    title = "Which classes are taken for which"
    caption = f"Real test pictures, classified by the model trained on {source}; numbers are counts, colours shares of the true class."
    return [Figure(name="image_confusion", title=title, caption=caption, traces=[trace], layout=layout, section="utility")]


def bars(name: str, title: str, caption: str, axis: str, values: Mapping[str, Mapping[str, float]], section: str) -> list[Figure]:
    """Bars by class or group, side by side for each source: source -> name -> value; nothing for more than can be named."""
    found = {who: row for who, row in values.items() if row}
    if not found or max(map(len, found.values())) > MOST:
        return []
    traces = [
        {
            "type": "bar", "name": who, "x": list(row), "marker": {"color": COLOURS.get(who, OTHERS[i % len(OTHERS)])},
            "y": [None if not np.isfinite(v) else round(v, 4) for v in row.values()],
        }
        for i, (who, row) in enumerate(found.items())
    ]  # fmt: skip
    layout = {"barmode": "group", "height": 340, "xaxis": {"type": "category"}, "yaxis": {"title": {"text": axis}}}
    return [Figure(name=name, title=title, caption=caption, traces=traces, layout=layout, section=section)]


def histogram(synthetic: Floats, held: Floats, space: str) -> Figure:
    """Distances to the nearest training picture of synthetic and of hold-out pictures."""
    top = float(np.quantile(np.concatenate([synthetic, held]), 0.99)) or 1.0
    edges = np.linspace(0, top, 41)
    traces = [
        {
            "type": "bar", "name": f"{who} → train", "x": ((edges[1:] + edges[:-1]) / 2).tolist(), "opacity": 0.6,
            "y": (np.histogram(np.minimum(values, top), edges)[0] / len(values)).tolist(), "marker": {"color": COLOURS[who]},
        }
        for who, values in (("synthetic", synthetic), ("real hold-out", held))
    ]  # fmt: skip
    axes = {"xaxis": {"title": {"text": "distance to the nearest training picture"}}, "yaxis": {"title": {"text": "share of pictures"}}}
    return Figure(
        name="shot_histogram", title="Distance to the nearest training picture", traces=traces, section="privacy",
        caption=f"Distances {space}. Synthetic pictures should lie no nearer to training pictures than unseen real ones do.",
        layout={"barmode": "overlay", "bargap": 0, **axes},
    )  # fmt: skip


def pairs(synthetic: Sequence[Any], real: Sequence[Any], distances: Floats, space: str) -> Figure:
    """The synthetic pictures nearest to any training picture, each above that picture."""
    head = "".join(f"<th>{d:.3g}</th>" for d in distances)
    lines = "".join(
        f"<tr><th>{who}</th>{''.join(f'<td>{_image(cell)}</td>' for cell in cells)}</tr>"
        for who, cells in (("synthetic", synthetic), ("nearest training picture", real))
    )
    return Figure(
        name="shot_pairs", title="Nearest training pictures", html=f"<table><tr><th>distance</th>{head}</tr>{lines}</table>",
        caption=f"The synthetic pictures that lie nearest to a training picture {space}, each above that one.", section="privacy",
    )  # fmt: skip


def _image(cell: Any) -> str:
    image = Image.fromarray(cell)
    if max(image.size) > 4 * SMALLEST:
        image.thumbnail((4 * SMALLEST, 4 * SMALLEST))
    height, rendering = max(SMALLEST, min(image.height, 2 * SMALLEST)), "pixelated" if image.height < SMALLEST else "auto"
    data = base64.b64encode(png(image)).decode()
    return f'<img alt="picture" style="height:{height}px;image-rendering:{rendering}" src="data:image/png;base64,{data}">'
