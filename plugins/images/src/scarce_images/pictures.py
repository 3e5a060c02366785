"""One picture, from a file, bytes, an array or Pillow, to uint8 [size, size, 3] on a background, without trusting it."""

from __future__ import annotations

import hashlib
import io
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageColor, ImageOps, UnidentifiedImageError

from scarce_images.config import Images

Pixels = npt.NDArray[np.uint8]
Array = npt.NDArray[Any]

SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".avif",
)  # fmt: skip
# Formats that hold pixels and nothing that runs: not EPS, which starts an interpreter, nor PDF.
FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "GIF", "BMP", "DIB", "TIFF", "PPM", "AVIF")
TRANSPARENT = ("LA", "La", "PA", "RGBA", "RGBa")
ORIENTATION = 0x0112  # the EXIF tag
SPARE = 4  # a large picture is reduced by a whole number to no less than so many times the size, then resampled
BAND = 4_000_000  # pixels of a large picture that are converted at a time
MOST_TEXT = 65_536  # bytes of a caption, or of a class, that lies beside a picture
# What damaged and encrypted archives, tables and arrays raise, and those that nest too deeply.
UNREADABLE = (OSError, ValueError, KeyError, EOFError, RuntimeError, zlib.error, zipfile.BadZipFile)


class Place(Protocol):
    """A file on disk or inside an archive."""

    @property
    def name(self) -> str:
        """What it is called there."""

    def open(self, mode: str) -> Any:
        """The file, opened for reading bytes."""

    def is_file(self) -> bool:
        """Whether there is such a file."""


@cache
def formats() -> tuple[str, ...]:
    """Those of FORMATS that the installed Pillow reads."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


class BrokenPicture(Exception):
    """A picture that can't be read; the message says why, in a few words."""


def read_picture(cell: Any, options: Images, *, where: float | None = None, scale: float | None = None) -> tuple[Pixels, str]:
    """uint8 [size, size, 3], and the hash of the whole picture before it was cut.

    cell: a path (of a folder or an archive), bytes of a file, a Pillow image, an array [h, w] or [h, w, 1 | 3 | 4], or a
    BrokenPicture that says why there is none; where: place of the cut in 0-1 for `fit = "random"`; scale: what array values are
    multiplied by. Raises BrokenPicture.
    """
    # Pillow's readers raise almost anything on damaged files (struct, zlib, index and syntax errors among them).
    try:
        with opened(cell, options, scale) as picture:
            return fitted(picture, options, where), _key(picture)
    except BrokenPicture:
        raise
    except Exception as error:
        raise BrokenPicture(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__) from error


@contextmanager
def opened(cell: Any, options: Images, scale: float | None) -> Iterator[Image.Image]:
    """An RGB image of a cell, turned upright; of a file with several the first. Its size is checked before it is decoded."""
    if isinstance(cell, Image.Image | np.ndarray):
        yield _upright(cell if isinstance(cell, Image.Image) else from_array(cell, scale, options), options)
    elif isinstance(cell, bytes | bytearray | memoryview):
        with _opened(io.BytesIO(cell), options) as picture:
            yield picture
    elif hasattr(cell, "open"):
        if not cell.is_file():
            raise BrokenPicture("no such file")
        with cell.open("rb") as file, _opened(file, options) as picture:
            yield picture
    elif isinstance(cell, BrokenPicture):
        raise BrokenPicture(str(cell))
    else:
        raise BrokenPicture("no picture" if cell is None or cell != cell else f"a {type(cell).__name__} is no picture")


@contextmanager
def _opened(file: Any, options: Images) -> Iterator[Image.Image]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a large picture, and of odd metadata: the limit here is `max_pixels`
        try:
            picture = Image.open(file, formats=formats())
        except UnidentifiedImageError:
            raise BrokenPicture("not a picture, or of an unknown format") from None
        with picture:
            _checked(picture, options).draft("RGB", (SPARE * options.size, SPARE * options.size))  # JPEG alone: decoded at 1/2, 1/4 or 1/8
            yield _upright(picture, options)


def _checked(picture: Image.Image, options: Images) -> Image.Image:
    if why := too_large(*picture.size, options):
        raise BrokenPicture(why)
    return picture


def too_large(width: int, height: int, options: Images) -> str:
    """Why a picture of this size is not read, "" where it is."""
    fits = width * height <= options.max_pixels
    return "" if fits else f"{width} x {height} pixels are more than data.options.max_pixels = {options.max_pixels}"


def _upright(picture: Image.Image, options: Images) -> Image.Image:
    """Decoded, in RGB, reduced where it is far larger than needed, and turned as its EXIF data say."""
    factor = min(_checked(picture, options).size) // (SPARE * options.size)
    picture.load()
    small = shrunk(picture, max(1, factor), options.background)
    if small is not picture:
        small.getexif()[ORIENTATION] = picture.getexif().get(ORIENTATION, 1)
    return ImageOps.exif_transpose(small)


def shrunk(picture: Image.Image, factor: int, background: str) -> Image.Image:
    """RGB with one pixel per `factor` x `factor`, a band at a time: a large picture is never held twice."""
    scale = _scale(picture)
    if factor == 1:
        return coloured(picture, background, scale)
    width, height = picture.size
    out = Image.new("RGB", (-(-width // factor), -(-height // factor)))
    step = factor * max(1, BAND // (factor * width))
    for top in range(0, height, step):
        band = picture.crop((0, top, width, min(height, top + step)))
        out.paste(coloured(band, background, scale).reduce(factor), (0, top // factor))
    return out


def coloured(picture: Image.Image, background: str, scale: float = 1.0) -> Image.Image:
    """RGB; transparent parts show the background, a palette its colours; grey values of more than 8 bits times `scale`."""
    if picture.mode.startswith(("I", "F")):
        values = np.asarray(picture)
        if why := endless(values):
            raise BrokenPicture(why)
        picture = Image.fromarray(scaled(values, scale))
    if "transparency" in picture.info or picture.mode in TRANSPARENT:
        above = picture.convert("RGBA")
        below = Image.new("RGBA", above.size, ImageColor.getrgb(background))
        return Image.alpha_composite(below, above).convert("RGB")
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def _scale(picture: Image.Image) -> float:
    """Of grey values: 16 bits to 8; those of 32 bits and floats by their range."""
    if picture.mode.startswith("I;16"):
        return 1 / 257
    return scale_of([np.array(picture.getextrema())]) if picture.mode in ("I", "F") else 1.0


def scale_of(arrays: list[Array]) -> float:
    """What values of arrays are multiplied by to lie in 0-255; raises BrokenPicture for values that no picture has.

    All values in 0-1: 255; in 0-255: 1; whole numbers in 0-65535: 1 / 257. Arrays that can't be read alone (`fault`) are not
    for here: their values would decide for all others.
    """
    if why := next(filter(None, map(endless, arrays)), ""):
        raise BrokenPicture(why)
    low, high = min(float(a.min()) for a in arrays), max(float(a.max()) for a in arrays)
    if low >= 0 and high <= 255:
        return 255.0 if high <= 1 else 1.0
    if low >= 0 and high <= 65535:
        return 1 / 257
    raise BrokenPicture(f"values from {low:g} to {high:g}, where 0 to 1, 0 to 255 or 0 to 65535 are expected")


def scaled(values: Array, scale: float) -> Pixels:
    """uint8 of values times a scale, rounded."""
    if values.dtype == np.uint8 and scale == 1.0:
        return values
    out = np.empty(values.shape, dtype=np.uint8)
    step = max(1, BAND // max(1, out[:1].size))  # a band at a time, because floats take eight times the memory
    for top in range(0, len(values), step):
        out[top : top + step] = np.clip(np.rint(values[top : top + step].astype(np.float64) * scale), 0, 255)
    return out


def endless(values: Array) -> str:
    """Which value of an array is not finite, "" where all are."""
    if values.dtype.kind != "f" or not values.size:
        return ""
    with np.errstate(invalid="ignore"):
        ends = [float(values.min()), float(values.max())]  # one is NaN where any value is
    wrong = [v for v in ends if not np.isfinite(v)]
    return f"a value of {wrong[0]:g}, where finite numbers are expected" if wrong else ""


def fault(shape: tuple[int, ...], dtype: np.dtype[Any], options: Images) -> str:
    """Why an array of this shape and type is not read as a picture, "" where it is; its values are not looked at."""
    if len(shape) not in (2, 3) or min(shape) < 1 or (len(shape) == 3 and shape[2] not in (1, 3, 4)):
        return f"an array of shape {list(shape)}, where [h, w] or [h, w, 1, 3 or 4] is expected"
    return f"an array of {dtype}, not of numbers" if dtype.kind not in "biuf" else too_large(shape[1], shape[0], options)


def from_array(values: Array, scale: float | None, options: Images) -> Image.Image:
    """Pillow's image of an array [h, w] or [h, w, 1 | 3 | 4]; raises BrokenPicture for what is none, before it is converted."""
    if why := fault(values.shape, values.dtype, options) or endless(values):
        raise BrokenPicture(why)
    values = values[:, :, 0] if values.ndim == 3 and values.shape[2] == 1 else values
    return Image.fromarray(np.ascontiguousarray(scaled(values, scale_of([values]) if scale is None else scale)))


def fitted(picture: Image.Image, options: Images, where: float | None = None) -> Pixels:
    """uint8 [size, size, 3] of an RGB picture; one that has the size already stays as it is."""
    size, (width, height) = options.size, picture.size
    if (width, height) == (size, size):
        return np.array(picture)
    if options.fit == "pad":
        return np.array(ImageOps.pad(picture, (size, size), Image.Resampling.BICUBIC, color=options.background))
    side, at = min(width, height), 0.5 if where is None else where
    left, top = round((width - side) * at), round((height - side) * at)
    square = picture.crop((left, top, left + side, top + side))  # not resize's `box`, whose edges mix with what lies outside
    return np.array(square.resize((size, size), Image.Resampling.BICUBIC))


def _key(picture: Image.Image) -> str:
    """Equal for pictures of equal pixels, whatever file they are in."""
    return hashlib.blake2b(picture.tobytes() + repr(picture.size).encode(), digest_size=8).hexdigest()
