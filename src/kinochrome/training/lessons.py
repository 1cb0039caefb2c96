"""What lessons of several methods are made of: clips, examples by the number of their step, motion."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from kinochrome import color, flow
from kinochrome.errors import TrainingError
from kinochrome.flow import FlowName
from kinochrome.methods.kino.lesson import weighted
from kinochrome.types import Count, Share

from .data import Cut, Footage, Leaps, cut_from_film, cut_from_photo, cut_from_photos
from .degrade import OLD_FILM, age, weave
from .recipe import Run, Whole

Sampler = Callable[[str, np.random.Generator], dict[str, Any]]
"""One example of a task: `name`, and tensors that stack."""


@dataclass(frozen=True)
class Lesson:
    """What samples are made of."""

    frames: Count = 6
    """Frames of a clip; 1 takes photographs as they are."""
    side: Count = 192
    """Pixels of a clip's square, a multiple of 16."""
    photos: Share = 0.2
    """Share of clips made of photographs."""
    worn: Share = 0.2
    """Share of clips that look like old film; their true colours are those of the clean ones."""
    jump: Whole = 16
    """The first frame lies up to so many steps before the second, and where the last is told, it lies so far behind."""

    def check(self, path: Path | str, stride: int, frames: int, why: str = "", side: int = 0) -> None:
        """TrainingError for fewer `frames`, and `why` so many; for a smaller `side`, or no multiple of `stride`."""
        if self.frames < frames:
            raise TrainingError(f"{path}: lesson.frames = {self.frames} must be at least {frames}{why}.")
        if self.side < side or self.side % stride:
            least = f", at least {side}" if side else ""
            raise TrainingError(f"{path}: lesson.side = {self.side} must be a multiple of {stride}{least}.")

    def cut(self, footage: Footage, random: np.random.Generator, both_ends: bool) -> tuple[Cut, Tensor]:
        """A clip, and its lightness, worn or not, beside the true colours (T, 3, h, w)."""
        photo = random.random() < self.photos
        if photo and self.frames == 1:
            cut = cut_from_photo(footage, random, self.side)
        elif photo:
            cut = cut_from_photos(footage, random, self.frames, self.side)
        else:
            leaps = Leaps(self.jump, self.jump if both_ends else 0)
            cut = cut_from_film(footage, random, self.frames, self.side, leaps)
        if random.random() >= self.worn:
            return cut, cut.lab
        # A worn print moves in the gate, colours and all.
        cut = replace(cut, lab=weave(cut.lab, random, 1.0))
        return cut, torch.cat([age(cut.lab, random, OLD_FILM), cut.lab[:, 1:]], 1)


Sought = Callable[[flow.Search, np.ndarray], dict[str, Tensor]]
"""The motion that a method learns from, by name, of the lightness (T, h, w) of a clip."""


@dataclass(frozen=True)
class MovingLesson(Lesson):
    """The same of methods whose papers have a network find motion."""

    flow: FlowName = "dis"
    """`dis` finds motion while examples are made; `raft_small` and `raft_large` where the network is trained."""

    def public(self) -> set[str]:
        """The public weights that motion needs."""
        return set() if self.flow == "dis" else {self.flow}

    def motion_of_example(self, sought: Sought, light: Tensor) -> dict[str, Tensor]:
        """Of lightness (T, h, w); nothing where that is left to the batch."""
        return sought(flow.search_by(self.flow), light.numpy()) if self.flow == "dis" else {}

    def motion_of_batch(self, sought: Sought, light: Tensor) -> dict[str, Tensor]:
        """Of lightness (B, T, h, w); nothing where examples brought it along."""
        if self.flow == "dis":
            return {}
        search = flow.search_by(self.flow, device=str(light.device))
        each = [sought(search, one) for one in light.cpu().numpy()]
        return {name: torch.stack([one[name] for one in each]).to(light.device) for name in each[0]}


@dataclass(frozen=True)
class Examples(Dataset[dict[str, Any]]):
    """One batch a step, made of the step's number alone."""

    sample: Sampler
    tasks: dict[str, float]
    """What batches are told, and how often."""
    run: Run
    process: int
    processes: int
    """Each makes its share of every batch."""

    def __len__(self) -> int:
        return self.run.steps

    def __getitem__(self, step: int) -> dict[str, Any]:
        task, batch = self.task_of(step), self.run.batch
        share = range(self.process * batch // self.processes, (self.process + 1) * batch // self.processes)
        made = [self.sample(task, np.random.default_rng([self.run.seed, 2, step, k])) for k in share]
        names = [one.pop("name") for one in made]
        return {key: torch.stack([one[key] for one in made]) for key in made[0]} | {"task": task, "names": names}

    def task_of(self, step: int) -> str:
        """What the batch of this number is told."""
        random = np.random.default_rng([self.run.seed, 1, step])
        return str(random.choice(list(self.tasks), p=np.array(list(self.tasks.values())) / sum(self.tasks.values())))


def check_losses(given: Collection[str], known: Collection[str], path: Path | str) -> None:
    """TrainingError for a term that is unknown, or without the answer's own error."""
    if unknown := sorted(set(given) - set(known)):
        raise TrainingError(f"{path}: [loss] has no {', '.join(unknown)}. There are: {', '.join(sorted(known))}.")
    if "colour" not in given:
        raise TrainingError(f"{path}: [loss] lacks colour, the weight of the answer's own error.")


def totalled(found: dict[str, Tensor], weights: dict[str, float]) -> dict[str, Tensor]:
    """The terms of a loss and what is minimised, their weighted sum, as `total`."""
    return found | {"total": weighted(found, weights)}


def pictures_of(footage: Footage, seed: int, count: int, side: int) -> Iterator[Tensor]:
    """Some of the data's pictures, lab (3, side, side), the same ones for the same seed."""
    random = np.random.default_rng([seed, 3])
    for _ in range(count):
        strip = footage.strips[int(random.integers(len(footage.strips)))]
        rgb = footage.rgb(strip, [int(random.integers(strip.frames))])[0]
        rgb = cv2.resize(rgb, (side, side), interpolation=cv2.INTER_AREA)
        yield color.lab_from_rgb(torch.from_numpy(rgb).permute(2, 0, 1).float() / 255)


def timed(cut: Cut, lab: Tensor, task: str, random: np.random.Generator) -> dict[str, Any]:
    """A clip with its times; for `still`, another moment of it."""
    example: dict[str, Any] = {"name": cut.name, "lab": lab, "when": torch.tensor(cut.frames, dtype=torch.float32)}
    if task == "still":
        example["still"] = other_moment(cut, random)
    return example


def swept(search: flow.Search, light: np.ndarray, both: bool) -> dict[str, Tensor]:
    """The motion of a sweep `ahead_` and, for `both` of them, one `back_`."""
    ways = (("ahead", light), ("back", light[::-1]))[: 1 + both]
    return {f"{way}_{name}": motion for way, clip in ways for name, motion in motions(search, clip).items()}


def motions(search: flow.Search, light: np.ndarray) -> dict[str, Tensor]:
    """`step` (T-1, 2, h, w): from each frame to the one before; `way`: to the first."""
    steps: list[np.ndarray] = []
    ways: list[np.ndarray] = []
    for index in range(1, len(light)):
        step = search.between(flow.visible(light[index]), flow.visible(light[index - 1]))
        way = flow.compose(step, ways[-1]) if ways else step
        ways.append(flow.followed(search, light[index], light[0], way, anew=index % 3 == 1))
        steps.append(step)
    return {"step": tensor_of(steps), "way": tensor_of(ways)}


def tensor_of(motions: list[np.ndarray]) -> Tensor:
    """(T, 2, h, w) of flows (h, w, 2)."""
    return torch.from_numpy(np.stack(motions).transpose(0, 3, 1, 2).copy())


def other_moment(cut: Cut, random: np.random.Generator) -> Tensor:
    """A frame of the clip as another picture would show it: mirrored, moved, zoomed, lit otherwise."""
    lab = cut.lab[int(random.integers(len(cut.lab)))][None].clone()
    if random.random() < 0.5:
        lab = lab.flip(-1)
    zoom = float(np.exp(random.uniform(-0.3, 0.3)))
    x, y = random.uniform(-0.3, 0.3, 2)
    matrix = torch.tensor([[[zoom, 0, x], [0, zoom, y]]], dtype=torch.float32)
    lab = F.grid_sample(
        lab, F.affine_grid(matrix, list(lab.shape), align_corners=False), align_corners=False, padding_mode="reflection"
    )[0]
    lab[0] = (lab[0] * random.uniform(0.8, 1.2) + random.uniform(-8, 8)).clamp(0, 100)
    return lab
