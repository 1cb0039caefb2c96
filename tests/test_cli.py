"""The command line as a person or a script meets it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import kinochrome
from kinochrome import video
from tests.film import grey_planes, make_film
from tests.scene import Scene, make_scene


def run(*words: object, stdin: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "kinochrome.cli", *map(str, words)],
        input=stdin,
        capture_output=True,
        timeout=120,
        env={**os.environ, "COLUMNS": "120", "TERM": "dumb", **environment},
    )


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return make_scene(tmp_path_factory.mktemp("cli") / "film.mkv", (10, 8))


@pytest.fixture
def still(scene: Scene) -> Path:
    return scene.still(scene.film.parent, 0)


def test_version_and_help() -> None:
    assert run("--version").stdout.decode().strip() == f"kinochrome {kinochrome.__version__}"
    shown = run("--help")
    assert shown.returncode == 0
    for verb in ("colorize", "shots", "methods", "demo", "doctor", "Exit codes"):
        assert verb in shown.stdout.decode()
    shown = run("colorize", "--help").stdout.decode()
    words = (
        "method reference scribble shots project fresh overwrite device height set preset encoder "
        "saturation confidence deinterlace recolor from to preview json"
    )
    for word in words.split():
        assert f"--{word}" in shown
    assert "kinochrome colorize film.mp4 colour.mp4 --reference still.png@0" in shown


def test_colorize_prints_a_report(scene: Scene, still: Path, tmp_path: Path) -> None:
    target = tmp_path / "colour.mp4"
    done = run("colorize", scene.film, target, "--reference", f"{still}@0")
    assert done.returncode == 0, done.stderr.decode()
    assert target.exists()
    said = done.stderr.decode()
    assert "18 frames" in said
    assert "borrowed from frame 0" in said
    assert done.stdout == b""


def test_scribbles_colour_a_film_or_are_told_what_they_lack(scene: Scene, tmp_path: Path) -> None:
    run("stills", scene.film, tmp_path / "strokes", 0, 12)
    words = ["colorize", scene.film, tmp_path / "a.mkv", "--method", "kino", "--scribble"]
    grey = run(*words, tmp_path / "strokes")
    assert grey.returncode == 4 and b"has no stroke" in grey.stderr
    for path in (tmp_path / "strokes").iterdir():
        picture = np.round(video.read_picture(path) * 255).astype(np.uint8)
        picture[20:24, 10:60] = (200, 40, 40)
        video.write_picture(path, picture)
    done = run(*words, tmp_path / "strokes")
    assert done.returncode == 0, done.stderr.decode()
    assert "000012.png: scribbles on frame 12" in done.stderr.decode()
    refused = run(*words[:3], "--method", "flow", "--scribble", f"{tmp_path}/strokes/000000.png@0", "--overwrite")
    assert refused.returncode == 5 and b"--method kino" in refused.stderr


def test_json_events_one_a_line(scene: Scene, still: Path, tmp_path: Path) -> None:
    done = run("colorize", scene.film, tmp_path / "colour.mkv", "--reference", f"{still}@0", "--json")
    lines = [json.loads(line) for line in done.stdout.decode().splitlines()]
    # A slow machine also tells that it is still looking.
    events = [event for event in lines if event["event"] != "scan"]
    names = [event["event"] for event in events]
    assert names[0] == "plan" and names[-1] == "done" and "join" in names
    assert events[0]["frames"] == 18
    assert [shot["number"] for shot in events[-1]["shots"]] == [1, 2]


def test_errors_are_sentences_with_exit_codes(scene: Scene, still: Path, tmp_path: Path) -> None:
    missing = run("colorize", tmp_path / "[none].mp4", tmp_path / "colour.mp4")
    assert missing.returncode == 3
    assert "[none].mp4 does not exist" in missing.stderr.decode().replace("\n", "")
    assert b"Traceback" not in missing.stderr
    assert run("colorize", scene.film, tmp_path / "a.mkv", "--reference", f"{still}@99").returncode == 4
    assert run("colorize", scene.film, tmp_path / "a.mkv", "--method", "magic").returncode == 5
    assert run("colorize", scene.film).returncode == 2
    assert run("paint").returncode == 2
    told = run("colorize", scene.film, tmp_path / "a.mkv", "--method", "magic", "--json")
    assert json.loads(told.stderr.decode().splitlines()[-1])["kind"] == "MethodError"
    shown = run("colorize", tmp_path / "none.mp4", tmp_path / "a.mkv", KINOCHROME_DEBUG="1")
    assert b"Traceback" in shown.stderr


def test_shots_are_listed_edited_and_read_back(scene: Scene, still: Path, tmp_path: Path) -> None:
    listed = run("shots", scene.film)
    lines = listed.stdout.decode().splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("shot,start,stop")
    run("shots", scene.film, "--out", tmp_path / "shots.csv")
    assert (tmp_path / "shots.csv").read_text().splitlines() == lines
    refused = run("shots", scene.film, "--out", tmp_path / "shots.csv")
    assert refused.returncode == 3 and b"--overwrite" in refused.stderr
    # By hand: one shot out of two.
    (tmp_path / "shots.csv").write_text("shot,start,stop\n1,0,18\n")
    done = run(
        "colorize",
        scene.film,
        tmp_path / "a.mkv",
        "--reference",
        f"{still}@0",
        "--shots",
        tmp_path / "shots.csv",
        "--json",
    )
    assert len(json.loads(done.stdout.splitlines()[-1])["shots"]) == 1


def test_methods_and_doctor() -> None:
    assert b"flow" in run("methods").stdout
    shown = run("methods", "flow").stdout.decode()
    assert "--set flow." in shown
    assert run("methods", "flwo").returncode == 5
    healthy = run("doctor")
    assert healthy.returncode == 0, healthy.stdout.decode()
    assert "preset web" in healthy.stdout.decode()


def test_y4m_through_a_pipe(scene: Scene, still: Path, tmp_path: Path) -> None:
    raw = run("colorize", scene.film, "-", "--reference", f"{still}@0")
    assert raw.returncode == 0, raw.stderr.decode()
    assert raw.stdout.startswith(b"YUV4MPEG2")
    (tmp_path / "grey.y4m").write_bytes(raw.stdout)
    info = video.probe(tmp_path / "grey.y4m")
    assert len(video.scan(info)) == 18
    again = run("colorize", "-", tmp_path / "again.mkv", "--reference", f"{still}@0", "--recolor", stdin=raw.stdout)
    assert again.returncode == 0, again.stderr.decode()
    info = video.probe(tmp_path / "again.mkv")
    assert len(video.scan(info)) == 18


def test_interlaced_film_is_refused_with_the_remedy(tmp_path: Path) -> None:
    film = make_film(
        tmp_path / "i.mkv",
        grey_planes(6, (64, 96)),
        "yuv420p",
        "mpeg2video",
        options={"flags": "+ildct+ilme", "top": "1"},
    )
    if not video.probe(film).interlaced:
        pytest.skip("this FFmpeg writes no interlaced MPEG-2")
    refused = run("colorize", film, tmp_path / "a.mkv")
    assert refused.returncode == 3
    assert b"--deinterlace" in refused.stderr


def test_weights_are_listed_and_unknown_ones_named(tmp_path: Path) -> None:
    listed = run("weights", KINOCHROME_WEIGHTS=str(tmp_path), COLUMNS="200").stdout.decode()
    assert "raft_small" in listed and str(tmp_path) in listed
    unknown = run("weights", "get", "raft_smal", KINOCHROME_WEIGHTS=str(tmp_path))
    assert unknown.returncode == 6
    assert "raft_small" in unknown.stderr.decode()
    assert not list(tmp_path.iterdir())


def test_stills_are_taken_and_go_back_as_references(scene: Scene, tmp_path: Path) -> None:
    done = run("stills", scene.film, tmp_path / "stills")
    assert done.returncode == 0, done.stderr.decode()
    assert [path.name for path in sorted((tmp_path / "stills").iterdir())] == ["000005.png", "000014.png"]
    picture = video.read_picture(tmp_path / "stills" / "000005.png")
    expected = (scene.luma[5].astype(float) - 16) / 219
    assert np.abs(picture[..., 1] - expected).max() < 1 / 255
    assert run("stills", scene.film, tmp_path / "stills", 3).returncode == 0
    assert (tmp_path / "stills" / "000003.png").exists()
    beyond = run("stills", scene.film, tmp_path / "stills", 18)
    assert beyond.returncode == 4 and b"frames are 0 to 17" in beyond.stderr
    assert run("colorize", scene.film, tmp_path / "a.mkv", "--reference", tmp_path / "stills").returncode == 0


def test_help_shows_examples_line_by_line() -> None:
    lines = [line.strip(" │") for line in run("colorize", "--help").stdout.decode().splitlines()]
    assert "kinochrome colorize film.mp4 look.mp4 --reference still.png@0 --preview" in lines
