"""Training data: decoded once, pixel for pixel, whole or not at all; cut into clips whose truth is known."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from kinochrome import color, video
from kinochrome.errors import TrainingError, VideoError
from kinochrome.metrics.picture import Picture
from kinochrome.project import locked
from kinochrome.training import data
from kinochrome.training.data import Footage, cut_from_film, cut_from_photos
from tests.film import make_film, moving_planes
from tests.test_video_pictures import encode

from . import tiny


def tar_of(folder: Path, target: Path) -> Path:
    with tarfile.open(target, "w") as archive:
        for place in sorted(folder.iterdir()):
            archive.add(place, arcname=f"inside/{place.name}")
    return target


def film_of(path: Path, values: list[int], size: tuple[int, int] = (64, 96)) -> Path:
    """A film whose frame k is grey and all of one value."""
    planes = [(np.full(size, value, np.uint8), *(np.full(size, 128, np.uint8),) * 2) for value in values]
    return make_film(path, planes, "yuv444p", tags={**tiny.TAGS, "range": 2})


# --- Decoding ---


def test_what_is_decoded_is_what_was_there(tmp_path: Path) -> None:
    images = tiny.photographs(tmp_path / "data" / "photos")
    tiny.footage(tmp_path / "data", (5,))
    footage = Footage([tmp_path / "data"], tmp_path / "store")
    assert [(strip.frames, strip.height, strip.width) for strip in footage.strips] == [
        (5, 64, 80), (1, 70, 90), (1, 70, 90), (1, 70, 90),
    ]  # fmt: skip
    for strip, image in zip(footage.photos, images, strict=True):
        assert np.array_equal(footage.rgb(strip, [0])[0], image)
    film = footage.films[0]
    info = video.probe(tmp_path / "data" / "film0.mkv")
    expected = [
        color.rgb_from_planes(luma, (blue, red), info) for luma, blue, red in moving_planes(5, (64, 80), "yuv444p")
    ]
    assert np.array_equal(footage.rgb(film, range(5)), np.stack(expected))
    assert np.array_equal(footage.rgb(film, [3, 1]), np.stack([expected[3], expected[1]]))


def test_a_tar_holds_photographs(tmp_path: Path) -> None:
    images = tiny.photographs(tmp_path / "photos")
    (tmp_path / "photos" / "notes.txt").write_text("no picture")
    (tmp_path / "photos" / "._photo0.png").write_bytes(b"what some systems add")
    footage = Footage([tar_of(tmp_path / "photos", tmp_path / "photos.tar")], tmp_path / "store")
    assert len(footage.strips) == len(images)
    for strip, image in zip(footage.photos, images, strict=True):
        assert np.array_equal(footage.rgb(strip, [0])[0], image)
        assert strip.name.startswith(f"{tmp_path / 'photos.tar'}:inside/photo")


def test_large_frames_are_stored_small(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    cv2.imwrite(str(tmp_path / "data" / "tall.png"), np.full((1024, 512, 3), 77, np.uint8))
    strip = Footage([tmp_path / "data"], tmp_path / "store").strips[0]
    assert (strip.height, strip.width) == (512, 256)


def test_it_is_decoded_once_and_anew_when_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tiny.footage(tmp_path / "data")
    Footage([folder], tmp_path / "store")
    decode = data._decode
    calls: list[Any] = []
    monkeypatch.setattr(data, "_decode", lambda *words: calls.append(words) or decode(*words))
    Footage([folder], tmp_path / "store")
    assert not calls
    tiny.photographs(folder)
    assert len(Footage([folder], tmp_path / "store").strips) == 4 and len(calls) == 1


def test_hidden_files_are_no_data(tmp_path: Path) -> None:
    folder = tiny.footage(tmp_path / "data")
    (folder / "._film0.mkv").write_bytes(b"what some systems add")
    (folder / ".cache").mkdir()
    assert len(Footage([folder], tmp_path / "store").strips) == 1


# --- What is no data ---


def test_data_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="nowhere is not there"):
        Footage([tmp_path / "nowhere"], tmp_path / "store")


@pytest.mark.parametrize("content", [None, "notes.txt"])
def test_a_folder_without_pictures(tmp_path: Path, content: str | None) -> None:
    (tmp_path / "data").mkdir()
    if content:
        (tmp_path / "data" / content).write_text("no picture")
    with pytest.raises(VideoError, match="No film and no photograph was found in"):
        Footage([tmp_path / "data"], tmp_path / "store")
    assert not list((tmp_path / "store").glob("*.*"))


@pytest.mark.parametrize("content", [b"", b"no picture"])
@pytest.mark.parametrize("inside", ["folder", "tar"])
def test_a_damaged_picture_is_named(tmp_path: Path, content: bytes, inside: str) -> None:
    tiny.photographs(tmp_path / "data")
    (tmp_path / "data" / "photo1.png").write_bytes(content)
    source = tmp_path / "data" if inside == "folder" else tar_of(tmp_path / "data", tmp_path / "data.tar")
    with pytest.raises(VideoError, match=r"photo1\.png is (empty|not a picture that can be read)"):
        Footage([source], tmp_path / "store")


@pytest.mark.parametrize("name", ["film.mkv", "photos.tar", "notes.txt"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"neither film nor tar")
    with pytest.raises(VideoError, match=name):
        Footage([tmp_path / name], tmp_path / "store")


def test_a_tar_that_breaks_off_is_named(tmp_path: Path) -> None:
    tiny.photographs(tmp_path / "photos")
    path = tar_of(tmp_path / "photos", tmp_path / "photos.tar")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    with pytest.raises(VideoError, match=r"photos\.tar"):
        Footage([path], tmp_path / "store")


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz"])
def test_a_compressed_tar_is_read_and_one_that_breaks_off_is_named(tmp_path: Path, kind: str) -> None:
    images = tiny.photographs(tmp_path / "photos")
    path = tmp_path / "photos.tar"
    with tarfile.open(path, f"w:{kind}") as archive:
        archive.add(tmp_path / "photos", "photos")
    assert len(Footage([path], tmp_path / "store").photos) == len(images)
    whole = path.read_bytes()
    for share in (0.2, 0.6, 0.95):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(VideoError, match=r"photos\.tar cannot be read as a tar"):
            Footage([path], tmp_path / f"store{share}")


@pytest.mark.parametrize("name", ["film0.mkv", "photo.png", "folder"])
def test_a_link_to_nothing_is_named(tmp_path: Path, name: str) -> None:
    folder = tiny.footage(tmp_path / "data", (5,)) / "inside"
    folder.mkdir()
    (folder / name).symlink_to(tmp_path / "gone")
    with pytest.raises(VideoError, match=rf"inside/{name} is a link to what is not there\. Mend it, or take it out"):
        Footage([tmp_path / "data"], tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_a_link_to_nothing_in_a_tar_is_named(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "photos.tar", "w") as archive:
        link = tarfile.TarInfo("photo.png")
        link.type, link.linkname = tarfile.SYMTYPE, "gone.png"
        archive.addfile(link)
    with pytest.raises(VideoError, match=r"photos\.tar:photo\.png is a link to what is not in the tar"):
        Footage([tmp_path / "photos.tar"], tmp_path / "store")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="nothing is forbidden to this user")
def test_what_may_not_be_read_is_named(tmp_path: Path) -> None:
    folder = tiny.footage(tmp_path / "data", (5,)) / "inside"
    folder.mkdir(mode=0)
    with pytest.raises(VideoError, match="inside may not be read"):
        Footage([tmp_path / "data"], tmp_path / "store")


@pytest.mark.parametrize("inside", ["folder", "tar"])
def test_films_own_pictures_are_read_as_elsewhere(tmp_path: Path, inside: str) -> None:
    (tmp_path / "data").mkdir()
    plane = moving_planes(1, (40, 56), "gray10le")[0][0]
    encode(tmp_path / "data" / "a.dpx", [plane, plane // 2, plane // 3], "gbrp10le", "dpx")
    encode(tmp_path / "data" / "b.EXR", [plane.astype(np.float32) / 1023] * 3, "gbrpf32le", "exr")
    source = tmp_path / "data" if inside == "folder" else tar_of(tmp_path / "data", tmp_path / "data.tar")
    footage = Footage([source], tmp_path / "store")
    for photo, name in zip(footage.photos, ("a.dpx", "b.EXR"), strict=True):
        codes = Picture(video.read_picture(tmp_path / "data" / name)).codes
        assert np.array_equal(footage.rgb(photo, [0])[0], codes) and codes.std() > 10


# --- The store ---


def test_the_store_knows_files_by_their_places_not_by_how_they_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two folders that are called alike, seen from where one stands, are two; one named in two ways is one."""
    for place, count in (("one", 5), ("other", 6)):
        tiny.footage(tmp_path / place / "data", (count,))
        (tmp_path / place / "data" / "notes.txt").write_text(place)
        monkeypatch.chdir(tmp_path / place)
        footage = Footage([Path("data")], tmp_path / "store")
        assert [film.frames for film in footage.films] == [count]
        assert footage.films[0].name == str(tmp_path / place / "data/film0.mkv")
        (tmp_path / place / "data" / "notes.txt").write_text("what is not read says nothing")
        Footage([tmp_path / place / "data"], tmp_path / "store")
    assert len(list((tmp_path / "store").glob("*.rgb"))) == 2


@pytest.mark.parametrize("error", [KeyboardInterrupt, VideoError, MemoryError])
def test_a_crash_while_decoding_leaves_nothing_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    folder = tiny.footage(tmp_path / "data", (5, 6))
    real = data._film

    def film(source: Path) -> Iterator[np.ndarray]:
        yield from list(real(source))[:3]
        raise error

    monkeypatch.setattr(data, "_film", film)
    with pytest.raises(error):
        Footage([folder], tmp_path / "store")
    monkeypatch.undo()
    assert not (tmp_path / "store").exists(), "nothing half is left"
    assert [strip.frames for strip in Footage([folder], tmp_path / "store").strips] == [5, 6]


@pytest.mark.parametrize("fault", ["no index", "torn index", "no pixels", "few pixels", "part"])
def test_half_a_store_is_not_taken_for_a_whole_one(tmp_path: Path, fault: str) -> None:
    """What a power cut or a person may leave."""
    folder = tiny.footage(tmp_path / "data")
    whole = Footage([folder], tmp_path / "store")
    film = whole.rgb(whole.films[0], range(12))
    (index,), (pixels,) = ((tmp_path / "store").glob(pattern) for pattern in ("*.json", "*.rgb"))
    content = pixels.read_bytes()
    if fault == "no index":
        index.unlink()
    elif fault == "torn index":
        index.write_text(index.read_text()[:20])
    elif fault == "no pixels":
        pixels.unlink()
    elif fault == "few pixels":
        pixels.write_bytes(content[:-1])
    else:
        index.unlink()
        pixels.rename(pixels.with_suffix(".part"))
    again = Footage([folder], tmp_path / "store")
    assert np.array_equal(again.rgb(again.films[0], range(12)), film)
    assert pixels.read_bytes() == content and not pixels.with_suffix(".part").exists()


def test_two_runs_do_not_decode_into_one_store(tmp_path: Path) -> None:
    folder = tiny.footage(tmp_path / "data")
    with locked(tmp_path / "store"), pytest.raises(TrainingError, match="Another run is decoding into"):
        Footage([folder], tmp_path / "store")
    Footage([folder], tmp_path / "store")
    with locked(tmp_path / "store"):
        Footage([folder], tmp_path / "store")  # what is there may be read by all


def test_a_store_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file in its place")
    with pytest.raises(TrainingError, match=r"cannot be decoded into .*store"):
        Footage([tiny.footage(tmp_path / "data")], tmp_path / "store")


def test_the_pixels_are_mapped_not_loaded(tmp_path: Path) -> None:
    footage = Footage([tiny.footage(tmp_path / "data", (30,))], tmp_path / "store")
    assert isinstance(footage._pixels, np.memmap)
    size = (tmp_path / "store").glob("*.rgb").__next__().stat().st_size
    packed = pickle.dumps(footage)
    assert len(packed) < 5000 < size, "a worker on Windows or macOS gets this much"
    same = pickle.loads(packed)
    assert isinstance(same._pixels, np.memmap)
    assert np.array_equal(same.rgb(same.films[0], [29]), footage.rgb(footage.films[0], [29]))
    assert footage.rgb(footage.films[0], [3]).base is None, "a copy of the frames asked for, no view of the file"


def test_the_content_is_that_of_the_frames_not_of_the_place(tmp_path: Path) -> None:
    here = tiny.footage(tmp_path / "here", (5, 6))
    there = Path(shutil.copytree(here, tmp_path / "there"))
    swapped = tiny.footage(tmp_path / "swapped", (6, 5))
    # Of the same sizes, and so many of each.
    other = film_of(tmp_path / "other.mkv", [3, 4, 5, 6, 7], (64, 80))
    alike = film_of(tmp_path / "alike.mkv", [3, 4, 5, 6, 8], (64, 80))
    found = [Footage([one], tmp_path / "store").content for one in (here, there, swapped, other, alike)]
    assert found[0] == found[1] and len(set(found)) == 4
    assert Footage([here], tmp_path / "store").content == found[0], "and the store knows it"


@pytest.mark.parametrize(
    ("films", "photos", "count", "share", "said"),
    [
        ((), 2, 3, 0.2, "lesson.frames = 3, but the longest of the data's 0 films has 0 frames"),
        ((4, 2), 2, 5, 0.2, "lesson.frames = 5, but the longest of the data's 2 films has 4 frames"),
        ((4,), 0, 3, 0.2, "lesson.photos = 0.2, but the data has no photographs. Set it to 0"),
        ((4,), 0, 3, 0.0, ""),
        ((), 1, 3, 1.0, ""),
        ((2, 4), 1, 4, 0.5, ""),
    ],
)
def test_whether_clips_can_be_cut_is_known_at_once(
    tmp_path: Path, films: tuple[int, ...], photos: int, count: int, share: float, said: str
) -> None:
    tiny.footage(tmp_path / "data", films)
    tiny.photographs(tmp_path / "data", photos)
    footage = Footage([tmp_path / "data"], tmp_path / "store")
    if not said:
        footage.check(count, share)
        return
    with pytest.raises(TrainingError) as caught:
        footage.check(count, share)
    assert str(caught.value).startswith(said)


# --- Clips from films ---


@pytest.fixture
def counted(tmp_path: Path) -> Footage:
    """A film whose frame k is of the value 3 k."""
    film_of(tmp_path / "film.mkv", [3 * k for k in range(80)])
    return Footage([tmp_path / "film.mkv"], tmp_path / "store")


def moments(cut: data.Cut) -> list[int]:
    """Which frames of the counted film they are."""
    greys = color.lab_from_rgb((torch.arange(80.0) * 3 / 255).view(1, 80, 1).expand(3, 80, 1))[0, :, 0]
    return (cut.lab[:, 0, :1, 0] - greys).abs().argmin(1).tolist()


def test_a_cut_has_its_shape_and_lies_within_the_film(counted: Footage) -> None:
    seen = set()
    for seed in range(60):
        cut = cut_from_film(counted, np.random.default_rng(seed), 5, 48, data.Leaps(4))
        assert cut.lab.shape == (5, 3, 48, 48) and cut.lab.dtype == torch.float32
        assert cut.name == counted.films[0].name
        at = moments(cut)
        assert cut.frames == tuple(abs(frame - at[0]) for frame in at), "it tells how far apart they are"
        steps = np.diff(at)
        gap, far = abs(int(steps[-1])), abs(int(steps[0]))
        assert (np.sign(steps) == np.sign(steps[0])).all() and (abs(steps[1:]) == gap).all()
        assert gap in data.GAPS and far % gap == 0 and 1 <= far // gap <= 5
        seen.add((bool(steps[0] > 0), gap, far // gap))
    assert {forward for forward, _, _ in seen} == {True, False}
    assert {gap for _, gap, _ in seen} == set(data.GAPS) and {lead for *_, lead in seen} == {1, 2, 3, 4, 5}


def test_a_cut_may_leap_at_both_ends(counted: Footage) -> None:
    seen = set()
    for seed in range(60):
        steps = abs(np.diff(moments(cut_from_film(counted, np.random.default_rng(seed), 5, 48, data.Leaps(3, 3)))))
        assert steps[1] == steps[2] and not any(steps % steps[1])
        seen.add((steps[0] // steps[1], steps[3] // steps[1]))
    assert {first for first, _ in seen} == {last for _, last in seen} == {1, 2, 3, 4}


def test_a_film_just_long_enough(tmp_path: Path) -> None:
    film_of(tmp_path / "film.mkv", [0, 3, 6])
    footage = Footage([tmp_path / "film.mkv"], tmp_path / "store")
    for seed in range(10):
        at = moments(cut_from_film(footage, np.random.default_rng(seed), 3, 32, data.Leaps(16)))
        assert at in ([0, 1, 2], [2, 1, 0])


def test_the_same_seed_gives_the_same_cut(tmp_path: Path) -> None:
    tiny.footage(tmp_path / "data", (12, 20))
    tiny.photographs(tmp_path / "data")
    footage = Footage([tmp_path / "data"], tmp_path / "store")
    for cut in (
        lambda r: cut_from_film(footage, r, 3, 32, data.Leaps(4)),
        lambda r: cut_from_photos(footage, r, 3, 32),
    ):
        first, same, other = (cut(np.random.default_rng(seed)) for seed in (7, 7, 8))
        assert torch.equal(first.lab, same.lab) and first.frames == same.frames and first.name == same.name
        assert not torch.equal(first.lab, other.lab)


def test_frames_smaller_than_the_side_are_enlarged(tmp_path: Path) -> None:
    footage = Footage([tiny.footage(tmp_path / "data")], tmp_path / "store")
    assert cut_from_film(footage, np.random.default_rng(0), 3, 128, data.Leaps()).lab.shape == (3, 3, 128, 128)


def test_every_frame_of_a_cut_is_cropped_alike(tmp_path: Path) -> None:
    """A still film stays still."""
    random = np.random.default_rng(3)
    planes = tuple(random.integers(16, 235, (64, 96), np.uint8) for _ in range(3))
    make_film(tmp_path / "film.mkv", [planes] * 8, "yuv444p", tags=tiny.TAGS)
    footage = Footage([tmp_path / "film.mkv"], tmp_path / "store")
    for seed in range(5):
        lab = cut_from_film(footage, np.random.default_rng(seed), 4, 32, data.Leaps(2)).lab
        assert all(torch.equal(frame, lab[0]) for frame in lab) and lab[0].std() > 1


# --- Clips from photographs ---


def test_in_a_clip_of_photographs_a_figure_moves_over_the_ground(tmp_path: Path) -> None:
    """Two photographs of one colour each: what is red is the figure, what is green the ground."""
    (tmp_path / "data").mkdir()
    for name, rgb in (("a", (200, 30, 30)), ("b", (30, 200, 30))):
        cv2.imwrite(str(tmp_path / "data" / f"{name}.png"), np.full((80, 80, 3), rgb[::-1], np.uint8))
    footage = Footage([tmp_path / "data"], tmp_path / "store")
    shares, moved = [], 0
    for seed in range(40):
        cut = cut_from_photos(footage, np.random.default_rng(seed), 4, 64)
        assert cut.lab.shape == (4, 3, 64, 64) and cut.frames == (0, 1, 2, 3)
        red = cut.lab[:, 1] > 0
        share = red.float().mean(dim=(1, 2))
        if share.max() < 1 and share.min() > 0:
            figure = red if cut.name.endswith("b.png") else ~red
            shares.append(float(figure.float().mean()))
            moved += int((figure[1:] != figure[:-1]).flatten(1).any(1).sum())
    assert len(shares) >= 10, "often the two photographs differ"
    assert 0.05 < np.mean(shares) < 0.6, "the figure is the smaller part"
    assert moved >= 2.5 * len(shares), "it moves in nearly every step"


def test_the_ground_moves_too(tmp_path: Path) -> None:
    tiny.photographs(tmp_path / "data", 1)
    random = np.random.default_rng(0)
    texture = cv2.resize(random.integers(0, 255, (20, 20, 3), np.uint8), (160, 160), interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(tmp_path / "data" / "photo0.png"), texture)
    footage = Footage([tmp_path / "data"], tmp_path / "store")
    lab = cut_from_photos(footage, np.random.default_rng(1), 4, 64).lab
    assert all((one - other).abs().mean() > 0.5 for one, other in zip(lab[1:], lab[:-1], strict=True))
    assert torch.isfinite(lab).all() and lab[:, 0].min() >= 0 and lab[:, 0].max() <= 100


def test_a_picture_within_a_tar_may_be_jpeg(tmp_path: Path) -> None:
    done, coded = cv2.imencode(".jpg", np.full((40, 50, 3), (10, 200, 90), np.uint8))
    assert done
    with tarfile.open(tmp_path / "one.tar", "w") as archive:
        member = tarfile.TarInfo("one.JPG")
        member.size = len(coded.tobytes())
        archive.addfile(member, io.BytesIO(coded.tobytes()))
    footage = Footage([tmp_path / "one.tar"], tmp_path / "store")
    assert abs(footage.rgb(footage.photos[0], [0])[0].astype(int) - (90, 200, 10)).max() <= 3
    index = json.loads(next((tmp_path / "store").glob("*.json")).read_text())
    assert [strip["name"] for strip in index["strips"]] == [f"{tmp_path / 'one.tar'}:one.JPG"]
