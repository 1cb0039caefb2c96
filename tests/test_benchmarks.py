"""The benchmarks run, on films so small that their figures mean nothing; no timing decides a test."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks import blocks, experts

from kinochrome import weights
from kinochrome.evaluation import footage
from kinochrome.evaluation.evaluate import Job, evaluate
from kinochrome.methods.lstvc import Lstvc, LstvcOptions
from kinochrome.methods.lstvc.network import Network, Shape
from kinochrome.types import Clip
from tests.film import make_film
from tests.scene import make_scene

ROOT = Path(__file__).parent.parent


def printed(name: str, *options: str) -> list[list[str]]:
    """The words of each line that a benchmark prints."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, str(ROOT / "benchmarks" / f"{name}.py"), *options]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert not done.returncode, done.stderr
    return [line.split() for line in done.stdout.splitlines()]


def make_clip(folder: Path, frames: int) -> None:
    """True colour frames of a drawn scene."""
    folder.mkdir(parents=True)
    scene = make_scene(folder.with_suffix(".mkv"), (frames,))
    for frame in range(frames):
        scene.still(folder, frame).rename(folder / f"{frame:05d}.png")
    scene.film.unlink()


def test_speed_compares_the_main_path_with_coding_alone() -> None:
    lines = printed("speed", "--sizes", "96x64,64x48", "--frames", "6", "--repeats", "1")
    assert [line[:4] for line in lines[1:]] == [
        [f"{size},", "6", "frames", way] for size in ("96x64", "64x48") for way in ("colorize", "alone", "PyAV")
    ]
    assert all(float(line[6]) == 1 for line in lines[1:] if line[3] == "alone")
    assert all(float(line[4]) >= 0 for line in lines[1:])


@pytest.mark.skipif(sys.platform == "win32", reason="the system does not tell a process's peak this way")
def test_memory_tells_a_peak_for_each_length() -> None:
    lines = printed("memory", "--size", "64x48", "--drawn", "8", "--minutes", "0.005,0.02")
    assert [line[:4] for line in lines[1:]] == [["64x48,", "0.005", "min", "8"], ["64x48,", "0.02", "min", "32"]]
    assert all(float(line[5]) > 50 for line in lines[1:]), "a process with torch takes more than 50 MB"


def test_footage_tells_flicker_and_bleeding_from_steady_colours(tmp_path: Path) -> None:
    """A still picture, coloured three times: steadily, with colours that flicker, and with an edge where none is."""
    random = np.random.default_rng(1)
    luma = np.kron(random.integers(60, 200, (6, 8), np.uint8), np.ones((16, 16), np.uint8))
    across = np.arange(128) // 16 % 2 * 60
    for name in ("grey", "steady", "flickers", "bleeds"):
        planes = []
        for frame in range(6):
            blue = np.full_like(luma, 128)
            blue += np.uint8(0 if name == "grey" else 40 + (20 * (frame % 2) if name == "flickers" else 0))
            if name == "bleeds":
                blue = np.broadcast_to(98 + np.roll(across, 8), luma.shape).astype(np.uint8)
            planes.append((luma, blue, np.full_like(luma, 128)))
        make_film(tmp_path / f"{name}.mkv", planes, "yuv444p")
    films = [str(tmp_path / f"{name}.mkv") for name in ("steady", "flickers", "bleeds")]
    lines = printed("footage", "--film", str(tmp_path / "grey.mkv"), *films)
    along, flicker, bleed, chroma = (dict(zip(("steady", "flickers", "bleeds"), column, strict=True))
        for column in zip(*([float(word) for word in line[1:]] for line in lines[1:]), strict=True))  # fmt: skip
    assert along["steady"] < 0.1 < along["flickers"] and flicker["steady"] < 0.1 < flicker["flickers"]
    assert bleed["steady"] < 0.1 < bleed["bleeds"] and chroma["steady"] > 10


def test_scoring_tells_reading_from_scoring_and_every_part() -> None:
    lines = printed("scoring", "--size", "96x64", "--frames", "3", "--repeats", "1")
    assert [line[0] for line in lines[1:3]] == ["read", "score"]
    assert float(lines[1][3]) == 1 and float(lines[2][3]) > 1
    shown = {" ".join(line[:-2]): float(line[-2]) for line in lines[4:]}
    assert {"motion of the truth", "motion of the result", "CIELAB", "ssim", "delta_e", "warp_error"} <= set(shown)
    assert not any(name.startswith(("lpips", "fid", "data_fidelity")) for name in shown)
    assert list(shown.values()) == sorted(shown.values(), reverse=True)


def test_quality_scores_references_above_grey_and_tells_what_colour_is_kept(tmp_path: Path) -> None:
    make_clip(tmp_path / "data" / "clip", 6)
    words = printed("quality", "--data", str(tmp_path / "data"))
    assert [line[0] for line in words] == ["clip", "clip", "mean"]
    grey, _, first, inner, both, _, _, colour = (float(word) for word in words[1][1:])
    assert grey + 3 < first and inner <= both and 80 < colour < 120
    looped = printed("quality", "--data", str(tmp_path / "data"), "--loop", "45")
    assert looped[1][0] == "clip" and float(looped[1][2]) > grey


def untrained(file: Path) -> str:
    """Weights by chance of a tiny lstvc."""
    shape = Shape(levels=(8, 8, 8, 8), high=12, token=12, feed=16, joined=12, head=8, blocks=1, drawing=(8, 8, 8))
    torch.manual_seed(0)
    network = Network(shape)
    weights.write(file, network.state_dict(), weights.Header("lstvc", asdict(shape), "none", "untrained", "none"))
    return str(file)


def test_blocks_tells_figures_as_evaluate_does_and_how_colours_change(tmp_path: Path) -> None:
    make_clip(tmp_path / "data" / "clip", 8)
    file = untrained(tmp_path / "untrained.safetensors")
    [clip] = footage.find(tmp_path / "data")
    method = Lstvc(LstvcOptions(weights=file))
    found = blocks.measure(clip, method, 2, 7)
    assert list(found) == ["1", "2", "3 linked", "3 alone", "truth"]

    film = blocks.film_of(clip, 7, method)

    def colours(**options: int) -> list[torch.Tensor]:
        way = Lstvc(LstvcOptions(weights=file, **options))
        return [one.ab for one in way.colorize(Clip(0, 0, film.lightness, (film.reference,)))][1:]

    single = torch.stack(colours(block=1))
    for row, options in {"1": {"block": 1}, "2": {"block": 2}, "3 linked": {}, "3 alone": {"linkage": False}}.items():
        change = float((torch.stack(colours(**options)) - single).abs().mean())
        assert found[row]["change"] == pytest.approx(change, rel=1e-3, abs=1e-7) and found[row]["ms"] > 0
        assert (change > 1e-4) == (row != "1"), "an untrained network heeds its neighbours, too"

    (tmp_path / "data" / "clip" / "00007.png").unlink()
    measured = ("psnr", "cdc", "colorfulness", "warp_error", "fade")
    for linkage, row in (("true", "3 linked"), ("false", "3 alone")):
        options = {"lstvc.weights": file, "lstvc.linkage": linkage}
        job = Job(tmp_path / "data", tmp_path / linkage, "first-frame", ("lstvc",), metrics=measured, options=options)
        means = evaluate(job).means
        assert {name: found[row][name] for name in measured} == pytest.approx(means["lstvc"], rel=1e-6)
        assert found["truth"] == pytest.approx({name: means["truth"][name] for name in measured[1:4]})


def test_blocks_prints_the_means_of_clips(tmp_path: Path) -> None:
    file = untrained(tmp_path / "untrained.safetensors")
    for name, frames in (("long", 8), ("short", 3), ("other", 2)):
        make_clip(tmp_path / "data" / name, frames)
    options = "--data", str(tmp_path / "data"), "--clip", "long", "--clip", "short", "--frames", "6"
    lines = printed("blocks", *options, "--weights", file, "--most", "1", "--device", "cpu")
    assert [line[:-7] for line in lines[1:]] == [["1"], [], ["3", "linked"], ["3", "alone"], ["truth"]]
    rows = {" ".join(line[:-7]): line[-7:] for line in lines[1:]}
    assert rows["1"][-1] == "0.000" and rows["truth"][0] == rows["truth"][-1] == "-"

    method = Lstvc(LstvcOptions(weights=file))
    clips = footage.find(tmp_path / "data", ("long", "short"))
    found = [blocks.measure(clip, method, 1, 6) for clip in clips]
    for row in ("1", "3 linked", "3 alone"):
        psnr, fade = (np.mean([one[row][name] for one in found]) for name in ("psnr", "fade"))
        assert float(rows[row][0]) == pytest.approx(psnr, abs=0.02)
        assert float(rows[row][4]) == pytest.approx(fade, abs=0.05 + 1e-3 * abs(fade))
        # Three frames are too few for this one.
        assert found[1][row]["cdc"] is None
        assert float(rows[row][1]) == pytest.approx(1000 * found[0][row]["cdc"], abs=0.02)


def test_experts_compares_them_with_older_ways() -> None:
    lines = printed("experts", "--scenes", "2", "--size", "96x64")
    names = ["edges of the eyes", "borders of segments", "Sobel", "Canny", "random"]
    assert [" ".join(line[:-4]) for line in lines[1:]] == names
    for line in lines[1:]:
        precision, recall, found, _ = map(float, line[-4:])
        assert found == pytest.approx(2 * precision * recall / max(precision + recall, 1e-9), abs=2e-3)
    floor = float(lines[-1][-2])
    assert 0 < floor < 0.9 and all(float(line[-2]) > floor for line in lines[3:5]), "Sobel and Canny see something"


def test_the_f_measure_of_lines_by_hand() -> None:
    true = np.zeros((40, 60), bool)
    true[:, 20] = True

    def of(found: np.ndarray) -> tuple[float, float, float]:
        return experts.f_measure(experts.counts(found, true, 3.5))

    assert of(true) == of(np.roll(true, 1, 1)) == of(np.roll(true, -3, 1)) == pytest.approx((1, 1, 1))
    assert of(np.roll(true, 10, 1)) == of(np.zeros_like(true)) == (0, 0, 0)
    half = true.copy()
    half[17:] = False
    # 17 of 40, and the three just below them.
    assert of(half) == pytest.approx((1, 0.5, 2 / 3))
    assert of(true | np.roll(true, 10, 1)) == pytest.approx((0.5, 1, 2 / 3))
    everywhere = of(np.ones_like(true))
    assert everywhere == pytest.approx((7 / 60, 1, 14 / 67))


def test_the_scenes_of_experts_know_their_borders() -> None:
    lightness, owners = experts.make_scene(np.random.default_rng(3), (96, 128))
    again, _ = experts.make_scene(np.random.default_rng(3), (96, 128))
    assert np.array_equal(lightness, again) and lightness.dtype == np.float32
    assert 5 < len(np.unique(owners)) <= 15 and 0 <= lightness.min() < lightness.max() <= 100
    two = np.zeros((4, 6), int)
    two[1:, 3:] = 1
    assert experts.borders(two).tolist() == [
        [False, False, False, True, True, True],
        *3 * [[False, False, True, False, False, False]],
    ]


@pytest.mark.parametrize("turned", [False, True])
def test_a_line_of_experts_is_as_thin_as_it_can_be(turned: bool) -> None:
    strength = np.tile(0.9 * np.exp(-((np.arange(21) - 8.0) ** 2) / 18), (15, 1))
    found = experts.thresholds(strength.T if turned else strength)
    for level, drawn in zip(experts.LEVELS, found, strict=True):
        columns = (drawn.T if turned else drawn).all(0).nonzero()[0].tolist()
        assert columns == ([8] if level < 0.9 else []) and drawn.sum() == 15 * len(columns)
