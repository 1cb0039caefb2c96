"""The official lists, and what is said of a folder."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from kinochrome.errors import MethodError, VideoError
from kinochrome.evaluation.data_sets import DATA_SETS, Finding, check, data_set


def test_the_lists_are_as_long_as_the_papers_say() -> None:
    assert {name: len(data_set(name).clips) for name in DATA_SETS} == {
        "davis-val": 30, "davis-train": 60, "videvo-test": 20,
    }  # fmt: skip
    assert sum(data_set("davis-val").clips.values()) == 1999
    assert sum(data_set("davis-train").clips.values()) == 4209
    assert sum(data_set("videvo-test").clips.values()) == 4794
    assert not set(data_set("davis-val").clips) & set(data_set("davis-train").clips)


def write(folder: Path, count: int, height: int = 480) -> None:
    folder.mkdir()
    for index in range(count):
        cv2.imwrite(str(folder / f"{index:05d}.jpg"), np.zeros((height, 16, 3), np.uint8))


def found(folder: Path, name: str) -> dict[str, Finding]:
    return {one.clip: one for one in check(folder, name)}


def test_what_is_there_missing_or_wrong(tmp_path: Path) -> None:
    write(tmp_path / "judo", 34)
    write(tmp_path / "shooting", 41)
    write(tmp_path / "car-shadow", 40, height=400)
    write(tmp_path / "extra", 2)
    for index in (3, 4, 5, 9):
        (tmp_path / "judo" / f"{index:05d}.jpg").unlink()
    told = found(tmp_path, "davis-val")
    assert told["judo"].faults == ("lacks frames 3 to 5, 9",)
    assert told["shooting"].faults == ("has frame 40 besides",)
    assert told["car-shadow"].faults == ("is 16x400, not 480 pixels high",)
    assert told["goat"] == Finding("goat", 0, 90, ("is missing",))
    assert told["extra"].faults == ("is not on the list",)
    assert len(told) == 31


def test_a_clip_that_is_as_it_should_be(tmp_path: Path) -> None:
    write(tmp_path / "judo", 34)
    assert found(tmp_path, "davis-val")["judo"] == Finding("judo", 34, 34, ())


def test_two_pictures_for_one_frame(tmp_path: Path) -> None:
    write(tmp_path / "judo", 34)
    (tmp_path / "judo" / "00003.png").write_bytes((tmp_path / "judo" / "00003.jpg").read_bytes())
    assert found(tmp_path, "davis-val")["judo"].faults == ("has frame 3 twice",)


def test_a_clip_for_training_that_ends_early(tmp_path: Path) -> None:
    write(tmp_path / "dog-agility", 24)
    assert found(tmp_path, "davis-train")["dog-agility"] == Finding("dog-agility", 24, 25, ("lacks frame 24",))


def test_frames_of_several_sizes(tmp_path: Path) -> None:
    write(tmp_path / "Koala", 175, height=24)
    cv2.imwrite(str(tmp_path / "Koala" / "00007.jpg"), np.zeros((32, 16, 3), np.uint8))
    assert found(tmp_path, "videvo-test")["Koala"].faults == ("has frame 7 in another size than 16x24",)


def test_damaged_frames_are_named_and_the_rest_is_checked(tmp_path: Path) -> None:
    write(tmp_path / "judo", 34)
    for index in (0, 7):
        (tmp_path / "judo" / f"{index:05d}.jpg").write_bytes(b"torn")
    (tmp_path / "judo" / "00009.jpg").unlink()
    assert found(tmp_path, "davis-val")["judo"].faults == ("lacks frame 9", "has frames 0, 7 damaged")
    write(tmp_path / "dog", 60)
    for file in (tmp_path / "dog").iterdir():
        file.write_bytes(b"torn")
    assert found(tmp_path, "davis-val")["dog"].faults == ("has frames 0 to 59 damaged",)


def test_names_and_places_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(MethodError, match="did you mean 'davis-val'"):
        check(tmp_path, "davis-vla")
    with pytest.raises(VideoError, match="is not a folder"):
        check(tmp_path / "none", "davis-val")
