"""The main job, end to end on tiny films with known colours."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from rich.console import Console

import kinochrome
from kinochrome import color, pipeline, plan, progress, project, segments, video, weights
from kinochrome.errors import HintError, KinochromeError, MethodError, ProjectError, VideoError
from kinochrome.methods.flow import Flow
from kinochrome.methods.kino.network import Network, Shape
from kinochrome.types import Clip, Painted
from tests.film import grey_planes, make_film
from tests.scene import Scene, chroma_error, make_scene

ENCODER = {"pixel_format": "yuv420p"}


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return make_scene(tmp_path / "film.mkv", (20, 16))


def both_stills(scene: Scene, folder: Path) -> list[str]:
    return [f"{scene.still(folder, frame)}@{frame}" for frame in (0, 20)]


def colour(scene: Scene, target: Path, references: list[str], **settings: Any) -> pipeline.Summary:
    """By the quickest method, unless another is asked for: what is tested here is the way there and back."""
    settings = {"method": "flow", "references": references, "encoder": ENCODER} | settings
    return kinochrome.colorize(scene.film, target, **settings)


def decoded(film: Path) -> list[tuple[int, list[np.ndarray]]]:
    info = video.probe(film)
    frames = video.frames(info, video.scan(info))
    return [(f.pts, [f.luma.copy(), *(plane.copy() for plane in f.chroma or ())]) for f in frames]


def same_film(left: Path, right: Path) -> bool:
    pairs = zip(decoded(left), decoded(right), strict=True)
    return all(a == b and all(map(np.array_equal, x, y)) for (a, x), (b, y) in pairs)


def test_a_film_comes_out_in_colour_with_its_luma_untouched(scene: Scene, tmp_path: Path) -> None:
    before = scene.film.read_bytes()
    target = tmp_path / "colour.mkv"
    summary = colour(scene, target, both_stills(scene, tmp_path))
    film = decoded(target)
    assert summary.frames == len(film) == 36
    assert all(np.array_equal(planes[0], luma) for (_, planes), luma in zip(film, scene.luma, strict=True))
    assert [pts for pts, _ in film] == [pts for pts, _ in decoded(scene.film)]
    grey = np.mean([np.abs(plane - 128.0).mean() for pair in scene.chroma for plane in pair])
    assert chroma_error(scene, target) < 0.35 * grey
    assert chroma_error(scene, target, range(0, 1)) < 2.0
    assert [(shot.start, shot.stop, shot.in_colour) for shot in summary.shots] == [(0, 20, False), (20, 36, False)]
    assert all(shot.explained > 0.5 for shot in summary.shots)
    assert scene.film.read_bytes() == before
    assert not list(tmp_path.glob("*.kinochrome")), "the project folder goes when the film stands"


def test_a_shot_without_a_reference_borrows_the_most_alike_and_says_so(scene: Scene, tmp_path: Path) -> None:
    summary = colour(scene, tmp_path / "colour.mkv", both_stills(scene, tmp_path)[:1])
    assert "its own frame" in summary.shots[0].references[0]
    assert "borrowed from frame 0" in summary.shots[1].references[0]


def test_a_guess_explains_nothing(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pipeline, "EXPLAINED", 0.0)
    summary = colour(scene, tmp_path / "colour.mkv", [], method="kino")
    assert [(shot.explained, shot.references) for shot in summary.shots] == [(0.0, ())] * 2
    assert "no reference" in " ".join(summary.notes)
    progress.Progress(Console()).finish(summary)
    assert capsys.readouterr().out.count("guessed") == 2


def test_references_by_time_by_shot_and_without_a_place(scene: Scene, tmp_path: Path) -> None:
    first, second = scene.still(tmp_path, 0), scene.still(tmp_path, 20)
    summary = colour(scene, tmp_path / "a.mkv", [f"{first}@00:00:00.01", f"{second}@shot:2"])
    assert "its own frame" in summary.shots[0].references[0]
    assert "given for this shot" in summary.shots[1].references[0]
    summary = colour(scene, tmp_path / "b.mkv", [str(first)])
    assert all("whole film" in shot.references[0] for shot in summary.shots)


def test_pieces_agree_with_the_whole(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stills = [f"{scene.still(tmp_path, frame)}@{frame}" for frame in (0, 19, 20, 35)]
    colour(scene, tmp_path / "whole.mkv", stills)
    shorten(monkeypatch, 5)
    events: Counter[str] = Counter()
    colour(scene, tmp_path / "pieces.mkv", stills, report=lambda event, data: events.update([event]))
    assert events["piece"] >= 7
    assert events["backward"] > 0, "a later reference is brought back over the pieces"
    assert chroma_error(scene, tmp_path / "pieces.mkv") < chroma_error(scene, tmp_path / "whole.mkv") + 0.5


def shorten(monkeypatch: pytest.MonkeyPatch, longest: int) -> None:
    """Real pieces, only shorter: small films do not fill one otherwise."""
    whole = plan.clips.split
    monkeypatch.setattr(plan.clips, "split", lambda shots, _, overlap=1: whole(shots, longest, overlap))


def test_pieces_behind_a_long_dissolve_show_what_the_whole_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = make_scene(tmp_path / "film.mkv", (16, 18))
    listed = tmp_path / "shots.csv"
    listed.write_text("shot,start,stop,start_time,stop_time,fade,colour\n1,0,16,,,0,no\n2,16,34,,,4,no\n")
    settings: dict[str, Any] = {"method": "kino", "shots": listed}
    colour(scene, tmp_path / "whole.mkv", both_stills(scene, tmp_path), **settings)
    shorten(monkeypatch, 5)
    told: list[str] = []
    colour(scene, tmp_path / "pieces.mkv", both_stills(scene, tmp_path), **settings, report=lambda e, _: told.append(e))
    assert told.count("piece") == 6 + 1 + 4, "12 frames by two, the 9 of the dissolve, and 13 by four at most"
    pairs = zip(decoded(tmp_path / "whole.mkv"), decoded(tmp_path / "pieces.mkv"), strict=True)
    # One code: where a colour lies between two, the last digit of a float decides.
    assert max(np.abs(a.astype(int) - b).max() for (_, x), (_, y) in pairs for a, b in zip(x, y, strict=True)) <= 1


def test_a_stopped_run_goes_on_and_ends_the_same(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shorten(monkeypatch, 6)
    stills = both_stills(scene, tmp_path)
    colour(scene, tmp_path / "whole.mkv", stills)

    def stop(event: str, data: dict[str, Any]) -> None:
        if event == "piece" and data["start"] >= 12:
            raise KeyboardInterrupt

    target = tmp_path / "again.mkv"
    with pytest.raises(KeyboardInterrupt):
        colour(scene, target, stills, report=stop)
    assert not target.exists()
    kept = list((tmp_path / "again.mkv.kinochrome" / "segments").glob("*.mkv"))
    assert kept
    summary = colour(scene, target, stills)
    assert summary.resumed >= 10
    assert same_film(tmp_path / "whole.mkv", target)


@pytest.mark.parametrize(("failing", "method"), [("rendering", "flow"), ("rendering", "kino"), ("colouring", "flow")])
def test_whichever_half_fails_is_the_one_that_is_heard(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str, method: str
) -> None:
    references, threads = both_stills(scene, tmp_path), torch.get_num_threads()
    home, name = (pipeline.Renderer, "paint") if failing == "rendering" else (Flow, "colorize")
    real, seen = getattr(home, name), []

    def paint(*given: Any) -> Any:
        seen.append(threading.current_thread().name)
        if len(seen) == 4:
            raise VideoError("rendering failed")
        return real(*given)

    def colorize(method: Flow, clip: Clip) -> Iterator[Painted]:
        yield from islice(real(method, clip), 3)
        raise MethodError("colouring failed")

    with monkeypatch.context() as broken:
        broken.setattr(home, name, paint if failing == "rendering" else colorize)
        with pytest.raises(KinochromeError, match=f"{failing} failed"):
            colour(scene, tmp_path / "colour.mkv", references, method=method)
    assert set(seen) == ({"kinochrome-render_0"} if failing == "rendering" else set())
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("kinochrome")]
    assert torch.get_num_threads() == threads
    assert not (tmp_path / "colour.mkv").exists()
    assert colour(scene, tmp_path / "colour.mkv", references).resumed == 0


def test_what_is_stopped_while_rendering_lags_ends_with_the_frame_at_hand(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of a piece is coloured, and Ctrl-C comes while the first of its frames is still being rendered."""
    begun, stopped, rendered = threading.Event(), threading.Event(), []
    paint, colorize = pipeline.Renderer.paint, Flow.colorize

    def slow(*given: Any) -> Any:
        begun.set()
        assert stopped.wait(60)
        rendered.append(0)
        return paint(*given)

    def interrupted(method: Flow, clip: Clip) -> Iterator[Painted]:
        yield from list(colorize(method, clip))[:-1]
        assert begun.wait(60)
        stopped.set()
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline.Renderer, "paint", slow)
    monkeypatch.setattr(Flow, "colorize", interrupted)
    with pytest.raises(KeyboardInterrupt):
        colour(scene, tmp_path / "colour.mkv", both_stills(scene, tmp_path))
    assert len(rendered) <= 2
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("kinochrome")]


def test_shots_that_are_done_leave_no_memory_behind(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A film of many shots would fill the disk with it."""
    shorten(monkeypatch, 6)
    work = tmp_path / "work"
    colour(scene, tmp_path / "colour.mkv", both_stills(scene, tmp_path), project=work)
    left = [segments.read(path) for path in work.glob("segments/*.safetensors")]
    assert len(left) >= 7 and all(one and len(one.explained) for one in left)
    assert not any(one.boundary or one.carried for one in left if one)


def test_a_changed_reference_renders_only_its_shots_again(scene: Scene, tmp_path: Path) -> None:
    stills = both_stills(scene, tmp_path)
    work = tmp_path / "work"
    colour(scene, tmp_path / "colour.mkv", stills, project=work)
    before = {path.name: path.stat().st_mtime_ns for path in (work / "segments").iterdir()}
    other = scene.still(tmp_path, 21).rename(tmp_path / "still_000020.png")
    summary = colour(scene, tmp_path / "colour.mkv", [stills[0], f"{other}@20"], project=work, overwrite=True)
    after = {path.name: path.stat().st_mtime_ns for path in (work / "segments").iterdir()}
    assert summary.resumed == 20
    kept = {name for name in before if after.get(name) == before[name]}
    assert kept == {name for name in before if name.startswith("00000000")}
    assert len(after) == len(before), "segments of the old reference are gone"


@pytest.mark.parametrize(
    "change",
    [{"saturation": 0.5}, {"height": 32}, {"recolor": True}, {"encoder": {**ENCODER, "slices": "4"}}],
    ids=lambda change: next(iter(change)),
)
def test_the_key_holds_whatever_a_segment_depends_on(scene: Scene, tmp_path: Path, change: dict[str, Any]) -> None:
    stills = both_stills(scene, tmp_path)
    settings = {"references": stills, "encoder": ENCODER, "project": tmp_path / "work"}
    kinochrome.colorize(scene.film, tmp_path / "a.mkv", **settings)
    again = kinochrome.colorize(scene.film, tmp_path / "b.mkv", **settings)
    assert again.resumed == 36
    changed = kinochrome.colorize(scene.film, tmp_path / "c.mkv", **{**settings, **change})
    # A film without colour of its own is the same with and without --recolor.
    assert changed.resumed == (36 if "recolor" in change else 0)


def test_other_weights_under_the_same_name_colour_anew(scene: Scene, tmp_path: Path) -> None:
    shape, own = Shape((8, 8, 8, 8), 8), tmp_path / "own.safetensors"
    header = weights.Header("kino", {"widths": shape.widths, "key": shape.key}, "-", "-", "-")
    settings = {"method": "kino", "options": {"kino.weights": str(own)}, "project": tmp_path / "work"}
    resumed = []
    for name, is_new in {"a": True, "b": False, "c": True}.items():
        if is_new:
            weights.write(own, Network(shape).state_dict(), header)
        resumed.append(colour(scene, tmp_path / f"{name}.mkv", both_stills(scene, tmp_path), **settings).resumed)
    assert resumed == [0, 36, 0]


def test_each_shot_is_tuned_once_and_that_is_kept(scene: Scene, tmp_path: Path) -> None:
    stills, work = both_stills(scene, tmp_path), tmp_path / "work"
    settings: dict[str, Any] = {"method": "kino", "project": work, "overwrite": True}

    def tuned(name: str, **more: Any) -> tuple[list[tuple[int, int]], list[np.ndarray]]:
        heard: list[tuple[int, int]] = []

        def report(event: str, data: dict[str, Any]) -> None:
            heard.extend([(data["shot"], data["step"])] if event == "tune" else [])

        colour(scene, tmp_path / f"{name}.mkv", stills, report=report, **settings, **more)
        return heard, [planes[1] for _, planes in decoded(tmp_path / f"{name}.mkv")]

    heard, first = tuned("first", tune=3)
    assert heard == [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3)]
    for film in (work / "segments").glob("*.mkv"):
        film.unlink()
    heard, again = tuned("again", tune=3)
    assert heard == [], "what was learned is kept with the shot"
    assert all(map(np.array_equal, first, again))
    _, plain = tuned("plain")
    assert not all(map(np.array_equal, first, plain))


def test_a_method_that_learns_nothing_cannot_be_tuned(scene: Scene, tmp_path: Path) -> None:
    with pytest.raises(MethodError, match=r"flow has nothing to tune.*--method kino"):
        colour(scene, tmp_path / "colour.mkv", both_stills(scene, tmp_path), method="flow", tune=5)
    with pytest.raises(MethodError, match="--tune -1 is out of range"):
        colour(scene, tmp_path / "colour.mkv", both_stills(scene, tmp_path), method="kino", tune=-1)


def test_a_range_of_the_film(scene: Scene, tmp_path: Path) -> None:
    target = tmp_path / "part.mkv"
    summary = colour(scene, target, both_stills(scene, tmp_path), start="0.5", stop="1")
    assert summary.frames == 12
    assert [shot.number for shot in summary.shots] == [1, 2]
    film = decoded(target)
    assert all(np.array_equal(planes[0], luma) for (_, planes), luma in zip(film, scene.luma[12:24], strict=True))
    with pytest.raises(VideoError, match=r"leave no frame.*1\.50 seconds"):
        colour(scene, tmp_path / "none.mkv", both_stills(scene, tmp_path), start="9")


def test_saturation_scales_and_none_is_grey(scene: Scene, tmp_path: Path) -> None:
    stills = both_stills(scene, tmp_path)
    spread = {}
    for saturation in (0.0, 0.5, 1.0):
        target = tmp_path / f"{saturation}.mkv"
        colour(scene, target, stills, saturation=saturation)
        spread[saturation] = np.mean([np.abs(p - 128.0).mean() for _, planes in decoded(target) for p in planes[1:]])
    assert spread[0.0] == 0
    assert spread[0.5] == pytest.approx(spread[1.0] / 2, rel=0.15)


def test_parts_in_colour_are_left_as_they_are(tmp_path: Path) -> None:
    scene = make_scene(tmp_path / "film.mkv", (20, 16), colour=(1,))
    stills = [f"{scene.still(tmp_path, 0)}@0"]
    summary = colour(scene, tmp_path / "kept.mkv", stills)
    assert [shot.in_colour for shot in summary.shots] == [False, True]
    pairs = zip(decoded(tmp_path / "kept.mkv")[20:], decoded(scene.film)[20:], strict=True)
    assert all(all(map(np.array_equal, a, b)) for (_, a), (_, b) in pairs)
    summary = colour(scene, tmp_path / "recoloured.mkv", stills, recolor=True)
    assert not any(shot.in_colour for shot in summary.shots)


def test_the_confidence_film_is_low_where_nothing_explains(tmp_path: Path) -> None:
    scene = make_scene(tmp_path / "film.mkv", (20, 16))
    colour(scene, tmp_path / "colour.mkv", both_stills(scene, tmp_path)[:1], confidence=tmp_path / "sure.mkv")
    light = [planes[0].mean() for _, planes in decoded(tmp_path / "sure.mkv")]
    assert len(light) == 36
    assert np.mean(light[:20]) > np.mean(light[20:]) + 40


def test_a_dissolve_does_not_pop(tmp_path: Path) -> None:
    scene = make_scene(tmp_path / "film.mkv", (18, 18))
    listed = tmp_path / "shots.csv"
    listed.write_text("shot,start,stop,start_time,stop_time,fade,colour\n1,0,18,,,0,no\n2,18,36,,,6,no\n")
    stills = [f"{scene.still(tmp_path, frame)}@{frame}" for frame in (0, 35)]
    summary = colour(scene, tmp_path / "colour.mkv", stills, shots=listed)
    assert [(shot.start, shot.stop) for shot in summary.shots] == [(0, 18), (18, 36)]
    film = decoded(tmp_path / "colour.mkv")
    assert len(film) == 36
    steps = [np.abs(a[1].astype(float) - b[1]).mean() for (_, a), (_, b) in pairwise(film)]
    assert max(steps[11:24]) < 0.5 * sum(steps[11:24]), "the change is spread over the dissolve"


def test_pictures_in_and_out(scene: Scene, tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    summary = kinochrome.colorize(scene.film, folder / "%06d.png", references=both_stills(scene, tmp_path))
    assert summary.frames == len(list(folder.glob("*.png"))) == 36
    codes = [np.round(video.read_picture(path) * 255).astype(np.uint8) for path in sorted(folder.glob("*.png"))]
    lumas = [color.luma_from_rgb(rgb, scene.info.matrix).astype(float) for rgb in codes]
    full = [np.round((luma.astype(float) - 16) * 255 / 219) for luma in scene.luma]
    assert max(np.abs(a - b).max() for a, b in zip(lumas, full, strict=True)) <= 1


def test_pictures_at_the_rate_of_an_old_camera(scene: Scene, tmp_path: Path) -> None:
    stills = both_stills(scene, tmp_path)
    colour(scene, tmp_path / "grey" / "%06d.png", stills, saturation=0, encoder={})
    kinochrome.colorize(tmp_path / "grey", tmp_path / "slow.mkv", method="flow", references=stills, rate=16)
    info = video.probe(tmp_path / "slow.mkv")
    table = video.scan(info)
    assert info.rate == 16
    assert float((table.stop_pts - table.pts[0]) * info.time_base) == pytest.approx(36 / 16, abs=0.01)


def test_pictures_of_another_pattern_from_the_same_project(scene: Scene, tmp_path: Path) -> None:
    stills, work = both_stills(scene, tmp_path), tmp_path / "work"
    for target in ("a/%06d.png", "b/%04d.png"):
        colour(scene, tmp_path / target, stills, project=work, encoder={})
    assert sorted(path.name for path in (tmp_path / "b").iterdir()) == [f"{n:04d}.png" for n in range(36)]


def test_pictures_of_confidence_spare_a_folder_that_is_there(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "sure").mkdir()
    (tmp_path / "sure" / "000000.png").write_text("mine")
    stills = both_stills(scene, tmp_path)
    with pytest.raises(VideoError, match="sure exists already"):
        colour(scene, tmp_path / "a.mkv", stills, confidence=tmp_path / "sure" / "%06d.png")
    with pytest.raises(VideoError, match="its own name or folder"):
        colour(scene, tmp_path / "new" / "%06d.png", stills, confidence=tmp_path / "new" / "c%06d.png", encoder={})


def test_a_reference_with_brackets_is_not_written_over(scene: Scene, tmp_path: Path) -> None:
    still = scene.still(tmp_path, 0)
    (tmp_path / "f").mkdir()
    given = still.rename(tmp_path / "f" / "x[1]_000000.png")
    before = given.read_bytes()
    with pytest.raises(VideoError, match="could be written over"):
        colour(scene, tmp_path / "f" / "x[1]_%06d.png", [f"{given}@0"], overwrite=True, encoder={})
    assert given.read_bytes() == before


def test_a_shot_in_colour_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = make_scene(tmp_path / "film.mkv", (30,), colour=(0,))
    monkeypatch.setattr(Flow, "longest", 12)

    def stop_late(event: str, data: dict[str, Any]) -> None:
        if event == "piece" and data["start"] > 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        colour(scene, tmp_path / "a.mkv", [], report=stop_late)
    assert colour(scene, tmp_path / "a.mkv", []).resumed > 0


def test_a_grey_reference_is_noted(scene: Scene, tmp_path: Path) -> None:
    video.write_picture(tmp_path / "grey.png", np.repeat(scene.luma[0][..., None], 3, 2))
    summary = colour(scene, tmp_path / "a.mkv", [*both_stills(scene, tmp_path)[1:], f"{tmp_path / 'grey.png'}@0"])
    assert [note for note in summary.notes if "is grey" in note] == [
        f"--reference {tmp_path / 'grey.png'}@0 is grey, and says that all it shows is grey."
    ]


def test_pictures_of_an_earlier_run_that_stay_are_noted(scene: Scene, tmp_path: Path) -> None:
    stills = both_stills(scene, tmp_path)
    for settings in ({}, {"stop": 0.5, "overwrite": True}):
        summary = colour(scene, tmp_path / "frames" / "%06d.png", stills, encoder={}, **settings)
    assert f"{tmp_path / 'frames'} keeps 24 other pictures of that name, such as 000012.png." in summary.notes


def test_values_that_python_writes_without_quotes(scene: Scene, tmp_path: Path) -> None:
    settings = {"options": {"vcgan.recurrent": False}, "encoder": {"crf": 30}, "method": "vcgan"}
    kinochrome.colorize(scene.film, tmp_path / "a.mp4", references=None, **settings)
    for name in ("height", "saturation", "tune"):
        with pytest.raises(MethodError, match=f"{name}='x'"):
            colour(scene, tmp_path / "b.mp4", [], **{name: "x"})


def test_a_preview_of_a_film_of_odd_size(tmp_path: Path) -> None:
    film = make_film(tmp_path / "odd.mkv", grey_planes(4, (243, 321), "gray"), "gray")
    kinochrome.colorize(film, tmp_path / "look.mp4", preview=True)
    assert video.probe(tmp_path / "look.mp4").height % 2 == 0


def test_a_preview_of_pictures_has_its_sheet_beside_them(scene: Scene, tmp_path: Path) -> None:
    summary = colour(scene, tmp_path / "e" / "%04d.png", both_stills(scene, tmp_path), preview=True, encoder={})
    assert summary.sheet == tmp_path / "e.sheet.png" and summary.sheet.exists()


def test_a_preview_is_small_and_has_a_sheet(scene: Scene, tmp_path: Path) -> None:
    target = tmp_path / "look.mp4"
    summary = kinochrome.colorize(scene.film, target, references=both_stills(scene, tmp_path), preview=True)
    assert summary.sheet == tmp_path / "look.sheet.png"
    assert video.read_picture(summary.sheet).std() > 0.05


def test_sound_is_kept_packet_for_packet(tmp_path: Path) -> None:
    scene = make_scene(tmp_path / "film.mkv", (12, 12), audio=True)
    colour(scene, tmp_path / "colour.mkv", [f"{scene.still(tmp_path, 0)}@0"])

    def packets(film: Path) -> list[bytes]:
        with av.open(str(film)) as container:
            return [bytes(packet) for packet in container.demux(audio=0) if packet.size]

    assert packets(tmp_path / "colour.mkv") == packets(scene.film) != []


class TestBadInput:
    """Each is told before anything is coloured, and nothing bears the target's name."""

    @pytest.fixture(autouse=True)
    def nothing_is_left(self, tmp_path: Path) -> Any:
        yield
        assert not (tmp_path / "colour.mkv").exists()

    def test_no_source(self, tmp_path: Path) -> None:
        with pytest.raises(VideoError, match=r"none\.mp4 does not exist"):
            kinochrome.colorize(tmp_path / "none.mp4", tmp_path / "colour.mkv")

    def test_the_target_is_the_source(self, scene: Scene, tmp_path: Path) -> None:
        (tmp_path / "link.mkv").symlink_to(scene.film)
        for target in (scene.film, tmp_path / "link.mkv"):
            with pytest.raises(VideoError, match="is the source itself"):
                colour(scene, target, [], overwrite=True)
        assert scene.film.stat().st_size > 1000

    def test_the_target_exists(self, scene: Scene, tmp_path: Path) -> None:
        (tmp_path / "there.mkv").write_text("precious")
        with pytest.raises(VideoError, match="--overwrite"):
            colour(scene, tmp_path / "there.mkv", [])
        assert (tmp_path / "there.mkv").read_text() == "precious"

    def test_no_folder_for_the_target(self, scene: Scene, tmp_path: Path) -> None:
        with pytest.raises(VideoError, match=r"does not exist. Create it"):
            colour(scene, tmp_path / "no" / "colour.mkv", [])

    def test_a_folder_that_cannot_be_written(self, scene: Scene, tmp_path: Path) -> None:
        blocked = tmp_path / "file"
        blocked.write_text("not a folder")
        with pytest.raises(VideoError, match=r"cannot be written|is not a folder"):
            colour(scene, tmp_path / "colour.mkv", both_stills(scene, tmp_path), project=blocked / "work")

    def test_no_reference(self, scene: Scene, tmp_path: Path) -> None:
        with pytest.raises(MethodError, match=r"needs a reference, and shot 1, 2.*--reference"):
            colour(scene, tmp_path / "colour.mkv", [])

    def test_a_reference_beyond_the_end(self, scene: Scene, tmp_path: Path) -> None:
        still = scene.still(tmp_path, 0)
        with pytest.raises(HintError, match=r"frame 36 lies beyond the end.*0 to 35"):
            colour(scene, tmp_path / "colour.mkv", [f"{still}@36"])
        with pytest.raises(HintError, match="beyond the end"):
            colour(scene, tmp_path / "colour.mkv", [f"{still}@00:01:00"])
        with pytest.raises(HintError, match="no shot 3"):
            colour(scene, tmp_path / "colour.mkv", [f"{still}@shot:3"])

    def test_an_unreadable_reference(self, scene: Scene, tmp_path: Path) -> None:
        (tmp_path / "bad.png").write_bytes(b"not a picture")
        with pytest.raises((VideoError, HintError), match=r"bad\.png"):
            colour(scene, tmp_path / "colour.mkv", [f"{tmp_path / 'bad.png'}@0"])
        with pytest.raises((VideoError, HintError), match=r"missing\.png"):
            colour(scene, tmp_path / "colour.mkv", [f"{tmp_path / 'missing.png'}@0"])

    def test_two_references_for_one_frame(self, scene: Scene, tmp_path: Path) -> None:
        a, b = scene.still(tmp_path, 0), scene.still(tmp_path, 1)
        with pytest.raises(HintError, match="both claim frame 0"):
            colour(scene, tmp_path / "colour.mkv", [f"{a}@0", f"{b}@00:00:00"])

    @pytest.mark.parametrize(
        ("settings", "words"),
        [
            ({"method": "flwo"}, "flow"),
            ({"method": "flow,flow"}, "makes nothing of a draft"),
            ({"options": {"flow.speed": "9"}}, "has no option 'speed'"),
            ({"options": {"speed": "9"}}, "METHOD.OPTION=VALUE"),
            ({"device": "abacus"}, "auto, cpu, cuda or mps"),
            ({"saturation": -1.0}, "out of range"),
            ({"height": 2}, "too small"),
            ({"preset": "wbe"}, "web"),
            ({"colour": "more"}, "knows no setting 'colour'"),
        ],
    )
    def test_unknown_words(self, scene: Scene, tmp_path: Path, settings: dict[str, Any], words: str) -> None:
        with pytest.raises(MethodError, match=words):
            colour(scene, tmp_path / "colour.mkv", both_stills(scene, tmp_path), **settings)

    def test_a_project_of_another_film_or_version(self, scene: Scene, tmp_path: Path) -> None:
        stills = both_stills(scene, tmp_path)
        colour(scene, tmp_path / "first.mkv", stills, project=tmp_path / "work")
        other = make_scene(tmp_path / "other.mkv", (8,))
        with pytest.raises(ProjectError, match="belongs to another film"):
            colour(other, tmp_path / "colour.mkv", stills[:1], project=tmp_path / "work")
        path = tmp_path / "work" / "project.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "version": project.VERSION + 1}))
        with pytest.raises(ProjectError, match="newer Kinochrome"):
            colour(scene, tmp_path / "colour.mkv", stills, project=tmp_path / "work")

    def test_a_target_that_cannot_hold_the_sound(self, tmp_path: Path) -> None:
        scene = make_scene(tmp_path / "film.mkv", (8,), audio=True)
        with pytest.raises(VideoError, match=r"\.mkv"):
            kinochrome.colorize(scene.film, tmp_path / "colour.webm", references=[f"{scene.still(tmp_path, 0)}@0"])

    def test_too_little_space(self, scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        usage = plan.shutil.disk_usage(tmp_path)
        monkeypatch.setattr(plan.shutil, "disk_usage", lambda place: usage._replace(free=1000))
        with pytest.raises(VideoError, match=r" 1 kB free; about .* kB are needed.*--project"):
            colour(scene, tmp_path / "colour.mkv", both_stills(scene, tmp_path))

    def test_what_stands_already_needs_no_space(
        self, scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stills, work = both_stills(scene, tmp_path), tmp_path / "work"
        colour(scene, tmp_path / "first.mkv", stills, project=work)
        usage, asked = plan.shutil.disk_usage(tmp_path), []
        monkeypatch.setattr(plan.shutil, "disk_usage", lambda place: usage._replace(free=1000))
        for folder in ("work", "other"):
            with pytest.raises(VideoError, match="are needed") as error:
                colour(scene, tmp_path / "second.mkv", stills, project=tmp_path / folder)
            asked.append(float(str(error.value).partition("about ")[2].split()[0]))
        assert asked[0] < 0.8 * asked[1]


def test_handovers_come_back_as_they_were(tmp_path: Path) -> None:
    import torch

    from kinochrome.types import Painted

    def painted(seed: int) -> Painted:
        generator = torch.Generator().manual_seed(seed)
        return Painted(torch.randn(2, 5, 7, generator=generator), torch.rand(1, 5, 7, generator=generator))

    handover = segments.Handover(
        (painted(0), painted(1)), ({"memory.keys": torch.arange(6.0)}, None), (painted(2),) * 3, torch.tensor([0.25])
    )
    segments.write(handover, tmp_path / "a.safetensors")
    back = segments.read(tmp_path / "a.safetensors")
    assert back is not None
    assert torch.equal(back.carried[0]["memory.keys"], torch.arange(6.0))
    assert back.carried[1] is None
    assert back.explained.tolist() == [0.25]
    assert len(back.tail) == 3
    for one, other in zip(handover.boundary + handover.tail, back.boundary + back.tail, strict=True):
        assert torch.equal(one.ab, other.ab)
        assert torch.equal(one.confidence, other.confidence)
    assert segments.read(tmp_path / "none.safetensors") is None
