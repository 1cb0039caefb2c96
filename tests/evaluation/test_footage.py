"""Finding and reading true clips and other tools' results; what is wrong with them is said."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from kinochrome import video
from kinochrome.errors import VideoError
from kinochrome.evaluation import footage
from tests.evaluation.data import write_clip, write_data
from tests.metrics.clips import grey, panned, texture
from tests.scene import make_scene


def test_clips_are_found_by_name(tmp_path: Path) -> None:
    data = write_data(tmp_path, {"b": 3, "a": 2})
    (tmp_path / "notes.txt").write_text("no clip")
    (tmp_path / "empty").mkdir()
    assert [(clip.name, len(clip), clip.size) for clip in footage.find(data)] == [
        ("a", 2, (48, 64)),
        ("b", 3, (48, 64)),
    ]
    assert [clip.name for clip in footage.find(data, ["b"])] == ["b"]
    frames = list(footage.find(data, ["b"])[0].frames(1, 3))
    assert np.array_equal(frames[0], panned(3, seed=0)[1]) and len(frames) == 2
    assert frames[0].dtype == np.uint8, "8-bit pictures stay codes"


def test_a_film_is_a_clip(tmp_path: Path) -> None:
    scene = make_scene(tmp_path / "film.mkv", (5,), colour=(0,))
    (clip,) = footage.find(tmp_path)
    assert (clip.name, len(clip), clip.size) == ("film", 5, (64, 96))
    frames = list(clip.frames(2, 4))
    assert len(frames) == 2 and frames[0].dtype == np.uint8 and frames[0].shape == (64, 96, 3)
    still = video.read_picture(scene.still(tmp_path, 2))
    own, neighbour = (np.abs(frame / 255 - still).mean() for frame in frames)
    assert own < 0.005 and own < neighbour / 2, "frame 2 in its own colours"


def test_folders_without_clips(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="is not a folder"):
        footage.find(tmp_path / "none")
    with pytest.raises(VideoError, match=r"wanted are <clip>/<frame>"):
        footage.find(tmp_path)
    write_data(tmp_path / "JPEGImages" / "480p", {"bear": 2})
    with pytest.raises(VideoError, match="480p does"):
        footage.find(tmp_path)
    with pytest.raises(VideoError, match="lie in it directly"):
        footage.find(tmp_path / "JPEGImages" / "480p" / "bear")
    with pytest.raises(VideoError, match="did you mean 'bear'"):
        footage.find(tmp_path / "JPEGImages" / "480p", ["bera"])


def test_two_clips_of_one_name(tmp_path: Path) -> None:
    write_data(tmp_path, {"film": 2})
    make_scene(tmp_path / "film.mkv", (3,))
    with pytest.raises(VideoError, match="two clips of one name"):
        footage.find(tmp_path)


def test_missing_frames_and_other_sizes_inside_a_clip(tmp_path: Path) -> None:
    write_data(tmp_path, {"gap": 4})
    (tmp_path / "gap" / "00002.png").unlink()
    with pytest.raises(VideoError, match=r"missing between 00001\.png and 00003\.png"):
        footage.find(tmp_path)
    (tmp_path / "gap" / "00003.png").unlink()
    video.write_picture(tmp_path / "gap" / "00002.png", texture(40, 64))
    (clip,) = footage.find(tmp_path)
    with pytest.raises(VideoError, match=r"00002.png is 64x40, but the clip's first frame 64x48"):
        list(clip.frames(0, 3))


def test_a_link_to_what_has_moved_is_named(tmp_path: Path) -> None:
    write_data(tmp_path, {"bear": 3})
    (tmp_path / "bear" / "00001.png").unlink()
    (tmp_path / "bear" / "00001.png").symlink_to(tmp_path / "nowhere.png")
    (clip,) = footage.find(tmp_path)
    with pytest.raises(VideoError, match=r"00001\.png cannot be read .*moved"):
        _ = clip.fingerprint


@pytest.mark.skipif(sys.platform != "linux", reason="names there are text")
def test_a_name_that_is_no_text_is_refused_and_any_text_is_taken(tmp_path: Path) -> None:
    no_text = os.fsdecode(b"caf\xe9")
    (text,) = write_data(tmp_path / "text", {"мишка [x] été 100%": 2}).iterdir()
    (clip,) = footage.find(tmp_path / "text")
    assert clip.name == text.name and clip.fingerprint
    write_data(tmp_path / "bytes", {"bear": 2})
    (tmp_path / "bytes/bear").rename(tmp_path / "bytes" / no_text)
    with pytest.raises(VideoError, match="not in UTF-8"):
        footage.find(tmp_path / "bytes")
    (tmp_path / "text").rename(tmp_path / no_text)
    for read in (footage.find, lambda folder: footage.matching(folder, clip)):
        with pytest.raises(VideoError, match="not in UTF-8"):
            read(tmp_path / no_text)


def test_photographs_may_have_any_name_and_size(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    for name, height in (("dog", 40), ("cat", 48)):
        video.write_picture(tmp_path / "set" / f"{name}.png", texture(height))
    (clip,) = footage.find(tmp_path, stills=True)
    assert [frame.shape[0] for frame in clip.frames(0, 2)] == [48, 40]


def test_black_and_white_truth_is_an_error(tmp_path: Path) -> None:
    write_clip(tmp_path / "old", grey(panned(3)))
    write_clip(tmp_path / "new", [*grey(panned(2)), panned(3)[2]])
    new, old = footage.find(tmp_path)
    footage.check_colour(new)
    with pytest.raises(VideoError, match="old is black and white"):
        footage.check_colour(old)


@pytest.fixture
def truth(tmp_path: Path) -> footage.TrueClip:
    return footage.find(write_data(tmp_path / "truth", {"bear": 3}))[0]


def test_results_match_by_name(tmp_path: Path, truth: footage.TrueClip) -> None:
    frames = panned(3, seed=5)
    write_clip(tmp_path / "tool" / "bear", frames, ".jpg")
    found = footage.matching(tmp_path / "tool", truth)
    assert found.labels == truth.labels


def test_results_may_be_films(tmp_path: Path) -> None:
    (tmp_path / "truth").mkdir()
    make_scene(tmp_path / "truth" / "film.mkv", (4,), colour=(0,))
    (truth,) = footage.find(tmp_path / "truth")
    for count, folder in ((4, "good"), (3, "short")):
        (tmp_path / folder).mkdir()
        make_scene(tmp_path / folder / "film.mkv", (count,), colour=(0,))
    assert len(footage.matching(tmp_path / "good", truth)) == 4
    with pytest.raises(VideoError, match="has 3 frames, the true clip 4"):
        footage.matching(tmp_path / "short", truth)


def test_one_result_a_clip_whatever_its_name_ends_in(tmp_path: Path) -> None:
    for folder in ("truth", "tool"):
        (tmp_path / folder).mkdir()
        make_scene(tmp_path / folder / "film.mkv", (4,), colour=(0,))
        (tmp_path / folder / "film.mkv").rename(tmp_path / folder / "film.MKV")
    (truth,) = footage.find(tmp_path / "truth")
    assert len(footage.matching(tmp_path / "tool", truth)) == 4
    (tmp_path / "tool" / "film").mkdir()
    with pytest.raises(VideoError, match=r"holds film and film\.MKV: which of them is the clip film\? Leave one"):
        footage.matching(tmp_path / "tool", truth)


def test_results_that_do_not_match(tmp_path: Path, truth: footage.TrueClip) -> None:
    with pytest.raises(VideoError, match="is not a folder"):
        footage.matching(tmp_path / "none", truth)
    results = tmp_path / "tool"
    results.mkdir()
    with pytest.raises(VideoError, match="has nothing for the clip bear"):
        footage.matching(results, truth)
    write_clip(results / "bear", panned(3))
    (results / "bear" / "00001.png").rename(results / "bear" / "f1.png")
    with pytest.raises(VideoError, match=r"lacks 1 \(00001\) and has besides 1 \(f1\).*00000 to 00002"):
        footage.matching(results, truth)
    (results / "bear" / "f1.png").unlink()
    with pytest.raises(VideoError, match=r"lacks 1 \(00001\)"):
        footage.matching(results, truth)
    video.write_picture(results / "bear" / "00001.png", texture())
    video.write_picture(results / "bear" / "00001.jpg", texture())
    with pytest.raises(VideoError, match="two results for one frame"):
        footage.matching(results, truth)


def test_results_that_fit_two_photographs_are_refused(tmp_path: Path) -> None:
    for name in ("truth/set/dog.png", "truth/set/dog.jpg", "tool/set/dog.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        video.write_picture(tmp_path / name, texture())
    (truth,) = footage.find(tmp_path / "truth", stills=True)
    with pytest.raises(VideoError, match=r"set has two pictures called dog.*Rename one"):
        footage.matching(tmp_path / "tool", truth)


def test_results_of_another_size(tmp_path: Path, truth: footage.TrueClip) -> None:
    write_clip(tmp_path / "small" / "bear", [texture(24, 32)] * 3)
    with pytest.raises(VideoError, match="is 32x24, the true clip 64x48"):
        footage.matching(tmp_path / "small", truth)
