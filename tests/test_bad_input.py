"""Whatever a person gives wrongly, the command line says so in a sentence, and leaves everything as it was."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

import kinochrome
from kinochrome import cli
from kinochrome.errors import VideoError
from tests.film import add_tone, damage, grey_planes, make_film, truncate, write_tone
from tests.scene import Scene, make_scene

Run = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return make_scene(tmp_path_factory.mktemp("scene") / "film.mkv", (8,))


@pytest.fixture(autouse=True)
def folder(original: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: `film.mkv` of 8 frames and its coloured first frame, `still.png`."""
    (tmp_path / "film.mkv").write_bytes(original.film.read_bytes())
    original.still(tmp_path, 0).rename(tmp_path / "still.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command in this process: (exit code, what it said). An error that it does not tell fails the test."""

    def run(*words: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["kinochrome", *map(str, words)])
        monkeypatch.setenv("COLUMNS", "400")
        code: object = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code or 0
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        assert isinstance(code, int)
        return code, " ".join(said.err.split())

    return run


def files(folder: Path) -> dict[str, bytes | None]:
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.fixture
def refused(run: Run, folder: Path) -> Callable[..., None]:
    """Colouring with these words ends with this code and all these texts, and no file is made, changed or removed."""

    def refused(code: int, *words: object, says: tuple[str, ...]) -> None:
        before = files(folder)
        ended, said = run("colorize", *words)
        assert (ended, [text for text in says if text not in said]) == (code, []), said
        assert files(folder) == before

    return refused


STILL = ("--reference", "still.png@0")


def no_film(folder: Path) -> Iterator[tuple[str, str]]:
    """Name of a source that is none, and the cause that must be told."""
    (folder / "empty.mp4").touch()
    yield "empty.mp4", "is empty (0 bytes)"
    (folder / "letter.mp4").write_text("Dear Sir or Madam,\n" * 50)
    yield "letter.mp4", "is not a film"
    (folder / "head.mkv").write_bytes((folder / "film.mkv").read_bytes()[:100])
    yield "head.mkv", "damaged or was cut short"
    make_film(folder / "whole.mp4", grey_planes(4, (64, 96)), codec="libx264")
    truncate(folder / "whole.mp4", 0.7)
    yield "whole.mp4", "index at the end"
    with av.open(str(folder / "song.mka"), "w") as output:
        write_tone(output, add_tone(output), 0.1)
    yield "song.mka", "has no video stream"
    (folder / "bare").mkdir()
    yield "bare", "holds no pictures"
    (folder / "gaps").mkdir()
    for number in (1, 3):
        cv2.imwrite(str(folder / "gaps" / f"{number:03d}.png"), np.zeros((16, 16), np.uint8))
    yield "gaps", "pictures are missing between 001.png and 003.png"
    yield "gaps/x_%03d.png", "No picture matches"


def test_what_is_no_film(refused: Callable[..., None], run: Run, folder: Path) -> None:
    for name, cause in list(no_film(folder)):
        refused(3, name, "colour.mkv", *STILL, says=(name, cause))
        code, said = run("shots", name)
        assert code == 3 and cause in said


def test_a_film_that_ends_early_is_told(run: Run, folder: Path) -> None:
    """Half a Matroska file can be read up to there; a person must learn that the rest is missing."""
    truncate(folder / "film.mkv", 0.5)
    code, said = run("colorize", "film.mkv", "colour.mkv", *STILL)
    assert "film.mkv" in said.replace("colour.mkv", "") and ("short" in said or "ends" in said or "missing" in said)
    assert code in (0, 3)
    assert (folder / "colour.mkv").exists() == (code == 0)


def test_packets_lost_in_the_middle_are_told(run: Run, folder: Path) -> None:
    """Noise over the container swallows whole packets: all else keeps its time, and the gap is reported."""
    make_scene(folder / "hurt.mkv", (30,), codec="libx264", options={"g": "6"}, audio=True)
    damage(folder / "hurt.mkv", 0.4, 0.45)
    code, said = run("colorize", "hurt.mkv", "colour.mkv", *STILL)
    assert code == 0
    assert "note:" in said and "hurt.mkv" in said
    with av.open(str(folder / "colour.mkv")) as container:
        shown = [round((frame.time or 0) * 24) for frame in container.decode(video=0)]
    assert shown[0] == 0 and shown[-1] == 29 and shown == sorted(set(shown))


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("still.png@first", 4, ("still.png@first", "not a place in the film", "@120")),
        ("still.png@-1", 4, ("'-1' is not a place",)),
        ("still.png@shot:x", 4, ("still.png@shot:x", "'shot:x' is not a place")),
        ("still.png@shot:0", 4, ("there is no shot 0",)),
        ("bare", 4, ("bare", "holds no pictures")),
        ("named", 4, ("anna.png", "no frame number in its name", "PICTURE@FRAME")),
        ("named@3", 4, ("named is a folder",)),
        ("twice", 4, ("both claim frame 1",)),
        ("film.mkv@0", 3, ("film.mkv is not a picture", "PNG")),
        ("letter.png@0", 3, ("letter.png",)),
        ("empty.png@0", 3, ("empty.png is empty",)),
        ("", 4, ("--reference",)),
    ],
)
def test_references(refused: Callable[..., None], folder: Path, text: str, code: int, says: tuple[str, ...]) -> None:
    for name in ("bare", "named", "twice"):
        (folder / name).mkdir()
    picture = (folder / "still.png").read_bytes()
    for name in ("named/anna.png", "twice/1.png", "twice/001.png"):
        (folder / name).write_bytes(picture)
    (folder / "letter.png").write_text("no picture")
    (folder / "empty.png").touch()
    refused(code, "film.mkv", "colour.mkv", "--reference", text, says=says)


@pytest.mark.parametrize("shape", [(64, 64), (48, 96), (128, 64), (2, 3), (1500, 2000)], ids=str)
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_any_picture_is_a_reference(
    run: Run, folder: Path, shape: tuple[int, int], depth: type[np.uint8], channels: int
) -> None:
    """Square, wide, upright, tiny, huge; 8 and 16 bit; grey, colour, with alpha: fitted, and nothing falls over."""
    if shape == (1500, 2000) and (depth, channels) != (np.uint8, 3):
        pytest.skip("one huge picture will do")
    picture: np.ndarray = np.full((*shape, channels), 99 * (257 if depth is np.uint16 else 1), depth)
    picture[: shape[0] // 2] = np.iinfo(depth).max
    assert cv2.imwrite(str(folder / "photo.png"), picture)
    code, said = run("colorize", "film.mkv", "colour.mkv", "--reference", "photo.png@0", "--reference", "photo.png")
    assert code == 0, said


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("colour.avi", ("Nothing here writes .avi", "Known: .mp4")),
        ("colour", ("colour",)),
        ("colour.png", ("one picture", "colour_%06d.png")),
        ("frames/%d_%d.png", ("written once, as %06d",)),
        ("x" * 300 + ".mkv", ("too long",)),
        ("x" * 245 + ".mkv", ("too long",)),
        ("film.mkv/colour.mkv", ("film.mkv",)),
        ("taken.mp4", ("taken.mp4 is a folder",)),
        ("out%d.png", ("The folder /", "exists already")),
    ],
)
def test_targets(refused: Callable[..., None], folder: Path, target: str, says: tuple[str, ...]) -> None:
    (folder / "taken.mp4").mkdir()
    (folder / "colour").write_text("in the way")
    refused(3, "film.mkv", target, *STILL, says=says)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is a folder that even root cannot write to")
@pytest.mark.parametrize(
    "words",
    [
        ("/proc/colour.mkv",),
        ("colour.mkv", "--project", "/proc/work"),
        ("colour.mkv", "--confidence", "/proc/sure.mkv"),
    ],
    ids=str,
)
def test_folders_that_cannot_be_written(refused: Callable[..., None], words: tuple[str, ...]) -> None:
    refused(3, "film.mkv", *words, *STILL, says=("/proc", "cannot be written"))


@pytest.mark.parametrize(
    "name", ["100% sure.mkv", "%06d.mkv", "it's.mkv", "Zoë [b].mkv", "a@3.mkv", "-x.mkv", "x:red:.mkv"]
)
def test_odd_names_are_names(run: Run, folder: Path, name: str) -> None:
    (folder / "film.mkv").rename(folder / name)
    (folder / "still.png").rename(folder / f"{name}.png")
    code, said = run("colorize", "--reference", f"{name}.png@0", "--", name, f"colour {name}")
    assert code == 0, said
    assert (folder / f"colour {name}").exists()
    assert f"colour {name}: 8 frames" in said and f"{name}.png: its own frame" in said


def test_a_name_that_looks_like_markup(run: Run, folder: Path) -> None:
    (folder / "colour [").mkdir()
    code, said = run("colorize", "film.mkv", "colour [/red].mkv", *STILL)
    assert code == 0, said
    assert "colour [/red].mkv: 8 frames" in said


def test_numbered_pictures_in_the_working_folder(run: Run, folder: Path) -> None:
    kept = (folder / "still.png").read_bytes()
    code, said = run("colorize", "film.mkv", "frame_%06d.png", *STILL, "--overwrite")
    assert code == 0, said
    assert len(list(folder.glob("frame_*.png"))) == 8
    assert (folder / "still.png").read_bytes() == kept


def test_numbered_pictures_as_source(run: Run, folder: Path) -> None:
    (folder / "frames").mkdir()
    for number, (luma, *_) in enumerate(grey_planes(3, (64, 96))):
        cv2.imwrite(str(folder / "frames" / f"{number:04d}.png"), luma)
    code, said = run("colorize", "frames/%04d.png", "colour.mkv", *STILL)
    assert code == 0, said


@pytest.mark.parametrize("option", ["target", "--confidence"])
def test_what_a_person_gave_is_never_written_over(refused: Callable[..., None], folder: Path, option: str) -> None:
    """A picture can be coloured into a picture, so the target could be the very reference."""
    cv2.imwrite(str(folder / "grey.png"), np.full((64, 96), 90, np.uint8))
    words = ("still.png",) if option == "target" else ("colour.png", "--confidence", "still.png")
    refused(3, "grey.png", *words, *STILL, "--overwrite", says=("still.png",))


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("--encoder", "crf"), 5, ("KEY=VALUE",)),
        (("--encoder", "crf=abc", "--preset", "web"), 3, ("libx264", "crf=abc")),
        (("--encoder", "pixel_format=gray"), 3, ("holds no colour",)),
        (("--encoder", "codec=aac"), 5, ("encodes audio",)),
        (("--preset", "png"), 3, ("Preset png is not written into .mkv",)),
        (("--preset", "dnxhr"), 3, ("dnxhr",)),
        (("--from", "soon"), 4, ("'soon' is not a time", "HH:MM:SS")),
        (("--from", "0.2", "--to", "0.1"), 3, ("leave no frame",)),
        (("--method", "flow", "--set", "flow.quality=superb"), 5, ("fast, good, best",)),
        (("--set", "flow.quality"), 5, ("KEY=VALUE",)),
        (("--saturation", "nan"), 5, ("out of range",)),
        (("--shots", "none.csv"), 4, ("none.csv", "cannot be read")),
        (("--shots", "still.png"), 4, (".csv or an .edl",)),
        (("--confidence", "colour.mkv"), 3, ("its own name",)),
        (("--confidence", "film.mkv", "--overwrite"), 3, ("is the source itself",)),
        (("--confidence", "sure.png"), 3, ("sure_%06d.png",)),
        (("--rate", "18"), 3, ("has its own frame rate",)),
        (("--method", "vcgan"), 5, ("makes nothing of references", "--method kino")),
        (("--method", "flow,"), 5, ("a name is missing", "NAME,NAME")),
        (("--project", "film.mkv"), 3, ("film.mkv is a file", "--project")),
        (("--rate", "0"), 3, ("--rate 0 is no number", "24000/1001")),
    ],
)
def test_options(refused: Callable[..., None], words: tuple[str, ...], code: int, says: tuple[str, ...]) -> None:
    refused(code, "film.mkv", "colour.mkv", *words, *STILL, says=says)


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("", "colour.mkv", *STILL), 3, ("The source is empty", "{folder}")),
        (("film.mkv", "", *STILL, "--overwrite"), 3, ("The target is empty",)),
        (("film.mkv", "colour.mkv", "--reference", ""), 4, ("--reference", "names no picture")),
        (("film.mkv", "colour.mkv", "--reference", "@0"), 4, ("--reference '@0' names no picture",)),
    ],
)
def test_an_empty_name(
    refused: Callable[..., None], folder: Path, words: tuple[str, ...], code: int, says: tuple[str, ...]
) -> None:
    """What an unset variable leaves behind; a path of nothing is the working folder."""
    refused(code, *words, says=tuple(text.format(folder=folder) for text in says))


@pytest.mark.parametrize("words", [("shots", ""), ("stills", "", "pictures")], ids=str)
def test_an_empty_name_of_what_is_looked_at(run: Run, folder: Path, words: tuple[str, ...]) -> None:
    """A picture lies in the working folder, which could be read as a film."""
    before = files(folder)
    code, said = run(*words)
    assert code == 3 and "The source is empty" in said and str(folder) in said
    assert files(folder) == before


def test_an_empty_name_given_to_the_function() -> None:
    with pytest.raises(VideoError, match="The source is empty"):
        kinochrome.find_shots("")


def test_a_film_too_small_for_the_encoder(refused: Callable[..., None], folder: Path) -> None:
    make_film(folder / "dot.mkv", grey_planes(2, (2, 2)))
    refused(3, "dot.mkv", "colour.mkv", *STILL, says=("2x2",))


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"version": 1}', b"", b"\xff\xfe"])
def test_a_damaged_project(run: Run, folder: Path, content: bytes) -> None:
    (folder / "work").mkdir()
    (folder / "work" / "project.json").write_bytes(content)
    words = ("colorize", "film.mkv", "colour.mkv", *STILL, "--project", "work")
    for more in ((), ("--fresh",)):
        code, said = run(*words, *more)
        assert code == 7 and "another program" in said and "--fresh" not in said
        assert (folder / "work" / "project.json").read_bytes() == content
    (folder / "work" / "scan.npz").write_bytes(b"")  # a trace of this program
    code, said = run(*words)
    assert code == 7 and "project.json" in said and "--fresh" in said
    assert not (folder / "colour.mkv").exists()


@pytest.mark.parametrize("content", [b"", b"junk", b"PK\x03\x04junk"])
@pytest.mark.parametrize("pattern", ["scan.npz", "segments/*.safetensors", "segments/*.mkv"])
def test_a_damaged_file_of_the_project(run: Run, folder: Path, pattern: str, content: bytes) -> None:
    """After a power cut: made anew, or told with the way out."""
    words = ("colorize", "film.mkv", "colour.mkv", *STILL, "--project", "work", "--overwrite")
    assert run(*words)[0] == 0
    (folder / "colour.mkv").unlink()
    for path in (folder / "work").glob(pattern):
        path.write_bytes(content)
    code, said = run(*words)
    assert code == 0 or "--fresh" in said, said
    assert (folder / "colour.mkv").exists() == (code == 0)


@pytest.mark.parametrize("fresh", [[], ["--fresh"]], ids=str)
def test_a_folder_with_a_persons_own_files(run: Run, folder: Path, fresh: list[str]) -> None:
    """`--project .` must not cost anybody their own `segments`."""
    for name in ("segments", "segments/takes"):
        (folder / name).mkdir()
    own = [folder / "segments" / "take 1.mov", folder / "segments" / "takes" / "a.wav", folder / "source.mkv"]
    for path in own:
        path.write_text("precious")
    run("colorize", "film.mkv", "colour.mkv", *STILL, "--project", ".", *fresh)
    assert [path.name for path in own if not path.exists()] == []


@pytest.mark.parametrize("more", [[], ["--colour", "vcgan"]], ids=str)
def test_painted_stills_are_not_replaced_unasked(run: Run, folder: Path, more: list[str]) -> None:
    (folder / "grey").mkdir()
    painted = folder / "grey" / "000003.png"
    painted.write_text("painted")
    code, said = run("stills", "film.mkv", "grey", 0, 3, *more)
    assert code == 3 and "000003.png exists already" in said and "--overwrite" in said
    assert files(folder / "grey") == {"000003.png": b"painted"}
    assert run("stills", "film.mkv", "grey", 3, "--overwrite")[0] == 0
    assert painted.read_bytes()[1:4] == b"PNG"


def test_a_listener_that_leaves_is_no_fault_of_the_folder(folder: Path) -> None:
    def gone(event: str, data: object) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    with pytest.raises(BrokenPipeError):
        kinochrome.colorize("film.mkv", "colour.mkv", method="flow", references=["still.png@0"], report=gone)


def test_a_second_run_leaves_the_first_alone(run: Run, folder: Path) -> None:
    """It is refused, and what the first has begun is still there."""
    fcntl = pytest.importorskip("fcntl")
    work = folder / "colour.mkv.kinochrome"
    (work / "segments").mkdir(parents=True)
    with (work / "lock").open("wb") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        (work / "scan.partial.npz").write_text("at work")
        before = files(folder)
        code, said = run("colorize", "film.mkv", "colour.mkv", *STILL)
        assert code == 7 and "Another run" in said and "--project" in said
        assert files(folder) == before


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit on file sizes, and /dev/full")
@pytest.mark.parametrize("limit", [0, 300, 6_000, 20_000, 60_000, 100_000])
def test_no_room_at_any_moment(run: Run, folder: Path, limit: int) -> None:
    """Files may not grow beyond a limit, as on a full disk: told, with nothing under the target's name."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        code, said = run("colorize", "film.mkv", "colour.mkv", *STILL)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (folder / "colour.mkv").exists() == (code == 0)
    if code:
        assert code == 3, said
        assert "written" in said or "larger than this disk" in said
        assert "colour.mkv" in said


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_a_pipe(folder: Path) -> None:
    words = [sys.executable, "-m", "kinochrome.cli", "colorize", "film.mkv", "-", *STILL]
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, timeout=120)
    assert ended.returncode == 3 and b"Traceback" not in ended.stderr
    assert b"full" in ended.stderr or b"written" in ended.stderr
