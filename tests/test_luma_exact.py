"""Through the whole main job the film's luma and its times stay as they were, for every pixel format."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

import kinochrome
from tests.film import grey_planes, make_film

SIZE = (34, 46)
FRAMES = 3

GREY = ["gray", "gray9le", "gray10le", "gray12le", "gray14le", "gray16le"]
YUV = [
    f"yuv{layout}p{depth}"
    for layout, depths in {
        "420": ("", "9le", "10le", "12le", "14le", "16le"),
        "422": ("", "9le", "10le", "12le", "14le", "16le"),
        "444": ("", "9le", "10le", "12le", "14le", "16le"),
        "440": ("", "10le", "12le"),
        "411": ("",),
        "410": ("",),
    }.items()
    for depth in depths
]
PLANAR_RGB = ["gbrp9le", "gbrp10le", "gbrp12le", "gbrp14le", "gbrp16le"]


def film(path: Path, pixel_format: str, size: tuple[int, int] = SIZE, **settings: Any) -> Path:
    frames: list[tuple[np.ndarray, ...]] = [*grey_planes(FRAMES, size, pixel_format.replace("gbrp", "gray"))]
    if pixel_format in PLANAR_RGB:
        frames = [frame * 3 for frame in frames]
    return make_film(path, frames, pixel_format, **settings)


PACKED = {
    "nv12": lambda luma, grey: ((luma, grey[::2]), luma),
    "yuyv422": lambda luma, grey: ((np.stack([luma, grey], axis=-1),), luma),
    "rgb24": lambda luma, grey: ((luma[..., None].repeat(3, -1),), luma),
    "bgr0": lambda luma, grey: ((luma[..., None].repeat(4, -1),), luma),
    "rgb48le": lambda luma, grey: ((luma[..., None].repeat(3, -1) * 257,), luma * 257),
    "gray16be": lambda luma, grey: ((luma * 257,), luma * 257),
}
"""Pixel format -> from 8-bit luma and neutral chroma: the planes as stored, and the luma they stand for."""


def still(folder: Path, size: tuple[int, int] = SIZE) -> str:
    """A picture in plain colours: whatever it shows, luma may not follow it."""
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]]
    colours = np.stack([5 * columns % 256, 255 - 7 * rows % 256, 3 * (rows + columns) % 256], axis=-1)
    path = folder / "still.png"
    assert cv2.imwrite(str(path), colours.astype(np.uint8))
    return f"{path}@0"


def decoded(path: Path) -> list[tuple[Fraction, list[np.ndarray]]]:
    """(seconds, planes) of each frame, read with nothing of Kinochrome's."""
    with av.open(str(path)) as container:
        return [
            (Fraction(frame.pts or 0) * (frame.time_base or 1), _planes(frame)) for frame in container.decode(video=0)
        ]


def _planes(frame: Any) -> list[np.ndarray]:
    planes = []
    for component in frame.format.components:
        plane = frame.planes[component.plane]
        rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: component.height]
        if component.bits > 8:
            rows = rows.view(">u2" if frame.format.is_big_endian else "<u2")
        planes.append(rows[:, : component.width].astype(np.uint16))
    return planes


def check(source: Path, target: Path, shift: int = 0) -> None:
    """Same times, same luma (`shift` bits higher), and colours were really added."""
    before, after = decoded(source), decoded(target)
    assert [seconds for seconds, _ in after] == [seconds for seconds, _ in before]
    for number, ((_, old), (_, new)) in enumerate(zip(before, after, strict=True)):
        assert np.array_equal(old[0].astype(int) << shift, new[0]), f"luma of frame {number}"
    middle = 1 << (av.VideoFormat(_pixel_format(target), 16, 16).components[0].bits - 1)
    assert np.abs(after[0][1][1].astype(int) - middle).max() > middle // 32, "grey: nothing was coloured"


def _pixel_format(path: Path) -> str:
    with av.open(str(path)) as container:
        return str(container.streams.video[0].codec_context.pix_fmt)


UNEVEN: dict[str, Any] = {"pts": [40, 80, 113], "time_base": Fraction(1, 1000)}
"""Variable frame rate, not starting at 0, in what Matroska counts in."""


@pytest.mark.parametrize("pixel_format", [*GREY, *YUV, *PLANAR_RGB])
def test_every_pixel_format(pixel_format: str, tmp_path: Path) -> None:
    source = film(tmp_path / "film.mkv", pixel_format, **UNEVEN)
    kinochrome.colorize(source, tmp_path / "colour.mkv", references=[still(tmp_path)])
    check(source, tmp_path / "colour.mkv")


@pytest.mark.parametrize("pixel_format", PACKED)
def test_packed_pixel_formats(pixel_format: str, tmp_path: Path) -> None:
    kind = np.uint16 if pixel_format in ("rgb48le", "gray16be") else np.uint8
    lumas = [luma.astype(kind) for (luma,) in grey_planes(FRAMES, SIZE, "gray")]
    frames, expected = zip(*(PACKED[pixel_format](luma, np.full_like(luma, 128)) for luma in lumas), strict=True)
    source = make_film(tmp_path / "film.nut", frames, pixel_format, "rawvideo", size=SIZE)
    kinochrome.colorize(source, tmp_path / "colour.mkv", references=[still(tmp_path)])
    assert all(
        np.array_equal(new[0], luma) for (_, new), luma in zip(decoded(tmp_path / "colour.mkv"), expected, strict=True)
    )


@pytest.mark.parametrize("size", [(33, 47), (35, 46), (34, 45), (16, 16), (8, 9), (16, 300)], ids=str)
@pytest.mark.parametrize("pixel_format", ["gray", "yuv420p", "yuv422p10le"])
def test_odd_and_extreme_sizes(pixel_format: str, size: tuple[int, int], tmp_path: Path) -> None:
    source = film(tmp_path / "film.mkv", pixel_format, size)
    kinochrome.colorize(source, tmp_path / "colour.mkv", references=[still(tmp_path, size)])
    check(source, tmp_path / "colour.mkv")


@pytest.mark.parametrize(
    "settings",
    [
        {"tags": {"range": 2}},
        {"tags": {"range": 1, "matrix": 9, "primaries": 9, "transfer": 14}},
        {"sample_aspect": Fraction(16, 11)},
        {"sample_aspect": Fraction(8, 9)},
        {"rotation": 90},
        {"rotation": 270},
        {"rate": Fraction(24000, 1001)},
        {"pts": [0, 1, 900], "time_base": Fraction(1, 1000)},
    ],
    ids=str,
)
def test_tags_turns_and_times(settings: dict[str, Any], tmp_path: Path) -> None:
    source = film(tmp_path / "film.mkv", "yuv420p10le", **settings)
    kinochrome.colorize(source, tmp_path / "colour.mkv", references=[still(tmp_path)])
    check(source, tmp_path / "colour.mkv")


@pytest.mark.parametrize(
    ("pixel_format", "target", "preset"),
    [
        ("yuv420p", "colour.mov", "lossless"),
        ("yuv422p10le", "colour.mov", "lossless"),
        ("gray", "colour.mp4", "lossless"),
        ("yuv420p10le", "colour.mkv", "lossless"),
        ("gray", "colour.y4m", None),
        ("yuv420p", "colour.y4m", None),
        ("yuv422p10le", "colour.y4m", None),
        ("yuv444p12le", "colour.y4m", None),
        ("gray16le", "colour.y4m", None),
    ],
)
def test_every_lossless_target(pixel_format: str, target: str, preset: str | None, tmp_path: Path) -> None:
    source = film(tmp_path / "film.mkv", pixel_format)
    kinochrome.colorize(source, tmp_path / target, references=[still(tmp_path)], preset=preset)
    check(source, tmp_path / target)


def test_a_shallow_film_in_a_deep_target_is_only_shifted(tmp_path: Path) -> None:
    source = film(tmp_path / "film.mkv", "yuv420p")
    encoder = {"pixel_format": "yuv444p12le"}
    kinochrome.colorize(source, tmp_path / "colour.mkv", references=[still(tmp_path)], encoder=encoder)
    check(source, tmp_path / "colour.mkv", shift=4)


@pytest.mark.parametrize(
    "settings", [{"saturation": 4.0}, {"saturation": 0.2}, {"height": 16}, {"recolor": True}], ids=str
)
def test_no_setting_touches_luma(settings: dict[str, Any], tmp_path: Path) -> None:
    source = film(tmp_path / "film.mkv", "gray")
    kinochrome.colorize(source, tmp_path / "colour.mkv", references=[still(tmp_path)], **settings)
    check(source, tmp_path / "colour.mkv")


def test_a_part_of_the_film_has_its_own_luma(tmp_path: Path) -> None:
    source = make_film(tmp_path / "film.mkv", grey_planes(9, SIZE, "gray"), "gray")
    kinochrome.colorize(source, tmp_path / "colour.mkv", references=[still(tmp_path)], start="0.12", stop="0.28")
    part, whole = decoded(tmp_path / "colour.mkv"), decoded(source)
    assert len(part) == 4
    assert all(np.array_equal(new[0], old[0]) for (_, new), (_, old) in zip(part, whole[3:7], strict=True))
