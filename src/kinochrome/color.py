"""Every colour conversion: CIELAB, luma and chroma, R'G'B'. The only file that multiplies by a colour matrix.

Codes follow ITU-T H.273. At depth d, limited luma is 16<<(d-8) and a span of 219<<(d-8), limited chroma a span of
224<<(d-8); full range spans 2**d - 1. Neutral chroma is 1<<(d-1) in both.
"""

from __future__ import annotations

import cv2
import numpy as np

from .errors import VideoError
from .types import VideoInfo

LUMA_WEIGHTS: dict[str, tuple[float, float, float]] = {
    "bt709": (0.2126, 0.7152, 0.0722),
    "smpte170m": (0.299, 0.587, 0.114),
    "bt470bg": (0.299, 0.587, 0.114),
    "bt2020nc": (0.2627, 0.6780, 0.0593),
    "smpte240m": (0.212, 0.701, 0.087),
    "fcc": (0.30, 0.59, 0.11),
}
"""Matrix name in FFmpeg's words -> the share of R', G', B' in Y'."""

Chroma = tuple[np.ndarray, np.ndarray]


def luma_weights(matrix: str) -> np.ndarray:
    """The share of R', G', B' in Y': float64 (3,), sum 1."""
    if matrix not in LUMA_WEIGHTS:
        known = ", ".join(LUMA_WEIGHTS)
        raise VideoError(f"The colour matrix '{matrix}' is not supported; known are {known}. Convert the film first.")
    return np.array(LUMA_WEIGHTS[matrix])


def luma_from_rgb(rgb: np.ndarray, matrix: str = "bt709") -> np.ndarray:
    """Full-range luma (h, w) of full-range R'G'B' (h, w, 3), same integer type; exactly G where R = G = B."""
    luma = cv2.transform(rgb.astype(np.float32), luma_weights(matrix)[None].astype(np.float32))
    return _codes(luma, rgb.dtype)


def planes_from_rgb(rgb: np.ndarray, matrix: str = "bt709", depth: int | None = None) -> tuple[np.ndarray, Chroma]:
    """Full-range luma and 4:4:4 (Cb, Cr) of full-range R'G'B' (h, w, 3); depth defaults to all bits of its type."""
    depth = depth or 8 * rgb.dtype.itemsize
    weights = luma_weights(matrix)
    rows = np.stack([weights, _chroma_row(weights, 2), _chroma_row(weights, 0)])
    values = cv2.transform(rgb.astype(np.float32), rows.astype(np.float32))
    # The luma comes from the other function so that there is one answer, to the last code.
    cb, cr = (
        _codes(np.clip(values[..., plane] + (1 << (depth - 1)), 0, (1 << depth) - 1), rgb.dtype) for plane in (1, 2)
    )
    return luma_from_rgb(rgb, matrix), (cb, cr)


def rgb_from_planes(luma: np.ndarray, chroma: Chroma, info: VideoInfo) -> np.ndarray:
    """Full-range R'G'B' (h, w, 3), uint8 or uint16 at info.depth, of luma and full-size chroma at info's range.

    Chroma that does not fit is made paler at the same hue, so that the luma of the result is at most 1 off.
    """
    normal = normal_luma(luma, info)
    blue, red = (_normal_chroma(plane, info) for plane in chroma)
    weights = luma_weights(info.matrix)
    paler = _fitting_share(normal, blue, red, weights)
    offsets = [np.multiply(offset, paler, out=offset) for offset in _rgb_offsets(blue, red, weights)]
    rgb = np.stack([normal + offset for offset in offsets], axis=-1)
    return _codes(np.clip(rgb, 0, 1) * info.maximum, luma.dtype)


def to_depth(plane: np.ndarray, from_depth: int, to_depth: int) -> np.ndarray:
    """The same plane at another depth: shifted, rounded to nearest when bits are dropped; itself when none changes.

    Going up and down again gives the same codes.
    """
    if from_depth == to_depth:
        return plane
    if to_depth > from_depth:
        return plane.astype(np.uint16) << np.uint16(to_depth - from_depth)
    shift = from_depth - to_depth
    rounded = (plane.astype(np.uint32) + (1 << (shift - 1))) >> shift
    return np.minimum(rounded, (1 << to_depth) - 1).astype(np.uint8 if to_depth == 8 else np.uint16)


def is_full_range(info: VideoInfo) -> bool:
    """Whether codes span the whole depth; the luma of an R, G, B source always does."""
    return info.rgb or info.range == "full"


def normal_luma(luma: np.ndarray, info: VideoInfo) -> np.ndarray:
    """Y' in 0..1, float32, of codes at info's depth and range; what lies outside the legal range is clipped."""
    zero, span = _luma_code(info, info.depth)
    return np.clip((luma.astype(np.float32) - zero) / span, 0, 1)


def _normal_chroma(plane: np.ndarray, info: VideoInfo) -> np.ndarray:
    """-0.5..0.5, float32; exactly 0 at the neutral code."""
    return (plane.astype(np.float32) - (1 << (info.depth - 1))) / _chroma_span(info, info.depth)


def _luma_code(info: VideoInfo, depth: int) -> tuple[int, int]:
    """The code of black, and how many codes above it white lies."""
    return (0, (1 << depth) - 1) if is_full_range(info) else (16 << (depth - 8), 219 << (depth - 8))


def _chroma_span(info: VideoInfo, depth: int) -> int:
    return (1 << depth) - 1 if is_full_range(info) else 224 << (depth - 8)


def _chroma_row(weights: np.ndarray, channel: int) -> np.ndarray:
    """Weights of R'G'B' in Cb (channel 2) or Cr (channel 0)."""
    return (np.eye(3)[channel] - weights) / (2 * (1 - weights[channel]))


def _rgb_offsets(blue: np.ndarray, red: np.ndarray, weights: np.ndarray) -> list[np.ndarray]:
    """R'-Y', G'-Y', B'-Y' of normal Cb and Cr."""
    share_r, share_g, share_b = (float(share) for share in weights)
    offset_r, offset_b = red * (2 * (1 - share_r)), blue * (2 * (1 - share_b))
    return [offset_r, (offset_r * -share_r - offset_b * share_b) / share_g, offset_b]


def _fitting_share(normal: np.ndarray, blue: np.ndarray, red: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The gamut rule: the largest share 0..1 of the chroma that keeps R'G'B' within 0..1 at this luma and hue."""
    offsets = _rgb_offsets(blue, red, weights)
    tiny = np.float32(1e-12)
    above = np.maximum(np.maximum(offsets[0], offsets[1]), np.maximum(offsets[2], tiny))
    below = np.minimum(np.minimum(offsets[0], offsets[1]), np.minimum(offsets[2], -tiny))
    return np.minimum(np.minimum((1 - normal) / above, normal / -below), np.float32(1))


def _codes(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Rounded to nearest; values must lie within the type."""
    return np.rint(values).astype(dtype)
