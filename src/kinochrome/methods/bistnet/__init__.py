"""BiSTNet (Yang and others 2022): two references, matched, carried both ways, drawn from coarse to fine.

Every frame is compared with the reference before it and the one after. What matches is carried on from frame to frame
along the motion, in a sweep forward and one backward, gates deciding pixel by pixel between what was carried and what
matches here. Both sweeps meet, and a multi-scale network colours the frame, told by segments and edges where things
end. Where there is one reference only, it speaks for both sides.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from kinochrome import flow, weights
from kinochrome.errors import MethodError
from kinochrome.flow import FlowName
from kinochrome.nets import matching
from kinochrome.nets.matching import Places, Said
from kinochrome.sweeps import Film, Ways, brings_back, check_one_a_frame, padded, working_size
from kinochrome.types import Clip, Painted, Reference

from .experts import Look, PublicEyes
from .network import LEAST, STRIDE, Known, Network, Shape, Side

SHIPPED = Path(__file__).with_name("bistnet.safetensors")
"""The weights of the small variant, which come with Kinochrome."""

RENEWAL = 8
"""Every so many frames from its source a sweep searches it from rest."""
SILENT = "silent"
"""Handed on alone by a sweep that has met no reference yet."""
ANYWHERE = -(1 << 40)
"""The frame of pictures that are no frame of the film."""


@dataclass(frozen=True)
class BistnetOptions:
    """What can be set with `--set bistnet.OPTION=VALUE`."""

    variant: Literal["small", "paper"] = "small"
    """`small` runs on any machine with the weights that come along; `paper` has the paper's sizes: you train it."""
    weights: str = ""
    """Another file of weights than the one that comes with Kinochrome; it says itself of which variant it is."""
    flow: FlowName = "dis"
    """How motion is found: `dis` needs no weights, `raft_small` and `raft_large` public ones, and far more time."""


@dataclass(frozen=True)
class Source:
    """Known colours at one frame; its index is within the clip and may lie outside."""

    frame: int
    known: Known
    places: Places

    @property
    def said(self) -> Said:
        return self.known.said


@dataclass(frozen=True)
class State:
    """What a sweep knows of the frame it has reached."""

    side: Side
    source: Source
    motion: np.ndarray | None
    """From this frame to the source's; None where that is another picture's."""


class Bistnet:
    """The method `bistnet`; see the module."""

    needs: ClassVar[frozenset[str]] = frozenset({"reference"})
    uses: ClassVar[frozenset[str]] = frozenset({"reference"})
    longest = 72
    Options: ClassVar[type] = BistnetOptions

    def __init__(self, options: BistnetOptions, device: str = "cpu") -> None:
        self.device = device
        self._ways = Ways(0, device, options.flow)
        self.network = load(options, device)
        self._see = eyes_of(self.network, device)

    def working_size(self, height: int, width: int) -> tuple[int, int]:
        """The short side 240, never larger than the film."""
        return working_size(height, width)

    @torch.inference_mode()
    def colorize(self, clip: Clip) -> Generator[Painted, None, dict[str, Tensor]]:
        """One `Painted` a frame; hands over what the sweep knows of the frame where the next piece takes up.

        That is the last one, or, where a later reference's colours are brought back, the last of the overlap.
        """
        height, width = clip.lightness.shape[-2:]
        film = Film(self._fitted(clip.lightness), clip.start)
        back = film.reversed()
        head, last = max(clip.overlap - 1, 0), len(film) - 1
        placed = self._placed(clip)
        mirrored = [replace(one, frame=last - one.frame) for one in reversed(placed)]
        stills = [] if placed else self._stills(clip)
        before = _unpack(clip.carried if clip.overlap < 2 else None, placed or stills, film)
        after = _unpack(clip.brought, mirrored, back)
        # What the piece before said before its first reference came back from there, and comes back to this one, too.
        silent = bool(placed) and SILENT in (clip.carried or {})
        earlier = [] if before or silent else self._neighbour(clip.previous, head, film)
        later = [] if after else self._neighbour(clip.following, last, film)
        if not (placed or before or after or earlier or later):
            earlier = stills
            if not stills:
                raise MethodError(
                    f"Method bistnet has nothing to take colours from at frame {clip.start}: give its shot a "
                    f"reference, for instance --reference PICTURE@{clip.start}."
                )

        backward: list[State | None] = [None] * len(film)
        if after or any(source.frame > 0 for source in [*placed, *earlier, *later]):
            ends = [replace(source, frame=last - source.frame) for source in ([] if after else later or earlier)]
            backward = list(self._sweep(back, sorted([*mirrored, *ends], key=_frame), after))[::-1]
        # The piece before has not been here: this run brings colours back to it, and owes it nothing else.
        brings = brings_back(clip, after is not None, [source.frame for source in placed])
        # What comes back is then all that is asked for: where it reaches from the end, nothing is drawn.
        spared = brings and backward[-1] is not None
        forward = backward if spared else self._sweep(film, sorted([*earlier, *placed], key=_frame), before)
        state: State | None = None
        known = {source.frame: source.said for source in placed}
        for index, state in enumerate(forward):
            said = state.side.carried if spared and state else None
            said = said or self._drawn(film, index, state, backward[index], known.get(index))
            ab, sure = (one[0, :, :height, :width].float().cpu().contiguous() for one in (said.ab, said.confidence))
            yield Painted(ab.clamp(-128, 128), sure.clamp(0, 1))
        return _pack(backward[head], back) if brings else _pack(state, film)

    def _sweep(self, film: Film, sources: Sequence[Source], state: State | None) -> Iterator[State | None]:
        """The state at every frame in order; None before the first source."""
        at = {source.frame: source for source in sources}
        for index in range(len(film)):
            if index or state is None:
                state = self._reached(film, index, state, at.get(index), sources)
            yield state

    def _reached(
        self, film: Film, index: int, state: State | None, here: Source | None, sources: Sequence[Source]
    ) -> State | None:
        """The state at a frame, given the one before and the source that lies here."""
        passed = [one for one in sources if one.frame < index] + ([state.source] if state else [])
        source = max(passed, key=_frame, default=None)
        if here is None:
            return None if source is None else self._advanced(film, index, state, source)
        still = np.zeros((*film.frames.shape[-2:], 2), np.float32)
        said, share = here.said, here.said.confidence
        if share.min() < 1:
            # A reference that covers a part of its frame: the rest is carried on, or found in what it covers.
            own = (
                self.network.match(self._look(film, index)[1], here.places)
                if source is None
                else self._advanced(film, index, state, source).side.carried
            )
            said = Said(torch.lerp(own.ab, said.ab, share), torch.maximum(own.confidence, share))
        return State(Side(said, said), here, still)

    def _advanced(self, film: Film, index: int, state: State | None, source: Source) -> State:
        """The state one frame on, or where a sweep begins after its source."""
        look, keys = self._look(film, index)
        matched, light = self.network.match(keys, source.places), film.light(index)
        if self.network.shape.fusion != "gates":
            return State(Side(matched, matched), source, None)
        if state is not None:
            before = Known(film.light(index - 1), state.side.carried)
            step = self._ways.between(light, before.lightness)
            way = self._way(light, source, state.motion, step, anew=(index - source.frame) % RENEWAL == 0)
        elif source.frame != ANYWHERE:
            before, step = source.known, self._ways.between(light, source.known.lightness)
            way = step
        else:
            return State(Side(matched, matched), source, None)
        # No way leads to a picture of another moment: what was carried stands in for it.
        end, motion = (before, step) if way is None else (source.known, way)
        carried = self.network.carry(look, before, self._ways.tensor(step), end, self._ways.tensor(motion), matched)
        return State(Side(matched, carried), source, way)

    def _way(
        self, light: Tensor, source: Source, before: np.ndarray | None, step: np.ndarray, anew: bool
    ) -> np.ndarray | None:
        """The motion from a frame to the source, given that from the frame before."""
        if before is None:
            return None
        way = flow.compose(step, before)
        return self._ways.followed(light, source.known.lightness, way, anew)

    def _drawn(self, film: Film, index: int, forward: State | None, backward: State | None, known: Said | None) -> Said:
        """The colours of a frame; a side that is silent is spoken for by the other."""
        ahead, behind = forward or backward, backward or forward
        assert ahead is not None and behind is not None
        if known is not None and known.confidence.min() == 1:
            film.seen.pop(film.number(index), None)
            return known
        look, _ = self._look(film, index)
        film.seen.pop(film.number(index))
        since, until = index - ahead.source.frame, len(film) - 1 - index - behind.source.frame
        time = since / max(1, since + until) if forward and backward else 0.5
        fused, told = self.network.fuse(ahead.side, behind.side, torch.tensor([time], device=self.device))
        ab, sure = self.network.colour(look, fused, told)[-1], fused.confidence
        if known is None:
            return Said(ab, sure)
        return Said(torch.lerp(ab, known.ab, known.confidence), torch.maximum(sure, known.confidence))

    def _look(self, film: Film, index: int) -> tuple[Look, Tensor]:
        """What is seen in a frame, and its keys; looked at once, and forgotten when it is coloured."""
        number = film.number(index)
        if number not in film.seen:
            look = self._see(film.light(index))
            # The keys are all that is needed of the features, which are large.
            film.seen[number] = replace(look, levels=()), self.network.correspondence(look)
        return film.seen[number]

    # --- What a clip tells ---

    def _placed(self, clip: Clip) -> list[Source]:
        """References that are frames of the film, in order."""
        check_one_a_frame("bistnet", clip.references)
        placed = [self._source(one, one.frame - clip.start) for one in clip.references if one.frame is not None]
        return sorted(placed, key=_frame)

    def _source(self, reference: Reference, frame: int) -> Source:
        light, ab, confidence = map(self._fitted, (reference.lightness, reference.ab, reference.confidence))
        known = Known(light, Said(ab, confidence))
        return Source(frame, known, self.network.places(self._see(light), known.said))

    def _neighbour(self, painted: Painted | None, frame: int, film: Film) -> list[Source]:
        """What a neighbouring piece said of a frame, as a source; none if there is none."""
        if painted is None:
            return []
        return [self._source(Reference(film.light(frame)[0], painted.ab, painted.confidence, None), frame)]

    def _stills(self, clip: Clip) -> list[Source]:
        """Pictures of other moments as one source, farther away than any frame; none if there are none."""
        stills = [self._source(one, 0) for one in clip.references if one.frame is None]
        if not stills:
            return []
        return [replace(stills[0], frame=ANYWHERE, places=matching.joined([one.places for one in stills]))]

    def _fitted(self, image: Tensor) -> Tensor:
        """(N, c, h, w) with sides that the network can halve, its edges repeated."""
        return padded(image.to(self.device), STRIDE, LEAST)


def load(options: BistnetOptions, device: str = "cpu") -> Network:
    """The network of a file of weights, built as its header says."""
    chosen = options.variant, options.weights
    return weights.load_variant("bistnet", chosen, SHIPPED, Shape, Network).to(device)


def eyes_of(network: Network, device: str) -> Callable[[Tensor], Look]:
    """What sees frames for a network: its own eyes, or public networks."""
    return network.eyes or PublicEyes(device)


def _frame(source: Source) -> int:
    return source.frame


def _pack(state: State | None, film: Film) -> dict[str, Tensor]:
    """What the next piece takes up: one sweep alone, so that pieces do not change what a whole clip says."""
    if state is None:
        return {SILENT: torch.ones(1)}
    side, motion = state.side, state.motion
    return {
        **({} if motion is None else {"motion": torch.from_numpy(motion)}),
        "source": torch.tensor(max(-1, film.number(state.source.frame))),
        "matched": torch.cat([side.matched.ab, side.matched.confidence], 1).cpu(),
        "carried": torch.cat([side.carried.ab, side.carried.confidence], 1).cpu(),
    }


def _unpack(packed: dict[str, Tensor] | None, sources: Sequence[Source], film: Film) -> State | None:
    """The state where a neighbour's sweep ended, if its source is still among the references."""
    if packed is None or SILENT in packed:
        return None
    number = int(packed["source"])
    frame = film.index(number) if number >= 0 else ANYWHERE
    source = next((one for one in sources if one.frame == frame), None)
    if source is None:
        return None
    matched, carried = (packed[name].to(film.frames.device) for name in ("matched", "carried"))
    side = Side(Said(matched[:, :2], matched[:, 2:]), Said(carried[:, :2], carried[:, 2:]))
    return State(side, source, packed["motion"].numpy() if "motion" in packed else None)
