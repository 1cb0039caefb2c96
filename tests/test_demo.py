"""The demo's film is what it says, its scores are right, and the whole of it runs."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from rich.console import Console

from kinochrome import color, demo, scenery, sheet, video
from kinochrome.types import Frame, VideoInfo

HEIGHT, SHOT = 72, 8


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> demo.DemoFilm:
    return demo.render_film(tmp_path_factory.mktemp("demo"), HEIGHT, SHOT)


def frames_of(path: Path) -> tuple[VideoInfo, list[Frame]]:
    info = video.probe(path)
    return info, list(video.frames(info, video.scan(info)))


def test_the_film_is_the_truth_without_its_colour(made: demo.DemoFilm) -> None:
    _, film = frames_of(made.film)
    _, truth = frames_of(made.truth)
    assert len(film) == len(truth) == 4 * SHOT == made.shots[-1].stop
    for grey, real in zip(film, truth, strict=True):
        assert (grey.luma == real.luma).all()
        assert all((plane == 128).all() for plane in grey.chroma or ())
        assert all(plane.std() > 4 for plane in real.chroma or (np.zeros(1),))


def test_the_references_are_frames_of_the_truth(made: demo.DemoFilm) -> None:
    info, truth = frames_of(made.truth)
    for (path, number), shot in zip(made.references, made.shots, strict=True):
        assert shot.start <= number < shot.stop
        picture = np.rint(video.read_picture(path) * 255).astype(np.uint8)
        assert (picture == sheet.picture_of(truth[number], info)).all()
    assert made.hints[1] == f"{made.references[1][0]}@{made.references[1][1]}"


def test_rendering_again_replaces_it_with_the_same(made: demo.DemoFilm) -> None:
    before = {path.name: path.read_bytes() for path in made.film.parent.glob("*.png")}
    _, film = frames_of(made.film)
    assert demo.render_film(made.film.parent, HEIGHT, SHOT) == made
    assert before == {path.name: path.read_bytes() for path in made.film.parent.glob("*.png")}
    assert all((a.luma == b.luma).all() for a, b in zip(film, frames_of(made.film)[1], strict=True))


def test_nothing_unfinished_is_left(made: demo.DemoFilm) -> None:
    names = {path.name for path in made.film.parent.iterdir()}
    assert names == {"film.mkv", "truth.mkv", *(f"reference-{n}.png" for n in (1, 2, 3, 4))}


def test_cuts_are_hard_but_the_last_which_dissolves(made: demo.DemoFilm) -> None:
    _, truth = frames_of(made.truth)
    change = [float(np.abs(a.luma.astype(float) - b.luma).mean()) for a, b in pairwise(truth)]
    cuts = [change[shot.start - 1] for shot in made.shots[1:]]
    within = np.median(change)
    assert min(cuts[:2]) > 2.5 * within
    assert cuts[2] < 0.7 * min(cuts[:2]) and made.shots[-1].fade


def test_every_frame_of_a_shot_has_one_weight_in_all(made: demo.DemoFilm) -> None:
    shares = np.array([[demo._share(made.shots, i, number) for i in range(4)] for number in range(4 * SHOT)])
    assert np.allclose(shares.sum(1), 1) and shares.min() >= 0
    assert shares[made.shots[-1].start, 3] == pytest.approx(0.5, abs=0.26)


def test_the_sound_clicks_where_a_shot_begins(made: demo.DemoFilm) -> None:
    with av.open(str(made.film)) as film:
        blocks = [frame.to_ndarray().reshape(-1, 2) for frame in film.decode(audio=0)]
    sound = np.concatenate(blocks).astype(float)
    assert len(sound) == 4 * SHOT * demo.SOUND_RATE // demo.RATE, "as long as the picture"
    rough = np.abs(np.diff(sound[:, 0], 2))
    for shot in made.shots[1:]:
        start = shot.start * demo.SOUND_RATE // demo.RATE
        loudest = start - 2000 + int(np.argmax(rough[start - 2000 : start + 2000]))
        assert start - 3 <= loudest <= start + 240


def test_the_same_seed_gives_the_same_film() -> None:
    size = (48, 84)
    for scene in scenery.SCENES:
        assert (scene(*size, 3).picture(0.5) == scene(*size, 3).picture(0.5)).all()
    first, other = (scenery.Harbour(*size, seed).picture(0.5) for seed in (3, 4))
    assert np.abs(first - other).mean() > 0.005


@pytest.mark.parametrize("scene", scenery.SCENES)
def test_colour_does_not_follow_from_brightness(scene: type) -> None:
    picture = scenery.develop(scene(90, 160, 7).picture(0.6))
    luma, (cb, cr) = color.planes_from_rgb(np.rint(picture * 255).astype(np.uint8))
    bins = luma // 8
    spread = []
    for value in np.unique(bins):
        inside = bins == value
        if inside.sum() > 100:
            spread.append(math.hypot(cb[inside].std(), cr[inside].std()) * inside.mean())
    assert sum(spread) > 9, "codes of chroma that luma alone cannot tell"


@pytest.mark.parametrize("scene", scenery.SCENES)
def test_scenes_move(scene: type) -> None:
    one = scene(48, 84, 7)
    early, late = (scenery.develop(one.picture(time)) for time in (0.2, 1.2))
    assert np.abs(early - late).mean() > 0.02


def test_psnr() -> None:
    black = np.zeros((4, 4, 3), np.uint8)
    assert demo.psnr(black, black) == math.inf
    assert demo.psnr(black + np.uint8(255), black) == pytest.approx(0)
    assert demo.psnr(black + np.uint8(16), black) == pytest.approx(24.05, abs=0.01)


def test_the_truth_scores_highest_and_the_film_as_it_is_scores_as_grey(made: demo.DemoFilm, tmp_path: Path) -> None:
    of_truth = demo.compare(made, made.truth, tmp_path / "sheet.png")
    assert all(score.colour == math.inf and score.same_luma for score in of_truth)
    assert all(score.copy == math.inf for score in of_truth if score.frame in {frame for _, frame in made.references})
    of_film = demo.compare(made, made.film, tmp_path / "sheet.png")
    assert all(score.colour == score.grey for score in of_film)
    assert video.read_picture(tmp_path / "sheet.png").shape[1] == 1344


def test_the_whole_demo(tmp_path: Path) -> None:
    with (tmp_path / "told.txt").open("w") as told:
        scores = demo.run(tmp_path / "demo", Console(file=told, width=200), HEIGHT, SHOT)
    text = (tmp_path / "told.txt").read_text()
    for name in ("film.mkv", "colour.mkv", "before-after.mp4", "contact-sheet.png", "truth.mkv", "reference-1.png"):
        assert (tmp_path / "demo" / name).stat().st_size > 500
        assert name in text
    assert len(scores) == 4 * SHOT and all(score.same_luma for score in scores)
    grey, copy, colour = (
        np.mean([getattr(s, name) for s in scores if s.copy < 99]) for name in ("grey", "copy", "colour")
    )
    assert colour > copy > grey
    assert f"{colour:.2f}" in text and f"{copy:.2f}" in text
    info, both = frames_of(tmp_path / "demo" / "before-after.mp4")
    assert len(both) == 4 * SHOT and info.width == 2 * 128
