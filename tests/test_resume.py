"""Killed at any moment, a run resumes, and its film equals an unbroken run's."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kinochrome import plan, project
from kinochrome.methods import kino
from kinochrome.plan import Job
from tests.scene import Scene, make_scene
from tests.test_pipeline import same_film

# Pieces of 6 frames, so that a tiny film has many.
PROGRAM = """
import sys
from kinochrome import plan
whole = plan.clips.split
plan.clips.split = lambda shots, longest, overlap=1: whole(shots, 6, overlap)
from kinochrome.cli import main
main()
"""


def command(scene: Scene, target: Path, stills: list[str]) -> list[str]:
    references = [word for still in stills for word in ("--reference", still)]
    return [sys.executable, "-c", PROGRAM, "colorize", str(scene.film), str(target), "--method", "flow", *references]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return make_scene(tmp_path_factory.mktemp("scene") / "film.mkv", (40, 30), audio=True)


@pytest.fixture(scope="module")
def stills(scene: Scene) -> list[str]:
    return [f"{scene.still(scene.film.parent, frame)}@{frame}" for frame in (0, 39, 40)]


@pytest.fixture(scope="module")
def unbroken(scene: Scene, stills: list[str]) -> tuple[Path, float]:
    """The film of a run that nobody disturbed, and how long that took."""
    target = scene.film.parent / "unbroken.mkv"
    started = time.monotonic()
    subprocess.run(command(scene, target, stills), check=True, capture_output=True)
    return target, time.monotonic() - started


def kill_when(process: subprocess.Popen[bytes], folder: Path, files: int, delay: float) -> None:
    """Kills once so many files stand in the project folder (or it has ended), a moment later."""
    while process.poll() is None and len(list(folder.glob("segments/*"))) < files:
        time.sleep(0.005)
    time.sleep(delay)
    process.kill()
    process.wait()


@pytest.mark.parametrize("seed", range(4))
def test_killed_at_random_moments(
    scene: Scene, stills: list[str], unbroken: tuple[Path, float], tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    target = tmp_path / "colour.mkv"
    folder = tmp_path / "colour.mkv.kinochrome"
    kills = 0
    for files in sorted(chance.sample(range(0, 24), 2)):
        process = subprocess.Popen(command(scene, target, stills), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        kill_when(process, folder, files, chance.uniform(0, 0.15))
        kills += process.returncode == -signal.SIGKILL
    assert kills or target.exists()
    # Killed between the film's last move and the clearing up, a run leaves both.
    if not target.exists():
        subprocess.run(command(scene, target, stills), check=True, capture_output=True)
        assert not folder.exists()
    assert same_film(target, unbroken[0])
    assert not list(tmp_path.glob("*.partial*"))


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to a child")
def test_ctrl_c_says_how_to_go_on(scene: Scene, stills: list[str], tmp_path: Path) -> None:
    target = tmp_path / "colour.mkv"
    process = subprocess.Popen(command(scene, target, stills), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    folder = tmp_path / "colour.mkv.kinochrome"
    while process.poll() is None and len(list(folder.glob("segments/*.safetensors"))) < 2:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Give the same command again" in said
    assert b"Traceback" not in said
    assert not target.exists()
    assert list(folder.glob("segments/*.safetensors"))


def test_pieces_are_coloured_anew_where_other_weights_come_along(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Job(scene.film, tmp_path / "colour.mkv", project=tmp_path / "work", method="kino")

    def names() -> tuple[str, ...]:
        return plan.prepare(job, lambda event, data: None).names

    before, digest = names(), project.file_digest
    assert names() == before
    monkeypatch.setattr(project, "file_digest", lambda path: path.name if path == kino.SHIPPED else digest(path))
    assert not set(names()) & set(before)
