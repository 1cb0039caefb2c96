"""Automatic references: which frame is chosen, what is painted, what is kept of it, and what a person chooses from."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from rich.console import Console
from typer.testing import CliRunner

import kinochrome
from kinochrome import chain, cli, color, engines, methods, plan, progress, project, proposals, video
from kinochrome.errors import HintError, MethodError, VideoError
from kinochrome.hints import Serving
from kinochrome.plan import Job
from kinochrome.progress import Progress
from kinochrome.project import PictureHint
from kinochrome.proposals import Album, Film, Painter, Wanted
from kinochrome.shots import ShotFinder
from kinochrome.types import Clip, Frame, Painted, Shot
from tests.film import FILM, make_film
from tests.scene import SIZE, Scene, chroma_error, make_scene

BLUE = -8.0


@dataclass(frozen=True)
class DiceOptions:
    seed: int = 0


class Dice:
    """Gives every pixel one colour, another for each seed: a whole method whose answer is known."""

    needs: frozenset[str] = frozenset()
    uses: frozenset[str] = frozenset()
    longest = 8
    Options = DiceOptions

    def __init__(self, options: DiceOptions, device: str = "cpu") -> None:
        self.red = 10.0 + 10 * options.seed

    def working_size(self, height: int, width: int) -> tuple[int, int]:
        return height // 2, width // 2

    def colorize(self, clip: Clip) -> Iterator[Painted]:
        for light in clip.lightness:
            yield Painted(torch.cat([light * 0 + self.red, light * 0 + BLUE]), torch.ones_like(light))


@pytest.fixture(autouse=True)
def dice(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("kinochrome.methods.dice")
    module.Dice = Dice  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(methods.METHODS, "dice", "a method of this test")


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return make_scene(tmp_path / "film.mkv", (10, 8))


def looked_at(path: Path) -> Film:
    info = video.probe(path)
    finder = ShotFinder(info)
    return Film(info, video.scan(info, finder.see), finder.thumbnails)


def grey_film(path: Path, luma: list[np.ndarray]) -> Film:
    neutral = np.full((luma[0].shape[0] // 2, luma[0].shape[1] // 2), 128, np.uint8)
    return looked_at(make_film(path, [(plane, neutral, neutral) for plane in luma]))


def blurred(plane: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(plane, (0, 0), 1.5)


def prepared(scene: Scene, folder: Path, *events: list[Any], **settings: Any) -> plan.Plan:
    """What is settled for a film before it is coloured; nothing is."""
    job = Job(scene.film, folder / "colour.mkv", project=folder / "work", **{"auto_reference": "dice"} | settings)
    return plan.prepare(job, lambda event, data: [kept.append((event, data)) for kept in events] and None)


def served(made: plan.Plan) -> list[tuple[str, int | None]]:
    return [(servings[0].hint.picture.name, servings[0].frame) for servings in made.servings]


# --- which frame ---


def test_the_one_sharp_frame_is_chosen_wherever_it_is(scene: Scene, tmp_path: Path) -> None:
    for sharp in (3, 6):
        luma = [plane if n == sharp else blurred(plane) for n, plane in enumerate(scene.luma[:10])]
        film = grey_film(tmp_path / f"{sharp}.mkv", luma)
        assert proposals.best_frame(film, range(10)) == sharp


def test_nothing_blank_burnt_or_of_another_view_is_chosen(scene: Scene, tmp_path: Path) -> None:
    luma = [blurred(plane) for plane in scene.luma[:9]]
    # Right in the middle, and sharper than the rest: black, a flash, and something else before the lens.
    luma[3] = np.full_like(luma[3], 16)
    luma[4] = np.clip(scene.luma[4].astype(int) * 3, 16, 235).astype(np.uint8)
    luma[5] = scene.luma[12]
    film = grey_film(tmp_path / "bad.mkv", luma)
    assert proposals.best_frame(film, range(9)) not in (3, 4, 5)
    assert proposals.best_frame(film, range(3, 6)) in (3, 4, 5), "there is no other"


def test_of_frames_that_are_alike_the_middle_is_taken_and_no_held_one(scene: Scene, tmp_path: Path) -> None:
    film = grey_film(tmp_path / "still.mkv", [scene.luma[0]] * 9)
    assert proposals.best_frame(film, range(9)) == 4
    assert proposals.best_frame(film, range(7, 8)) == 7
    held = replace(film, table=replace(film.table, held=(4, 5)))
    assert proposals.best_frame(held, range(9)) == 3
    assert proposals.best_frame(held, range(4, 6)) in (4, 5), "there is no other"
    black = grey_film(tmp_path / "black.mkv", [np.full(SIZE, 16, np.uint8)] * 9)
    assert proposals.best_frame(black, range(9)) == 4


def test_of_a_long_shot_few_frames_are_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    film = looked_at(make_scene(tmp_path / "long.mkv", (60,)).film)
    read: list[int] = []
    frames = video.frames

    def counted(info: Any, table: Any, start: int, stop: int) -> Iterator[Frame]:
        read.extend(range(start, stop))
        return frames(info, table, start, stop)

    monkeypatch.setattr(video, "frames", counted)
    assert proposals.best_frame(film, range(60)) in read
    assert len(read) == proposals.DECODED


def test_a_dissolve_is_left_out_unless_the_shot_is_nothing_else() -> None:
    shots = [Shot(0, 20), Shot(20, 40, fade=5), Shot(40, 60, fade=3)]
    assert [proposals.clear_span(shots, n) for n in range(3)] == [range(15), range(25, 37), range(43, 60)]
    assert proposals.clear_span(shots, 1, Shot(30, 40)) == range(30, 37)
    assert proposals.clear_span(shots, 1, Shot(20, 23)) == range(20, 23)


# --- what is painted ---


@pytest.mark.parametrize(
    ("depth", "tags"),
    [(8, {}), (10, {"matrix": "bt2020nc", "primaries": "bt2020", "transfer": "smpte2084"})],
)
def test_a_picture_says_what_the_method_said_in_any_films_colours(depth: int, tags: dict[str, str]) -> None:
    info = replace(FILM, depth=depth, width=40, height=20, rotation=90, sample_aspect=Fraction(2), **tags)
    codes = np.linspace(440, 540, 800).reshape(20, 40)
    frame = Frame(0, 0, (codes / 4).astype(np.uint8) if depth == 8 else codes.astype(np.uint16))
    step = chain.Step("dice", DiceOptions(seed=1), Dice(DiceOptions(seed=1)), (40, 10))
    made = proposals.picture(Painter("dice", step, "cpu"), frame, info)
    assert made.shape == (80, 20, 3) and made.dtype == np.uint8, "upright, with square pixels"
    lab = color.lab_from_rgb(torch.from_numpy(made.astype(np.float32) / 255).permute(2, 0, 1))
    assert torch.allclose(lab[1].mean(), torch.tensor(20.0), atol=0.3)
    assert torch.allclose(lab[2].mean(), torch.tensor(BLUE), atol=0.3)
    light = np.rot90(color.lightness_from_luma(frame.luma, info), -1)
    assert np.abs(lab[0].numpy().reshape(40, 2, 20).mean(1) - light).max() < 0.6, "the film's own"


def test_a_painter_that_must_be_told_something_or_is_none_is_refused(tmp_path: Path) -> None:
    for name, why in (
        ("flow", "flow itself needs a reference, .* needs nothing: kino.*dice"),
        ("dise", "--auto-reference dise: .*did you mean 'dice'"),
        (str(tmp_path / "none.toml"), "there is no such file"),
    ):
        with pytest.raises(MethodError, match=why):
            proposals.load(Wanted(name, {}), FILM)
    with pytest.raises(MethodError, match="no option 'sed'; did you mean 'seed'"):
        proposals.load(Wanted("dice", {"dice.sed": "1"}), FILM)


TINY = """
name = "tiny"
model = "tiny.onnx"
licence = "CC0"
source = "made by this test"
[input]
planes = "lightness"
size = [6, 8]
[output]
planes = "ab"
"""


def save_flat(path: Path, ab: list[float]) -> None:
    """A model that says this of every pixel."""
    numbers = {"w": np.zeros((2, 1, 1, 1), np.float32), "b": np.array(ab, np.float32)}
    sizes = {"x": [1, 1, "h", "w"], "y": [1, 2, "h", "w"]}
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, size) for name, size in sizes.items())
    constants = [numpy_helper.from_array(number, name) for name, number in numbers.items()]
    graph = helper.make_graph([helper.make_node("Conv", ["x", "w", "b"], ["y"])], "tiny", [x], [y], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def test_a_model_described_in_a_file_paints_and_counts_by_what_it_holds(scene: Scene, tmp_path: Path) -> None:
    file = tmp_path / "tiny.toml"
    file.write_text(TINY, encoding="utf-8")
    names = []
    for red in (12.0, 24.0):
        save_flat(tmp_path / "tiny.onnx", [red, BLUE])
        made = prepared(scene, tmp_path, auto_reference=str(file))
        rgb = video.read_picture(made.servings[0][0].hint.picture)
        assert np.allclose(color.lab_of_picture(rgb)[1].mean(), red, atol=1.0)
        assert made.servings[0][0].why == "coloured by tiny"
        names.append(made.names)
    assert not set(names[0]) & set(names[1])


def test_the_file_of_a_model_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_flat(tmp_path / "tiny.onnx", [12.0, BLUE])
    (tmp_path / "tiny.toml").write_text(TINY, encoding="utf-8")
    seen, read = [], engines.read
    monkeypatch.setattr(engines, "read", lambda file: seen.append(file) or read(file))
    painter = proposals.load(Wanted(str(tmp_path / "tiny.toml"), {}), FILM)
    assert seen == [tmp_path / "tiny.toml"] and painter.step.options == read(seen[0])


# --- within a film ---


def test_each_shot_without_a_reference_gets_a_picture(scene: Scene, tmp_path: Path) -> None:
    events: list[Any] = []
    summary = kinochrome.colorize(
        scene.film, tmp_path / "colour.mkv", references=f"{scene.still(tmp_path, 12)}@12", auto_reference="dice",
        encoder={"pixel_format": "yuv444p"}, report=lambda event, data: events.append((event, data)),
    )  # fmt: skip
    frame = next(data["frame"] for event, data in events if event == "automatic")
    assert [data for event, data in events if event == "automatic"] == [{"shot": 1, "frame": frame, "method": "dice"}]
    assert summary.shots[0].references == (f"shot-001-frame-{frame:06d}.png: coloured by dice",)
    assert "its own frame" in summary.shots[1].references[0]
    info = video.probe(tmp_path / "colour.mkv")
    for coloured in video.frames(info, video.scan(info), 0, 10):
        assert coloured.chroma is not None
        ab = color.ab_from_chroma(coloured.luma, coloured.chroma, info).flatten(1).mean(1)
        assert torch.allclose(ab, torch.tensor([10.0, BLUE]), atol=1.0)
    assert not (tmp_path / "colour.mkv.kinochrome").exists(), "the pictures go when the film stands"


def test_what_a_person_gave_goes_before(tmp_path: Path) -> None:
    """Shot 3 returns to the view of shot 1, which has a reference; shot 4 is in colour."""
    scene = make_scene(tmp_path / "parts.mkv", (8, 8, 8), colour=(2,))
    info = video.probe(scene.film)
    parts = list(video.frames(info, video.scan(info)))
    planes = [(f.luma, *(f.chroma or ())) for f in [*parts[:16], *parts[:8], *parts[16:]]]
    film = make_film(tmp_path / "film.mkv", planes)
    still = scene.still(tmp_path, 2)
    made = prepared(replace(scene, film=film), tmp_path, references=(f"{still}@2",))
    assert [len(servings) for servings in made.servings] == [1, 1, 1, 0]
    automatic = ["shot-" in servings[0].hint.picture.name for servings in made.servings[:3]]
    assert automatic == [False, True, False]
    everywhere = prepared(replace(scene, film=film), tmp_path, references=(str(still),))
    assert {name for name, _ in served(replace(everywhere, servings=everywhere.servings[:3]))} == {still.name}


def test_a_view_that_is_only_alike_is_not_the_same_view() -> None:
    random = np.random.default_rng(0)
    view, other = (random.integers(40, 200, (24, 32)) for _ in range(2))
    thumbnails = np.stack([view, 0.5 * view + 0.5 * other, 0.95 * view + 0.05 * other]).astype(np.uint8)
    borrowed = Serving(PictureHint(Path("still.png"), frame=0), None, "borrowed")
    assert not plan._is_hint(borrowed, Shot(1, 2), thumbnails)
    assert plan._is_hint(borrowed, Shot(2, 3), thumbnails)


def test_the_frame_lies_in_the_part_asked_for_and_a_preview_shows_the_same(scene: Scene, tmp_path: Path) -> None:
    part = prepared(scene, tmp_path, start=Fraction(1, 24) * 6, stop=Fraction(1, 24) * 9)
    ((name, frame),) = served(part)
    assert frame in range(6, 9) and name == f"shot-001-frame-{frame:06d}.png"
    whole = prepared(scene, tmp_path)
    pictures = [servings[0].hint.picture for servings in whole.servings]
    before = [path.stat().st_mtime_ns for path in pictures]
    assert served(prepared(scene, tmp_path, preview=True)) == served(whole)
    assert [path.stat().st_mtime_ns for path in pictures] == before


def test_pictures_are_painted_once_and_anew_when_something_changes(scene: Scene, tmp_path: Path) -> None:
    events: list[Any] = []
    first = prepared(scene, tmp_path, events)
    assert [event for event, _ in events].count("automatic") == 2
    stamps = [servings[0].hint.picture.stat().st_mtime_ns for servings in first.servings]
    again = prepared(scene, tmp_path)
    assert [servings[0].hint.picture.stat().st_mtime_ns for servings in again.servings] == stamps
    assert again.names == first.names, "pieces are resumed"
    other = prepared(scene, tmp_path, options={"dice.seed": "2"})
    assert [servings[0].hint.picture.stat().st_mtime_ns > stamps[0] for servings in other.servings] == [True, True]
    assert not set(other.names) & set(first.names), "pieces are coloured anew"


def test_a_picture_that_a_person_corrected_stays(scene: Scene, tmp_path: Path) -> None:
    first = prepared(scene, tmp_path)
    path = first.servings[0][0].hint.picture
    video.write_picture(path, np.full((*SIZE, 3), (200, 30, 30), np.uint8))
    corrected = path.read_bytes()
    second = prepared(scene, tmp_path, options={"dice.seed": "2"}, fresh=True)
    assert path.read_bytes() == corrected
    assert served(second) == served(first) and second.names[0] != first.names[0]
    Album(tmp_path / "work").clear()
    assert [left.name for left in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("text", ["[]", "3", "{}", '{"frames": [1], "pictures": {}}', "{", ""])
def test_notes_that_are_damaged_tell_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "automatic").mkdir()
    (tmp_path / "automatic" / "made.json").write_text(text, encoding="utf-8")
    album = Album(tmp_path)
    assert (album.frames, album.pictures) == ({}, {})
    assert album.frame("key", lambda: 7) == 7 and Album(tmp_path).frames == {"key": 7}


def test_nothing_is_left_of_a_run_that_began_nothing(scene: Scene, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), proposals.swept(tmp_path / "work", keep=False):
        prepared(scene, tmp_path)
        assert len(list((tmp_path / "work" / "automatic").glob("shot-*.png"))) == 2
        raise KeyboardInterrupt
    assert not (tmp_path / "work" / "automatic").exists()


def test_kino_colours_both_ways_in_one_run(scene: Scene, tmp_path: Path) -> None:
    target = tmp_path / "colour.mkv"
    summary = kinochrome.colorize(scene.film, target, method="kino", auto_reference="kino", stop=0.25)
    assert summary.shots[0].references[0].endswith("coloured by kino")
    assert chroma_error(scene, target) > 0


def test_a_method_that_makes_nothing_of_references_is_refused(scene: Scene, tmp_path: Path) -> None:
    with pytest.raises(MethodError, match="dice makes nothing of references"):
        prepared(scene, tmp_path, method="dice")
    with pytest.raises(MethodError, match="--auto-reference"):
        prepared(scene, tmp_path, method="flow", auto_reference="")


def test_a_program_hears_of_each_picture(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(Console(stderr=True), as_json=True) as shown:
        shown.report("automatic", {"shot": 1, "frame": 4, "method": "dice"})
    assert json.loads(capsys.readouterr().out) == {"event": "automatic", "shot": 1, "frame": 4, "method": "dice"}


def test_a_person_sees_which_picture_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "EVENT_INTERVAL", 0)
    text = io.StringIO()
    with Progress(Console(file=text, width=150, force_terminal=True)) as shown:
        shown.report("automatic", {"shot": 1, "frame": 4, "method": "dice"})
        shown.bars.refresh()
    assert "making references" in text.getvalue() and "shot 1, frame 4" in text.getvalue()


def test_options_go_to_whom_they_name() -> None:
    given = {"dice.seed": "1", "flow.quality": "fast"}
    assert proposals.options_for("dice", "flow", given) == ({"flow.quality": "fast"}, {"dice.seed": "1"})
    assert proposals.options_for("dice", "dice, flow", given) == (given, {"dice.seed": "1"})
    assert proposals.options_for("", "flow", given) == (given, {})


# --- what a person chooses from ---


def run(*words: object) -> list[Path]:
    done = CliRunner().invoke(cli.app, ["stills", *map(str, words)])
    if done.exception:
        raise done.exception
    return [Path(line) for line in done.stdout.splitlines()]


def test_stills_come_coloured_and_are_references_at_once(scene: Scene, tmp_path: Path) -> None:
    written = run(scene.film, tmp_path / "guesses", "--colour", "dice", "--set", "dice.seed=2")
    assert len(written) == 2
    hints = project.parse_reference(str(tmp_path / "guesses"))
    assert [hint.frame in shot for hint, shot in zip(hints, (range(10), range(10, 18)), strict=True)] == [True, True]
    lab = color.lab_of_picture(video.read_picture(written[0]))
    assert np.allclose(lab[1].mean(), 30, atol=1.0)


def test_proposals_differ_and_wait_beside_the_references_until_one_is_chosen(scene: Scene, tmp_path: Path) -> None:
    folder = tmp_path / "guesses"
    *pictures, sheet = run(scene.film, folder, 3, 12, "--colour", "dice", "--proposals", 3)
    assert [path.name for path in pictures[:3]] == [f"proposal-{n}-frame-000003.png" for n in (1, 2, 3)]
    reds = [color.lab_of_picture(video.read_picture(path))[1].mean() for path in pictures]
    assert np.allclose(reds, [10, 20, 30] * 2, atol=2.0)
    assert sheet == folder / "proposals" / "proposals.png"
    shown = video.read_picture(sheet)
    assert shown.shape[1] == 1344
    reds = [color.lab_of_picture(shown[60:120, x : x + 200])[1].mean() for x in (100, 560, 1000)]
    assert np.allclose(reds, [10, 20, 30], atol=2.0), "side by side, in order"
    pictures[4].rename(folder / pictures[4].name)
    (chosen,) = project.parse_reference(str(folder))
    assert chosen.frame == 12
    with pytest.raises(HintError, match="both claim frame"):
        project.parse_reference(str(sheet.rename(folder / "sheet.png").parent / "proposals"))


def test_a_long_film_has_several_sheets(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proposals, "STILLS", 2)
    written = run(scene.film, tmp_path / "guesses", 0, 1, 2, 3, 4, "--colour", "dice", "--proposals", 2)
    sheets = [path.name for path in written if path.name.startswith("proposals")]
    assert sheets == ["proposals.png", "proposals-2.png", "proposals-3.png"]
    heights = [video.read_picture(tmp_path / "guesses" / "proposals" / name).shape[0] for name in sheets]
    assert heights[0] == heights[1] > heights[2]


@pytest.mark.parametrize("kept", ["proposal-2-frame-000012.png", "proposals.png"])
def test_proposals_that_are_there_are_replaced_only_when_asked(scene: Scene, tmp_path: Path, kept: str) -> None:
    words = (scene.film, tmp_path / "guesses", 3, 12, "--colour", "dice", "--proposals", 2)
    written = run(*words)
    for path in written:
        if path.name == kept:
            path.write_bytes(b"corrected by hand")
        else:
            path.unlink()
    with pytest.raises(VideoError, match=f"{kept} exists already.*--overwrite"):
        run(*words)
    assert [path.name for path in written if path.exists()] == [kept], "told before anything is painted"
    assert run(*words, "--overwrite") == written
    assert all(video.read_picture(path).size for path in written)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--colour", "kino", "--proposals", 3), "kino has no option 'seed'.*dice"),
        (("--colour", "dice", "--proposals", 1), "out of range"),
        (("--proposals", 3), "--colour kino"),
        (("--colour", "flow"), "--colour flow: flow itself needs"),
    ],
)
def test_what_cannot_be_proposed_is_told_before_the_film_is_read(
    words: tuple[Any, ...], why: str, scene: Scene
) -> None:
    with pytest.raises(MethodError, match=why):
        run(scene.film, scene.film.parent / "guesses", *words)
    assert not (scene.film.parent / "guesses").exists()


def test_of_a_film_in_colour_the_frames_must_be_named(tmp_path: Path) -> None:
    film = make_scene(tmp_path / "film.mkv", (8,), colour=(0,)).film
    with pytest.raises(HintError, match="in colour already"):
        run(film, tmp_path / "guesses", "--colour", "dice")
    assert len(run(film, tmp_path / "guesses", 2, "--colour", "dice")) == 1
