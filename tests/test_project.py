"""The project folder: what a person said survives, and a folder of another film is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinochrome import project
from kinochrome.errors import HintError, ProjectError
from kinochrome.project import PictureHint, Project
from kinochrome.types import Shot


def a_project(**changes: object) -> Project:
    settings = {
        "source": "/films/a.mp4",
        "fingerprint": "f" * 8,
        "method": "flow",
        "options": {"flow.x": "1"},
        "references": (
            PictureHint(Path("a.png"), frame=12),
            PictureHint(Path("b@home.png")),
            PictureHint(Path("c.png"), seconds=Fraction(7, 2)),
            PictureHint(Path("d.png"), shot=2),
        ),
        "scribbles": (PictureHint(Path("e.png"), frame=3), PictureHint(Path("f.png"), seconds=Fraction(9))),
        "shots": (Shot(0, 10), Shot(10, 30, fade=3, colour=True)),
    }
    return Project(**{**settings, **changes})


def test_a_project_comes_back_as_it_was(tmp_path: Path) -> None:
    project.save(a_project(), tmp_path)
    assert project.load(tmp_path) == a_project()


def test_a_newer_project_is_refused(tmp_path: Path) -> None:
    project.save(a_project(), tmp_path)
    data = json.loads((tmp_path / "project.json").read_text())
    (tmp_path / "project.json").write_text(json.dumps({**data, "version": project.VERSION + 1}))
    with pytest.raises(ProjectError, match=r"newer Kinochrome.*--fresh"):
        project.load(tmp_path)


def test_a_project_from_before_scribbles_is_upgraded(tmp_path: Path) -> None:
    project.save(a_project(scribbles=()), tmp_path)
    data = json.loads((tmp_path / "project.json").read_text())
    del data["scribbles"]
    (tmp_path / "project.json").write_text(json.dumps({**data, "version": 1}))
    assert project.load(tmp_path) == a_project(scribbles=())


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 1}', '{"version": "x"}'])
def test_a_damaged_project_is_named(tmp_path: Path, text: str) -> None:
    named, begun, foreign = tmp_path / "film.mkv.kinochrome", tmp_path / "begun", tmp_path / "foreign"
    for folder in (named, begun, foreign):
        folder.mkdir()
        (folder / "project.json").write_text(text)
    (begun / "scan.npz").write_bytes(b"")
    for folder in (named, begun):
        with pytest.raises(ProjectError, match=r"project\.json.*--fresh"):
            project.load(folder)
        project.open_folder(folder, a_project(), fresh=True)
        assert project.load(folder) == a_project()
    for fresh in (False, True):
        with pytest.raises(ProjectError, match="another program") as caught:
            project.open_folder(foreign, a_project(), fresh)
        assert "fresh" not in str(caught.value)
    assert [path.name for path in foreign.iterdir()] == ["project.json"]
    assert (foreign / "project.json").read_text() == text


def test_a_folder_of_another_film_is_refused_unless_fresh(tmp_path: Path) -> None:
    project.open_folder(tmp_path, a_project(), fresh=False)
    old = tmp_path / "segments" / f"00000000-{'ab' * 10}.mkv"
    old.write_bytes(b"x")
    with pytest.raises(ProjectError, match="another film"):
        project.open_folder(tmp_path, a_project(fingerprint="other"), fresh=False)
    assert old.exists()
    project.open_folder(tmp_path, a_project(fingerprint="other"), fresh=True)
    assert not old.exists()


def test_removing_leaves_what_is_not_ours(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    project.open_folder(folder, a_project(), fresh=False)
    (folder / "notes.txt").write_text("mine")
    with project.locked(folder):
        project.empty_folder(folder)
    (folder / "lock").unlink()
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


def test_half_a_piece_of_a_killed_run_goes(tmp_path: Path) -> None:
    project.open_folder(tmp_path, a_project(), fresh=False)
    name = f"00000000-{'ab' * 10}.mkv"
    half, whole, own = (tmp_path / "segments" / one for one in (f".{name}.part", name, ".notes.part"))
    for path in (half, whole, own):
        path.write_bytes(b"x")
    project.open_folder(tmp_path, a_project(), fresh=False)
    assert not half.exists() and whole.exists() and own.exists()


def test_hidden_files_are_no_stills(tmp_path: Path) -> None:
    for name in ("000000.png", "._000000.png"):
        (tmp_path / name).write_bytes(b"x")
    assert [hint.picture.name for hint in project.parse_reference(str(tmp_path))] == ["000000.png"]


def test_a_folder_has_one_worker_at_a_time(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib\nfrom kinochrome import project\n"
        "with project.locked(pathlib.Path(sys.argv[1])): print('in')"
    )
    with project.locked(tmp_path):
        other = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
        assert "Another run is at work" in other.stderr
    other = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
    assert other.stdout.strip() == "in"


def test_a_run_that_began_nothing_leaves_nothing(tmp_path: Path) -> None:
    theirs, ours, begun, stale = (tmp_path / name for name in ("theirs", "ours", "begun", "stale"))
    theirs.mkdir()
    stale.mkdir()
    (stale / "lock").touch()
    for folder in (theirs, ours, stale):
        with pytest.raises(ZeroDivisionError), project.locked(folder):
            assert (folder / "lock").exists()
            raise ZeroDivisionError
    with project.locked(begun):
        (begun / "work").touch()
        with pytest.raises(ProjectError, match="Another run"), project.locked(begun):
            pass
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["begun", "lock", "theirs", "work"]


def test_the_fingerprint_sees_a_change_anywhere_it_samples(tmp_path: Path) -> None:
    film = tmp_path / "a.bin"
    content = bytearray(range(256)) * 8000
    film.write_bytes(content)
    before = project.fingerprint([film])
    content[-1] ^= 1
    film.write_bytes(content)
    assert project.fingerprint([film]) != before
    (tmp_path / "b.bin").write_bytes(content)
    assert project.fingerprint([tmp_path / "b.bin"]) == project.fingerprint([film])


@given(st.integers(0, 10**7), st.integers(0, 999_999))
def test_a_time_is_said_as_it_was_given(seconds: int, micro: int) -> None:
    hint = PictureHint(Path("a.png"), seconds=Fraction(seconds * 10**6 + micro, 10**6))
    assert project.parse_reference(str(hint)) == [hint]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("a.png", PictureHint(Path("a.png"))),
        ("a.png@0", PictureHint(Path("a.png"), frame=0)),
        ("me@home/a.png", PictureHint(Path("me@home/a.png"))),
        ("me@home/a.png@7", PictureHint(Path("me@home/a.png"), frame=7)),
        ("a.png@01:02:03.5", PictureHint(Path("a.png"), seconds=Fraction(7447, 2))),
        ("a.png@02:03", PictureHint(Path("a.png"), seconds=Fraction(123))),
        ("a.png@shot:3", PictureHint(Path("a.png"), shot=3)),
    ],
)
def test_references_are_read_as_written(text: str, hint: PictureHint) -> None:
    assert project.parse_reference(text) == [hint]


@pytest.mark.parametrize("text", ["", "@12", "@shot:3"])
def test_a_reference_without_a_name(text: str) -> None:
    with pytest.raises(HintError, match="names no picture"):
        project.parse_reference(text)


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 kB"), (332_000, "332 kB"), (39_600_000, "40 MB"), (1_000_000_000, "1.0 GB"), (2_540_000_000, "2.5 GB")],
)
def test_room_is_told_in_a_unit_that_shows_it(count: int, words: str) -> None:
    assert project.bytes_in_words(count) == words


def test_a_misspelt_place_is_an_error_that_teaches(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(HintError, match=r"'twelve' is not a place.*@120.*@shot:3"):
        project.parse_reference(f"{tmp_path}/a.png@twelve")


def test_a_folder_of_stills_is_placed_by_the_numbers_in_the_names(tmp_path: Path) -> None:
    for name in ("000012.png", "shot2_0030.jpg", "readme.txt"):
        (tmp_path / name).write_bytes(b"")
    hints = project.parse_reference(str(tmp_path))
    assert [(hint.picture.name, hint.frame) for hint in hints] == [("000012.png", 12), ("shot2_0030.jpg", 30)]
    (tmp_path / "title.png").write_bytes(b"")
    with pytest.raises(HintError, match=r"title\.png has no frame number"):
        project.parse_reference(str(tmp_path))
    (tmp_path / "title.png").rename(tmp_path / "again_12.png")
    with pytest.raises(HintError, match="both claim frame 12"):
        project.parse_reference(str(tmp_path))


@pytest.mark.parametrize("text", ["a.png", "a.png@shot:2"])
def test_a_scribble_without_a_frame_is_an_error_that_teaches(text: str) -> None:
    assert project.parse_scribble("a.png@3") == [PictureHint(Path("a.png"), frame=3)]
    assert project.parse_scribble("a.png@00:03") == [PictureHint(Path("a.png"), seconds=Fraction(3))]
    with pytest.raises(HintError, match=rf"--scribble {text}: .*strokes\.png@120.*@00:01:05\.5"):
        project.parse_scribble(text)


def test_scribbles_are_named_as_such_in_errors(tmp_path: Path) -> None:
    for wrong, words in {"": "names no picture", str(tmp_path): "no pictures", f"{tmp_path}@3": "is a folder"}.items():
        with pytest.raises(HintError, match=f"^--scribble .*{words}"):
            project.parse_scribble(wrong)


@pytest.mark.parametrize("text", ["soon", "1:2:3:4", "-5", "1:"])
def test_a_time_that_is_none_is_an_error(text: str) -> None:
    with pytest.raises(HintError, match="HH:MM:SS"):
        project.parse_time(text)
