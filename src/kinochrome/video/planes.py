"""How FFmpeg's pixel formats lie in memory, and the planes of a frame read from there.

Every format that stores whole 8- or 16-bit samples is described by the order of its letters in each plane:
`yuv420p` is ("Y", "U", "V"), `nv12` is ("Y", "UV"), `uyvy422` is ("UYVY",), `bgra` is ("BGRA",). That one description
reads them all, without libswscale, which would stretch ranges. Planar little-endian samples are not even copied.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..color import planes_from_rgb
from ..types import CHROMA_STEPS, Subsampling, VideoInfo

SUBSAMPLINGS: dict[str, Subsampling] = {"grey": "grey", **{name: name for name in CHROMA_STEPS}}

PACKED_YUV: dict[str, tuple[str, Subsampling, int]] = {
    "yuyv422": ("YUYV", "422", 8),
    "yvyu422": ("YVYU", "422", 8),
    "uyvy422": ("UYVY", "422", 8),
    "uyyvyy411": ("UYYVYY", "411", 8),
    "vyu444": ("VYU", "444", 8),
    "vuyx": ("VUYX", "444", 8),
    "vuya": ("VUYA", "444", 8),
    "ayuv": ("AYUV", "444", 8),
    "y210le": ("YUYV", "422", 10),
    "y212le": ("YUYV", "422", 12),
    "y216le": ("YUYV", "422", 16),
    "xv36le": ("UYVX", "444", 12),
    "xv48le": ("UYVX", "444", 16),
    "ayuv64le": ("AYUV", "444", 16),
    "ya8": ("YA", "grey", 8),
    "ya16le": ("YA", "grey", 16),
    "ya16be": ("YA", "grey", 16),
}
PAIRS: dict[str, tuple[str, Subsampling]] = {
    "nv12": ("UV", "420"), "nv21": ("VU", "420"), "nv16": ("UV", "422"), "nv24": ("UV", "444"), "nv42": ("VU", "444"),
}  # fmt: skip


PALETTE_SHIFTS = {"A": 24, "R": 16, "G": 8, "B": 0}


@dataclass(frozen=True)
class Layout:
    """Where the samples of one pixel format lie."""

    planes: tuple[str, ...]
    """The letters Y U V R G B A (X: unused) in the order in which each plane repeats them."""
    depth: int
    subsampling: Subsampling
    dtype: str = "u1"
    """NumPy's name of a stored sample."""
    shift: int = 0
    """Bits below the sample, where a format keeps it at the top of its word."""

    @property
    def rgb(self) -> bool:
        return "R" in "".join(self.planes)

    @property
    def alpha(self) -> bool:
        return "A" in "".join(self.planes)

    @property
    def planar(self) -> bool:
        return all(len(letters) == 1 for letters in self.planes)


def layout_of(name: str) -> Layout | None:
    """The layout of a pixel format by FFmpeg's name; None where this package cannot read it exactly."""
    if name in ("monow", "monob"):
        return Layout(("Y",), 8, "grey")
    if name == "pal8":
        return Layout(("RGBA",), 8, "444")
    if name in PACKED_YUV:
        letters, subsampling, depth = PACKED_YUV[name]
        return _layout((letters,), depth, subsampling, name, high=True)
    if name in PAIRS:
        letters, subsampling = PAIRS[name]
        return Layout(("Y", letters), 8, subsampling)
    return _planar_layout(name) or _packed_rgb_layout(name)


def _planar_layout(name: str) -> Layout | None:
    if found := re.fullmatch(r"gray(9|10|12|14|16)?(le|be)?", name):
        return _layout(("Y",), int(found[1] or 8), "grey", name)
    if found := re.fullmatch(r"yuv(j|a?)(410|411|420|422|440|444)p(9|10|12|14|16)?(le|be)?", name):
        letters = ("Y", "U", "V", "A") if found[1] == "a" else ("Y", "U", "V")
        return _layout(letters, int(found[3] or 8), SUBSAMPLINGS[found[2]], name)
    if found := re.fullmatch(r"p([024])(10|12|16)(le|be)", name):
        subsampling = SUBSAMPLINGS["44" + found[1] if found[1] == "4" else "42" + found[1]]
        return _layout(("Y", "UV"), int(found[2]), subsampling, name, high=True)
    if found := re.fullmatch(r"gbr(a?)p(9|10|12|14|16)?(le|be)?", name):
        return _layout(("G", "B", "R", "A")[: 3 + len(found[1])], int(found[2] or 8), "444", name)
    if found := re.fullmatch(r"(gray|gbrp|gbrap)f(16|32)(le|be)", name):
        planes = {"gray": ("Y",), "gbrp": ("G", "B", "R"), "gbrap": ("G", "B", "R", "A")}[found[1]]
        dtype = f"{'<' if found[3] == 'le' else '>'}f{int(found[2]) // 8}"
        return Layout(planes, 16, "grey" if found[1] == "gray" else "444", dtype)
    return None


def _packed_rgb_layout(name: str) -> Layout | None:
    if found := re.fullmatch(r"(rgb|bgr)(24|48(le|be))", name):
        return _layout((found[1].upper(),), 8 if found[2] == "24" else 16, "444", name)
    if found := re.fullmatch(r"(rgba|bgra)64(le|be)", name):
        return _layout((found[1].upper(),), 16, "444", name)
    if name in ("rgba", "bgra", "argb", "abgr", "rgb0", "bgr0", "0rgb", "0bgr"):
        return Layout((name.upper().replace("0", "X"),), 8, "444")
    return None


def _layout(planes: tuple[str, ...], depth: int, subsampling: Subsampling, name: str, high: bool = False) -> Layout:
    dtype = "u1" if depth == 8 else ">u2" if name.endswith("be") else "<u2"
    return Layout(planes, depth, subsampling, dtype, 16 - depth if high and depth > 8 else 0)


def planar_twin(name: str) -> str:
    """The planar little-endian format that holds exactly the same samples, for FFmpeg's filters."""
    layout = layout_of(name)
    assert layout is not None, name
    if layout.planar and not layout.alpha and not layout.dtype.startswith(">") and not name.startswith("mono"):
        return name
    bits = "" if layout.depth == 8 else f"{layout.depth}le"
    if layout.rgb:
        return f"gbrp{bits}"
    return f"gray{bits}" if layout.subsampling == "grey" else f"yuv{layout.subsampling}p{bits}"


def read_planes(frame: Any, info: VideoInfo) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray] | None]:
    """(luma, chroma or None) of a decoded frame, read-only; views into its buffers wherever the format allows.

    Raises ValueError where the frame is not opaque. Grey pictures stored as R, G, B have no chroma.
    """
    letters = read_letters(frame)
    alpha = letters.get("A")
    if alpha is not None and alpha.min() < (1 if alpha.dtype.kind == "f" else (1 << info.depth) - 1):
        raise ValueError("it has transparent parts")
    letters = {name: encoded(plane) if plane.dtype.kind == "f" else plane for name, plane in letters.items()}
    chroma = None
    if not info.rgb:
        luma = letters["Y"]
        if "U" in letters:
            chroma = letters["U"], letters["V"]
    else:
        luma = letters["G"]
        if not (np.array_equal(luma, letters["R"]) and np.array_equal(luma, letters["B"])):
            rgb = np.stack([letters[name] for name in "RGB"], axis=-1)
            luma, chroma = planes_from_rgb(rgb, info.matrix, info.depth)
    for plane in (luma, *(chroma or ())):
        plane.flags.writeable = False  # a decoder may still predict later frames from this memory
    return luma, chroma


def read_letters(frame: Any) -> dict[str, np.ndarray]:
    """Each stored component, (height, width) in its own size, in native integers (or floats, as stored)."""
    name = frame.format.name
    layout = layout_of(name)
    assert layout is not None, name
    if name in ("monow", "monob"):
        return {"Y": _bits(frame, white=0 if name == "monow" else 1)}
    if name == "pal8":
        return _palette(frame)
    found: dict[str, np.ndarray] = {}
    down, across = CHROMA_STEPS.get(layout.subsampling, (1, 1))
    for plane, order in zip(frame.planes, layout.planes, strict=True):
        rows = -(-frame.height // down) if set(order) <= set("UV") else frame.height
        samples = np.frombuffer(plane, layout.dtype)
        stored = samples.reshape(-1, plane.line_size // samples.itemsize)[:rows]
        for letter in dict.fromkeys(order.replace("X", "")):
            width = -(-frame.width // across) if letter in "UV" else frame.width
            found[letter] = _native(_pick(stored, order, letter, width), layout.shift)
    return found


def _pick(stored: np.ndarray, order: str, letter: str, width: int) -> np.ndarray:
    """One letter's samples out of rows that repeat `order`."""
    places = [place for place, other in enumerate(order) if other == letter]
    if len(places) == 1:
        return stored[:, places[0] :: len(order)][:, :width]
    picked = np.empty((stored.shape[0], width), stored.dtype)
    for turn, place in enumerate(places):
        part = picked[:, turn :: len(places)]
        part[:] = stored[:, place :: len(order)][:, : part.shape[1]]
    return picked


def _native(plane: np.ndarray, shift: int) -> np.ndarray:
    if not plane.dtype.isnative:
        plane = plane.astype(plane.dtype.newbyteorder("="))
    return plane >> shift if shift else plane


def _bits(frame: Any, white: int) -> np.ndarray:
    packed = np.frombuffer(frame.planes[0], np.uint8).reshape(-1, frame.planes[0].line_size)[: frame.height]
    return np.where(np.unpackbits(packed, axis=1)[:, : frame.width] == white, 255, 0).astype(np.uint8)


def _palette(frame: Any) -> dict[str, np.ndarray]:
    colours = np.frombuffer(frame.planes[1], np.uint32)[:256]  # 0xAARRGGBB in the machine's own byte order
    stored = np.frombuffer(frame.planes[0], np.uint8).reshape(-1, frame.planes[0].line_size)
    codes = colours[stored[: frame.height, : frame.width]]
    return {letter: (codes >> shift & 255).astype(np.uint8) for letter, shift in PALETTE_SHIFTS.items()}


def encoded(linear: np.ndarray) -> np.ndarray:
    """Float scene-linear samples (EXR) as 16-bit codes: clipped to 0..1, then the sRGB curve (IEC 61966-2-1)."""
    clipped = np.clip(np.nan_to_num(linear.astype(np.float32), nan=0.0, posinf=1.0, neginf=0.0), 0.0, 1.0)
    curve = np.where(clipped <= 0.0031308, 12.92 * clipped, 1.055 * clipped ** (1 / 2.4) - 0.055)
    return np.round(curve * 65535).astype(np.uint16)
