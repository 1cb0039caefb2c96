"""How BiSTNet learns: short clips between two references, or after one, with the losses of the paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from kinochrome import color, weights
from kinochrome.errors import TrainingError
from kinochrome.methods.bistnet import Bistnet, BistnetOptions
from kinochrome.methods.bistnet.experts import Eyes, Look, PublicEyes, frames_of
from kinochrome.methods.bistnet.network import COLOUR, STRIDE, Known, Network, Shape, Side
from kinochrome.nets.matching import Said
from kinochrome.types import Method

from .critic import Critic
from .data import Footage
from .lessons import Examples, MovingLesson, check_losses, pictures_of, swept, timed, totalled
from .losses import (
    contextual,
    edge,
    guided_smoothness,
    hard_examples,
    l1,
    perceptual,
    temporal_consistency,
    vgg_features,
)
from .recipe import Recipe, build

TASKS = {"both": 0.6, "first": 0.3, "still": 0.1}
"""What the network is told, and how often: the first frame and the last, the first, a picture of another moment."""
LOSSES = frozenset(
    {"colour", "hard", "edge", "smooth", "temporal", "perceptual", "contextual", "adversarial"}
    | {"coarse", "carried", "matched", "segments", "edges"}
)
"""Terms that a recipe weighs. Of the paper: L1, hard examples, Eq. 4, and Deep Exemplar's five. Of ours: L1 of the
coarser levels, of what is carried and of what is matched, and what the experts of the small variant are taught."""
TAUGHT = frozenset({"segments", "edges"})
"""Those that only experts of one's own need."""
CONTENT = ("relu3_2", "relu4_2", "relu5_2")
"""Layers that the contextual loss compares, counted 2, 4 and 8; the last is the perceptual loss's."""


class Task:
    """What the loop trains: see `loop.Task`."""

    def __init__(self, recipe: Recipe, path: Path, footage: Footage) -> None:
        self.recipe, self.footage = recipe, footage
        self.lesson, shape = self.checked(recipe, path)
        footage.check(self.lesson.frames, self.lesson.photos)
        self.network = Network(shape)
        self.options = asdict(shape)
        if self.network.eyes:
            self.network.eyes.kinds.copy_(kinds_of(footage, shape.classes, recipe.run.seed))
        self.critic = Critic(6, "relativistic") if recipe.loss.get("adversarial") else None
        self._eyes: Eyes | PublicEyes | None = None
        self._features: Any = None

    @staticmethod
    def checked(recipe: Recipe, path: Path | str) -> tuple[MovingLesson, Shape]:
        """The lesson and the network's shape that the recipe says; TrainingError where that cannot be."""
        lesson = build(MovingLesson, recipe.lesson, path, "lesson")
        shape = build(Shape, recipe.network, path, "network")
        if not shape.drawing:
            raise TrainingError(f"{path}: network.drawing = [] must have at least one entry.")
        lesson.check(path, STRIDE, 3, ": something to colour between two references", 2 * STRIDE)
        check_losses(recipe.loss, LOSSES if shape.variant == "small" else LOSSES - TAUGHT, path)
        for name in _borrowed(shape, recipe.loss) | lesson.public():
            weights.find(name)
        return lesson, shape

    def examples(self, process: int, processes: int) -> Examples:
        return Examples(partial(sample, self.footage, self.lesson), TASKS, self.recipe.run, process, processes)

    def terms(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        both = batch["task"] == "both"
        batch |= self.lesson.motion_of_batch(partial(swept, both=both), batch["lab"][:, :, 0])
        looks, found = self._see(batch)
        still = self._look(batch["still"][:, :1]) if "still" in batch else None
        answered = rollout(self.network, batch, looks, still)
        found |= self._losses(batch, answered)
        return totalled(found, self.recipe.loss)

    def contest(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        assert self.critic is not None
        return self.critic.contest()

    def method(self, file: Path, device: str) -> Method:
        return Bistnet(BistnetOptions(self.network.shape.variant, str(file), flow=self.lesson.flow), device)

    def _look(self, light: Tensor) -> Look:
        self._eyes = self._eyes or self.network.eyes or PublicEyes(str(light.device))
        return self._eyes(light)

    def _see(self, batch: dict[str, Any]) -> tuple[list[Look], dict[str, Tensor]]:
        """The looks of all frames, each of a batch; and how far the small variant's experts are from their lesson."""
        light = batch["lab"][:, :, :1].transpose(0, 1)
        eyes = self.network.eyes
        if eyes is None:
            return frames_of(self._look(light.flatten(0, 1)), len(light)), {}
        whole, segments, edges = eyes.drawn(light.flatten(0, 1))
        count = len(batch["grouped"])
        grouped = batch["grouped"]
        found = {
            "segments": F.cross_entropy(segments[:count], kind_of(grouped, eyes.kinds)),
            "edges": drawn_edges(edges[:count], edges_of(grouped)),
        }
        return frames_of(whole, len(light)), found

    def _losses(self, batch: dict[str, Any], answered: Answered) -> dict[str, Tensor]:
        """Every term that has a weight."""
        true, ab, light = answered.true / COLOUR, answered.levels[-1] / COLOUR, answered.light
        wanted = {name for name, weight in self.recipe.loss.items() if weight}
        found = {"colour": l1(ab, true)}
        if "hard" in wanted:
            found["hard"] = hard_examples(ab, true)
        if "edge" in wanted:
            # Of the coloured picture, against the grey one: both in R'G'B' 0..1.
            coloured = color.rgb_from_lab(torch.cat([light, ab * COLOUR], 1))
            found["edge"] = edge(coloured, color.rgb_from_lab(F.pad(light, (0, 0, 0, 0, 0, 2)))[:, :1])
        if "smooth" in wanted:
            found["smooth"] = guided_smoothness(ab, light)
        if "temporal" in wanted:
            found["temporal"] = answered.change(batch)
        for name, parts in (
            ("coarse", answered.levels[:-1]),
            ("carried", answered.carried),
            ("matched", answered.matched),
        ):
            if name in wanted and parts:
                found[name] = torch.stack([l1(part / COLOUR, _small(true, part)) for part in parts]).mean()
        return found | self._seen_losses(answered, wanted)

    def _seen_losses(self, answered: Answered, wanted: set[str]) -> dict[str, Tensor]:
        """Terms that another network sees: public features, and the critic."""
        light, ab, true = answered.light, answered.levels[-1], answered.true
        found = {}
        if wanted & {"perceptual", "contextual"}:
            self._features = self._features or vgg_features(19, CONTENT, str(light.device))
            ours, theirs = self._features(light, ab), self._features(light, true)
            found["perceptual"] = perceptual(ours[-1:], theirs[-1:])
            if "contextual" in wanted:
                found["contextual"] = contextual(ours, theirs, (2.0, 4.0, 8.0))
        if self.critic is not None:
            found["adversarial"] = self.critic.fooled(light, true, ab, answered.count)
        return found


def _borrowed(shape: Shape, loss: dict[str, float]) -> set[str]:
    """The public weights that training needs."""
    features = {"vgg19"} if loss.get("perceptual") or loss.get("contextual") else set()
    return features | (set(PublicEyes.weights) if shape.variant == "paper" else set())


# --- Samples ---


def sample(footage: Footage, lesson: MovingLesson, task: str, random: np.random.Generator) -> dict[str, Any]:
    """One example: true colours, motion, the first frame's groups of alike pixels."""
    cut, lab = lesson.cut(footage, random, both_ends=task == "both")
    motion = lesson.motion_of_example(partial(swept, both=task == "both"), lab[:, 0])
    return timed(cut, lab, task, random) | motion | {"grouped": grouped(cut.lab[0])}


# --- What the experts of the small variant are taught: groups of alike pixels, found without labels ---


def grouped(lab: Tensor) -> Tensor:
    """(3, h/2, w/2): the picture (3, h, w) with each group of alike pixels in one colour, by mean shift."""
    small = F.avg_pool2d(lab[None], 2)[0]
    rgb = (color.rgb_from_lab(small) * 255).byte().permute(1, 2, 0).numpy()
    even = cv2.pyrMeanShiftFiltering(np.ascontiguousarray(rgb), 5, 16, maxLevel=0)
    return color.lab_from_rgb(torch.from_numpy(even).permute(2, 0, 1).float() / 255)


def edges_of(grouped: Tensor) -> Tensor:
    """(B, 1, h, w): 1 where groups (B, 3, h, w) meet that the eye tells apart at a glance, else 0."""
    right = F.pad((grouped[..., 1:] - grouped[..., :-1]).norm(dim=1, keepdim=True), (0, 1))
    below = F.pad((grouped[..., 1:, :] - grouped[..., :-1, :]).norm(dim=1, keepdim=True), (0, 0, 0, 1))
    return (torch.maximum(right, below) > 8).float()


def features_of(grouped: Tensor) -> Tensor:
    """(B, 4, h, w): what kinds are told apart by: lightness, a, b, height in the frame, each over its spread."""
    height, width = grouped.shape[-2:]
    down = (torch.arange(height, device=grouped.device) / height * 2)[:, None].expand(len(grouped), 1, height, width)
    return torch.cat([grouped[:, :1] / 25, grouped[:, 1:] / 12, down], 1)


def kind_of(grouped: Tensor, kinds: Tensor) -> Tensor:
    """(B, h/2, w/2): the number of the nearest kind at each place."""
    points = F.avg_pool2d(features_of(grouped), 2)
    return (points[:, None] - kinds[None, :, :, None, None]).square().sum(2).argmin(1)


def kinds_of(footage: Footage, count: int, seed: int) -> Tensor:
    """(count, 4): clusters of what pictures of the data hold."""
    pictures = pictures_of(footage, seed, 48, 128)
    points = [features_of(grouped(lab)[None])[0].flatten(1).T[::8] for lab in pictures]
    cv2.setRNGSeed(seed)
    until = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 30, 1e-3)
    _, _, centres = cv2.kmeans(torch.cat(points).numpy(), count, None, until, 3, cv2.KMEANS_PP_CENTERS)  # type: ignore[call-overload]  # the stub forgets None
    return torch.from_numpy(centres)


def drawn_edges(drawn: Tensor, true: Tensor) -> Tensor:
    """Cross-entropy of each side's edges and of their sum, edges and the rest counting alike (Xie and Tu 2015)."""
    share = true.mean().clamp(0.01, 0.99)
    weight = torch.where(true > 0, 1 - share, share) * 2
    logits = drawn.clamp(-12, 12)
    # As PyTorch's binary cross-entropy with logits, which ends the process where something is no number.
    loss = F.softplus(logits) - logits * true
    return (loss * weight).mean()


# --- Rollouts ---


@dataclass(frozen=True)
class Answered:
    """What the network said of `count` frames of a batch, frame after frame: (count * B, …)."""

    count: int
    first: int
    """Which frame of the clip comes first."""
    light: Tensor
    true: Tensor
    levels: list[Tensor]
    carried: list[Tensor]
    matched: list[Tensor]

    def change(self, batch: dict[str, Any]) -> Tensor:
        """How much colours change along the motion, but for how much the true ones do."""
        error = ((self.levels[-1] - self.true) / COLOUR).unflatten(0, (self.count, -1))
        steps = batch["ahead_step"]
        changes = [
            temporal_consistency(error[n], error[n - 1], steps[:, self.first + n - 1]) for n in range(1, self.count)
        ]
        return torch.stack(changes).mean() if changes else error.sum() * 0


def rollout(network: Network, batch: dict[str, Any], looks: list[Look], still: Look | None) -> Answered:
    """Both sweeps and the colours of every frame that no reference is."""
    task, lab, when = batch["task"], batch["lab"], batch["when"]
    keys = [network.correspondence(look) for look in looks]
    if still is not None:
        ahead = back = _after_still(network, batch, looks, keys, still)
    else:
        ahead = back = _sweep(network, batch, looks, keys, "ahead")
    if task == "both":
        back = _sweep(network, batch, looks[::-1], keys[::-1], "back")[::-1]
    frames = range(still is None, len(looks) - (task == "both"))
    # Where there is one side only, time says nothing.
    times = [when[:, n] / when[:, -1].clamp(min=1) if task == "both" else 0 * when[:, n] + 0.5 for n in frames]
    forward, backward = (_stacked([sides[n] for n in frames]) for sides in (ahead, back))
    fused, told = network.fuse(forward, backward, torch.cat(times))
    whole = _together([looks[n] for n in frames])
    levels = network.colour(whole, fused, told)
    true = torch.cat([lab[:, n, 1:] for n in frames])
    parts = [forward, backward] if task == "both" else [forward]
    carried, matched = [fused.ab, *(part.carried.ab for part in parts)], [part.matched.ab for part in parts]
    return Answered(len(frames), frames[0], whole.lightness, true, levels, carried, matched)


def _sweep(network: Network, batch: dict[str, Any], looks: list[Look], keys: list[Tensor], way: str) -> list[Side]:
    """What a sweep says of every frame, the first of which is the reference."""
    ab = batch["lab"][:, 0 if way == "ahead" else -1, 1:]
    said = Said(ab, torch.ones_like(ab[:, :1]))
    source, places = Known(looks[0].lightness, said), network.places(looks[0], said)
    sides = [Side(said, said)]
    for index in range(1, len(looks)):
        matched = network.match(keys[index], places)
        before = Known(looks[index - 1].lightness, sides[-1].carried)
        step, far = (batch[f"{way}_{name}"][:, index - 1] for name in ("step", "way"))
        sides.append(Side(matched, network.carry(looks[index], before, step, source, far, matched)))
    return sides


def _after_still(
    network: Network, batch: dict[str, Any], looks: list[Look], keys: list[Tensor], still: Look
) -> list[Side]:
    """What a sweep says that knows a picture of another moment only."""
    ab, sides = batch["still"][:, 1:], list[Side]()
    places = network.places(still, Said(ab, torch.ones_like(ab[:, :1])))
    for index, look in enumerate(looks):
        matched = network.match(keys[index], places)
        if index == 0:
            sides.append(Side(matched, matched))
            continue
        before, step = Known(looks[index - 1].lightness, sides[-1].carried), batch["ahead_step"][:, index - 1]
        sides.append(Side(matched, network.carry(look, before, step, before, step, matched)))
    return sides


def _stacked(sides: Sequence[Side]) -> Side:
    def stacked(said: Sequence[Said]) -> Said:
        return Said(torch.cat([one.ab for one in said]), torch.cat([one.confidence for one in said]))

    return Side(stacked([side.matched for side in sides]), stacked([side.carried for side in sides]))


def _together(looks: Sequence[Look]) -> Look:
    """What is drawn from, of all frames at once."""
    parts = [torch.cat([getattr(look, name) for look in looks]) for name in ("lightness", "segments", "edges")]
    return Look(parts[0], (), parts[1], parts[2])


def _small(true: Tensor, part: Tensor) -> Tensor:
    """The truth at a part's size."""
    factor = true.shape[-1] // part.shape[-1]
    return F.avg_pool2d(true, factor) if factor > 1 else true
