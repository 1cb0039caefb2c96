"""How VCGAN's feature extractors learn before all else: by classifying photographs, as the paper's did ImageNet.

A recipe that weighs `labels` trains one of them, which both begin with when `lesson.classified` names its weights.
The class of a photograph is the name of the folder that it lies in. There is the public ResNet-50 instead, too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kinochrome import weights
from kinochrome.errors import TrainingError, WeightsError
from kinochrome.methods.vcgan.network import LEAST, SLOPE, Extractor, Network, Shape, still
from kinochrome.nets.imagenet import DEVIATION
from kinochrome.nets.resnet import ResNet
from kinochrome.types import Method

from .data import Footage, folder_of
from .lessons import Examples, Lesson, totalled
from .recipe import Recipe, build

PUBLIC = "resnet50"
"""The public network whose layers may begin them."""
TASKS = {"alone": 1.0}
"""Nobody ever tells it anything."""

Tensors = dict[str, Tensor]
"""By name."""


class Classifier(nn.Module):
    """One extractor, and what says by its features of which class a photograph is."""

    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__()
        self.extractor = Extractor(shape)
        # Once normalised, all photographs' features have nearly the same mean. The authors' program has no norm after
        # this layer either; the generator here has one, which begins as it always does.
        self.extractor.leave[1] = nn.Identity()
        self.choose = nn.Linear(shape.features, classes)
        for part in self.extractor.modules():
            if isinstance(part, nn.Conv2d):
                # ResNet's (He and others 2015).
                nn.init.kaiming_normal_(part.weight, SLOPE)
                if part.bias is not None:
                    nn.init.zeros_(part.bias)
        enter = self.extractor.enter
        with torch.no_grad():
            # It never sees colours, so it says nothing of them: those who show it some begin from there.
            nn.init.kaiming_normal_(enter.weight[:, :1], SLOPE)
            enter.weight[:, 1:] = 0

    def forward(self, light: Tensor) -> Tensor:
        """Scores (B, classes) of frames (B, 1, H, W)."""
        # By what comes after the last convolution: the paper adds it to ResNet-50, then trains "this" from scratch.
        return self.choose(self.extractor(still(light)).mean((2, 3)))


class Pretraining:
    """What the loop trains instead of the generator where a recipe weighs `labels`: see `loop.Task`."""

    def __init__(self, recipe: Recipe, path: Path, footage: Footage) -> None:
        self.recipe, self.path, self.footage = recipe, path, footage
        self.lesson, shape = self.checked(recipe, path)
        if not footage.photos:
            raise TrainingError(
                f"{path} classifies photographs, and the data has only films. Name a folder of photographs in folders, "
                "CLASS/PHOTO.jpg, or tars of such, with --data."
            )
        names = sorted({folder_of(photo.name) for photo in footage.photos})
        self.classes = {name: number for number, name in enumerate(names)}
        self.network, self.options = Classifier(shape, len(names)), asdict(shape)

    @staticmethod
    def checked(recipe: Recipe, path: Path | str) -> tuple[Lesson, Shape]:
        """The lesson and the network's shape that the recipe says; TrainingError where that cannot be."""
        lesson = build(Lesson, recipe.lesson, path, "lesson")
        shape = build(Shape, recipe.network, path, "network")
        check_stages(shape, path)
        _check(lesson, shape, recipe.loss, path)
        return lesson, shape

    def examples(self, process: int, processes: int) -> Examples:
        sampler = partial(sample, self.footage, self.lesson, self.classes)
        return Examples(sampler, TASKS, self.recipe.run, process, processes)

    def begin(self) -> None:
        """By chance, where there is something to tell apart; a run that goes on, or has first weights, had it."""
        if len(self.classes) < 2:
            raise TrainingError(
                f"{self.path} learns to tell classes of photographs apart, and all {len(self.footage.photos)} lie in "
                f"one folder, {next(iter(self.classes))!r}. Name a folder with one folder for each class, or tars of "
                "such, with --data."
            )

    def terms(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """The cross-entropy, and beside it which share of the batch is right."""
        scores, labels = self.network(batch["light"]), batch["label"]
        right = (scores.argmax(1) == labels).float().mean()
        return totalled({"labels": F.cross_entropy(scores, labels), "accuracy": right}, self.recipe.loss)

    def method(self, file: Path, device: str) -> Method:
        raise TrainingError(f"{self.path} trains an extractor alone, which colours no clips: leave out --dev.")


def check_stages(shape: Shape, path: Path | str) -> None:
    """TrainingError unless the extractors end where the mainstream does."""
    depth = len(shape.drawing)
    if not depth - 2 == len(shape.stages) == len(shape.blocks):
        raise TrainingError(
            f"{path}: network.stages and network.blocks must have two entries less than network.drawing, which has "
            f"{depth}: the extractors end where the mainstream does."
        )


def _check(lesson: Lesson, shape: Shape, loss: dict[str, float], path: Path | str) -> None:
    lesson.check(path, shape.stride, 1, side=LEAST)
    if lesson.frames != 1 or lesson.photos != 1:
        raise TrainingError(
            f"{path}: loss.labels is of photographs as they are: set lesson.frames = 1 and lesson.photos = 1."
        )
    if others := sorted(set(loss) - {"labels"}):
        raise TrainingError(f"{path}: loss.labels trains an extractor alone: take {', '.join(others)} out of [loss].")


def sample(
    footage: Footage, lesson: Lesson, classes: dict[str, int], task: str, random: np.random.Generator
) -> dict[str, Any]:
    """One photograph's lightness (1, h, w), and the number of its class."""
    cut, lab = lesson.cut(footage, random, both_ends=False)
    return {"name": cut.name, "light": lab[0, :1], "label": torch.tensor(classes[folder_of(cut.name)])}


# --- What has learned it begins both extractors ---


def begin(network: Network, classified: str, path: Path) -> None:
    """Puts into every extractor of the generator what the public network learned, or `Pretraining` wrote in a file."""
    fitted = _public() if classified == PUBLIC else _learned(Path(classified), path)
    for extractor in network.extractors.values():
        try:
            extractor.load_state_dict(fitted(extractor.state_dict()))
        except RuntimeError as error:
            takes = "its own kernel, stem, stages, blocks and features"
            if classified == PUBLIC:
                takes = "kernel = 7, stem = 64, stages = [64, 128, 256, 512] and blocks = [3, 4, 6, 3]"
            raise TrainingError(
                f"{path}: lesson.classified = {classified!r} takes [network] with {takes}: {error}."
            ) from error


def _learned(file: Path, path: Path) -> Callable[[Tensors], Tensors]:
    """The tensors of a file that `Pretraining` wrote, and of an extractor's own the one norm that it lacks."""
    instead = f'Name what a run of vcgan-paper-extractors wrote, or "{PUBLIC}"'
    try:
        held = weights.read(file)
    except WeightsError as error:
        missing = f"{file} is not there" if not file.exists() else str(error).removesuffix(".")
        raise TrainingError(f"{path}: lesson.classified: {missing}. {instead}.") from error
    found = {name.removeprefix("extractor."): one for name, one in held.items() if name.startswith("extractor.")}
    if not found:
        raise TrainingError(f"{path}: lesson.classified: {file} holds no extractor that classifies. {instead}.")
    return lambda own: {name: one for name, one in own.items() if name.startswith("leave.1.")} | found


def _public() -> Callable[[Tensors], Tensors]:
    """An extractor's tensors, with the public network's where it has such: all but its two strides and its end."""
    public = weights.load(lambda: ResNet(50), PUBLIC, "cpu").state_dict()
    return partial(_classifying, public)


def _classifying(public: Tensors, own: Tensors) -> Tensors:
    found = dict(own)
    # The first layer saw R'G'B' over their spread: what it says of grey is their sum, of ab it says nothing yet.
    spread = torch.tensor(DEVIATION)[:, None, None]
    grey = (public["conv1.weight"] / spread).sum(1, keepdim=True) / 2
    found["enter.weight"] = torch.cat([grey, 0 * grey, 0 * grey], 1)
    for name in own:
        if name.startswith("stages."):
            stage, inside = name.removeprefix("stages.").split(".", 1)
            found[name] = public.get(f"layer{int(stage) + 1}.{inside.replace('norm', 'bn')}", own[name])
    return found
