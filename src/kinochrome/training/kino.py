"""How `kino` learns: short rollouts over clips with true colours, told in every way that a user may tell it."""

from __future__ import annotations

import operator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from kinochrome import flow
from kinochrome.methods.kino import Kino, KinoOptions, lesson
from kinochrome.methods.kino.network import (
    COLOUR,
    FINEST,
    STRIDE,
    Candidate,
    Memory,
    Network,
    Shape,
    Sight,
    carried,
    join,
    older,
    thinned,
    told,
)
from kinochrome.nets.warp import warp
from kinochrome.types import Method

from .data import Footage
from .lessons import Examples, Lesson, check_losses, swept, tensor_of, timed, totalled
from .losses.reconstruction import l1
from .recipe import Recipe, build

TASKS = {"first": 0.42, "both": 0.32, "still": 0.08, "scribble": 0.08, "draft": 0.05, "none": 0.05}
"""What the network is told, and how often: the first frame, the first and the last, a picture of another moment,
scribbles in the first frame, a flickering draft, nothing."""
Said = tuple[Tensor, Tensor]

LOSSES = frozenset({"colour", "square", "steady", "confidence", "recall", "prior", "scribble"})
"""Terms that a recipe weighs: L1 and L2 of the answer; how much its error changes along the motion; how well
confidence foretells the error; L1 of what the memory recalls, of the guess from lightness alone and of spread
scribbles."""


class Task:
    """What the loop trains: see `loop.Task`."""

    def __init__(self, recipe: Recipe, path: Path, footage: Footage) -> None:
        self.recipe, self.footage = recipe, footage
        self.lesson, shape = self.checked(recipe, path)
        footage.check(self.lesson.frames, self.lesson.photos)
        self.network = Network(shape)
        self.options = asdict(shape)

    @staticmethod
    def checked(recipe: Recipe, path: Path | str) -> tuple[Lesson, Shape]:
        """The lesson and the network's shape that the recipe says; TrainingError where that cannot be."""
        check_losses(recipe.loss, LOSSES, path)
        lesson = build(Lesson, recipe.lesson, path, "lesson")
        lesson.check(path, STRIDE, 3, ": something to colour between two references")
        return lesson, build(Shape, recipe.network, path, "network")

    def examples(self, process: int, processes: int) -> Examples:
        return Examples(partial(sample, self.footage, self.lesson), TASKS, self.recipe.run, process, processes)

    def terms(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        return total(self.network, batch, self.recipe.loss)

    def method(self, file: Path, device: str) -> Method:
        return Kino(KinoOptions(weights=str(file)), device)


# --- Samples ---


def sample(footage: Footage, lesson: Lesson, task: str, random: np.random.Generator) -> dict[str, Any]:
    """One example: true colours, motion, and what the task tells."""
    cut, lab = lesson.cut(footage, random, both_ends=task == "both")
    search, light = flow.Motion(FINEST), lab[:, 0].numpy()
    example = timed(cut, lab, task, random) | swept(search, light, task == "both")
    example["ahead_past"] = _past(search, light)
    if task == "scribble":
        example["where"] = strokes(lab[0], random)
    if task == "draft":
        example["draft"] = _flickering(lab[:, 1:], random)
    return example


def _past(search: flow.Motion, light: np.ndarray) -> Tensor:
    """(T-1, 2, h, w): from each frame to the one before the one before."""
    pictures = [flow.visible(one) for one in light]
    return tensor_of([search.between(pictures[n], pictures[max(0, n - 2)]) for n in range(1, len(light))])


def strokes(lab: Tensor, random: np.random.Generator) -> Tensor:
    """(1, h, w): where a person drew a few strokes with true colours."""
    height, width = lab.shape[-2:]
    where = torch.zeros(1, height, width)
    for _ in range(int(random.integers(6, 40))):
        y, x = random.integers(0, height), random.integers(0, width)
        length, thick = int(random.integers(6, 28)), int(random.integers(2, 5))
        part = lab[1:, y : y + thick, x : x + length]
        # A stroke lies on one thing: it ends where the colour changes.
        same = (part - part[:, :1, :1]).norm(dim=0) < 8
        where[0, y : y + thick, x : x + length][same] = 1
    return where


def _flickering(ab: Tensor, random: np.random.Generator) -> Tensor:
    """Colours as a method for single pictures gives them: wrong in places, otherwise in each frame."""
    frames, _, height, width = ab.shape
    noise = torch.from_numpy(random.normal(0, 1, (frames + 1, 2, 6, 6)).astype(np.float32))
    smooth = F.interpolate(noise, size=(height, width), mode="bicubic", align_corners=False)
    return ab * float(random.uniform(0.6, 1.1)) + 6 * smooth[:1] + 8 * smooth[1:]


# --- Rollouts ---


def total(network: Network, batch: dict[str, Any], weights: dict[str, float]) -> dict[str, Tensor]:
    """Every term of the loss and their weighted sum, `total`."""
    task, lab = batch["task"], batch["lab"]
    sights = _see(network, lab[:, :, :1])
    said, memory = _told(network, batch, sights)
    other = _other_sweep(network, batch, sights) if task == "both" else {}
    terms: dict[str, list[Tensor]] = {}
    for index in range(len(said), lab.shape[1] - (task == "both")):
        candidates = _candidates(network, batch, sights[index], index, said)
        if memory is not None:
            candidates.append(network.recall(sights[index], memory))
        if index in other:
            when = batch["when"]
            ab, confidence, evidence = other[index]
            since = older(when[:, -1] - when[:, index], when[:, index])
            candidates.append(told("other", ab, confidence, since, evidence))
            candidates.append(_brought(batch, sights[index], index))
        ab, confidence, _ = network.fuse(sights[index], candidates)
        said[index] = ab, confidence
        found = lesson.terms(candidates, ab, confidence, lab[:, index, 1:])
        if index:
            found["steady"] = _flicker(said[index - 1][0] - lab[:, index - 1, 1:], ab - lab[:, index, 1:], batch, index)
        for name, value in found.items():
            terms.setdefault(name, []).append(value)
        seen = network.remember(sights[index], ab.detach(), confidence.detach())
        seen = seen if task == "scribble" and index == 0 else thinned(seen)
        memory = seen if memory is None else join([memory, seen])
    means = {name: torch.stack(values).mean() for name, values in terms.items()}
    return totalled(means, weights)


def _flicker(before: Tensor, now: Tensor, batch: dict[str, Any], index: int) -> Tensor:
    """How much the error changes along the motion: colours may change as the true ones do."""
    return l1(warp(before, batch["ahead_step"][:, index - 1]), now) / COLOUR


def _see(network: Network, light: Tensor) -> list[Sight]:
    """The sights of frames (B, T, 1, h, w), each of a batch."""
    batch, count = light.shape[:2]
    whole = network.see(light.transpose(0, 1).flatten(0, 1))
    frames = whole.each(lambda tensor: tensor.unflatten(0, (count, batch)))
    return [frames.each(operator.itemgetter(index)) for index in range(count)]


def _told(network: Network, batch: dict[str, Any], sights: list[Sight]) -> tuple[dict[int, Said], Memory | None]:
    """What is known before the first frame that the network colours: of the frames before it, and of others."""
    task, lab = batch["task"], batch["lab"]
    sure = torch.ones_like(lab[:, 0, :1])
    if task in ("first", "both"):
        memory = network.remember(sights[0], lab[:, 0, 1:], sure)
        if task == "both":
            memory = join([memory, network.remember(sights[-1], lab[:, -1, 1:], sure)])
        return {0: (lab[:, 0, 1:], sure)}, memory
    if task == "still":
        still = network.see(batch["still"][:, :1])
        return {}, network.remember(still, batch["still"][:, 1:], sure, placed=False)
    return {}, None


def _brought(batch: dict[str, Any], sight: Sight, index: int) -> Candidate:
    """The last frame's colours, carried to one before it."""
    last = batch["lab"][:, -1]
    motion = batch["back_way"][:, batch["lab"].shape[1] - 2 - index]
    return carried("direct", sight, last[:, :1], (last[:, 1:], torch.ones_like(last[:, :1])), motion)


def _other_sweep(
    network: Network, batch: dict[str, Any], sights: list[Sight]
) -> dict[int, tuple[Tensor, Tensor, Tensor]]:
    """What a sweep backward from the last frame says of those before: ab, confidence, evidence."""
    lab = batch["lab"]
    last = lab.shape[1] - 1
    said = (lab[:, last, 1:], torch.ones_like(lab[:, last, :1]))
    result = {}
    with torch.no_grad():
        ends = [network.remember(sights[place], lab[:, place, 1:], said[1]) for place in (0, last)]
        for index in range(last - 1, 0, -1):
            back = last - index - 1
            candidates = [
                carried("chain", sights[index], lab[:, index + 1, :1], said, batch["back_step"][:, back]),
                _brought(batch, sights[index], index),
                network.recall(sights[index], join(ends)),
                network.guess(sights[index]),
            ]
            result[index] = network.fuse(sights[index], candidates)
            said = result[index][:2]
    return result


def _candidates(
    network: Network, batch: dict[str, Any], sight: Sight, index: int, said: dict[int, Said]
) -> list[Candidate]:
    """All but what is recalled and what the other sweep says."""
    task, lab = batch["task"], batch["lab"]

    def along(kind: str, way: str, past: int) -> Candidate:
        return carried(kind, sight, lab[:, past, :1], said[past], batch[way][:, index - 1])

    candidates = [network.guess(sight)]
    if index:
        candidates.append(along("chain", "ahead_step", index - 1))
    if index and task in ("first", "both", "scribble"):
        candidates.append(along("direct", "ahead_way", 0))
    # In a film one frame in eight is compared with those remembered.
    if index % 2 and index > 2:
        candidates.append(along("view", "ahead_past", index - 2))
    if task == "draft":
        draft = batch["draft"][:, index]
        candidates.append(told("draft", draft, torch.full_like(draft[:, :1], 0.5), 0 * batch["when"][:, index]))
    if task == "scribble" and index == 0:
        candidates.append(_scribbled(network, sight, batch))
    return candidates


def _scribbled(network: Network, sight: Sight, batch: dict[str, Any]) -> Candidate:
    """Each of the batch has its own number of scribbled places."""
    parts = []
    for n in range(len(batch["where"])):
        one = sight.each(operator.itemgetter(slice(n, n + 1)))
        memory = network.scribbled(one, batch["lab"][n : n + 1, 0, 1:], batch["where"][n : n + 1])
        assert memory is not None
        parts.append(network.recall(one, memory, "scribble"))
    return Candidate(
        "scribble", *(torch.cat([getattr(p, name) for p in parts]) for name in ("ab", "confidence", "evidence"))
    )
