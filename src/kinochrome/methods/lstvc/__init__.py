"""LSTVC (Chen and others 2023): a reference's colours, found by likeness, for blocks of frames that know of each other.

A film is coloured in blocks of a few frames. Two heads match each block with the reference, one by texture, one by
features that know of the whole block; a second network corrects what they found. What a block was like is linked to
what earlier ones were, and told to the next one. There is no motion search: what is steady is so by what is seen.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import cv2
import numpy as np
import torch
from torch import Tensor

from kinochrome import color, weights
from kinochrome.errors import MethodError
from kinochrome.nets import matching
from kinochrome.nets.matching import Places, Said
from kinochrome.sweeps import check_one_a_frame, padded, working_size
from kinochrome.types import Clip, Painted, Reference

from .network import LEAST, STRIDE, TEMPERATURE, Network, Shape

SHIPPED = Path(__file__).with_name("lstvc.safetensors")
"""The weights of the small variant, which come with Kinochrome."""

CHANCE = 0.56
"""The similarity at which no colour is right but by chance; from here to 1 the share of those that are (to 10 units of
ab) rises evenly, as measured on four development clips."""


@dataclass(frozen=True)
class LstvcOptions:
    """What can be set with `--set lstvc.OPTION=VALUE`."""

    variant: Literal["small", "paper"] = "small"
    """`small` runs on any machine with the weights that come along; `paper` has the paper's sizes: you train it."""
    weights: str = ""
    """Another file of weights than the one that comes with Kinochrome; it says itself of which variant it is."""
    block: int = 3
    """Frames that are coloured together and know of each other; more cost more memory."""
    linkage: bool = True
    """Blocks are told what earlier ones left; without, each is coloured for itself."""
    temperature: float = TEMPERATURE
    """Of matching: the smaller, the fewer places of the reference share in a colour."""
    heads: str = ""
    """A folder for pictures of what both heads found in each frame: their colours, their similarity maps."""

    def __post_init__(self) -> None:
        if self.block < 1:
            raise ValueError("block must be at least 1.")
        if not self.temperature > 0:
            raise ValueError("temperature must be greater than 0.")


@dataclass(frozen=True)
class Known:
    """A reference, ready to be matched; its frame is an index within the clip and may lie outside."""

    lab: Tensor
    """(1, 3, h, w)"""
    confidence: Tensor
    """(1, 1, h, w)"""
    places: tuple[Places, ...]
    frame: int | None


class Lstvc:
    """The method `lstvc`; see the module."""

    needs: ClassVar[frozenset[str]] = frozenset({"reference"})
    uses: ClassVar[frozenset[str]] = frozenset({"reference"})
    longest = 72
    onward: ClassVar[Literal[True]] = True
    Options: ClassVar[type] = LstvcOptions

    def __init__(self, options: LstvcOptions, device: str = "cpu") -> None:
        self.options, self.device = options, device
        self.network = load(options, device)
        self.network.temperature = options.temperature

    def working_size(self, height: int, width: int) -> tuple[int, int]:
        """The short side 240, never larger than the film."""
        return working_size(height, width)

    @torch.inference_mode()
    def colorize(self, clip: Clip) -> Generator[Painted, None, dict[str, Tensor]]:
        """One `Painted` a frame, block by block; hands over what the linkage keeps.

        The frames before the first new one were coloured by the piece before, whose answer stands.
        """
        references = self._known(clip) or self._neighbours(clip)
        if not references:
            raise MethodError(
                f"Method lstvc has nothing to take colours from at frame {clip.start}: give its shot a reference, for "
                f"instance --reference PICTURE@{clip.start}."
            )
        kept = clip.carried["kept"].to(self.device) if clip.carried and "kept" in clip.carried else None
        coloured = [] if clip.previous is None else [clip.previous] * clip.overlap
        yield from coloured
        for first in range(len(coloured), len(clip), self.options.block):
            block = range(first, min(first + self.options.block, len(clip)))
            said, kept = self._block(clip, block, references, kept)
            yield from said
        return {} if kept is None else {"kept": kept.cpu()}

    def _block(
        self, clip: Clip, block: range, references: Sequence[Known], kept: Tensor | None
    ) -> tuple[list[Painted], Tensor | None]:
        """The colours of a block, and what is kept after it."""
        light = self._fitted(clip.lightness[block.start : block.stop])[None]
        seen = self.network.see(light, kept if self.options.linkage else None)
        asked = _asked(references, block)
        shares = torch.tensor([_shares(asked, index) for index in block], device=self.device)
        together = [matching.joined(parts, shares) for parts in zip(*(one.places for one in asked), strict=True)]
        heads = self.network.match(seen, together)
        said = self.network.colour(light, heads, asked[0].lab, seen)
        said = Said(said.ab, ((said.confidence - CHANCE) / (1 - CHANCE)).clamp(0, 1))
        height, width = clip.lightness.shape[-2:]
        if self.options.heads:
            self._show(clip.start + block.start, light[0, :, :, :height, :width], heads)
        painted = []
        for n, index in enumerate(block):
            one = _over(Said(said.ab[n : n + 1], said.confidence[n : n + 1]), references, index)
            ab, sure = (x[0, :, :height, :width].float().cpu().contiguous() for x in (one.ab, one.confidence))
            painted.append(Painted(ab.clamp(-128, 128), sure.clamp(0, 1)))
        return painted, self.network.keep(kept, seen) if self.options.linkage else None

    def _known(self, clip: Clip) -> list[Known]:
        check_one_a_frame("lstvc", clip.references)
        return [self._one(reference, clip.start) for reference in clip.references]

    def _neighbours(self, clip: Clip) -> list[Known]:
        """Where a shot has no reference: what the pieces beside this one said of the frames that they share."""
        said = ((clip.previous, max(clip.overlap - 1, 0)), (clip.following, len(clip) - 1))
        return [
            self._one(Reference(clip.lightness[index], one.ab, one.confidence, clip.start + index), clip.start)
            for one, index in said
            if one is not None
        ]

    def _one(self, reference: Reference, start: int) -> Known:
        light, ab, confidence = map(self._fitted, (reference.lightness, reference.ab, reference.confidence))
        places = self.network.reference(light, Said(ab, confidence))
        frame = None if reference.frame is None else reference.frame - start
        return Known(torch.cat([light, ab], 1), confidence, places, frame)

    def _fitted(self, image: Tensor) -> Tensor:
        """(N, c, h, w) with sides that the network can halve, its edges repeated."""
        return padded(image.to(self.device), STRIDE, LEAST)

    # --- What both heads found ---

    def _show(self, first: int, light: Tensor, heads: Sequence[Said]) -> None:
        """The paper's Fig. 7 for each frame: the grey frame, then for each head its colours and its similarity map."""
        folder = Path(self.options.heads)
        height, width = light.shape[-2:]
        for n, frame in enumerate(light):
            parts = [_rgb(frame, torch.zeros(2, height, width, device=frame.device))]
            for head in heads:
                parts += [_rgb(frame, head.ab[n, :, :height, :width]), _map(head.confidence[n, :, :height, :width])]
            _write(folder / f"{first + n:06d}.png", np.concatenate(parts, 1))


def load(options: LstvcOptions, device: str = "cpu") -> Network:
    """The network of a file of weights, built as its header says."""
    chosen = options.variant, options.weights
    return weights.load_variant("lstvc", chosen, SHIPPED, Shape, Network).to(device)


def _asked(references: Sequence[Known], block: range) -> list[Known]:
    """Whom a block asks, the nearest first: the reference before its middle and the one after; else those of no frame.

    The paper has one reference.
    """
    middle = (block.start + block.stop - 1) / 2
    placed = [(one.frame, one) for one in references if one.frame is not None]
    before = max((one for one in placed if one[0] <= middle), key=lambda one: one[0], default=None)
    after = min((one for one in placed if one[0] > middle), key=lambda one: one[0], default=None)
    found = sorted((one for one in (before, after) if one), key=lambda one: abs(one[0] - middle))
    return [one for _, one in found] or [one for one in references if one.frame is None]


def _shares(asked: Sequence[Known], index: int) -> list[float]:
    """How much each reference counts at a frame: between two the nearer one more, so that none is left at once."""
    frames = [one.frame for one in asked if one.frame is not None]
    if len(frames) < 2:
        return [1.0] * len(asked)
    there = min(1.0, max(0.0, (index - frames[0]) / (frames[1] - frames[0])))
    return [1 - there, there]


def _over(said: Said, references: Sequence[Known], index: int) -> Said:
    """A frame's colours; what a reference of this very frame says stands."""
    here = next((one for one in references if one.frame == index), None)
    if here is None:
        return said
    ab = torch.lerp(said.ab, here.lab[:, 1:], here.confidence)
    return Said(ab, torch.maximum(said.confidence, here.confidence))


def _rgb(light: Tensor, ab: Tensor) -> np.ndarray:
    """(h, w, 3), 8 bit."""
    picture = color.rgb_from_lab(torch.cat([light, ab]).float()).clamp(0, 1)
    return (picture * 255).round().byte().permute(1, 2, 0).cpu().numpy()


def _map(similarity: Tensor) -> np.ndarray:
    """A similarity map (1, h, w) as a picture, from blue (0) to red (1)."""
    codes = (similarity[0].clamp(0, 1) * 255).round().byte().cpu().numpy()
    return cv2.cvtColor(cv2.applyColorMap(codes, cv2.COLORMAP_TURBO), cv2.COLOR_BGR2RGB)


def _write(file: Path, picture: np.ndarray) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if not cv2.imwrite(str(file), picture[..., ::-1]):
            raise OSError("no room, or no right to write there")
    except OSError as error:
        raise MethodError(f"{file}: {error}. Name another folder: --set lstvc.heads=FOLDER.") from error
