"""Photographs: one by its name, and folders of them, each by itself."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

import kinochrome
from kinochrome import cli, color, photographs, video
from kinochrome.errors import HintError, VideoError

SIZES = [(72, 96), (96, 72), (81, 65)]
"""Photographs of a folder need not be alike."""


def grey(height: int, width: int, depth: type = np.uint8) -> np.ndarray:
    down, across = np.mgrid[:height, :width]
    shade = 0.5 + 0.3 * np.sin(down / 9) + 0.15 * (across > width // 2)
    return np.rint(shade * np.iinfo(depth).max).astype(depth)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "photographs"
    made.mkdir()
    for name, size in zip(("harbour.png", "aunt 1931.png", "house.bmp"), SIZES, strict=True):
        cv2.imwrite(str(made / name), grey(*size))
    return made


def coloured(source: Path, target: Path, **settings: object) -> kinochrome.api.Summary:  # type: ignore[name-defined]
    return kinochrome.colorize(source, target, method="vcgan", **settings)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_one_photograph(tmp_path: Path, depth: type, suffix: str) -> None:
    """Its size, depth and luma stay; it has colour then."""
    source, target = tmp_path / f"a 1{suffix}", tmp_path / f"b{suffix}"
    cv2.imwrite(str(source), grey(90, 120, depth))
    coloured(source, target)
    made = cv2.imread(str(target), cv2.IMREAD_UNCHANGED)
    assert made.dtype == depth and made.shape == (90, 120, 3)
    luma = color.luma_from_rgb(made[..., ::-1], video.probe(source).matrix).astype(float)
    assert np.abs(luma - cv2.imread(str(source), cv2.IMREAD_UNCHANGED)).max() <= 1
    assert np.ptp(made.astype(float) / np.iinfo(depth).max, axis=2).max() > 0.02


def test_a_folder_of_photographs(folder: Path, tmp_path: Path) -> None:
    """Each under its own name, as if it had been coloured alone; what cannot be written in its own kind becomes PNG."""
    target = tmp_path / "coloured"
    summary = coloured(folder, target, photographs=True)
    assert (summary.frames, summary.resumed) == (3, 0)
    assert sorted(path.name for path in target.iterdir()) == ["aunt 1931.png", "harbour.png", "house.png"]
    assert [video.read_picture(target / name).shape[:2] for name in ("harbour.png", "aunt 1931.png")] == SIZES[:2]
    coloured(folder / "harbour.png", tmp_path / "alone.png")
    assert (tmp_path / "alone.png").read_bytes() == (target / "harbour.png").read_bytes()


def test_a_stopped_folder_goes_on(folder: Path, tmp_path: Path) -> None:
    target, events = tmp_path / "coloured", []
    coloured(folder, target, photographs=True)
    (target / "harbour.png").unlink()
    (target / "house.png").write_bytes(b"kept")
    summary = coloured(folder, target, photographs=True, report=lambda event, data: events.append((event, data)))
    assert (summary.frames, summary.resumed) == (3, 2)
    assert [event for event, _ in events].count("resumed") == 2
    assert any("--overwrite" in data["text"] for event, data in events if event == "note")
    assert (target / "house.png").read_bytes() == b"kept"
    assert coloured(folder, target, photographs=True, overwrite=True).resumed == 0
    assert (target / "house.png").read_bytes() != b"kept"


def test_a_damaged_photograph_costs_none_of_the_others(folder: Path, tmp_path: Path) -> None:
    (folder / "broken.png").write_bytes((folder / "harbour.png").read_bytes()[:60])
    with pytest.raises(VideoError, match=r"1 of 4 photographs.*broken\.png"):
        coloured(folder, tmp_path / "coloured", photographs=True)
    assert len(list((tmp_path / "coloured").iterdir())) == 3


def test_a_photograph_in_colour_is_left_as_it_is(folder: Path, tmp_path: Path) -> None:
    bright = np.full((64, 64, 3), (40, 60, 200), np.uint8)
    bright[:, 32:], bright[32:, :32], bright[40:, 40:] = (160, 90, 30), (30, 150, 40), (20, 190, 200)
    cv2.imwrite(str(folder / "bright.png"), bright)
    summary = coloured(folder, tmp_path / "coloured", photographs=True)
    assert any("--recolor" in note for note in summary.notes)
    assert np.abs(cv2.imread(str(tmp_path / "coloured" / "bright.png")).astype(int) - bright).max() <= 3


OF_FILMS = {
    "shots": "shots.csv",
    "project": "work",
    "confidence": "sure.mkv",
    "start": 0,
    "stop": 2,
    "scribbles": "still.png@0",
    "auto_reference": "kino",
    "preview": True,
    "rate": 18,
}


@pytest.mark.parametrize("setting", OF_FILMS)
def test_what_is_for_films_is_named(folder: Path, tmp_path: Path, setting: str) -> None:
    with pytest.raises(HintError, match="is for films"):
        coloured(folder, tmp_path / "coloured", photographs=True, **{setting: OF_FILMS[setting]})
    assert set(OF_FILMS) == set(photographs.OF_FILMS) and not (tmp_path / "coloured").exists()


def test_a_percent_sign_is_a_sign_like_others(tmp_path: Path) -> None:
    assert cv2.imwrite(str(tmp_path / "c 100%.png"), grey(32, 48))
    coloured(tmp_path / "c 100%.png", tmp_path / "a 50%.png")
    assert video.read_picture(tmp_path / "a 50%.png").shape == (32, 48, 3)


def test_a_transparent_photograph_is_told_what_to_do(tmp_path: Path) -> None:
    assert cv2.imwrite(str(tmp_path / "clear.png"), np.full((32, 48, 4), 99, np.uint8))
    with pytest.raises(VideoError, match=r"clear\.png cannot be coloured.*Save it without transparency"):
        coloured(tmp_path / "clear.png", tmp_path / "a.png")


def test_a_reference_of_a_frame_is_for_films(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(HintError, match="is for a frame or a shot"):
        coloured(folder, tmp_path / "coloured", photographs=True, references="still.png@0")


def test_hidden_files_are_no_photographs(folder: Path, tmp_path: Path) -> None:
    (folder / "._harbour.png").write_bytes(b"what a file system keeps beside it")
    (folder / "harbour.png").rename(folder / "HARBOUR.PNG")
    coloured(folder, tmp_path / "coloured", photographs=True)
    assert sorted(path.name for path in (tmp_path / "coloured").iterdir())[0] == "HARBOUR.PNG"


def jpeg_turned(path: Path, orientation: int) -> None:
    """A grey JPEG whose EXIF block says how it is to be shown."""
    data = cv2.imencode(".jpg", grey(64, 96), [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
    entry = struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0)
    exif = b"Exif\0\0" + b"MM\0*" + struct.pack(">IH", 8, 1) + entry + b"\0" * 4
    path.write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photograph_is_upright_or_refused(tmp_path: Path, orientation: int) -> None:
    """2, 4, 5 and 7 are mirror images, which no film is."""
    source, target = tmp_path / "a.jpg", tmp_path / "b.png"
    jpeg_turned(source, orientation)
    if orientation in (2, 4, 5, 7):
        with pytest.raises(VideoError, match="mirrored"):
            coloured(source, target)
        return
    coloured(source, target)
    shown, made = cv2.imread(str(source), cv2.IMREAD_GRAYSCALE), cv2.imread(str(target), cv2.IMREAD_GRAYSCALE)
    assert made.shape == shown.shape and np.abs(made.astype(int) - shown).mean() < 3


def test_what_cannot_be_meant_is_named(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "coloured"
    with pytest.raises(VideoError, match="not a folder of its own"):
        coloured(folder, Path("-"), photographs=True)
    with pytest.raises(VideoError, match=r"harbour\.png is no folder"):
        coloured(folder / "harbour.png", target, photographs=True)
    with pytest.raises(VideoError, match="not a folder of its own"):
        coloured(folder, folder, photographs=True)
    (tmp_path / "empty").mkdir()
    with pytest.raises(VideoError, match="holds no pictures"):
        coloured(tmp_path / "empty", target, photographs=True)
    cv2.imwrite(str(folder / "house.png"), grey(64, 64))
    with pytest.raises(VideoError, match=r"both become house\.png"):
        coloured(folder, target, photographs=True)
    (folder / "house.png").rename(folder / "wool_%d.png")
    with pytest.raises(VideoError, match=r"wool_%d\.png: %d in a name"):
        coloured(folder, target, photographs=True)
    (folder / "wool_%d.png").unlink()
    with pytest.raises(VideoError, match="cannot be made"):
        coloured(folder, tmp_path / "no" / "coloured", photographs=True)
    with pytest.raises(VideoError, match=r"^Preset web is not written into"):
        coloured(folder, target, photographs=True, preset="web")
    assert not target.exists()


def test_on_the_command_line(folder: Path, tmp_path: Path) -> None:
    words = ["colorize", str(folder), str(tmp_path / "coloured"), "--photographs", "--method", "vcgan", "--json"]
    done = CliRunner().invoke(cli.app, words)
    assert done.exit_code == 0, done.output
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[0]["event"] == "plan" and events[0]["frames"] == 3
    assert events[-1]["event"] == "done" and events[-1]["frames"] == 3
