"""Every program in examples/ does what it says, on a tiny film."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.scene import SIZE, Scene, chroma_error, make_scene

EXAMPLES = Path(__file__).parent.parent / "examples"


def run(name: str, *words: object, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, EXAMPLES / name, *map(str, words)], input=stdin, capture_output=True, timeout=120, check=False
    )


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return make_scene(tmp_path_factory.mktemp("examples") / "film.mkv", (10, 8))


@pytest.fixture(scope="module")
def still(scene: Scene) -> Path:
    return scene.still(scene.film.parent, 0)


def colourfulness(pictures: np.ndarray) -> float:
    """How far R', G', B' of the same pixels lie apart."""
    return float(np.ptp(pictures.astype(float), axis=-1).mean())


def test_all_of_them_are_short_and_tested() -> None:
    tested = Path(__file__).read_text(encoding="utf-8")
    for example in EXAMPLES.glob("*.py"):
        assert f'"{example.name}"' in tested, f"{example.name} has no test"
        text = example.read_text(encoding="utf-8")
        assert 20 <= text.count("\n") <= 60
        assert f"python examples/{example.name}" in (ast.get_docstring(ast.parse(text)) or "")


def test_colour_a_film(scene: Scene, still: Path, tmp_path: Path) -> None:
    target = tmp_path / "colour.mkv"
    done = run("colour_a_film.py", scene.film, target, f"{still}@0")
    assert done.returncode == 0, done.stderr.decode()
    assert b"18 frames in 2 shots" in done.stdout and b"shot 2:" in done.stdout
    # The first shot has a reference: its colours are near the truth.
    assert chroma_error(scene, target, range(10)) < 3
    wrong = run("colour_a_film.py", scene.film, tmp_path / "other.mkv", f"{still}@99")
    assert wrong.returncode == 1 and b"beyond the end" in wrong.stderr and b"Traceback" not in wrong.stderr


def test_opencv_frames(scene: Scene, still: Path, tmp_path: Path) -> None:
    target = tmp_path / "colour.mp4"
    done = run("opencv_frames.py", scene.film, target, still, 0)
    assert done.returncode == 0, done.stderr.decode()
    capture = cv2.VideoCapture(str(target))
    pictures = []
    while (picture := capture.read())[0]:
        pictures.append(picture[1])
    assert len(pictures) == 18
    assert pictures[0].shape == (*SIZE, 3)
    truth = cv2.imread(str(still))
    # Blue and red stand where they belong: the same picture with both exchanged is further from the truth.
    near, swapped = (
        np.abs(one.astype(float) - truth).mean() for one in (pictures[0], np.ascontiguousarray(pictures[0][..., ::-1]))
    )
    assert near < swapped
    assert run("opencv_frames.py", tmp_path / "none.mkv", target, still, 0).returncode == 1


def test_ffmpeg_pipe(scene: Scene, still: Path) -> None:
    grey = b"".join(luma.tobytes() for luma in scene.luma)
    height, width = SIZE
    done = run("ffmpeg_pipe.py", width, height, still, 0, stdin=grey)
    assert done.returncode == 0, done.stderr.decode()
    pictures = np.frombuffer(done.stdout, np.uint8).reshape(18, height, width, 3)
    assert colourfulness(pictures) > 5
    # Raw grey is full range: each picture's luma is what came in, to one code.
    luma = cv2.transform(pictures[5].astype(np.float32), np.array([[0.2126, 0.7152, 0.0722]], np.float32))
    assert np.abs(luma - scene.luma[5]).max() <= 1.5
    broken = run("ffmpeg_pipe.py", width, height, still, 0, stdin=grey[:-7])
    assert broken.returncode == 1 and b"within a frame" in broken.stderr


def test_batch_folder(scene: Scene, still: Path, tmp_path: Path) -> None:
    films = tmp_path / "films"
    for name in ("harbour", "street"):
        (films / name).mkdir(parents=True)
        (films / f"{name}.mkv").write_bytes(scene.film.read_bytes())
    (films / "harbour" / "000000.png").write_bytes(still.read_bytes())
    done = run("batch_folder.py", films, tmp_path / "coloured")
    # The street's stills are missing: it is named, and the harbour is coloured all the same.
    assert done.returncode == 1
    assert b"street.mkv" in done.stderr and b"holds no pictures" in done.stderr
    assert [path.name for path in (tmp_path / "coloured").iterdir()] == ["harbour.mp4"]
    (films / "street" / "000000.png").write_bytes(still.read_bytes())
    again = run("batch_folder.py", films, tmp_path / "coloured")
    assert again.returncode == 0, again.stderr.decode()
    assert b"harbour.mkv: done before" in again.stdout and b"street.mkv: 18 frames" in again.stdout


def test_vapoursynth_frames() -> None:
    """VapourSynth is no dependency, so this one cannot run here: it is valid, and calls `stream` as `stream` is."""
    tree = ast.parse((EXAMPLES / "vapoursynth_frames.py").read_text(encoding="utf-8"))
    calls = [
        node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".stream")
    ]
    assert [ast.unparse(call.func) for call in calls] == ["kinochrome.stream"]
    assert len(calls[0].args) == 2 and isinstance(calls[0].args[1], ast.Dict)
