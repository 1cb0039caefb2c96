"""The default method: colours from references, stills, scribbles, a draft or nothing, chosen by a trained network.

Like `flow`, two sweeps go over the clip, forward and (where a colour source lies later) backward. At every frame the
network weighs candidates: the frame before and the last source, both carried along the motion; what the other sweep
said; what a bounded memory recalls of places that look alike; a draft; and its own guess. It knows how sure it is,
and that confidence goes with the colours.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from kinochrome import flow, views, weights
from kinochrome.nets.processor import computes_in_bfloat16
from kinochrome.sweeps import Film, Ways, ahead, brings_back, padded, plane, working_size
from kinochrome.types import Clip, Painted, Reference
from kinochrome.views import Views

from . import tuning
from .network import (
    FINEST,
    STRIDE,
    Candidate,
    Memory,
    Network,
    Shape,
    Sight,
    carried,
    followed,
    join,
    older,
    thinned,
    told,
)

SHIPPED = Path(__file__).with_name("kino.safetensors")
"""The weights that come with Kinochrome."""
RENEWAL = 8
"""Every so many frames from its source a sweep searches it from rest."""
SEEN_EVERY = {1: 3, -1: 2}
"""Every so many frames of the film, walking forward and backward, one is looked at; what is seen in it moves along with
the others. Backward it pays to look oftener: the sweep forward need not look again."""
KEPT_EVERY = 9
"""Every so many frames of the film one is remembered, one that is looked at, …"""
KEPT = 2
"""… and so many of those are. From the latest, colours come along the motion, too: a shorter way than that to
the source, and one around what has passed since."""

Said = tuple[Tensor, Tensor]
"""ab (1, 2, h, w) and confidence (1, 1, h, w) of a frame."""


@dataclass(frozen=True)
class KinoOptions:
    """What can be set with `--set kino.OPTION=VALUE`."""

    weights: str = ""
    """Another file of weights than the one that comes with Kinochrome."""


@dataclass(frozen=True)
class Source:
    """Known colours at one frame; its index is within the clip and may lie outside."""

    frame: int
    lightness: Tensor
    said: Said
    memory: Memory
    views: Views | None = None
    """What a sweep remembers that begins anew here, whatever came before; None: it goes on."""
    weighed: bool = False
    """Its colours hold the network's guess already: where nothing else is known, they stay as they are."""


@dataclass(frozen=True)
class State:
    """What a sweep knows of the frame it has reached."""

    said: Said
    evidence: Tensor = field(repr=False)
    """(1, 3, h, w): of what was chosen here, how far its lightness disagreed; see `Candidate`."""
    sight: Sight = field(repr=False)
    source: Source | None = None
    motion: np.ndarray | None = None
    """From this frame to the source's."""
    kept: tuple[Source, ...] = field(default=(), repr=False)
    """Frames of its own that it remembers."""
    back: np.ndarray | None = None
    """From this frame to the latest of them."""
    views: Views = field(default=(), repr=False)


@dataclass(frozen=True)
class Seen:
    """What is seen in a frame, whatever is known of its colours."""

    index: int
    sight: Sight
    step: np.ndarray | None
    """The motion to the frame before it; None in the sweep's first."""
    source: Source | None
    """Whose colours come here …"""
    motion: np.ndarray | None
    """… and the motion to it."""
    back: np.ndarray | None
    """The motion to the latest of the sweep's own frames that is remembered."""


@dataclass(frozen=True)
class Told(Film):
    """A clip as a sweep walks it, with what is told of it besides colours at single frames."""

    draft: Tensor | None = None
    photos: tuple[Memory, ...] = ()

    def reversed(self) -> Told:
        """The same clip, walked from its end."""
        draft = None if self.draft is None else self.draft.flip(0)
        return replace(super().reversed(), draft=draft)


class Kino:
    """The method `kino`; see the module."""

    needs: ClassVar[frozenset[str]] = frozenset()
    uses: ClassVar[frozenset[str]] = frozenset({"reference", "scribble", "draft"})
    longest = 72
    Options: ClassVar[type] = KinoOptions

    def __init__(self, options: KinoOptions, device: str = "cpu") -> None:
        self.device = device
        self._ways = Ways(FINEST, device)
        self._file = Path(options.weights) if options.weights else SHIPPED
        self.network = load(self._file, device)
        if computes_in_bfloat16(device):
            self.network.quickened()

    def working_size(self, height: int, width: int) -> tuple[int, int]:
        """The short side 240, never larger than the film."""
        return working_size(height, width)

    def tune(self, references: Sequence[Reference], steps: int, file: Path, tell: Callable[[int], None]) -> None:
        """Writes weights that these references have taught; see `types.Tunable`."""
        taught = tuning.tuned(load(self._file, self.device), references, steps, tell)
        header = weights.read_header(self._file)
        words = f"{header.recipe}; then {steps} steps on the references of one shot"
        tensors = {name: tensor.cpu() for name, tensor in taught.state_dict().items()}
        weights.write(file, tensors, replace(header, recipe=words))

    @torch.inference_mode()
    def colorize(self, clip: Clip) -> Generator[Painted, None, dict[str, Tensor] | None]:
        """One `Painted` a frame; hands over what the sweep knows of the frame where the next piece takes up.

        That is the last one, or, where a later reference's colours are brought back, the last of the overlap.
        """
        height, width = clip.lightness.shape[-2:]
        film = self._film(clip)
        back = film.reversed()
        head, last = max(clip.overlap - 1, 0), len(film) - 1
        placed = self._sources(clip, film)
        mirrored = _from_the_end(placed, last)
        before = _unpack(clip.carried if clip.overlap < 2 else None, placed, film)
        after = _unpack(clip.brought, mirrored, back)
        # Each neighbour speaks in one sweep only; what it handed over is more than what it said.
        earlier = [] if before else self._neighbour(clip.previous, head, film)
        later = [] if after else self._neighbour(clip.following, last, film)

        backward: list[State | None] = [None] * len(film)
        if after or any(source.frame > 0 for source in [*placed, *earlier, *later]):
            neighbours = [] if after else later or earlier
            mirrored += [replace(source, frame=last - source.frame) for source in neighbours]
            backward = list(self._sweep(back, mirrored, after, backward))[::-1]
        told_at = [source.frame for source in placed]
        # The piece before has not been here: this run brings colours back to it, and owes it nothing else.
        brings = brings_back(clip, after is not None, told_at)
        # What comes back is then all that is asked for: where it reaches from the end, the forward sweep is spared.
        if brings and backward[-1] is not None:
            states: Iterable[State | None] = backward
        else:
            placed = [source for source in placed if source.frame >= head] if brings else placed
            states = self._sweep(film, [*placed, *earlier], before, backward, alone=True)
        state = None
        for state in states:
            yield _painted(state, height, width)
        if brings:
            return _pack(backward[head], back)
        return _pack(state, film)

    def _sweep(
        self,
        film: Told,
        sources: list[Source],
        state: State | None,
        other: Sequence[State | None],
        alone: bool = False,
    ) -> Iterator[State | None]:
        """The state at every frame in order; before the first source None, unless this sweep is `alone` in speaking."""
        at = {source.frame: source for source in sources}
        first = min((max(0, source.frame) for source in sources), default=len(film))
        first = 0 if alone or state is not None else min(first, len(film))
        yield from [None] * first
        walk = self._walk(film, first, state, at, sources)
        # PyTorch on MPS does not bear two threads at once.
        with closing(walk if self.device.startswith("mps") else ahead(walk)) as walked:
            for seen in walked:
                if seen.index in at and (seen.index or state is None):
                    state = self._anchor(film, seen, state, at[seen.index], sources)
                elif seen.index or state is None:
                    state = self._advance(film, seen, state, other[seen.index], sources)
                yield state

    @torch.inference_mode()
    def _walk(
        self, film: Told, first: int, state: State | None, at: dict[int, Source], sources: list[Source]
    ) -> Generator[Seen, None, None]:
        """What is seen in each frame from `first`, where a sweep begins with this state: all that needs no colours."""
        ways, step = Ways(FINEST, self.device), None
        sight, source, motion = (state.sight, state.source, state.motion) if state else (None, None, None)
        own = (state.kept[-1].frame, state.kept[-1].lightness) if state and state.kept else None
        back = state.back if state else None
        for index in range(first, len(film)):
            light, here = film.light(index), at.get(index)
            # Else it is the frame whose state was handed over.
            asked = index > first or state is None
            if index > first:
                step = ways.between(light, film.light(index - 1))
                if own is not None:
                    back = step if own[0] == index - 1 else _way(ways, light, own[1], back, step, anew=False)
            elif state is None:
                source = _last([one for one in sources if one is not here], index)
            # Where all is known, nothing need come.
            if source is not None and asked and not (here and here.said[1].min() == 1):
                anew = (index - source.frame) % RENEWAL == 0
                motion = _way(ways, light, source.lightness, motion, step, anew)
            if asked or sight is None:
                sight = self._sight(film, index, None if here else sight, step)
            if film.step < 0:  # the sweep forward will not look again
                film.seen[film.number(index)] = sight
            yield Seen(index, sight, step, source, motion, back)
            if here is not None and asked:
                source, motion = here, np.zeros((*light.shape[-2:], 2), np.float32)
                if here.views is not None:
                    own = back = None
            elif asked and film.number(index) % KEPT_EVERY == 0:
                own = index, light

    def _advance(
        self, film: Told, seen: Seen, state: State | None, other: State | None, sources: list[Source]
    ) -> State:
        """The state at a frame from the state at the one before, if there was one."""
        index, sight, light, source = seen.index, seen.sight, film.light(seen.index), seen.source
        age = float(index - source.frame) if source else 100.0
        candidates = [self.network.guess(sight), *self._along_motion(film, seen, state)]
        if other is not None:
            candidates += self._from_other(film, index, sight, other, age)
        candidates += self._further(film, index, sight, state, sources)
        ab, confidence, evidence = self.network.fuse(sight, candidates)
        said = ab, confidence
        kept, past = (state.kept, state.views) if state else ((), ())
        if film.number(index) % views.EVERY == 0:
            past = views.remember(past, _shown(light, said))
        if film.number(index) % KEPT_EVERY == 0:
            memory = thinned(self.network.remember(sight, *said))
            kept = (*kept, Source(index, light, said, memory))[-KEPT:]
        return State(said, evidence, sight, source=source, motion=seen.motion, kept=kept, back=seen.back, views=past)

    def _along_motion(self, film: Told, seen: Seen, state: State | None) -> list[Candidate]:
        """What comes from the frame before, where the film is back, from the latest own frame, and from the source."""
        index, sight, source, found = seen.index, seen.sight, seen.source, []
        if state is not None and seen.step is not None:
            found.append(self._carried("chain", sight, film.light(index - 1), state.said, seen.step))
            found += self._recollected(sight, film.light(index), state.views)
            own = state.kept[-1] if state.kept else None
            # From the frame just before, it came already.
            if own is not None and own.frame < index - 1 and seen.back is not None:
                found.append(self._carried("direct", sight, own.lightness, own.said, seen.back))
        if source is not None and seen.motion is not None:
            found.append(self._carried("direct", sight, source.lightness, source.said, seen.motion))
        return found

    def _from_other(self, film: Told, index: int, sight: Sight, other: State, age: float) -> list[Candidate]:
        """What the sweep from the other side says, and its source's own colours, carried here."""
        source = other.source
        until = abs(float(len(film) - 1 - index - source.frame)) if source else 100.0
        found = [told("other", *other.said, older(self._number(until), self._number(age)), other.evidence)]
        if source is not None and other.motion is not None:
            found.append(self._carried("direct", sight, source.lightness, source.said, other.motion))
        return found

    def _further(
        self, film: Told, index: int, sight: Sight, state: State | None, sources: list[Source]
    ) -> list[Candidate]:
        """What has nothing to do with motion: the draft, and what the memory recalls."""
        found = []
        if film.draft is not None:
            draft = film.draft[index : index + 1]
            found.append(told("draft", draft, torch.full_like(draft[:, :1], 0.5), self._number(0)))
        near = [source.memory for source in (_last(sources, index), _next(sources, index)) if source is not None]
        memories = [*near, *film.photos, *(own.memory for own in (state.kept if state else ()))]
        return [*found, self.network.recall(sight, join(memories))] if memories else found

    def _recollected(self, sight: Sight, light: Tensor, past: Views) -> list[Candidate]:
        """Where the film is back at what it showed: the most alike of the frames remembered, carried here."""
        picture = flow.visible(plane(light))
        view = views.nearest(past, picture)
        if view is None:
            return []
        ab, confidence = views.colours(view)
        said = self._ways.tensor(ab), self._ways.tensor(confidence[..., None])
        shown = self._ways.tensor(view.lightness[..., None])
        return [self._carried("view", sight, shown, said, self._ways.search.between(picture, view.picture))]

    def _sight(self, film: Told, index: int, before: Sight | None = None, step: np.ndarray | None = None) -> Sight:
        """What is seen in a frame: looked at, or moved here from the frame `before`, along the `step` to it."""
        number, light = film.number(index), film.light(index)
        sight = film.seen.pop(number, None)
        if sight is None and before is not None and step is not None and number % SEEN_EVERY[film.step]:
            sight = followed(before, light, self._ways.tensor(step))
        return sight or self.network.see(light)

    def _anchor(self, film: Told, seen: Seen, state: State | None, source: Source, sources: list[Source]) -> State:
        """The state at a source's own frame: its colours, and where it is unsure what is carried here."""
        ab, confidence = source.said
        still = np.zeros((*confidence.shape[-2:], 2), np.float32)
        past, kept = source.views or (), state.kept if state and source.views is None else ()
        if state is not None and state.source is not None and source.views is None:
            old, new = (_shown(one.lightness, one.said) for one in (state.source, source))
            past = views.corrected(state.views, old, new)
        earlier = [one for one in sources if one.frame < seen.index]
        if confidence.min() < 1 and not (source.weighed and state is None and not earlier):
            own = self._advance(film, seen, state, None, earlier)
            share = confidence / (confidence + (1 - confidence) * own.said[1]).clamp(min=1e-6)
            ab, confidence = torch.lerp(own.said[0], ab, share), torch.maximum(confidence, own.said[1])
        return State(
            (ab, confidence),
            torch.zeros_like(confidence).repeat(1, 3, 1, 1),
            seen.sight,
            source=source,
            motion=still,
            kept=kept,
            back=seen.back,
            views=past,
        )

    def _carried(self, kind: str, sight: Sight, lightness: Tensor, said: Said, motion: np.ndarray) -> Candidate:
        return carried(kind, sight, lightness, said, self._ways.tensor(motion))

    def _number(self, value: float) -> Tensor:
        return torch.tensor([value], device=self.device)

    # --- What a clip tells ---

    def _film(self, clip: Clip) -> Told:
        photos = tuple(self._photo(one) for one in clip.references if one.frame is None)
        draft = None if clip.draft is None else self._fitted(clip.draft)
        return Told(self._fitted(clip.lightness), clip.start, draft=draft, photos=photos)

    def _photo(self, reference: Reference) -> Memory:
        """A picture of another moment: what it shows may be anywhere."""
        light, ab, confidence = map(self._fitted, (reference.lightness, reference.ab, reference.confidence))
        return self.network.remember(self.network.see(light), ab, confidence, placed=False)

    def _sources(self, clip: Clip, film: Told) -> list[Source]:
        found = [
            self._source(one.frame - clip.start, one.lightness, one.ab, one.confidence)
            for one in clip.references
            if one.frame is not None
        ]
        told_at = {source.frame for source in found}
        for frame in sorted({one.frame - clip.start for one in clip.scribbles} - told_at):
            found.append(self._scribbled(clip, film, frame))
        return sorted(found, key=lambda source: source.frame)

    def _source(self, frame: int, lightness: Tensor, ab: Tensor, confidence: Tensor) -> Source:
        light, ab, confidence = map(self._fitted, (lightness, ab, confidence))
        memory = self.network.remember(self.network.see(light), ab, confidence)
        return Source(frame, light, (ab, confidence), memory)

    def _neighbour(self, painted: Painted | None, frame: int, film: Told) -> list[Source]:
        """What a neighbouring piece said of a frame, as a source; none if there is none."""
        if painted is None:
            return []
        return [self._source(frame, film.light(frame), painted.ab, painted.confidence)]

    def _scribbled(self, clip: Clip, film: Told, frame: int) -> Source:
        """A frame coloured from the scribbles in it, its scribbled pixels exactly so."""
        strokes = [one for one in clip.scribbles if one.frame - clip.start == frame]
        ab = torch.zeros_like(film.light(frame)).repeat(1, 2, 1, 1)
        where = torch.zeros_like(film.light(frame), dtype=torch.bool)
        for stroke in strokes:
            drawn = self._fitted(stroke.where.float()) > 0.5
            ab, where = torch.where(drawn, self._fitted(stroke.ab), ab), where | drawn
        sight = film.seen[film.number(frame)] = self._sight(film, frame)
        candidates = [self.network.guess(sight)]
        if memory := self.network.scribbled(sight, ab, where):
            candidates.append(self.network.recall(sight, memory, "scribble"))
        if film.photos:
            candidates.append(self.network.recall(sight, join(film.photos)))
        painted, confidence, _ = self.network.fuse(sight, candidates)
        painted, confidence = torch.where(where, ab, painted), confidence.masked_fill(where, 1.0)
        memory = self.network.remember(sight, painted, confidence)
        return Source(frame, film.light(frame), (painted, confidence), memory, weighed=True)

    def _fitted(self, image: Tensor) -> Tensor:
        """(N, c, h, w) with sides that the network can halve, its edges repeated."""
        return padded(image.to(self.device), STRIDE)


def load(file: Path, device: str = "cpu") -> Network:
    """The network of a file of weights, built as its header says."""
    return weights.load_own("kino", file, Shape, Network, device)


def _way(
    ways: Ways, light: Tensor, there: Tensor, known: np.ndarray | None, step: np.ndarray | None, anew: bool
) -> np.ndarray:
    """The motion from a frame to another: along the way `known` of the frame before; `anew`: from rest, too."""
    if known is None or step is None:
        return ways.between(light, there)
    return ways.followed(light, there, flow.compose(step, known), anew)


def _shown(light: Tensor, said: Said) -> views.Shown:
    """A frame as `views` remembers it."""
    ab, confidence = (one[0].permute(1, 2, 0).cpu().numpy() for one in said)
    return flow.visible(plane(light)), np.ascontiguousarray(ab), confidence[..., 0]


def _from_the_end(placed: list[Source], last: int) -> list[Source]:
    """The sources as a sweep meets them that starts at frame `last`, each with what it remembers from there on.

    One that does not cover its frame needs what comes from farther behind it, so there the sweep goes on.
    """
    mirrored = sorted((replace(one, frame=last - one.frame) for one in placed), key=lambda one: one.frame)
    for n, source in enumerate(mirrored):
        if source.said[1].min() == 1:
            passed = mirrored[max(0, n - views.BEHIND) : n + 1]
            shown = [_shown(one.lightness, one.said) for one in passed]
            mirrored[n] = replace(source, views=views.behind(shown))
    return mirrored


def _last(sources: list[Source], index: int) -> Source | None:
    before = [source for source in sources if source.frame <= index]
    return max(before, key=lambda source: source.frame) if before else None


def _next(sources: list[Source], index: int) -> Source | None:
    after = [source for source in sources if source.frame > index]
    return min(after, key=lambda source: source.frame) if after else None


def _painted(state: State | None, height: int, width: int) -> Painted:
    assert state is not None
    ab, confidence = (one[0, :, :height, :width].float().cpu().contiguous() for one in state.said)
    return Painted(ab, confidence.clamp(0, 1))


def _pack(state: State | None, film: Told) -> dict[str, Tensor] | None:
    """What the next piece takes up: one sweep alone, so that pieces do not change what a whole clip says."""
    if state is None:
        return None
    packed = {"ab": state.said[0], "confidence": state.said[1], "evidence": state.evidence}
    packed |= {f"sight.{one.name}": getattr(state.sight, one.name) for one in fields(Sight)}
    if state.source is not None and state.motion is not None:
        packed["source"] = torch.tensor(film.number(state.source.frame))
        packed["motion"] = torch.from_numpy(state.motion)
    for n, own in enumerate(state.kept):
        packed[f"kept{n}"] = torch.tensor(film.number(own.frame))
        packed |= {f"kept{n}.lightness": own.lightness, f"kept{n}.ab": own.said[0], f"kept{n}.confidence": own.said[1]}
        packed |= {f"kept{n}.{one.name}": getattr(own.memory, one.name) for one in fields(Memory)}
    if state.back is not None:
        packed["back"] = torch.from_numpy(state.back)
    if state.views:
        packed["views"] = torch.from_numpy(views.packed(state.views))
    return {name: tensor.cpu() for name, tensor in packed.items()}


def _unpack(packed: dict[str, Tensor] | None, sources: list[Source], film: Told) -> State | None:
    """The state where a neighbour's sweep ended; its source only if that is still among the references."""
    if packed is None:
        return None
    known = {name: tensor.to(film.frames.device) for name, tensor in packed.items()}

    def own(name: str) -> Source:
        memory = Memory(*(known[f"{name}.{one.name}"] for one in fields(Memory)))
        said = known[f"{name}.ab"], known[f"{name}.confidence"]
        return Source(film.index(int(packed[name])), known[f"{name}.lightness"], said, memory)

    frame = film.index(int(packed["source"])) if "source" in packed else None
    source = next((source for source in sources if source.frame == frame), None)
    return State(
        (known["ab"], known["confidence"]),
        known["evidence"],
        Sight(*(known[f"sight.{one.name}"] for one in fields(Sight))),
        source=source,
        motion=packed["motion"].numpy() if source else None,
        kept=tuple(own(f"kept{n}") for n in range(KEPT) if f"kept{n}" in packed),
        back=packed["back"].numpy() if "back" in packed else None,
        views=views.unpacked(view.numpy() for view in packed.get("views", ())),
    )
