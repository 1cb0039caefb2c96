"""The judge: PSNR that can be worked out by hand, of clips that are never held whole."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from kinochrome import color, video
from kinochrome.errors import TrainingError
from kinochrome.training import judge
from kinochrome.types import Clip, Painted

SIZE = (48, 64)


@dataclass(frozen=True)
class Answer:
    """A method that says the same of every frame, at the frame's own size."""

    ab: torch.Tensor
    longest: int = 4
    needs: ClassVar[frozenset[str]] = frozenset()
    uses: ClassVar[frozenset[str]] = frozenset({"reference"})
    Options: ClassVar[Any] = None

    def working_size(self, height: int, width: int) -> tuple[int, int]:
        return height, width

    def colorize(self, clip: Clip) -> Generator[Painted, None, None]:
        for light in clip.lightness:
            yield Painted(self.ab[:, None, None].expand(2, *light.shape[-2:]).contiguous(), torch.ones_like(light))


def clip(folder: Path, rgb: tuple[int, int, int], count: int = 6) -> Path:
    (folder / "clip").mkdir(parents=True)
    for number in range(count):
        image = np.full((*SIZE, 3), rgb, np.uint8)
        video.write_picture(folder / "clip" / f"{number:05d}.png", image)
    return folder


def ab_of(rgb: tuple[int, int, int]) -> torch.Tensor:
    return color.lab_from_rgb(torch.tensor(rgb).float().view(3, 1, 1) / 255)[1:, 0, 0]


RED = (180, 60, 60)


def test_the_true_colours_are_perfect(tmp_path: Path) -> None:
    verdict = judge.judge(Answer(ab_of(RED)), judge.clips_of(clip(tmp_path, RED)))
    assert verdict.psnr == {"clip": pytest.approx(90)}, "nothing differs; 90 dB is the most that is said"


def test_grey_is_as_far_off_as_it_is_by_hand(tmp_path: Path) -> None:
    verdict = judge.judge(Answer(torch.zeros(2)), judge.clips_of(clip(tmp_path, RED)))
    # The grey of the same L*, by CIE's formulas: linear light, Y, and back.
    linear = [((value / 255 + 0.055) / 1.055) ** 2.4 for value in RED]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    grey = round(255 * (1.055 * luminance ** (1 / 2.4) - 0.055))
    error = sum(((grey - value) / 255) ** 2 for value in RED) / 3
    assert verdict.mean == pytest.approx(-10 * np.log10(error), abs=0.05)
    assert 10 < verdict.mean < 20


def test_the_mean_is_that_of_clips_and_the_picture_shows_each(tmp_path: Path) -> None:
    for name, rgb in (("a", RED), ("b", (60, 120, 60))):
        clip(tmp_path / name, rgb)
        (tmp_path / name / "clip").rename(tmp_path / f"dev-{name}")
    (tmp_path / "dev").mkdir()
    for name in "ab":
        (tmp_path / f"dev-{name}").rename(tmp_path / "dev" / name)
    verdict = judge.judge(Answer(ab_of(RED)), judge.clips_of(tmp_path / "dev"))
    assert verdict.psnr["a"] == pytest.approx(90) and verdict.psnr["b"] < 30
    assert verdict.mean == pytest.approx((verdict.psnr["a"] + verdict.psnr["b"]) / 2)
    assert verdict.picture.shape == (2 * 135, 4 * 240, 3) and verdict.picture.dtype == np.uint8
    truth, answer = verdict.picture[60, 100], verdict.picture[60, 340]
    assert truth.tolist() == list(RED) and answer.tolist() == list(RED)
    assert verdict.picture[200, 100].tolist() == [60, 120, 60] and verdict.picture[200, 340].tolist() != [60, 120, 60]


def test_the_first_frame_does_not_count_and_the_last_does(tmp_path: Path) -> None:
    # Counted back by fours from the last of five, the first would be the next.
    folder = clip(tmp_path, RED, 5)
    for wrong, at_least, at_most in ((0, 89.9, 90.1), (4, 10, 25)):
        for number in range(5):
            image = np.full((*SIZE, 3), (60, 120, 60) if number == wrong else RED, np.uint8)
            video.write_picture(folder / "clip" / f"{number:05d}.png", image)
        assert at_least < judge.judge(Answer(ab_of(RED)), judge.clips_of(folder)).mean < at_most


def test_a_clip_of_two_frames_is_enough_and_of_one_is_not(tmp_path: Path) -> None:
    judge.judge(Answer(ab_of(RED)), judge.clips_of(clip(tmp_path / "two", RED, 2)))
    with pytest.raises(TrainingError, match="clip has one frame"):
        judge.clips_of(clip(tmp_path / "one", RED, 1))
