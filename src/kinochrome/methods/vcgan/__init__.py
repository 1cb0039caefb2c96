"""VCGAN (Zhao and others 2022): colours photographs and films by itself; each frame is told what became of the last.

One generator colours a frame from its lightness alone. In a film, what it said of the frame before is moved along the
motion and shown to it with the next one, so that it need not decide anew. It is told no hint: what it says is a guess,
and hints belong to the methods that ask for them.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import Tensor

from kinochrome import weights
from kinochrome.errors import MethodError
from kinochrome.flow import FlowName
from kinochrome.sweeps import Ways, padded, working_size
from kinochrome.types import Clip, Painted

from .network import CHOICE, LEAST, TEMPERATURE, Network, Shape, Taste, still, tasted

SHIPPED = Path(__file__).with_name("vcgan.safetensors")
"""The weights of the small variant, which come with Kinochrome."""

COLDEST = 0.01
"""Below this temperature there is nothing between one class and another."""
GUESSED = 0.1
"""Confidence in a colour that nobody has told."""


@dataclass(frozen=True)
class VcganOptions:
    """What can be set with `--set vcgan.OPTION=VALUE`."""

    variant: Literal["small", "paper"] = "small"
    """`small` runs on any machine with the weights that come along; `paper` has the paper's sizes: you train it."""
    weights: str = ""
    """Another file of weights than the one that comes with Kinochrome; it says itself of which variant it is."""
    flow: FlowName = "dis"
    """How motion is found: `dis` needs no weights, `raft_small` and `raft_large` public ones, and far more time."""
    recurrent: bool = True
    """Each frame is told what was said of the one before; without, each is a photograph, and films flicker."""
    temperature: float = TEMPERATURE
    """Of choosing a class of colour: towards 0 vivid, 1 pale and steady. A network that draws colours has no use."""
    seed: int = 0
    """0 takes the likeliest colours; each other number has a taste of its own among what is likely."""

    def __post_init__(self) -> None:
        if not self.temperature >= COLDEST:
            raise ValueError(f"temperature must be at least {COLDEST}.")
        if not 0 <= self.seed < 1 << 63:
            raise ValueError("seed must be 0 or greater, and less than 2 to the 63rd.")


class Vcgan:
    """The method `vcgan`; see the module."""

    needs: ClassVar[frozenset[str]] = frozenset()
    uses: ClassVar[frozenset[str]] = frozenset()
    longest = 72
    onward: ClassVar[Literal[True]] = True
    Options: ClassVar[type] = VcganOptions

    def __init__(self, options: VcganOptions, device: str = "cpu") -> None:
        self.options, self.device = options, device
        self._ways = Ways(0, device, options.flow)
        self.network = load(options, device)
        self.network.temperature = options.temperature
        self._taste: Taste | None = None
        if options.seed:
            if self.network.shape.head != "classes":
                raise MethodError(
                    "vcgan.seed chooses among classes of colour, and these weights draw colours: leave it out."
                )
            self._taste = tasted(self.network.bins, self.network.shape.drawing[CHOICE], options.seed)

    def working_size(self, height: int, width: int) -> tuple[int, int]:
        """The short side 240, never larger than the film."""
        return working_size(height, width)

    @torch.inference_mode()
    def colorize(self, clip: Clip) -> Generator[Painted, None, dict[str, Tensor]]:
        """One `Painted` a frame.

        The frames before the first new one were coloured by the piece before, whose answer stands: of the last of them
        it is `clip.previous`, and that is all that the next frame is told. So there is nothing else to hand over.
        """
        frames, told = self._fitted(clip.lightness), clip.previous
        coloured = [] if told is None else [told] * clip.overlap
        yield from coloured
        for index in range(len(coloured), len(clip)):
            ab = self._frame(frames, index, told)[:, : clip.lightness.shape[-2], : clip.lightness.shape[-1]]
            told = Painted(ab.contiguous(), torch.full_like(ab[:1], GUESSED))
            yield told
        return {}

    def _frame(self, frames: Tensor, index: int, told: Painted | None) -> Tensor:
        """A frame's ab, given what was said of the one before: to the last bit, since a piece begins with that."""
        before = torch.cat([frames[index - 1 : index], self._fitted(told.ab)], 1) if index and told else None
        light = frames[index : index + 1]
        return self.network(light, self._shown(light, before), self._taste).ab[0].float().cpu().clamp(-128, 128)

    def _shown(self, light: Tensor, before: Tensor | None) -> Tensor:
        """What the placeholder feature extractor sees (Eq. 3 and 4)."""
        if before is None or not self.options.recurrent or not self.network.recurrent:
            return still(light)
        motion = self._ways.tensor(self._ways.between(light, before[:, :1]))
        return self.network.feed(light, before, motion)

    def _fitted(self, image: Tensor) -> Tensor:
        """(N, c, h, w) with sides that the network can halve, its edges repeated."""
        return padded(image.to(self.device), self.network.shape.stride, LEAST)


def load(options: VcganOptions, device: str = "cpu") -> Network:
    """The network of a file of weights, built as its header says."""
    chosen = options.variant, options.weights
    return weights.load_variant("vcgan", chosen, SHIPPED, Shape, Network).to(device)
