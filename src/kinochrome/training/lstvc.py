"""How LSTVC learns: short clips after their first frame, block by block, with the losses of the paper (Eq. 8 to 11)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from kinochrome import flow, weights
from kinochrome.errors import TrainingError
from kinochrome.methods import bistnet
from kinochrome.methods.lstvc import Lstvc, LstvcOptions
from kinochrome.methods.lstvc.network import COLOUR, LEAST, STRIDE, Network, Seen, Shape, Trunk
from kinochrome.nets.matching import Said
from kinochrome.nets.resnet import ResNet
from kinochrome.nets.warp import warp
from kinochrome.types import Count, Method, Share

from .critic import Critic
from .data import Footage
from .lessons import Examples, MovingLesson, check_losses, other_moment, tensor_of, totalled
from .losses import guided_smoothness, in_sight, l1, perceptual, vgg_features
from .losses.reconstruction import weighted_mean
from .recipe import Recipe, build
from .vistr import vistr_layers

TASKS = ("first", "still")
"""What the network may be told: the first frame, as in the paper, or a picture of another moment."""
LOSSES = frozenset({"colour", "perceptual", "temporal", "adversarial", "smooth", "matched"})
"""Terms that a recipe weighs: the paper's five, and L1 of what both heads find, which is ours."""


@dataclass(frozen=True)
class LstvcLesson(MovingLesson):
    """What samples are made of, and how they are gone through."""

    block: Count = 2
    """Frames that are coloured together."""
    still: Share = 0.2
    """Share of batches that are told a picture of another moment instead of the first frame."""
    trunk: Literal["", "bistnet"] = ""
    """Whose features the small variant begins with: those of bistnet come along, and learned to match as well."""
    vistr: str = ""
    """A file of VisTR's weights: its encoder's layers begin the Transformer branches. It takes `token` 384, `feed`
    2048."""


class Task:
    """What the loop trains: see `loop.Task`."""

    def __init__(self, recipe: Recipe, path: Path, footage: Footage) -> None:
        self.recipe, self.footage = recipe, footage
        self.lesson, shape = self.checked(recipe, path)
        footage.check(self.lesson.frames, self.lesson.photos)
        self.path, self.network = path, Network(shape)
        self.options = asdict(shape)
        self.critic = Critic(6, "relativistic") if recipe.loss.get("adversarial") else None
        self._features: Any = None

    @staticmethod
    def checked(recipe: Recipe, path: Path | str) -> tuple[LstvcLesson, Shape]:
        """The lesson and the network's shape that the recipe says; TrainingError where that cannot be."""
        lesson = build(LstvcLesson, recipe.lesson, path, "lesson")
        lesson.check(path, STRIDE, 2, ": a reference, and what it colours", LEAST)
        shape = build(Shape, recipe.network, path, "network")
        if shape.linkage and not shape.transformer:
            raise TrainingError(
                f"{path}: network.linkage hears of the Transformer branch alone: set it to false as well."
            )
        check_losses(recipe.loss, LOSSES, path)
        for name in _borrowed(shape, recipe.loss) | lesson.public():
            weights.find(name)
        return lesson, shape

    def examples(self, process: int, processes: int) -> Examples:
        tasks = {"first": 1 - self.lesson.still, "still": self.lesson.still}
        return Examples(partial(sample, self.footage, self.lesson), tasks, self.recipe.run, process, processes)

    def begin(self) -> None:
        """As the paper's ResNet-101 and Transformer begin, or what stands in for them."""
        trunk = self.network.correspondence.trunk
        if isinstance(trunk, Trunk):
            public = weights.load(lambda: ResNet(101), "resnet101", "cpu").state_dict()
            trunk.resnet.load_state_dict({name: public[name] for name in trunk.resnet.state_dict()})
        elif self.lesson.trunk:
            _see_as_bistnet(trunk, self.path)
        if self.lesson.vistr:
            _attend_as_vistr(self.network, self.lesson.vistr, self.path)

    def terms(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        batch |= self.lesson.motion_of_batch(neighbours, batch["lab"][:, :, 0])
        found = self._losses(rollout(self.network, batch, self.lesson.block))
        return totalled(found, self.recipe.loss)

    def contest(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        assert self.critic is not None
        return self.critic.contest()

    def method(self, file: Path, device: str) -> Method:
        return Lstvc(LstvcOptions(self.network.shape.variant, str(file)), device)

    def _losses(self, answered: Answered) -> dict[str, Tensor]:
        """Every term that has a weight; ab is over `COLOUR`, whose scale in the paper is unsaid."""
        light, ab, true = map(_in_turn, (answered.light, answered.ab, answered.true))
        wanted = {name for name, weight in self.recipe.loss.items() if weight}
        found = {"colour": l1(ab / COLOUR, true / COLOUR)}
        if "matched" in wanted:
            parts = [l1(_in_turn(one) / COLOUR, true / COLOUR) for one in answered.matched]
            found["matched"] = torch.stack(parts).mean()
        if "temporal" in wanted:
            found["temporal"] = answered.change() / COLOUR
        if "smooth" in wanted:
            found["smooth"] = guided_smoothness(ab / COLOUR, light)
        if "perceptual" in wanted:
            self._features = self._features or vgg_features(19, ("relu5_2",), str(light.device))
            found["perceptual"] = perceptual(self._features(light, ab), self._features(light, true))
        if self.critic is not None:
            found["adversarial"] = self.critic.fooled(light, true, ab, answered.light.shape[1])
        return found


def _borrowed(shape: Shape, loss: dict[str, float]) -> set[str]:
    """The public weights that training needs."""
    return ({"resnet101"} if shape.variant == "paper" else set()) | ({"vgg19"} if loss.get("perceptual") else set())


def _see_as_bistnet(trunk: torch.nn.Module, path: Path) -> None:
    other = bistnet.load(bistnet.BistnetOptions())
    assert other.eyes is not None
    known = other.eyes.state_dict()
    try:
        trunk.load_state_dict({name: known[name] for name in trunk.state_dict()})
    except RuntimeError as error:
        levels = list(other.shape.levels)
        raise TrainingError(
            f"{path}: lesson.trunk = 'bistnet' takes network.levels = {levels}, as bistnet has them. Leave either out."
        ) from error


def _attend_as_vistr(network: Network, file: str, path: Path) -> None:
    """The first layers begin the correspondence subnet's Transformer branches, the next ones the colorization's."""
    branches = [block.layer for block in (*network.correspondence.augment, *network.colorization.think)]
    try:
        for branch, tensors in zip(branches, vistr_layers(Path(file), len(branches)), strict=True):
            branch.load_state_dict(tensors)
    except (RuntimeError, AttributeError) as error:
        why = str(error).partition("\n")[0]
        raise TrainingError(f"{path}: lesson.vistr = {file} does not fit [network]: {why}.") from error


def sample(footage: Footage, lesson: LstvcLesson, task: str, random: np.random.Generator) -> dict[str, Any]:
    """One example: true colours and motion."""
    cut, lab = lesson.cut(footage, random, both_ends=False)
    example: dict[str, Any] = {"name": cut.name, "lab": lab, **lesson.motion_of_example(neighbours, lab[:, 0])}
    if task == "still":
        example["still"] = other_moment(cut, random)
    return example


def neighbours(search: flow.Search, light: np.ndarray) -> dict[str, Tensor]:
    """The motion from each frame but the first to the one before, and from that to it."""
    pictures = [flow.visible(one) for one in light]
    pairs = list(zip(pictures[1:], pictures, strict=False))
    return {
        "step": tensor_of([search.between(here, before) for here, before in pairs]),
        "counter": tensor_of([search.between(before, here) for here, before in pairs]),
    }


@dataclass(frozen=True)
class Answered:
    """What the network said of a batch's clips, all (B, T, …)."""

    light: Tensor
    true: Tensor
    ab: Tensor
    matched: list[Tensor]
    """Colours that each head found."""
    step: Tensor
    """From each frame but the first to the one before."""
    counter: Tensor
    """From the one before to each frame."""

    def change(self) -> Tensor:
        """Eq. 10: how much colours change along the motion, where both frames show the same."""
        if self.ab.shape[1] < 2:
            return self.ab.sum() * 0
        now, before, step, counter = (
            x.flatten(0, 1) for x in (self.ab[:, 1:], self.ab[:, :-1], self.step, self.counter)
        )
        return weighted_mean((warp(before, step) - now).abs(), in_sight(step, counter))


def _in_turn(clips: Tensor) -> Tensor:
    """Frames (T * B, …), moment after moment, of (B, T, …)."""
    return clips.transpose(0, 1).flatten(0, 1)


def rollout(network: Network, batch: dict[str, Any], size: int) -> Answered:
    """A clip block by block, the linkage carrying on."""
    lab, still = batch["lab"], batch.get("still")
    begin = 1 if still is None else 0
    picture = lab[:, 0] if still is None else still
    known = Said(picture[:, 1:], torch.ones_like(picture[:, :1]))
    places = network.reference(picture[:, :1], known)
    kept: Tensor | None = None
    found: list[list[Tensor]] = []
    for first in range(begin, lab.shape[1], size):
        light = lab[:, first : first + size, :1]
        block: Seen = network.see(light, kept)
        heads = network.match(block, places)
        said = network.colour(light, heads, picture, block)
        kept = network.keep(kept, block)
        found.append([one.ab.unflatten(0, light.shape[:2]) for one in (said, *heads)])
    whole = [torch.cat(parts, 1) for parts in zip(*found, strict=True)]
    frames = lab[:, begin:]
    steps = batch["step"][:, begin:], batch["counter"][:, begin:]
    return Answered(frames[:, :, :1], frames[:, :, 1:], whole[0], whole[1:], *steps)
