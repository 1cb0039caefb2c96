"""How VCGAN learns: first photographs, one frame each, then short clips, with the losses of the paper (Eq. 5 to 13).

The paper pretrains both feature extractors by classifying ImageNet: `extractors` does, and `lesson.classified` begins
them with what came of it. In the small variant the head does it, which classifies the colour of each place and so
teaches the extractors from the first step on, without labels.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from kinochrome import flow, weights
from kinochrome.errors import TrainingError
from kinochrome.methods.vcgan import Vcgan, VcganOptions
from kinochrome.methods.vcgan.network import CHOICE, COLOUR, LEAST, Network, Shape, still
from kinochrome.types import Count, Method, Share

from .critic import Critic
from .data import Footage
from .extractors import PUBLIC, TASKS, Pretraining, begin, check_stages
from .lessons import Examples, Lesson, MovingLesson, check_losses, pictures_of, tensor_of, totalled
from .losses import (
    Link,
    bin_counts,
    cross_entropy,
    dense_long_term,
    dense_pairs,
    gamut_bins,
    l1,
    long_term,
    perceptual,
    rarity,
    short_pairs,
    short_term,
    soft_encoding,
    vgg_features,
    visibility,
)
from .recipe import AtLeast0, Recipe, Whole, build

TEMPORAL = {"short": 2, "dense": 3, "long": 2}
"""Terms that join frames, and how many frames they take: Eq. 11, Eq. 12, and the long-term loss of Table III, which
joins each frame with the first."""
LOSSES = frozenset({"colour", "perceptual", "adversarial", "classes", *TEMPORAL})
"""Terms that a recipe weighs: the paper's, and the cross-entropy of the classes of colour, which is ours."""
COUNTED = 96
"""Pictures whose colours are counted, to know which are rare."""


@dataclass(frozen=True)
class VcganLesson(MovingLesson):
    """What samples are made of, and what they are compared by."""

    jump: Whole = 0
    """No frame is told, so none need lie far from the others."""
    alpha: AtLeast0 = 50.0
    """Eq. 13's, for lightness from -1 to 1."""
    mix: Share = 0.5
    """How much a rare class of colour counts for more than a common one: 1 is not at all, 0 by all its rarity."""
    critic: Count = 64
    """Channels of the critic's first layer."""
    classified: str = ""
    """What the extractors begin with: `resnet50`, the public one's layers, which classify ImageNet; or the path of
    what `vcgan-paper-extractors` wrote. They take its sizes. '' is chance."""


class Task:
    """What the loop trains: see `loop.Task`."""

    def __new__(cls, recipe: Recipe, path: Path, footage: Footage) -> Any:
        """Where the recipe weighs `labels`, an extractor alone is trained."""
        return Pretraining(recipe, path, footage) if recipe.loss.get("labels") else super().__new__(cls)

    def __init__(self, recipe: Recipe, path: Path, footage: Footage) -> None:
        self.recipe, self.footage = recipe, footage
        lesson, shape = self.checked(recipe, path)
        assert isinstance(lesson, VcganLesson)
        self.lesson = lesson
        footage.check(lesson.frames, lesson.photos)
        self.network = Network(shape)
        self.rarities: Tensor | None = None
        if shape.head == "classes":
            self.network.bins.copy_(gamut_bins())
            counts = counted(footage, self.network.bins, recipe.run.seed)
            self.rarities = rarity(counts, self.network.bins, self.lesson.mix)
        self.path, self.options = path, asdict(shape)
        self.critic = Critic(3, "wasserstein", self.lesson.critic) if recipe.loss.get("adversarial") else None
        self._features: Any = None

    @staticmethod
    def checked(recipe: Recipe, path: Path | str) -> tuple[Lesson, Shape]:
        """The lesson and the network's shape that the recipe says; TrainingError where that cannot be."""
        if recipe.loss.get("labels"):
            return Pretraining.checked(recipe, path)
        lesson = build(VcganLesson, recipe.lesson, path, "lesson")
        shape = build(Shape, recipe.network, path, "network")
        check_losses(recipe.loss, LOSSES, path)
        _check_shape(shape, path)
        _check_lesson(lesson, shape, recipe.loss, path)
        for name in _borrowed(lesson, recipe.loss) | lesson.public():
            weights.find(name)
        return lesson, shape

    def examples(self, process: int, processes: int) -> Examples:
        return Examples(partial(sample, self.footage, self.lesson), TASKS, self.recipe.run, process, processes)

    def begin(self) -> None:
        """As extractors that classify, where the recipe says so."""
        if self.lesson.classified:
            begin(self.network, self.lesson.classified, self.path)

    def terms(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        if "clean" in batch:
            batch |= self.lesson.motion_of_batch(between_all, batch["clean"][:, :, 0])
        found = self._losses(rollout(self.network, batch, self.lesson.alpha))
        return totalled(found, self.recipe.loss)

    def contest(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """Eq. 10: by how much the last answers are taken to be real before true frames."""
        assert self.critic is not None
        return self.critic.contest()

    def method(self, file: Path, device: str) -> Method:
        return Vcgan(VcganOptions(self.network.shape.variant, str(file), flow=self.lesson.flow), device)

    def _losses(self, answered: Answered) -> dict[str, Tensor]:
        """Every term that has a weight; ab is over `COLOUR`, where the paper's R'G'B' goes from -1 to 1."""
        light, true, ab = (torch.cat(parts) for parts in (answered.light, answered.true, answered.ab))
        wanted = {name for name, weight in self.recipe.loss.items() if weight}
        found = {"colour": l1(ab / COLOUR, true / COLOUR)}
        frames = [one / COLOUR for one in answered.ab]
        for name, loss in (("short", short_term), ("dense", dense_long_term), ("long", long_term)):
            if name in wanted:
                found[name] = loss(frames, answered.links)
        if "classes" in wanted:
            truth = soft_encoding(F.avg_pool2d(true, 1 << CHOICE), self.network.bins)
            found["classes"] = cross_entropy(torch.cat(answered.scores), truth, self.rarities)
        if "perceptual" in wanted:
            # Eq. 7: the absolute difference at VGG-16's conv4_3.
            self._features = self._features or vgg_features(16, ("conv4_3",), str(light.device))
            found["perceptual"] = perceptual(
                self._features(light, ab), self._features(light, true), distance="absolute"
            )
        if self.critic is not None:
            found["adversarial"] = self.critic.fooled(light, true, ab)
        return found


def _borrowed(lesson: VcganLesson, loss: dict[str, float]) -> set[str]:
    """The public weights that training needs."""
    return ({"vgg16"} if loss.get("perceptual") else set()) | ({PUBLIC} if lesson.classified == PUBLIC else set())


def _check_shape(shape: Shape, path: Path | str) -> None:
    depth = len(shape.drawing)
    if depth <= CHOICE:
        raise TrainingError(f"{path}: network.drawing = {list(shape.drawing)} must have at least {CHOICE + 1} levels.")
    check_stages(shape, path)
    if shape.attending > depth - shape.finest:
        raise TrainingError(
            f"{path}: network.attending = {shape.attending} must be at most {depth - shape.finest}, the decoder's "
            "stages."
        )
    if shape.head == "classes" and shape.classes != len(gamut_bins()):
        raise TrainingError(f"{path}: network.classes = {shape.classes} must be {len(gamut_bins())}.")


def _check_lesson(lesson: VcganLesson, shape: Shape, loss: dict[str, float], path: Path | str) -> None:
    lesson.check(path, shape.stride, 1, side=LEAST)
    for name, least in TEMPORAL.items():
        if loss.get(name) and lesson.frames < least:
            raise TrainingError(
                f"{path}: loss.{name} joins frames of a clip: lesson.frames = {lesson.frames} must be at least {least}."
            )
    if loss.get("classes") and shape.head != "classes":
        raise TrainingError(f'{path}: loss.classes needs network.head = "classes"; set it to 0.')


def counted(footage: Footage, bins: Tensor, seed: int) -> Tensor:
    """How many pixels of some of the data's pictures lie in each class of colour."""
    counts = torch.zeros(len(bins))
    for lab in pictures_of(footage, seed, COUNTED, 48):
        counts += bin_counts(lab[None, 1:], bins)
    return counts


# --- Samples ---


def pairs_of(count: int) -> list[tuple[int, int]]:
    """Which frames of a clip are joined, (later, earlier): neighbours first, then all others (Eq. 11 and 12)."""
    return short_pairs(count) + dense_pairs(count)


def sample(footage: Footage, lesson: VcganLesson, task: str, random: np.random.Generator) -> dict[str, Any]:
    """One example: a clip's colours, its lightness before it was worn, and the motion between all of its frames."""
    cut, lab = lesson.cut(footage, random, both_ends=False)
    example: dict[str, Any] = {"name": cut.name, "lab": lab}
    if len(lab) > 1:
        # What is in sight where is the clean film's to say.
        example |= {"clean": cut.lab[:, :1], **lesson.motion_of_example(between_all, cut.lab[:, 0])}
    return example


def between_all(search: flow.Search, light: np.ndarray) -> dict[str, Tensor]:
    """The motion between the frames that `pairs_of` joins."""
    pictures = [flow.visible(one) for one in light]
    pairs = pairs_of(len(light))
    return {"motion": tensor_of([search.between(pictures[later], pictures[earlier]) for later, earlier in pairs])}


# --- Rollouts ---


@dataclass(frozen=True)
class Answered:
    """What the network said of a batch's clips, a frame a time: (B, …)."""

    light: list[Tensor]
    true: list[Tensor]
    ab: list[Tensor]
    scores: list[Tensor]
    """Of each class of colour; none from a head that draws."""
    links: list[Link]


def rollout(network: Network, batch: dict[str, Any], alpha: float) -> Answered:
    """Eq. 3: the first frame for itself, each other one told of what was said of the one before."""
    lab = batch["lab"]
    count = lab.shape[1]
    found = Answered([], [], [], [], _links(batch, alpha) if count > 1 else [])
    for index in range(count):
        light = lab[:, index, :1]
        shown = still(light)
        if index and network.recurrent:
            before = torch.cat([found.light[-1], found.ab[-1].detach()], 1)
            # No gradient goes back through time, as in the authors' code.
            with torch.no_grad():
                shown = network.feed(light, before, batch["motion"][:, index - 1])
        answer = network(light, shown)
        found.light.append(light)
        found.true.append(lab[:, index, 1:])
        found.ab.append(answer.ab)
        found.scores.extend([] if answer.scores is None else [answer.scores])
    return found


def _links(batch: dict[str, Any], alpha: float) -> list[Link]:
    """All pairs of a clip's frames, each with Eq. 13's mask."""
    clean, links = batch["clean"], []
    for number, (later, earlier) in enumerate(pairs_of(clean.shape[1])):
        motion = batch["motion"][:, number]
        # Lightness from -1 to 1 differs by twice what `visibility` sees, and that is squared.
        mask = visibility(clean[:, later], clean[:, earlier], motion, 4 * alpha)
        links.append(Link(later, earlier, motion, mask))
    return links
