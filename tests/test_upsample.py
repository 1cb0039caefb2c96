"""The renderer against pictures whose colours are known."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kinochrome import color
from kinochrome.errors import VideoError
from kinochrome.types import Encoding, Frame, Painted, VideoInfo
from kinochrome.upsample import Renderer
from tests import film

FILM = replace(film.FILM, width=192, height=112)
FACTORS = {"444": (1, 1), "422": (1, 2), "420": (2, 2), "440": (2, 1), "411": (1, 4), "410": (4, 4)}


def encoding(subsampling: str = "420", depth: int = 8) -> Encoding:
    return Encoding(Path("film.mkv"), "film", "archive", "matroska", "ffv1", "yuv", depth, subsampling)  # type: ignore[arg-type]


def coloured(info: VideoInfo, seed: int = 0) -> tuple[np.ndarray, np.ndarray, torch.Tensor]:
    """Stored R'G'B' of a smooth, soft-coloured scene with edges, its luma at info, its upright ab at full size."""
    generator = np.random.default_rng(seed)
    coarse = generator.uniform(0.25, 0.75, (info.height // 24 + 2, info.width // 24 + 2, 3)).astype(np.float32)
    rgb = cv2.resize(coarse, (info.width, info.height), interpolation=cv2.INTER_CUBIC)
    down, across = np.mgrid[: info.height, : info.width]
    rgb[(down // 16 + across // 24) % 3 == 0] *= np.float32([0.8, 0.55, 0.4])
    rgb = np.clip(rgb, 0.02, 0.98)
    normal = rgb @ color.luma_weights(info.matrix).astype(np.float32)
    zero, span = (0, info.maximum) if color.is_full_range(info) else (16 << info.depth - 8, 219 << info.depth - 8)
    luma = np.rint(zero + normal * span).astype(np.uint8 if info.depth == 8 else np.uint16)
    ab = color.lab_from_rgb(torch.from_numpy(rgb).permute(2, 0, 1))[1:]
    return rgb, luma, torch.rot90(ab, -(info.rotation // 90), (1, 2))


def reduced(planes: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    return torch.from_numpy(
        np.stack([cv2.resize(p, size[::-1], interpolation=cv2.INTER_AREA) for p in planes.contiguous().numpy()])
    )


def hints(info: VideoInfo, luma: np.ndarray, ab: torch.Tensor, size: tuple[int, int]) -> tuple[Painted, torch.Tensor]:
    """What a perfect method would say at this upright working size, and the lightness that it saw."""
    lightness = torch.from_numpy(np.rot90(color.lightness_from_luma(luma, info), -(info.rotation // 90)).copy())[None]
    return Painted(reduced(ab, size), torch.ones(1, *size)), reduced(lightness, size)


def picture_error(info: VideoInfo, planes: tuple[np.ndarray, ...], rgb: np.ndarray) -> float:
    """Root mean square of R'G'B' codes of 8 bit; chroma, of middle siting, is brought to full size."""
    size = (info.width, info.height)
    cb, cr = (cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR) for plane in planes[1:])
    shown = color.rgb_from_planes(planes[0], (cb, cr), info).astype(np.float32) / info.maximum
    return float(np.sqrt(((shown - rgb) ** 2).mean()) * 255)


def bilinear(info: VideoInfo, luma: np.ndarray, ab: torch.Tensor, grid: tuple[int, int]) -> color.Chroma:
    """The plain way, to compare with: middle siting."""
    wide = torch.from_numpy(np.stack([cv2.resize(plane, grid[::-1]) for plane in ab.numpy()]))
    return color.chroma_from_ab(cv2.resize(luma, grid[::-1], interpolation=cv2.INTER_AREA), wide, info)


@given(
    st.sampled_from(sorted(FACTORS)),
    st.sampled_from(["left", "center", "topleft", "bottomleft", "top", "bottom", "unspecified"]),
    st.tuples(st.integers(5, 70), st.integers(5, 70)),
    st.sampled_from([0, 90, 180, 270]),
    st.sampled_from([(8, 8), (8, 10), (10, 10), (16, 8)]),
    st.sampled_from([Fraction(1), Fraction(64, 45), Fraction(8, 9)]),
)
@settings(max_examples=60, deadline=None)
def test_every_shape_of_film_keeps_luma_and_grey(
    subsampling: str, location: str, size: tuple[int, int], rotation: int, depths: tuple[int, int], aspect: Fraction
) -> None:
    info = replace(FILM, height=size[0], width=size[1], chroma_location=location, rotation=rotation,
                   depth=depths[0], sample_aspect=aspect)  # fmt: skip
    _, luma, _ = coloured(info)
    kept = luma.copy()
    painted = Painted(torch.zeros(2, 12, 16), torch.ones(1, 12, 16))
    planes = Renderer(info, encoding(subsampling, depths[1])).paint(Frame(0, 0, luma), painted, torch.rand(1, 12, 16))
    assert (luma == kept).all() and (planes[0] == color.to_depth(kept, *depths)).all()
    assert (planes[0] is luma) == (depths[0] == depths[1])
    down, across = FACTORS[subsampling]
    for plane in planes[1:]:
        assert plane.shape == (-(-size[0] // down), -(-size[1] // across))
        assert (plane == 1 << (depths[1] - 1)).all()


def ramp(size: tuple[int, int], rows: np.ndarray, columns: np.ndarray, sign: int) -> torch.Tensor:
    """ab that rises (sign 1) or falls (-1) across the film: a from left to right, b from top to bottom."""
    ab = np.stack([columns / size[1] * 37.3 - 18.1, rows / size[0] * 37.3 - 18.1])
    return torch.from_numpy((sign * ab).astype(np.float32))


@pytest.mark.parametrize("subsampling", sorted(FACTORS))
@pytest.mark.parametrize("location", ["left", "center", "topleft", "bottom"])
@pytest.mark.parametrize("size", [(112, 192), (111, 189)])
def test_a_gradient_of_colour_lies_where_the_film_samples_it(
    subsampling: str, location: str, size: tuple[int, int]
) -> None:
    """Flat luma, colour on a ramp: it is shifted by less than a tenth of a luma sample."""
    info = replace(FILM, height=size[0], width=size[1], chroma_location=location, depth=16)
    luma = np.full(size, 120 << 8, np.uint16)
    light = torch.full((1, 37, 61), float(color.lightness_from_luma(luma, info)[0, 0]))
    down, across = FACTORS[subsampling]
    first_row = {"topleft": 0.5, "bottom": down - 0.5}.get(location, down / 2)
    first_column = 0.5 if "left" in location else across / 2
    small_rows, small_columns = np.mgrid[:37, :61] + 0.5
    error, slope = [], []
    for sign in (1, -1):  # the table's own small errors are the same on both ramps
        painted = Painted(
            ramp(size, small_rows / 37 * size[0], small_columns / 61 * size[1], sign), torch.ones(1, 37, 61)
        )
        chroma = Renderer(info, encoding(subsampling, 16)).paint(Frame(0, 0, luma), painted, light)[1:]
        rows, columns = np.mgrid[: chroma[0].shape[0], : chroma[0].shape[1]]
        truth = ramp(size, rows * down + first_row, columns * across + first_column, sign)
        wanted = color.chroma_from_ab(np.full(rows.shape, 120 << 8, np.uint16), truth, info)
        cb_cr, truth_codes = np.stack(chroma).astype(float), np.stack(wanted).astype(float)
        inner = (slice(None), slice(3, -3), slice(3, -3))
        error.append((cb_cr - truth_codes)[inner].mean(axis=(1, 2)))
        # Cr follows a, across; Cb follows b, down.
        slope.append((np.diff(truth_codes[1], axis=1).mean() / across, np.diff(truth_codes[0], axis=0).mean() / down))
    along, upright = (error[0] - error[1])[::-1] / np.subtract(*slope)
    assert abs(along) < 0.1 and abs(upright) < 0.1


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_a_turned_film_is_the_same_picture_turned(rotation: int) -> None:
    info = replace(FILM, chroma_location="center")
    _, luma, ab = coloured(info)
    upright = Renderer(info, encoding()).paint(Frame(0, 0, luma), *hints(info, luma, ab, (28, 48)))
    turns = rotation // 90
    sizes = (info.width, info.height) if turns % 2 else (info.height, info.width)
    turned = replace(info, rotation=rotation, height=sizes[0], width=sizes[1])
    stored = np.ascontiguousarray(np.rot90(luma, turns))  # played turned clockwise, it stands upright
    planes = Renderer(turned, encoding()).paint(Frame(0, 0, stored), *hints(info, luma, ab, (28, 48)))
    for one, other in zip(planes, upright, strict=True):
        assert np.abs(np.rot90(one, -turns).astype(int) - other).max() <= 1


@pytest.mark.parametrize(("subsampling", "depth"), [("420", 8), ("422", 10), ("444", 8)])
def test_true_colours_come_back_better_than_bilinear(subsampling: str, depth: int) -> None:
    info = replace(FILM, chroma_location="center", depth=depth)
    rgb, luma, ab = coloured(info)
    painted, lightness = hints(info, luma, ab, (28, 48))
    planes = Renderer(info, encoding(subsampling, depth)).paint(Frame(0, 0, luma), painted, lightness)
    plain = (luma, *bilinear(info, luma, painted.ab, planes[1].shape))
    assert picture_error(info, planes, rgb) < 0.85 * picture_error(info, plain, rgb)


def two_regions(info: VideoInfo, edge: int) -> tuple[np.ndarray, torch.Tensor]:
    """A dark blue-ish and a bright orange-ish half meeting at a column."""
    luma = np.full((info.height, info.width), 70, np.uint8)
    luma[:, edge:] = 180
    ab = torch.empty(2, info.height, info.width)
    ab[:, :, :edge] = torch.tensor([10.0, -30.0])[:, None, None]
    ab[:, :, edge:] = torch.tensor([20.0, 40.0])[:, None, None]
    return luma, ab


@pytest.mark.parametrize("edge", [90, 96, 100])
def test_colours_neither_bleed_over_an_edge_nor_make_haloes(edge: int) -> None:
    info = replace(FILM, chroma_location="center")
    luma, ab = two_regions(info, edge)
    painted, lightness = hints(info, luma, ab, (14, 24))
    _, cb, cr = Renderer(info, encoding("444")).paint(Frame(0, 0, luma), painted, lightness)
    truth = np.stack(color.chroma_from_ab(luma, ab, info)).astype(float)
    plain = np.stack(bilinear(info, luma, painted.ab, luma.shape))
    bleeding, by_bilinear = np.abs(np.stack([cb, cr]) - truth), np.abs(plain - truth)
    assert bleeding.mean() < 0.4 * by_bilinear.mean()
    assert (bleeding > 8).mean() < 0.4 * (by_bilinear > 8).mean()
    for plane, wanted in ((cb, truth[0]), (cr, truth[1])):
        assert plane.min() >= wanted.min() - 1 and plane.max() <= wanted.max() + 1  # nothing beyond either side


def test_an_edge_of_colour_alone_makes_no_halo() -> None:
    info = replace(FILM, chroma_location="center")
    luma, ab = two_regions(info, 96)
    luma[:] = 120
    _, cb, cr = Renderer(info, encoding("444")).paint(Frame(0, 0, luma), *hints(info, luma, ab, (14, 24)))
    for plane, wanted in zip((cb, cr), color.chroma_from_ab(luma, ab, info), strict=True):
        assert int(plane.min()) >= int(wanted.min()) - 1 and int(plane.max()) <= int(wanted.max()) + 1


def test_an_rgb_film_is_painted_in_full_range() -> None:
    info = replace(FILM, rgb=True, range="full", subsampling="444", chroma_location="center", depth=16)
    rgb, luma, ab = coloured(info)
    planes = Renderer(info, encoding("444", 16)).paint(Frame(0, 0, luma), *hints(info, luma, ab, info.upright_size))
    assert picture_error(info, planes, rgb) < 0.3


def test_saturation_scales_colour_and_zero_is_grey() -> None:
    _, luma, ab = coloured(FILM)
    seen = hints(FILM, luma, ab, (28, 48))

    def strength(saturation: float) -> float:
        planes = Renderer(FILM, encoding(), saturation).paint(Frame(0, 0, luma), *seen)
        return float(np.abs(np.stack(planes[1:]) - 128.0).mean())

    assert strength(0) == 0
    assert strength(0.5) == pytest.approx(0.5 * strength(1), rel=0.1)
    assert strength(1.2) > 1.1 * strength(1)


def test_a_working_size_finer_than_the_film_is_averaged_not_skipped() -> None:
    info = replace(FILM, height=24, width=32, chroma_location="center")
    ab = torch.zeros(2, 240, 320)
    ab[0, :, ::2], ab[0, :, 1::2] = 40, 0
    luma = np.full((24, 32), 120, np.uint8)
    _, cb, cr = Renderer(info, encoding()).paint(
        Frame(0, 0, luma), Painted(ab, torch.ones(1, 240, 320)), torch.full((1, 240, 320), 50.0)
    )
    assert np.ptp(cb) <= 1 and np.ptp(cr) <= 1 and cr.mean() > 131


@pytest.mark.parametrize("rotation", [0, 90])
@pytest.mark.parametrize("aspect", [Fraction(1), Fraction(4, 3)])
def test_a_pasted_picture_is_reproduced_where_it_reaches(rotation: int, aspect: Fraction) -> None:
    info = replace(FILM, chroma_location="center", rotation=rotation, sample_aspect=aspect)
    rgb, luma, ab = coloured(info)
    height, width = info.upright_size
    ab = torch.from_numpy(np.stack([cv2.resize(p, (width, height)) for p in ab.contiguous().numpy()]))
    base = (luma, np.full((56, 96), 90, np.uint8), np.full((56, 96), 90, np.uint8))
    renderer, frame = Renderer(info, encoding()), Frame(0, 0, luma)
    whole = renderer.paste(frame, ab, torch.ones(1, height, width), base)
    assert whole[0] is luma and picture_error(info, whole, rgb) < 4
    true_chroma = [cv2.resize(plane, (96, 56), interpolation=cv2.INTER_AREA) for plane in _chroma_of(rgb)]
    assert max(np.abs(p - t).mean() for p, t in zip(whole[1:], true_chroma, strict=True)) < (0.6 if aspect == 1 else 1)
    nothing = renderer.paste(frame, ab, torch.zeros(1, height, width), base)
    assert all((one == other).all() for one, other in zip(nothing, base, strict=True))
    half = renderer.paste(frame, ab, torch.full((1, height, width), 0.5), base)
    assert np.abs(half[1] - (whole[1].astype(float) + 90) / 2).max() <= 1


def _chroma_of(rgb: np.ndarray) -> list[np.ndarray]:
    """Limited 8-bit Cb, Cr of BT.709, unrounded, by the standard's formulas."""
    red, green, blue = np.moveaxis(rgb, -1, 0)
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return [128 + 224 * (blue - luma) / 1.8556, 128 + 224 * (red - luma) / 1.5748]


def test_what_cannot_be_painted_is_refused() -> None:
    with pytest.raises(VideoError, match="holds no colour"):
        Renderer(FILM, encoding("grey"))
    with pytest.raises(VideoError, match="sideways"):
        Renderer(replace(FILM, chroma_location="sideways"), encoding())


@pytest.mark.parametrize("location", ["left", "center", "topleft"])
def test_the_films_own_colours_stay_where_they_are_at_another_subsampling(location: str) -> None:
    # A ramp over the luma grid: whatever the siting, Cb at a place says where that place is.
    height, width = 32, 48
    down, across = {"left": (0.5, 0.0), "center": (0.5, 0.5), "topleft": (0.0, 0.0)}[location]
    columns = 2 * np.arange(width // 2) + across
    rows = 2 * np.arange(height // 2) + down
    cb = np.broadcast_to(100 + 2 * columns, (height // 2, width // 2)).round().astype(np.uint8)
    cr = np.broadcast_to((100 + 2 * rows)[:, None], (height // 2, width // 2)).round().astype(np.uint8)
    info = replace(FILM, width=width, height=height, chroma_location=location)
    frame = Frame(0, 0, np.full((height, width), 90, np.uint8), (cb, cr))
    luma, full_cb, full_cr = Renderer(info, encoding("444", 8)).keep(frame)
    assert luma is frame.luma
    inner = np.s_[4:-4, 4:-4]
    assert np.abs(full_cb.astype(float) - (100 + 2 * np.arange(width)))[inner].max() <= 1
    assert np.abs(full_cr.astype(float) - (100 + 2 * np.arange(height))[:, None])[inner].max() <= 1
    same = Renderer(info, encoding("420", 8)).keep(frame)
    assert np.array_equal(same[1], cb) and np.array_equal(same[2], cr)


def test_a_grey_plane_runs_from_black_to_white() -> None:
    renderer = Renderer(replace(FILM, width=48, height=32), encoding("420", 10))
    plane = renderer.grey(torch.linspace(0, 1, 24).expand(1, 16, 24), 10)
    assert plane.dtype == np.uint16 and plane.shape == (32, 48)
    assert (plane.min(), plane.max()) == (64, 940)
