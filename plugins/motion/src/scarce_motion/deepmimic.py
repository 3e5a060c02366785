"""DeepMimic's motion files: JSON with rows of a duration, the root, and what every joint of its humanoid does."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from scarce.errors import DataError
from scarce_motion.clip import Clip
from scarce_motion.rotations import about
from scarce_motion.skeleton import HUMANOID

WIDTH = 1 + 3 + sum({"hinge": 1}.get(HUMANOID.kinds[i], 4) for i in HUMANOID.turning)


def read_deepmimic(path: Path) -> Clip:
    """The clip of a file; DataError for no JSON, no frames, or rows of another length (missing joints).

    A row is: seconds until the next, root position (3), root quaternion (4), then joints of `HUMANOID` in its order -
    quaternions w, x, y, z, or one angle for a hinge.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        rows = data["Frames"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is no DeepMimic motion: {error!r}", hint=f"head -c 200 {path}") from None
    if not isinstance(rows, list) or not rows:
        raise DataError(f"{path} has no frames", hint="leave the file out")
    wrong = next(((i, row) for i, row in enumerate(rows) if not isinstance(row, list) or len(row) != WIDTH), None)
    if wrong is not None:
        found = len(wrong[1]) if isinstance(wrong[1], list) else 0
        what = f"{path}: frame {wrong[0]} has {found} numbers where a humanoid's has {WIDTH}: joints are missing, or it is another body"
        raise DataError(what, hint=f"joints in order: {', '.join(HUMANOID.names[i] for i in HUMANOID.turning)}")
    values = np.array(rows, dtype=np.float64)
    place, parts = 4, [values[:, 1:4]]
    for i in HUMANOID.turning:
        name = HUMANOID.names[i]
        hinge = HUMANOID.kinds[i] == "hinge"
        parts.append(about(HUMANOID.axes[name], values[:, place]) if hinge else values[:, place : place + 4])
        place += 1 if hinge else 4
    seconds = float(np.median(values[:, 0]))
    fps = 1 / seconds if seconds > 0 else 0.0
    wraps = str(data.get("Loop", "")).lower() == "wrap"
    return Clip(name=path.stem, skeleton=HUMANOID, frames=np.concatenate(parts, 1), fps=fps, wraps=wraps)
