"""Colour conversions against their definitions, scikit-image and each other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.color import lab2rgb, rgb2lab

from kinochrome import color
from kinochrome.errors import VideoError
from kinochrome.types import VideoInfo
from tests import film

FILM = replace(film.FILM, pixel_format="yuv444p", subsampling="444")

films = st.builds(
    lambda matrix, span, depth: replace(FILM, matrix=matrix, range=span, depth=depth),
    st.sampled_from(sorted(color.LUMA_WEIGHTS)),
    st.sampled_from(["limited", "full"]),
    st.sampled_from([8, 9, 10, 12, 14, 16]),
)


def random_codes(seed: int, info: VideoInfo, *shape: int) -> np.ndarray:
    kind = np.uint8 if info.depth == 8 else np.uint16
    return np.random.default_rng(seed).integers(0, info.maximum + 1, shape).astype(kind)


def film_colours(info: VideoInfo) -> tuple[np.ndarray, color.Chroma]:
    """Every 8th R'G'B' colour that a full-range film can hold up to white."""
    white = float(color.TRANSFERS[info.transfer][1](torch.tensor(1.0)))
    steps = np.linspace(0, white * info.maximum, 33).astype(np.uint8 if info.depth == 8 else np.uint16)
    rgb = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(33, -1, 3)
    return color.planes_from_rgb(rgb, info.matrix, info.depth)


def test_lab_equals_scikit_image_both_ways() -> None:
    rgb = np.random.default_rng(0).random((40, 50, 3)).astype(np.float32)
    rgb[0, :9] = np.linspace(0, 0.01, 9)[:, None]
    lab = color.lab_from_rgb(torch.from_numpy(rgb).permute(2, 0, 1))
    assert np.abs(lab.permute(1, 2, 0).numpy() - rgb2lab(rgb)).max() < 2e-4
    back = color.rgb_from_lab(lab).permute(1, 2, 0).numpy()
    assert np.abs(back - lab2rgb(rgb2lab(rgb))).max() < 2e-4
    assert np.abs(back - rgb).max() < 2e-4


@pytest.mark.parametrize("eight_bit", [True, False])
def test_lab_of_a_picture_equals_that_of_tensors(eight_bit: bool) -> None:
    rgb = np.random.default_rng(1).random((40, 51, 3)).astype(np.float32)
    rgb[0, :40] = np.linspace(0, 0.1, 40)[:, None]  # both curves' straight and bent parts
    given = (rgb * 255).astype(np.uint8) if eight_bit else rgb
    values = torch.from_numpy(given / np.float32(255) if eight_bit else rgb).permute(2, 0, 1)
    found = color.lab_of_picture(given)
    assert found.dtype == np.float32 and found.flags.c_contiguous
    assert np.abs(found - color.lab_from_rgb(values).numpy()).max() < 2e-4


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_a_colour_has_one_lab_wherever_it_lies(kind: type) -> None:
    colours = np.random.default_rng(2).integers(0, 256, (5, 3)).astype(np.uint8)
    where = np.random.default_rng(3).integers(0, 5, (7, 45))
    picture = colours[where] if kind is np.uint8 else colours[where] / np.float32(255)
    lab = color.lab_of_picture(picture)
    assert all((np.ptp(lab[:, where == one], axis=1) == 0).all() for one in range(5))


def test_lab_has_finite_gradients_everywhere_and_takes_batches() -> None:
    rgb = torch.zeros(2, 3, 4, 5)
    rgb[1] = torch.rand(3, 4, 5)
    rgb.requires_grad_()
    color.rgb_from_lab(color.lab_from_rgb(rgb)).sum().backward()
    assert rgb.grad is not None and rgb.grad.isfinite().all() and rgb.grad[1].abs().min() > 0.5


@given(films, st.integers(0, 999))
@settings(max_examples=40, deadline=None)
def test_rgb_of_any_planes_keeps_luma_to_one_code(info: VideoInfo, seed: int) -> None:
    luma, cb, cr = random_codes(seed, info, 3, 16, 16)
    rgb = color.rgb_from_planes(luma, (cb, cr), info)
    wanted = color.normal_luma(luma, info) * info.maximum
    assert rgb.dtype == luma.dtype and rgb.max() <= info.maximum
    assert np.abs(color.luma_from_rgb(rgb, info.matrix) - wanted).max() <= 1
    if info.range == "full":
        assert (color.luma_from_rgb(rgb, info.matrix) == luma).all()


@pytest.mark.parametrize("matrix", sorted(color.LUMA_WEIGHTS))
@pytest.mark.parametrize("depth", [8, 16])
def test_grey_rgb_is_exactly_its_luma_and_back(matrix: str, depth: int) -> None:
    info = replace(FILM, matrix=matrix, depth=depth, range="full")
    codes = np.arange(info.maximum + 1, dtype=np.uint8 if depth == 8 else np.uint16)[None]
    luma, (cb, cr) = color.planes_from_rgb(np.stack([codes] * 3, axis=-1), matrix)
    assert (luma == codes).all() and (cb == 1 << (depth - 1)).all() and (cr == 1 << (depth - 1)).all()
    assert (color.rgb_from_planes(luma, (cb, cr), info) == codes[..., None]).all()


def test_primaries_have_the_codes_of_the_standard() -> None:
    """BT.709's 8-bit limited colour bars, computed from the standard's formulas by hand."""
    bars = {(255, 255, 255): (235, 128, 128), (255, 0, 0): (63, 102, 240), (0, 255, 0): (173, 42, 26),
            (0, 0, 255): (32, 240, 118), (0, 0, 0): (16, 128, 128)}  # fmt: skip
    for rgb, (luma, cb, cr) in bars.items():
        planes = [np.full((1, 1), code, np.uint8) for code in (luma, cb, cr)]
        shown = color.rgb_from_planes(planes[0], (planes[1], planes[2]), FILM)[0, 0]
        assert np.abs(shown.astype(int) - rgb).max() <= 3, (rgb, shown)  # the codes themselves are rounded


def test_rgb_goes_to_planes_and_back_within_two_codes() -> None:
    """But for the few at the very edge of the cube, where rounded chroma no longer fits."""
    info = replace(FILM, range="full")
    rgb = random_codes(1, info, 128, 128, 3)
    error = np.abs(color.rgb_from_planes(*color.planes_from_rgb(rgb), info).astype(int) - rgb)
    assert (error > 2).mean() < 1e-3 and error.max() <= 16


@given(st.integers(8, 16), st.integers(8, 16), st.integers(0, 999), st.booleans())
@settings(max_examples=40, deadline=None)
def test_depths_go_up_and_down_exactly(low: int, high: int, seed: int, full: bool) -> None:
    low, high = sorted((low, high))
    plane = random_codes(seed, replace(FILM, depth=low), 8, 8)
    up = color.to_depth(plane, low, high, full)
    assert (up is plane) == (low == high) and up.max() < 1 << high
    back = color.to_depth(up, high, low, full)
    assert back.dtype == plane.dtype and (back == plane).all()


def test_fewer_bits_are_rounded_and_white_stays_white() -> None:
    plane = np.array([[0, 1, 2, 5, 6, 940, 1023]], np.uint16)
    assert color.to_depth(plane, 10, 8).tolist() == [[0, 0, 1, 1, 2, 235, 255]]
    assert color.to_depth(np.array([[0, 255]], np.uint8), 8, 16, full=True).tolist() == [[0, 65535]]
    assert color.to_depth(np.array([[0, 1020, 1023]], np.uint16), 10, 8, full=True).tolist() == [[0, 254, 255]]


def test_lightness_of_luma_is_that_of_grey() -> None:
    codes = np.arange(256, dtype=np.uint8)[None]
    truth = rgb2lab(np.repeat(codes[..., None], 3, axis=-1))[..., 0]
    assert np.abs(color.lightness_from_luma(codes, replace(FILM, range="full")) - truth).max() < 2e-3
    limited = color.lightness_from_luma(codes, FILM)[0]
    assert limited[0] == limited[16] == 0 and limited[235] == limited[255] == 100
    ten = color.lightness_from_luma(codes.astype(np.uint16) << 2, replace(FILM, depth=10))
    assert np.abs(ten - limited).max() < 1e-4


@pytest.mark.parametrize("transfer", sorted(color.TRANSFERS))
def test_curves_invert_each_other(transfer: str) -> None:
    decode, encode = color.TRANSFERS[transfer]
    light = torch.linspace(0, 1, 500, dtype=torch.float64)
    assert (decode(encode(light)) - light).abs().max() < 1e-6
    assert (encode(light).diff() > 0).all()


def test_bright_white_is_that_of_the_standards() -> None:
    """BT.2408: 203 nits are 58 % of PQ and 75 % of HLG; L* ends there."""
    for transfer, share in (("smpte2084", 0.58), ("arib-std-b67", 0.75)):
        info = replace(FILM, transfer=transfer, range="full", depth=10)
        codes = np.array([[round(share * 1023) - 20, round(share * 1023) + 3, 1023]], np.uint16)
        below, white, peak = color.lightness_from_luma(codes, info)[0]
        assert 90 < below < 100 and white == peak == 100


CASES = [
    ("bt709", "bt709", "bt709", 0.05, 0.002),
    ("smpte170m", "smpte170m", "smpte170m", 0.04, 0.002),
    ("bt2020nc", "bt2020", "bt2020-10", 0.02, 0.002),
    ("bt709", "smpte432", "iec61966-2-1", 0.03, 0.002),
    ("bt470bg", "bt470bg", "gamma28", 0.14, 0.06),  # infinitely steep in black: many codes are one colour
]


@pytest.mark.parametrize(("matrix", "primaries", "transfer", "anywhere", "inside"), CASES)
def test_chroma_of_ab_is_the_exact_inverse_to_one_code(
    matrix: str, primaries: str, transfer: str, anywhere: float, inside: float
) -> None:
    """Over the whole gamut, and where chroma is below 60 % of its reach: the share that is more than 1/255 off."""
    info = replace(FILM, matrix=matrix, primaries=primaries, transfer=transfer, range="full", depth=10)
    luma, chroma = film_colours(info)
    back = color.chroma_from_ab(luma, color.ab_from_chroma(luma, chroma, info), info)
    error = np.abs(np.stack(back).astype(int) - np.stack(chroma)) / 4
    assert (error > 1).mean() < anywhere
    inner = np.abs(np.stack(chroma).astype(int) - 512).max(axis=0) < 160
    assert inner.mean() > 0.2 and (error[:, inner] > 1).mean() < inside


def test_ab_of_film_colours_is_that_of_scikit_image() -> None:
    rgb = random_codes(3, FILM, 30, 40, 3)
    luma, chroma = color.planes_from_rgb(rgb.astype(np.uint16) << 8, "bt709")
    ab = color.ab_from_chroma(luma, chroma, replace(FILM, depth=16, range="full"))
    truth = rgb2lab((rgb.astype(np.uint16) << 8) / 65535)[..., 1:]
    assert np.abs(ab.permute(1, 2, 0).numpy() - truth).max() < 0.1


@given(films, st.integers(0, 999), st.floats(0, 150))
@settings(max_examples=30, deadline=None)
def test_any_ab_gives_legal_chroma_inside_the_gamut(info: VideoInfo, seed: int, strength: float) -> None:
    luma = random_codes(seed, info, 16, 16)
    ab = torch.from_numpy(np.random.default_rng(seed).normal(0, strength, (2, 16, 16)).astype(np.float32))
    for depth in (8, 10):
        chroma = np.stack(color.chroma_from_ab(luma, ab, info, depth)).astype(float) - (1 << (depth - 1))
        span = (1 << depth) - 1 if info.range == "full" else 224 << (depth - 8)
        assert np.abs(chroma).max() <= span / 2 + 0.5
        weights, normal = color.luma_weights(info.matrix), color.normal_luma(luma, info)
        blue, red = (2 - 2 * weights[2]) * chroma[0] / span, (2 - 2 * weights[0]) * chroma[1] / span
        green = -(weights[0] * red + weights[2] * blue) / weights[1]
        rgb = np.stack([red, green, blue]) + normal
        assert rgb.min() > -1.01 / span and rgb.max() < 1 + 1.01 / span  # half a code of rounding, at most doubled


@given(films, st.integers(0, 999))
@settings(max_examples=20, deadline=None)
def test_grey_stays_exactly_grey(info: VideoInfo, seed: int) -> None:
    luma = random_codes(seed, info, 8, 8)
    for plane in color.chroma_from_ab(luma, torch.zeros(2, 8, 8), info, 12):
        assert (plane == 2048).all() and plane.dtype == np.uint16
    neutral = np.full_like(luma, 1 << (info.depth - 1))
    assert color.ab_from_chroma(luma, (neutral, neutral), info).abs().max() < 1e-3


def test_the_gamut_rule_keeps_hue_and_luma() -> None:
    """Too strong a colour comes out in the direction of its weaker self."""
    luma = np.full((1, 1), 100, np.uint8)
    info = replace(FILM, depth=8)
    weak, strong = (
        np.array([int(plane[0, 0]) - (1 << 15) for plane in color.fitted_chroma(
            luma, (np.full((1, 1), 0.1 * times, np.float32), np.full((1, 1), -0.06 * times, np.float32)), info, 16)])
        for times in (1, 9)
    )  # fmt: skip
    assert np.hypot(*strong) > np.hypot(*weak)
    assert abs(np.arctan2(*strong) - np.arctan2(*weak)) < 1e-3


@pytest.mark.parametrize("field", ["matrix", "primaries", "transfer"])
def test_unknown_tags_are_refused_by_name(field: str) -> None:
    info = replace(FILM, **{field: "ycgco"})
    with pytest.raises(VideoError, match="ycgco"):
        color.chroma_from_ab(np.zeros((4, 4), np.uint8), torch.zeros(2, 4, 4), info)


def test_colours_that_fit_are_not_touched_and_others_become_paler() -> None:
    rgb = np.random.default_rng(3).random((3, 40, 50)).astype(np.float32)
    rgb[:, 0] = np.random.default_rng(4).integers(0, 2, (3, 50))  # the corners of the gamut fit too
    lab = color.lab_from_rgb(torch.from_numpy(rgb))
    assert np.abs(color.fitted_rgb_from_lab(lab).numpy() - rgb).max() < 1e-3
    wild = torch.cat([lab[:1], lab[1:] * 4])
    fitted = color.fitted_rgb_from_lab(wild)
    assert fitted.min() >= 0 and fitted.max() <= 1
    back = rgb2lab(fitted.permute(1, 2, 0).numpy())
    assert np.abs(back[..., 0] - lab[0].numpy()).max() < 0.2, "the lightness stays"
    turned = back[..., 1] * lab[2].numpy() - back[..., 2] * lab[1].numpy()
    strength = np.hypot(back[..., 1], back[..., 2]) * lab[1:].norm(dim=0).numpy()
    assert np.abs(turned[strength > 25] / strength[strength > 25]).max() < 0.03, "so does the hue"
    # As saturated as can be: one channel is at its end wherever something was taken away.
    taken = (np.hypot(back[..., 1], back[..., 2]) < 3.9 * lab[1:].norm(dim=0).numpy()) & (lab[0].numpy() > 1)
    ends = torch.minimum(fitted, 1 - fitted).amin(0).numpy()
    assert taken.mean() > 0.3 and ends[taken].max() < 0.01
