"""Strokes of colour on a still: what counts as one, and what becomes of it in the film."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

import kinochrome
from kinochrome import chain, clips, hints, methods, plan, project, video
from kinochrome.errors import HintError, MethodError
from kinochrome.types import Clip, Reference, Scribble, Shot
from tests.scene import SIZE, Scene, make_scene
from tests.test_pipeline import decoded, same_film, shorten

RED, BLUE, GREY = (220, 30, 30), (40, 60, 230), (128, 128, 128)
"""R'G'B'"""
Draw = Callable[..., Path]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return make_scene(tmp_path / "film.mkv", (20, 16))


@pytest.fixture
def draw(scene: Scene, tmp_path: Path) -> Draw:
    """Draws rectangles (rows, columns, colour) on a frame's grey still, as `kinochrome stills` saves it."""

    def drawn(frame: int, *strokes: tuple[slice, slice, tuple[int, int, int]], name: str = "strokes") -> Path:
        picture = np.repeat(scene.luma[frame][..., None], 3, 2)
        for rows, columns, colour in strokes:
            picture[rows, columns] = colour
        path = tmp_path / f"{name}_{frame:06d}.png"
        video.write_picture(path, picture)
        return path

    return drawn


TOP, LOW = (slice(10, 14), slice(20, 70), RED), (slice(44, 48), slice(20, 70), BLUE)


def colour(scene: Scene, target: Path, scribbles: Any, **settings: Any) -> kinochrome.Summary:
    settings = {"method": "kino", "encoder": {"pixel_format": "yuv420p"}} | settings
    return kinochrome.colorize(scene.film, target, scribbles=scribbles, **settings)


def save(path: Path, letters: np.ndarray) -> Path:
    """R'G'B' or R'G'B' with transparency as PNG; OpenCV wants blue first."""
    order = [2, 1, 0, 3][: letters.shape[2]]
    cv2.imwrite(str(path), np.ascontiguousarray(letters[..., order]), [cv2.IMWRITE_WEBP_QUALITY, 101])  # lossless
    return path


# --- What counts as a stroke ---


def test_in_a_painted_still_what_is_coloured_is_a_stroke(tmp_path: Path) -> None:
    picture = np.linspace(0, 255, 30 * 40).astype(np.uint8).reshape(30, 40, 1).repeat(3, 2)
    picture[4:7, 5:20] = RED
    picture[20:22] = (120, 120, 128)  # a tape's cast: chroma 4
    found = hints.strokes(save(tmp_path / "a.png", picture), (30, 40))
    inside = np.zeros((30, 40), bool)
    inside[4:7, 5:20] = True
    assert np.array_equal(found[..., 2], inside)
    assert found[inside][:, :2].min() > 30
    assert not found[~inside].any()


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_in_a_transparent_picture_what_is_half_opaque_is_a_stroke(tmp_path: Path, depth: type) -> None:
    most = np.iinfo(depth).max
    picture = np.zeros((30, 40, 4), depth)
    picture[..., :3] = most, 0, 0  # colour that nobody sees
    picture[3:6, :, :3], picture[3:6, :, 3] = most // 2, most  # grey is a colour, too
    picture[8:10, :, 3], picture[12:14, :, 3] = most // 2 + 1, most // 2 - 1
    found = hints.strokes(save(tmp_path / "a.png", picture), (30, 40))
    assert np.flatnonzero(found[:, 0, 2]).tolist() == [3, 4, 5, 8, 9]
    assert np.abs(found[3:6, :, :2]).max() < 0.1
    assert found[8, 0, 0] > 60


def test_an_opaque_layer_is_no_transparency(tmp_path: Path) -> None:
    picture = np.full((30, 40, 4), 255, np.uint8)
    picture[..., :3] = 90
    picture[4:7, 5:20, :3] = RED
    assert hints.strokes(save(tmp_path / "a.png", picture), (30, 40))[..., 2].sum() == 3 * 15


def with_exif(picture: Path, orientation: int, order: str) -> None:
    """Writes into a PNG or WebP file how it is to be shown; `order` is struct's sign of the bytes' order."""
    data = picture.read_bytes()
    exif = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, 2)
    exif += struct.pack(order + "HHIHH", 0x0100, 3, 1, 7, 0) + struct.pack(
        order + "HHIHH", 0x0112, 3, 1, orientation, 0
    )
    if picture.suffix == ".png":
        chunk = b"eXIf" + exif
        picture.write_bytes(
            data[:33] + struct.pack(">I", len(exif)) + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[33:]
        )
    else:
        height, width = (side - 1 for side in cv2.imread(str(picture)).shape[:2])
        says = b"VP8X" + struct.pack("<II", 10, 0x18) + width.to_bytes(3, "little") + height.to_bytes(3, "little")
        body = b"WEBP" + says + data[12:] + b"EXIF" + struct.pack("<I", len(exif)) + exif
        picture.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("suffix", [".png", ".webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_transparency_is_turned_as_a_tag_says(tmp_path: Path, suffix: str, orientation: int, order: str) -> None:
    """As its colours are."""
    picture = np.zeros((40, 40, 4), np.uint8)
    picture[2:5, 5:15] = (*RED, 255)
    path = save(tmp_path / f"a{suffix}", picture)
    with_exif(path, orientation, order)
    coloured = video.read_picture(path)[..., 0] > 0.5
    assert coloured.sum() == 3 * 10 and coloured[2:5, 5:15].all() == (orientation == 1)
    assert ((hints.strokes(path, (40, 40))[..., 2] > 0) == coloured).all()


def test_colours_without_transparency_are_turned_as_a_tag_says(tmp_path: Path) -> None:
    picture = np.full((40, 40, 4), 255, np.uint8)
    picture[..., :3] = 90
    picture[2:5, 5:15, :3] = RED
    path = save(tmp_path / "a.png", picture)
    with_exif(path, 3, "<")
    assert hints.strokes(path, (40, 40))[35:38, 25:35, 2].sum() == 3 * 10


@pytest.mark.parametrize("alpha", [255, 0])
def test_a_picture_without_a_stroke_is_an_error_that_says_both_rules(tmp_path: Path, alpha: int) -> None:
    picture = np.full((30, 40, 4), alpha, np.uint8)
    with pytest.raises(HintError, match=r"a\.png has no stroke.*half opaque.*clearly coloured.*above 8"):
        hints.strokes(save(tmp_path / "a.png", picture), (30, 40))


def test_a_picture_of_another_shape_is_refused(tmp_path: Path) -> None:
    picture = np.full((30, 40, 3), RED, np.uint8)
    save(tmp_path / "a.png", picture)
    with pytest.raises(HintError, match=r"40x30, which is not the shape of a frame \(64x36\).*kinochrome stills"):
        hints.strokes(tmp_path / "a.png", (36, 64))
    assert hints.strokes(tmp_path / "a.png", (60, 80)).shape == (30, 40, 3), "another size is no other shape"


# --- What is refused, before anything is coloured ---


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("", r"frame that they were drawn on.*strokes\.png@120"),
        ("@shot:1", r"frame that they were drawn on.*strokes\.png@120"),
        ("@36", r"--scribble .*frame 36 lies beyond the end.*0 to 35"),
    ],
)
def test_a_scribble_lies_in_a_frame(scene: Scene, tmp_path: Path, draw: Draw, place: str, words: str) -> None:
    with pytest.raises(HintError, match=words):
        colour(scene, tmp_path / "colour.mkv", f"{draw(0, TOP)}{place}")
    assert not (tmp_path / "colour.mkv").exists()


def test_two_scribbles_of_one_frame_are_refused(scene: Scene, tmp_path: Path, draw: Draw) -> None:
    one, other = draw(0, TOP), draw(0, LOW, name="more")
    with pytest.raises(HintError, match="both claim frame 0"):
        colour(scene, tmp_path / "colour.mkv", [f"{one}@0", f"{other}@00:00:00"])


def test_a_method_without_use_for_them_is_refused(scene: Scene, tmp_path: Path, draw: Draw) -> None:
    with pytest.raises(MethodError, match=r"flow makes nothing of scribbles.*--method kino"):
        colour(scene, tmp_path / "colour.mkv", f"{draw(0, TOP)}@0", method="flow")
    assert not list(tmp_path.glob("colour*"))


def test_a_still_without_strokes_is_refused(scene: Scene, tmp_path: Path, draw: Draw) -> None:
    with pytest.raises(HintError, match="has no stroke"):
        colour(scene, tmp_path / "colour.mkv", f"{draw(0)}@0")


# --- What becomes of them ---


def test_strokes_colour_their_frame_and_the_shot_but_grey_around_them_does_not(
    scene: Scene, tmp_path: Path, draw: Draw
) -> None:
    summary = colour(scene, tmp_path / "colour.mkv", [f"{draw(4, TOP, LOW)}@4"])
    assert summary.shots[0].references == ("strokes_000004.png: scribbles on frame 4",)
    assert len(summary.notes) == 1 and summary.notes[0].startswith("shot 2: no reference, so kino guesses")
    film = [planes for _, planes in decoded(tmp_path / "colour.mkv")]
    assert all(np.array_equal(planes[0], luma) for planes, luma in zip(film, scene.luma, strict=True))
    _, blue, red = (plane.astype(int) - 128 for plane in film[4])
    assert red[5:7, 12:33].mean() > 25 > 10 > blue[5:7, 12:33].mean()
    assert blue[22:24, 12:33].mean() > 15 > 0 > red[22:24, 12:33].mean() - 15
    around = np.ones(red.shape, bool)
    around[4:8, 9:36] = around[21:25, 9:36] = False
    assert np.abs(red[around]).mean() > 3, "what is grey in the picture is not grey in the film"
    _, _, later = (plane.astype(int) - 128 for plane in film[12])
    assert later[5:7, 8:25].mean() > 10, "eight frames on"


def test_a_folder_and_a_time_place_them(scene: Scene, tmp_path: Path, draw: Draw) -> None:
    (tmp_path / "strokes").mkdir()
    draw(0, TOP).rename(tmp_path / "strokes" / "000000.png")
    draw(20, LOW).rename(tmp_path / "strokes" / "000020.png")
    summary = colour(scene, tmp_path / "a.mkv", tmp_path / "strokes")
    assert [shot.references for shot in summary.shots] == [
        ("000000.png: scribbles on frame 0",),
        ("000020.png: scribbles on frame 20",),
    ]
    assert not summary.notes
    by_time = [f"{tmp_path}/strokes/000000.png@00:00:00.01", f"{tmp_path}/strokes/000020.png@00:00:00.84"]
    colour(scene, tmp_path / "b.mkv", by_time)
    assert same_film(tmp_path / "a.mkv", tmp_path / "b.mkv")


def test_strokes_on_a_references_own_frame_correct_it(scene: Scene, tmp_path: Path, draw: Draw) -> None:
    still = f"{scene.still(tmp_path, 0)}@0"
    settings = {"references": still, "stop": 0.2}
    colour(scene, tmp_path / "plain.mkv", (), **settings)
    colour(scene, tmp_path / "drawn.mkv", f"{draw(0, (*TOP[:2], BLUE))}@0", **settings)
    plain, drawn = (decoded(tmp_path / name)[0][1] for name in ("plain.mkv", "drawn.mkv"))
    assert (drawn[1][5:7, 12:33].astype(int) - plain[1][5:7, 12:33]).mean() > 20
    assert np.array_equal(drawn[2][12:], plain[2][12:]), "elsewhere the reference is reproduced"


def test_strokes_outside_the_range_serve_their_shot(scene: Scene, tmp_path: Path, draw: Draw) -> None:
    summary = colour(scene, tmp_path / "drawn.mkv", f"{draw(12, TOP)}@12", stop="0:00.25")
    assert summary.frames == 6 and summary.shots[0].references
    assert (decoded(tmp_path / "drawn.mkv")[5][1][2][5:7, 18:33].astype(int) - 128).mean() > 10


def test_tuning_learns_from_references_alone(scene: Scene, tmp_path: Path, draw: Draw) -> None:
    told: list[str] = []
    colour(scene, tmp_path / "a.mkv", f"{draw(0, TOP)}@0", stop=0.2, tune=1, report=lambda event, _: told.append(event))
    assert "coloured" in told and "tune" not in told


def test_a_changed_scribble_renders_only_its_shot_again(scene: Scene, tmp_path: Path, draw: Draw) -> None:
    work = {"project": tmp_path / "work", "overwrite": True}
    target, picture = tmp_path / "colour.mkv", draw(20, TOP)
    assert colour(scene, target, f"{picture}@20", **work).resumed == 0
    assert colour(scene, target, f"{picture}@20", **work).resumed == 36
    assert colour(scene, target, f"{draw(20, LOW)}@20", **work).resumed == 20
    assert colour(scene, target, f"{picture}@21", **work).resumed == 20
    kept = project.load(tmp_path / "work")
    assert kept is not None and [str(hint) for hint in kept.scribbles] == [f"{picture}@21"]
    assert colour(scene, target, (), references=f"{picture}@21", **work).resumed == 0, "a reference serves both shots"


def test_the_same_picture_as_a_reference_is_another_film(scene: Scene, tmp_path: Path, draw: Draw) -> None:
    work = {"project": tmp_path / "work", "overwrite": True, "stop": 0.2}
    colour(scene, tmp_path / "colour.mkv", f"{draw(0, TOP)}@0", **work)
    assert colour(scene, tmp_path / "colour.mkv", (), references=f"{draw(0, TOP)}@0", **work).resumed == 0


# --- Pieces ---

PLACES = [((), (12,)), ((), (0,)), ((0,), (14,)), ((), (3, 17))]
"""Frames of references, frames of scribbles."""


@pytest.mark.parametrize(("placed", "drawn"), PLACES, ids=str)
def test_pieces_of_a_film_show_what_the_whole_shows(
    scene: Scene, tmp_path: Path, draw: Draw, monkeypatch: pytest.MonkeyPatch, placed: tuple[int, ...], drawn: Any
) -> None:
    settings: dict[str, Any] = {
        "scribbles": [f"{draw(frame, TOP, LOW)}@{frame}" for frame in drawn],
        "references": [f"{scene.still(tmp_path, frame)}@{frame}" for frame in placed],
        "stop": "0:00.84",
    }
    colour(scene, tmp_path / "whole.mkv", **settings)
    shorten(monkeypatch, 6)
    told: list[str] = []
    summary = colour(scene, tmp_path / "pieces.mkv", report=lambda event, _: told.append(event), **settings)
    assert summary.frames == 20 and told.count("piece") == 4
    assert ("backward" in told) == (max(drawn) > 5)
    pairs = zip(decoded(tmp_path / "whole.mkv"), decoded(tmp_path / "pieces.mkv"), strict=True)
    # One code: where a colour lies between two, the last digit of a float decides.
    assert max(np.abs(a.astype(int) - b).max() for (_, x), (_, y) in pairs for a, b in zip(x, y, strict=True)) <= 1


@pytest.mark.parametrize(("placed", "drawn"), PLACES, ids=str)
def test_pieces_say_what_the_whole_says(scene: Scene, placed: tuple[int, ...], drawn: tuple[int, ...]) -> None:
    light = torch.stack([torch.from_numpy(luma / np.float32(2.55))[None] for luma in scene.luma[:20]])
    step = chain.Step("kino", None, methods.load("kino")(methods.parse_options("kino", {}), "cpu"), SIZE)
    where = torch.zeros(1, *SIZE, dtype=torch.bool)
    where[:, 10:14, 20:70] = True
    ab = torch.tensor([40.0, -30.0])[:, None, None].expand(2, *SIZE)
    known = [Reference(light[k], ab * 0 + 10, torch.ones(1, *SIZE), k) for k in placed]
    known += [chain.scribbled(step, Clip(k, 0, light[k : k + 1], (), (Scribble(k, ab, where),))) for k in drawn]
    whole, pieces = (
        list(chain.colour_shot((step,), Shot(0, 20), longest, lambda _, a, b: light[a:b], lambda _: known))
        for longest in (72, 6)
    )
    assert len(clips.split([Shot(0, 20)], 6)) == 4
    for one, other in zip(whole, pieces, strict=True):
        assert (one.ab - other.ab).abs().max() < 1e-3
        assert (one.confidence - other.confidence).abs().max() < 1e-3
    for frame in drawn:
        assert torch.allclose(whole[frame].ab[:, where[0]], ab[:, where[0]], atol=1e-3)


def test_words_of_a_job_reach_python(scene: Scene, tmp_path: Path) -> None:
    with pytest.raises(MethodError, match="scribbles"):
        kinochrome.colorize(scene.film, tmp_path / "a.mkv", scribble="a.png@0")
    assert plan.Job(Path("a"), Path("b")).scribbles == ()
