"""Every colour conversion: CIELAB, luma and chroma, R'G'B'. The only file that multiplies by a colour matrix.

Codes follow ITU-T H.273. At depth d, limited luma is 16<<(d-8) and a span of 219<<(d-8), limited chroma a span of
224<<(d-8); full range spans 2**d - 1. Neutral chroma is 1<<(d-1) in both. A *normal* plane is float32: Y' in 0..1,
Cb and Cr in -0.5..0.5.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import cv2
import numpy as np
import torch

from .errors import VideoError
from .types import VideoInfo

Chroma = tuple[np.ndarray, np.ndarray]
Curve = Callable[[torch.Tensor], torch.Tensor]

LUMA_WEIGHTS: dict[str, tuple[float, float, float]] = {
    "bt709": (0.2126, 0.7152, 0.0722),
    "smpte170m": (0.299, 0.587, 0.114),
    "bt470bg": (0.299, 0.587, 0.114),
    "bt2020nc": (0.2627, 0.6780, 0.0593),
    "smpte240m": (0.212, 0.701, 0.087),
    "fcc": (0.30, 0.59, 0.11),
}
"""Matrix in FFmpeg's words -> the share of R', G', B' in Y'."""

PRIMARIES: dict[str, tuple[float, ...]] = {
    "bt709": (0.640, 0.330, 0.300, 0.600, 0.150, 0.060, 0.3127, 0.3290),
    "bt470m": (0.670, 0.330, 0.210, 0.710, 0.140, 0.080, 0.3101, 0.3162),
    "bt470bg": (0.640, 0.330, 0.290, 0.600, 0.150, 0.060, 0.3127, 0.3290),
    "smpte170m": (0.630, 0.340, 0.310, 0.595, 0.155, 0.070, 0.3127, 0.3290),
    "smpte240m": (0.630, 0.340, 0.310, 0.595, 0.155, 0.070, 0.3127, 0.3290),
    "film": (0.681, 0.319, 0.243, 0.692, 0.145, 0.049, 0.3101, 0.3162),
    "bt2020": (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, 0.3127, 0.3290),
    "smpte431": (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.3140, 0.3510),
    "smpte432": (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.3127, 0.3290),
    "ebu3213": (0.630, 0.340, 0.295, 0.605, 0.155, 0.077, 0.3127, 0.3290),
}
"""Primaries in FFmpeg's words -> x, y of red, green, blue and white."""

_CUBE = (6 / 29) ** 3
_XYZ_FROM_SRGB = ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))
_WHITE = (0.95047, 1.0, 1.08883)
"""D65, 2 degrees, with the matrix as scikit-image has them, so that figures compare with the field's."""


# --- CIELAB of pictures ---


def lab_from_rgb(rgb: torch.Tensor) -> torch.Tensor:
    """CIELAB (…, 3, h, w) float32 of sRGB R'G'B' 0..1, D65; differentiable."""
    matrix = torch.tensor(_XYZ_FROM_SRGB, device=rgb.device) / torch.tensor(_WHITE, device=rgb.device)[:, None]
    return _lab_from_xyz(_mixed(matrix, _decode_srgb(rgb)))


def lab_of_picture(rgb: np.ndarray) -> np.ndarray:
    """CIELAB (3, h, w) float32 of sRGB (h, w, 3), uint8 or float32 0..1: `lab_from_rgb` within 2e-4 in half its time.

    Not differentiable. A colour's values do not depend on where in the picture it lies.
    """
    red, green, blue = (
        cv2.LUT(plane, _light_of_codes()) if plane.dtype == np.uint8 else _light(plane) for plane in cv2.split(rgb)
    )
    # Not `cv2.transform`, which rounds the last pixels of a row another way than the others.
    matrix = (np.array(_XYZ_FROM_SRGB) / np.array(_WHITE)[:, None]).astype(np.float32)
    x, y, z = (_root(r * red + g * green + b * blue) for r, g, b in matrix)
    lab = np.empty((3, *rgb.shape[:2]), np.float32)
    np.multiply(y, 116, out=lab[0])
    lab[0] -= 16
    np.multiply(np.subtract(x, y, out=x), 500, out=lab[1])
    np.multiply(np.subtract(y, z, out=z), 200, out=lab[2])
    return lab


def _root(xyz: np.ndarray) -> np.ndarray:
    """The cube root that `_lab_from_xyz` takes, straight below its limit."""
    limit = np.float32(_CUBE)
    root = _power(np.maximum(xyz, limit), 1 / 3)
    root += np.minimum(xyz - limit, 0) * np.float32(841 / 108)
    return root


def _light(rgb: np.ndarray) -> np.ndarray:
    """Linear light of sRGB."""
    bent = np.maximum(rgb, np.float32(0.04045))
    light = _power((bent + np.float32(0.055)) * np.float32(1 / 1.055), 2.4)
    light += (rgb - bent) * np.float32(1 / 12.92)
    return light


def _power(x: np.ndarray, exponent: float) -> np.ndarray:
    """Of float32 above 0, within 2e-7 for results around 1; an eighth of NumPy's time. `x` is used up."""
    return cv2.exp(np.multiply(cv2.log(x, x), np.float32(exponent), out=x), x)


@functools.lru_cache(maxsize=1)
def _light_of_codes() -> np.ndarray:
    """Linear light of the 256 codes."""
    return _decode_srgb(torch.arange(256, dtype=torch.float64) / 255).float().numpy()


def rgb_from_lab(lab: torch.Tensor) -> torch.Tensor:
    """sRGB R'G'B' (…, 3, h, w) float32, clipped to 0..1, of CIELAB; differentiable inside the gamut."""
    matrix = torch.linalg.inv(torch.tensor(_XYZ_FROM_SRGB, dtype=torch.float64)) * torch.tensor(_WHITE)
    return _encode_srgb(_mixed(matrix.float().to(lab.device), _xyz_from_lab(lab))).clamp(0, 1)


_SLACK = 1e-4
"""Linear light by which a colour may leave 0..1 and count as fitting: what float32 loses on the way to Lab and back."""


def fitted_rgb_from_lab(lab: torch.Tensor) -> torch.Tensor:
    """sRGB R'G'B' (3, h, w) float32, 0..1, of CIELAB; what does not fit keeps its L* and hue and becomes paler."""
    matrix = torch.linalg.inv(torch.tensor(_XYZ_FROM_SRGB, dtype=torch.float64)) * torch.tensor(_WHITE)

    def light(colours: torch.Tensor) -> torch.Tensor:
        return _mixed(matrix.float().to(lab.device), _xyz_from_lab(colours))

    linear = light(lab).flatten(1)
    outside = ((linear < -_SLACK) | (linear > 1 + _SLACK)).any(0)
    if outside.any():
        wanted = lab.flatten(1)[:, outside][..., None]
        low, high = torch.zeros_like(wanted[0]), torch.ones_like(wanted[0])
        for _ in range(14):
            share = (low + high) / 2
            tried = light(torch.stack([wanted[0], wanted[1] * share, wanted[2] * share]))
            fits = ((tried >= -_SLACK) & (tried <= 1 + _SLACK)).all(0)
            low, high = torch.where(fits, share, low), torch.where(fits, high, share)
        linear[:, outside] = light(torch.stack([wanted[0], wanted[1] * low, wanted[2] * low]))[..., 0]
    return _encode_srgb(linear.view_as(lab)).clamp(0, 1)


def _mixed(matrix: torch.Tensor, planes: torch.Tensor) -> torch.Tensor:
    """The 3x3 matrix applied to the three planes of (…, 3, h, w)."""
    return torch.matmul(matrix, planes.flatten(-2)).view_as(planes)


def _lab_from_xyz(xyz: torch.Tensor) -> torch.Tensor:
    """Of X, Y, Z relative to white."""
    root = torch.where(xyz > _CUBE, xyz.clamp(min=_CUBE) ** (1 / 3), xyz * (841 / 108) + 4 / 29)
    x, y, z = root.unbind(-3)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=-3)


def _xyz_from_lab(lab: torch.Tensor) -> torch.Tensor:
    """X, Y, Z relative to white."""
    lightness, a, b = lab.unbind(-3)
    y = (lightness + 16) / 116
    root = torch.stack([y + a / 500, y, y - b / 200], dim=-3)
    return torch.where(root > 6 / 29, root**3, (root - 4 / 29) * (108 / 841))


# --- Transfer curves: R' 0..1 <-> light, 1 = white ---


def _decode_srgb(signal: torch.Tensor) -> torch.Tensor:
    return torch.where(signal > 0.04045, ((signal.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4, signal / 12.92)


def _encode_srgb(light: torch.Tensor) -> torch.Tensor:
    return torch.where(light > 0.0031308, 1.055 * light.clamp(min=0.0031308) ** (1 / 2.4) - 0.055, light * 12.92)


def _decode_pq(signal: torch.Tensor) -> torch.Tensor:
    root = signal ** (1 / 78.84375)
    return ((root - 0.8359375).clamp(min=0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125) * (10000 / 203)


def _encode_pq(light: torch.Tensor) -> torch.Tensor:
    root = (light * (203 / 10000)) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * root) / (1 + 18.6875 * root)) ** 78.84375


_HLG_A, _HLG_B, _HLG_C = 0.17883277, 0.28466892, 0.55991073
_HLG_WHITE = 0.26496256
"""Scene light of the 75 % signal, BT.2408's white."""


def _decode_hlg(signal: torch.Tensor) -> torch.Tensor:
    scene = torch.where(signal > 0.5, (((signal - _HLG_C) / _HLG_A).exp() + _HLG_B) / 12, signal**2 / 3)
    return (scene / _HLG_WHITE) ** 1.2


def _encode_hlg(light: torch.Tensor) -> torch.Tensor:
    scene = light ** (1 / 1.2) * _HLG_WHITE
    upper = _HLG_A * (12 * scene.clamp(min=1 / 12) - _HLG_B).log() + _HLG_C
    return torch.where(scene > 1 / 12, upper, (3 * scene.clamp(max=1 / 12)).sqrt())


_SRGB = (_decode_srgb, _encode_srgb)
TRANSFERS: dict[str, tuple[Curve, Curve]] = {
    # Camera curves are shown by displays of about sRGB's; the whole field, and every reference picture, reads them so.
    **dict.fromkeys(("bt709", "smpte170m", "smpte240m", "bt2020-10", "bt2020-12"), _SRGB),
    **dict.fromkeys(("iec61966-2-1", "iec61966-2-4", "bt1361e", "unknown", "unspecified"), _SRGB),
    "gamma22": (lambda signal: signal**2.2, lambda light: light ** (1 / 2.2)),
    "gamma28": (lambda signal: signal**2.8, lambda light: light ** (1 / 2.8)),
    "linear": (lambda signal: signal, lambda light: light),
    # 203 nits are white (BT.2408): brighter is L* 100. HLG's system gamma of 1.2 is applied a channel.
    "smpte2084": (_decode_pq, _encode_pq),
    "arib-std-b67": (_decode_hlg, _encode_hlg),
}
"""Transfer in FFmpeg's words -> (decode, encode), for values of 0 and more."""


def _known(table: dict, name: str, what: str) -> tuple:
    if name not in table:
        raise VideoError(f"The film's {what} '{name}' is not supported; convert it to one of {', '.join(table)}.")
    return table[name]


def luma_weights(matrix: str) -> np.ndarray:
    """The share of R', G', B' in Y': float64 (3,), sum 1."""
    return np.array(_known(LUMA_WEIGHTS, matrix, "colour matrix"))


@functools.lru_cache(maxsize=8)
def _xyz_matrix(primaries: str) -> torch.Tensor:
    """X, Y, Z of linear R, G, B, each relative to white: float64 3x3, rows sum to 1, so that grey stays grey."""
    x_y = np.array(_known(PRIMARIES, primaries, "primaries")).reshape(4, 2)
    xyz = np.concatenate([x_y, 1 - x_y.sum(axis=1, keepdims=True)], axis=1).T
    white = xyz[:, 3] / xyz[1, 3]
    return torch.from_numpy(xyz[:, :3] * np.linalg.solve(xyz[:, :3], white) / white[:, None])


# --- R'G'B' <-> luma and chroma ---


def luma_from_rgb(rgb: np.ndarray, matrix: str = "bt709") -> np.ndarray:
    """Full-range luma (h, w) of full-range R'G'B' (h, w, 3), same integer type; exactly G where R = G = B."""
    luma = cv2.transform(rgb.astype(np.float32), luma_weights(matrix)[None].astype(np.float32))
    return np.rint(luma).astype(rgb.dtype)


def planes_from_rgb(rgb: np.ndarray, matrix: str = "bt709", depth: int | None = None) -> tuple[np.ndarray, Chroma]:
    """Full-range luma and 4:4:4 (Cb, Cr) of full-range R'G'B' (h, w, 3); depth defaults to all bits of its type."""
    depth = depth or 8 * rgb.dtype.itemsize
    values = cv2.transform(rgb.astype(np.float32), _plane_rows(matrix)[1:].astype(np.float32))
    values += 1 << (depth - 1)
    codes = np.clip(np.rint(values), 0, (1 << depth) - 1).astype(rgb.dtype)
    return luma_from_rgb(rgb, matrix), (np.ascontiguousarray(codes[..., 0]), np.ascontiguousarray(codes[..., 1]))


def rgb_from_planes(luma: np.ndarray, chroma: Chroma, info: VideoInfo) -> np.ndarray:
    """Full-range R'G'B' (h, w, 3), uint8 or uint16 at info.depth, of luma and full-size chroma at info's range.

    Chroma that does not fit is made paler at the same hue, so that the luma of the result is at most 1 off.
    """
    # With luma rounded to a full-range code, the rounding errors of R', G', B' cannot move Y' to another code.
    normal = np.rint(normal_luma(luma, info) * info.maximum) / np.float32(info.maximum)
    blue, red = (_normal_chroma(plane, info) for plane in chroma)
    offsets = _rgb_offsets(blue, red, luma_weights(info.matrix))
    share = _fitting_share(normal, offsets)
    rgb = np.empty((*luma.shape, 3), luma.dtype)
    for channel, offset in enumerate(offsets):
        rgb[..., channel] = np.rint(np.clip(normal + share * offset, 0, 1) * info.maximum)
    return rgb


def to_depth(plane: np.ndarray, from_depth: int, to_depth: int, full: bool = False) -> np.ndarray:
    """The same plane at another depth, rounded to nearest when bits are dropped; itself when none changes.

    Codes are shifted, as limited range and chroma want it; `full`: scaled, so that full-range white stays white.
    Going up and down again gives the same codes.
    """
    if from_depth == to_depth:
        return plane
    dtype = np.uint8 if to_depth == 8 else np.uint16
    most, most_before = (1 << to_depth) - 1, (1 << from_depth) - 1
    if full:
        return ((plane.astype(np.uint64) * (2 * most) + most_before) // (2 * most_before)).astype(dtype)
    if to_depth > from_depth:
        return plane.astype(np.uint16) << np.uint16(to_depth - from_depth)
    shift = from_depth - to_depth
    return np.minimum((plane.astype(np.uint32) + (1 << (shift - 1))) >> shift, most).astype(dtype)


def is_full_range(info: VideoInfo) -> bool:
    """Whether codes span the whole depth; the luma of an R, G, B source always does."""
    return info.rgb or info.range == "full"


def normal_luma(luma: np.ndarray, info: VideoInfo) -> np.ndarray:
    """Y' in 0..1 of codes at info's depth and range; what lies outside the legal range is clipped."""
    return _looked_up(luma, _normal_table(info.depth, is_full_range(info)))


def _normal_chroma(plane: np.ndarray, info: VideoInfo) -> np.ndarray:
    """Exactly 0 at the neutral code."""
    return (plane.astype(np.float32) - (1 << (info.depth - 1))) / np.float32(_chroma_span(info, info.depth))


def _chroma_span(info: VideoInfo, depth: int) -> int:
    return (1 << depth) - 1 if is_full_range(info) else 224 << (depth - 8)


@functools.lru_cache(maxsize=8)
def _normal_table(depth: int, full: bool) -> np.ndarray:
    zero, span = (0, (1 << depth) - 1) if full else (16 << (depth - 8), 219 << (depth - 8))
    return np.clip((np.arange(1 << depth) - zero) / span, 0, 1).astype(np.float32)


def _looked_up(codes: np.ndarray, table: np.ndarray) -> np.ndarray:
    return cv2.LUT(codes, table) if codes.dtype == np.uint8 and len(table) == 256 else table.take(codes, mode="clip")


def _rgb_offsets(blue: np.ndarray, red: np.ndarray, weights: np.ndarray) -> list[np.ndarray]:
    """R'-Y', G'-Y', B'-Y' of normal Cb and Cr."""
    share_r, share_g, share_b = (float(share) for share in weights)
    to_r, to_b = 2 - 2 * share_r, 2 - 2 * share_b
    green = cv2.addWeighted(red, -to_r * share_r / share_g, blue, -to_b * share_b / share_g, 0)
    return [red * np.float32(to_r), green, blue * np.float32(to_b)]


def _fitting_share(normal: np.ndarray, offsets: list[np.ndarray]) -> np.ndarray:
    """The gamut rule: the largest share 0..1 of the chroma that keeps R'G'B' within 0..1 at this luma and hue."""
    above = cv2.max(cv2.max(offsets[0], offsets[1]), offsets[2])
    below = cv2.min(cv2.min(offsets[0], offsets[1]), offsets[2])
    np.maximum(above, np.float32(1e-9), out=above)
    np.minimum(below, np.float32(-1e-9), out=below)
    share = cv2.min(cv2.divide(1 - normal, above), cv2.divide(normal, -below))
    return np.minimum(share, np.float32(1), out=share)


# --- The film's luma and chroma <-> lightness and ab ---


def lightness_from_luma(luma: np.ndarray, info: VideoInfo) -> np.ndarray:
    """CIE L* 0..100, float32 (h, w), of luma codes seen as grey: R' = G' = B' = Y'."""
    return _looked_up(luma, _lightness_table(info.depth, is_full_range(info), info.transfer))


@functools.lru_cache(maxsize=8)
def _lightness_table(depth: int, full: bool, transfer: str) -> np.ndarray:
    normal = torch.from_numpy(_normal_table(depth, full)).double()
    return _lightness(normal, transfer).clamp(0, 100).float().numpy()


def _lightness(normal: torch.Tensor, transfer: str) -> torch.Tensor:
    """L* of grey; above 100 where a film goes beyond white."""
    light = _known(TRANSFERS, transfer, "transfer")[0](normal)
    return torch.where(light > _CUBE, 116 * light ** (1 / 3) - 16, light * (116 * 841 / 108))


def ab_from_chroma(luma: np.ndarray, chroma: Chroma, info: VideoInfo) -> torch.Tensor:
    """a*, b* (2, h, w) of the film's colours; luma and chroma at the same grid, as stored, at info's depth."""
    normal = normal_luma(luma, info)
    blue, red = (_normal_chroma(plane, info) for plane in chroma)
    offsets = _rgb_offsets(blue, red, luma_weights(info.matrix))
    rgb = torch.from_numpy(np.clip(np.stack(offsets) + normal, 0, 1))
    light = _known(TRANSFERS, info.transfer, "transfer")[0](rgb)
    return _lab_from_xyz(_mixed(_xyz_matrix(info.primaries).float(), light))[1:]


def chroma_from_ab(
    luma: np.ndarray, ab: torch.Tensor | np.ndarray, info: VideoInfo, depth: int | None = None
) -> Chroma:
    """(Cb, Cr) codes at depth (info's by default) that give this luma the colour ab, both at the same grid.

    Luma (h, w) at info.depth, ab (2, h, w). Colours that the film cannot hold are made paler at the same hue.
    """
    wanted = wanted_chroma(lightness_from_luma(luma, info), np.asarray(ab), info)
    blue, red = cv2.split(wanted)
    return fitted_chroma(luma, (blue, red), info, depth or info.depth)


def fitted_chroma(luma: np.ndarray, wanted: Chroma, info: VideoInfo, depth: int) -> Chroma:
    """(Cb, Cr) codes at depth of normal Cb and Cr, by the gamut rule at this luma (at info.depth, the same grid)."""
    share = _fitting_share(normal_luma(luma, info), _rgb_offsets(*wanted, luma_weights(info.matrix)))
    kind = cv2.CV_8U if depth == 8 else cv2.CV_16U
    codes = []
    for plane in wanted:
        scaled = cv2.multiply(plane, share, scale=_chroma_span(info, depth))
        rounded = cv2.addWeighted(scaled, 1, scaled, 0, 1 << (depth - 1), dtype=kind)
        codes.append(np.minimum(rounded, (1 << depth) - 1, out=rounded))
    return codes[0], codes[1]


_SLICES, _SIDE, _CELL, _REACH = 41, 81, 4.0, 160.0
"""The table's roots of the grey's L*, finer in the dark; a*, b* from -160 to 160 in steps of 4: neutral is met."""


def wanted_chroma(lightness: np.ndarray, ab: np.ndarray, info: VideoInfo) -> np.ndarray:
    """Normal Cb, Cr (h, w, 2) that show ab (2, h, w) at the luma of grey with this lightness (h, w).

    They may not fit the film. Read from a table by linear interpolation, 0 exactly where ab is 0.
    """
    table = _chroma_table(info.matrix, info.primaries, info.transfer)
    across = np.clip((ab[0] + _REACH) / np.float32(_CELL), 0, _SIDE - 1)
    down = np.clip((ab[1] + _REACH) / np.float32(_CELL), 0, _SIDE - 1)
    place = np.sqrt(np.clip(lightness, 0, 100) / 100) * np.float32(_SLICES - 1.001)
    below = np.floor(place)
    down += below * _SIDE
    lower = cv2.remap(table, across, down, cv2.INTER_LINEAR)
    upper = cv2.remap(table, across, down + _SIDE, cv2.INTER_LINEAR)
    return lower + (upper - lower) * (place - below)[..., None]


@functools.lru_cache(maxsize=8)
def _chroma_table(matrix: str, primaries: str, transfer: str) -> np.ndarray:
    """Normal Cb, Cr over (L* of grey, b*, a*), the first two as rows: (slices * side, side, 2), float32.

    A colour's own L* is not that of the grey of the same luma (a saturated red is far lighter), so each ab is followed
    from black upward and its chroma read where its luma is the grey's.
    """
    encode = _known(TRANSFERS, transfer, "transfer")[1]
    scale = np.arange(_SIDE) * _CELL - _REACH
    b, a = (axis.ravel() for axis in np.meshgrid(scale, scale, indexing="ij"))
    lightness = np.linspace(0, 1, 161) ** 2 * 160
    lab = torch.from_numpy(np.stack(np.broadcast_arrays(lightness, a[:, None], b[:, None])))
    light = _mixed(torch.linalg.inv(_xyz_matrix(primaries)), _xyz_from_lab(lab))
    rgb = torch.copysign(encode(light.abs()), light)  # odd below 0, where colours lie that the film cannot hold
    luma, blue, red = _mixed(torch.from_numpy(_plane_rows(matrix)), rgb).numpy()
    grey = 100 * (torch.arange(_SLICES, dtype=torch.float64) / (_SLICES - 1.001)).clamp(max=1) ** 2
    wanted = encode(_xyz_from_lab(torch.stack([grey, grey * 0, grey * 0])[..., None])[1, :, 0]).numpy()
    luma = np.maximum.accumulate(luma, axis=1)
    table = np.empty((_SLICES, _SIDE * _SIDE, 2), np.float32)
    for colour in range(_SIDE * _SIDE):
        table[:, colour, 0] = np.interp(wanted, luma[colour], blue[colour])
        table[:, colour, 1] = np.interp(wanted, luma[colour], red[colour])
    return table.reshape(_SLICES * _SIDE, _SIDE, 2)


def _plane_rows(matrix: str) -> np.ndarray:
    """Normal Y', Cb, Cr from R', G', B': float64 3x3."""
    weights = luma_weights(matrix)
    return np.stack([weights, *((np.eye(3)[channel] - weights) / (2 - 2 * weights[channel]) for channel in (2, 0))])
