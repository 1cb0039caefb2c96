"""Colours carried along the motion, from references at any frames: no network, no weights.

Two sweeps go over the clip, forward and (where a colour source lies later) backward. In a sweep every frame has two
candidates: the frame before it, warped (the chain), and the last source, warped (direct). The direct flow is searched
around the composition of all flows since, so it survives long motion, and the source is sampled only once.
Each pixel takes what its lightness agrees with. What neither explains recalls colours from places of like lightness,
texture and position. Some frames passed are remembered, and found again by likeness when the film comes back to them:
it has what it showed then in its first colours. Where both sweeps have been, confidence and distance in time decide.

Pieces of a shot say what the whole shot would. The forward sweep goes on where the piece before left it. The backward
sweep begins anew at each reference that covers its frame and remembers no more than the references after that, so
nobody has to bring colours back from farther than the next such reference.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

import cv2
import numpy as np
import torch

from kinochrome import flow, views
from kinochrome.errors import MethodError
from kinochrome.sweeps import brings_back, working_size
from kinochrome.types import Clip, Painted, Reference
from kinochrome.views import Views

CELL = 8
"""Recall works on one place in so many pixels, each way."""
RENEWAL = 8
"""Every so many frames from its source a sweep searches it from rest."""
FORGETTING = 0.99
"""Confidence that one step of the chain leaves."""
GUESSED = 0.1
"""Confidence of a recalled colour."""
ENOUGH = 0.6
"""From here on a place counts as explained."""
FAVOUR = 10.0
"""How much more a remembered frame weighs than its confidence: the chain, always a step away, agrees too easily."""

Said = tuple[np.ndarray, np.ndarray]
"""ab (h, w, 2) and confidence (h, w) of a frame."""
SILENT = "silent"
"""Carried alone by a sweep that has met no source yet."""


@dataclass(frozen=True)
class FlowOptions:
    """What can be set with `--set flow.OPTION=VALUE`."""

    quality: Literal["fast", "good", "best"] = "good"
    """How fine motion is searched: to a quarter of the working size, half of it, or all of it (5 times slower)."""


@dataclass(frozen=True)
class Cells:
    """Places of one image that colours can be recalled from."""

    features: np.ndarray
    """(n, 6): lightness at three scales, texture, position."""
    ab: np.ndarray
    """(n, 2)"""
    known: np.ndarray
    """(n,) bool"""


@dataclass(frozen=True)
class Look:
    """One frame as motion search (uint8) and as comparisons (float) see it."""

    lightness: np.ndarray
    picture: np.ndarray


@dataclass(frozen=True)
class Source:
    """Known colours at one frame; its index is within the clip and may lie outside."""

    frame: int
    look: Look
    ab: np.ndarray
    confidence: np.ndarray
    cells: Cells
    views: Views | None = None
    """What a sweep remembers that begins anew here, whatever came before; None: it goes on."""


@dataclass(frozen=True)
class State:
    """What a sweep knows of the frame it has reached."""

    ab: np.ndarray
    confidence: np.ndarray
    source: Source
    motion: np.ndarray
    """From this frame to the source's."""
    cells: Cells = field(repr=False)
    views: Views = ()


class Flow:
    """The method `flow`; see the module."""

    needs: ClassVar[frozenset[str]] = frozenset({"reference"})
    uses: ClassVar[frozenset[str]] = frozenset({"reference"})
    longest = 72
    Options: ClassVar[type] = FlowOptions

    def __init__(self, options: FlowOptions, device: str = "cpu") -> None:
        self.options = options
        self._motion = flow.Motion({"best": 0, "good": 1, "fast": 2}[options.quality])

    def working_size(self, height: int, width: int) -> tuple[int, int]:
        """The short side 240, never larger than the film."""
        return working_size(height, width)

    def colorize(self, clip: Clip) -> Generator[Painted, None, dict[str, torch.Tensor]]:
        """One `Painted` a frame; hands over what the sweep knows of the frame where the next piece takes up.

        That is the last one, or, where a later reference's colours are brought back, the last of the overlap.
        """
        film = [_look(frame[0].numpy()) for frame in clip.lightness]
        head, last = max(clip.overlap - 1, 0), len(film) - 1
        photos = [_source(reference, 0) for reference in clip.references if reference.frame is None]
        placed = [_source(r, r.frame - clip.start) for r in clip.references if r.frame is not None]
        mirrored = _from_the_end(placed, last)
        carried = _unpack(clip.carried if clip.overlap < 2 else None, film[head], placed, clip.start, 1)
        brought = _unpack(clip.brought, film[last], mirrored, clip.start + last, -1)
        # Each neighbour speaks in one sweep only; what it handed over is more than what it said. What it said before
        # the first reference came back from there and comes back to this piece, too.
        silent = bool(placed) and SILENT in (clip.carried or {})
        earlier = [] if carried or silent else _neighbour(clip.previous, head, film)
        later = [] if brought else _neighbour(clip.following, last, film)
        if not (placed or earlier or later or carried):
            earlier = [self._match(photos, film[0], clip.start)]
        recall = [photo.cells for photo in photos]

        backward: list[State | None] = [None] * len(film)
        if brought or any(source.frame > 0 for source in [*placed, *earlier, *later]):
            neighbours = [] if brought else later or earlier
            neighbours = [replace(source, frame=last - source.frame) for source in neighbours]
            backward = list(self._sweep(film[::-1], [*mirrored, *neighbours], recall, brought))[::-1]
        told = [source.frame for source in placed] + ([carried.source.frame] if carried else [])
        if earlier and not any(frame <= head for frame in told):
            told.append(head)
        if (later or brought) and not any(frame >= last for frame in told):
            told.append(last)
        # The piece before has not been here: this run brings colours back to it, and owes it nothing else.
        brings = brings_back(clip, brought is not None, told)
        # What comes back is then all that is asked for, and the forward sweep is spared.
        spared = brings and backward[-1] is not None
        forward = [None] * len(film) if spared else self._sweep(film, [*placed, *earlier], recall, carried)
        state: State | None = None
        for index, state in enumerate(forward):
            yield _blend(_said(state), _said(backward[index]), _share(index, told))
        if brings:
            return _pack(backward[head], mirrored, clip.start + last, -1)
        return _pack(state, placed, clip.start, 1)

    def _sweep(
        self, film: list[Look], sources: list[Source], recall: list[Cells], carried: State | None = None
    ) -> Iterator[State | None]:
        """The state at every frame in order, told by the sources at or before it; None before the first."""
        at = {source.frame: source for source in sources}
        before = [source for source in sources if source.frame < 0]
        state = carried
        if state is None and before and 0 not in at:
            state = self._enter(film[0], max(before, key=lambda source: source.frame), recall)
        for index, look in enumerate(film):
            if index and state is not None:
                state = self._advance(film[index - 1], look, state, recall, index - state.source.frame)
            if index in at and (index or carried is None):
                state = _anchor(state, at[index])
            yield state

    def _enter(self, look: Look, source: Source, recall: list[Cells]) -> State:
        """The state at a clip's first frame from a source before the clip: one bold search."""
        motion = self._motion.between(look.picture, source.look.picture)
        candidate = _candidate(look, source.look, source.ab, source.confidence * 0.5, motion)
        return _state(look, _settle(look, [candidate], [source.cells, *recall]), source, motion)

    def _advance(self, before: Look, look: Look, state: State, recall: list[Cells], since: int) -> State:
        """The state one frame on, so many frames `since` the source."""
        step = self._motion.between(look.picture, before.picture)
        motion = self._motion.between(look.picture, state.source.look.picture, flow.compose(step, state.motion))
        source = state.source
        candidates = [
            _candidate(look, before, state.ab, state.confidence * FORGETTING, step),
            _candidate(look, source.look, source.ab, source.confidence * 0.9, motion),
        ]
        told = candidates[1].confidence
        if since % RENEWAL == 0:
            bold = self._motion.between(look.picture, source.look.picture)
            candidates.append(_candidate(look, source.look, source.ab, source.confidence * 0.9, bold))
            better = candidates[2].difference < candidates[1].difference
            motion = np.where(better[..., None], bold, motion)
            told = np.maximum(told, candidates[2].confidence)
        candidates += self._recollect(look, state.views, told)
        said = _settle(look, candidates, [source.cells, *recall, state.cells])
        past = views.remember(state.views, (look.picture, *said)) if since % views.EVERY == 0 else state.views
        return replace(_state(look, said, source, motion), views=past)

    def _recollect(self, look: Look, past: Views, told: np.ndarray) -> list[Candidate]:
        """The frame remembered that the film is back at, if it is; `told`: the source's own confidence here."""
        view = views.nearest(past, look.picture)
        if view is None:
            return []
        ab, sure = views.colours(view)
        motion = self._motion.between(look.picture, view.picture)
        then = Look(view.lightness, view.picture)
        candidate = _candidate(look, then, ab, sure, motion)
        # What was a guess then must not outweigh the source where that shows the place.
        own, rival = candidate.confidence**4, told**4
        return [replace(candidate, favour=np.float32(FAVOUR) * own / np.maximum(own + rival, 1e-9))]

    def _match(self, photos: list[Source], look: Look, frame: int) -> Source:
        """Colours for a frame from pictures of the same things: by geometry where they share a view, or by likeness."""
        if not photos:
            raise MethodError(
                f"Method flow has nothing to take colours from at frame {frame}: give its shot a reference, "
                f"for instance --reference PICTURE@{frame}."
            )
        still = np.zeros((*look.lightness.shape, 2), np.float32)
        unknown = np.full_like(look.lightness, 1e-3)
        candidates, memory = [Candidate(still, unknown, unknown + 40, 0 * unknown)], []
        for photo in photos:
            found = self._view(photo, look)
            if found is None:
                own, film = photo.look.lightness[photo.confidence > 0], look.lightness
                memory.append(_relit(photo, own, film).cells)
                continue
            turned, motion = found
            reached = flow.inside(motion) & (flow.warp(turned.confidence, motion) > 0)
            lit = _relit(turned, flow.warp(turned.look.lightness, motion)[reached], look.lightness[reached])
            candidates.append(_candidate(look, lit.look, lit.ab, lit.confidence * 0.8, motion))
            memory.append(lit.cells)
        return _known(0, look, *_settle(look, candidates, memory, place=0.2))

    def _view(self, photo: Source, look: Look) -> tuple[Source, np.ndarray] | None:
        """The photo, or its mirror image, and the flow to it, if it shows the frame's scene."""
        found = []
        for turned in (photo, _mirrored(photo)):
            view = flow.align(look.picture, turned.look.picture)
            if view is not None:
                motion = self._motion.between(look.picture, turned.look.picture, view)
                explained = _candidate(look, turned.look, turned.ab, turned.confidence, motion).explained
                found.append((float(explained.mean()), turned, motion))
        return max(found, key=lambda one: one[0])[1:] if found else None


@dataclass(frozen=True)
class Candidate:
    """One way to explain a frame: warped colours and confidence, and how the lightness agrees."""

    ab: np.ndarray
    confidence: np.ndarray
    difference: np.ndarray
    explained: np.ndarray
    """(h, w), 0..1: 1 where nothing speaks against it."""
    favour: float | np.ndarray = 1.0
    """Weighs it, and leaves its confidence as it is."""


def _candidate(look: Look, other: Look, ab: np.ndarray, confidence: np.ndarray, motion: np.ndarray) -> Candidate:
    layers = flow.warp(cv2.merge([other.lightness, *cv2.split(ab), confidence]), motion)
    lightness, *colour, confidence = cv2.split(layers)
    # A change of exposure is not a change of things.
    lightness += np.float32(np.median((look.lightness - lightness)[::4, ::4]))
    explained = np.exp(flow.mismatch(look.lightness, lightness) * -0.4) * flow.inside(motion)
    difference = flow.difference(look.lightness, lightness)
    return Candidate(cv2.merge(colour), confidence * explained, difference, explained)


def _settle(look: Look, candidates: list[Candidate], memory: list[Cells], place: float = 1.0) -> Said:
    """Candidates weighed by how the lightness agrees; what none explains is recalled."""
    weights = [np.exp(np.minimum(c.difference, 40) * -0.5) * (c.confidence * c.favour + 1e-4) for c in candidates]
    total = np.add.reduce(weights)
    shares = [weight / total for weight in weights]
    ab = np.add.reduce([c.ab * _both(share) for c, share in zip(candidates, shares, strict=True)])
    confidence = np.add.reduce([c.confidence * share for c, share in zip(candidates, shares, strict=True)])
    explained = np.maximum.reduce([c.explained for c in candidates])
    return _recall(look, ab, explained, memory, place), np.maximum(confidence, GUESSED)


def _recall(look: Look, ab: np.ndarray, explained: np.ndarray, memory: list[Cells], place: float) -> np.ndarray:
    """`ab` with its unexplained places coloured like the most similar cells of the memory and of this frame.

    `place`: how much position counts.
    """
    here = _cells(look.lightness, ab, explained)
    unknown = ~here.known
    memory = [*memory, here]
    counts = np.array([1, 1, 1, 1, place, place], np.float32)
    keys = torch.from_numpy(np.concatenate([cells.features[cells.known] for cells in memory]) * counts)
    if not unknown.any() or not len(keys):
        return ab
    values = torch.from_numpy(np.concatenate([cells.ab[cells.known] for cells in memory]))
    queries = torch.from_numpy(here.features[unknown] * counts)
    nearness = torch.softmax(2 * queries @ keys.T - keys.square().sum(1), dim=1)
    guess = here.ab.copy()
    guess[unknown] = (nearness @ values).numpy()
    height, width = explained.shape
    rows = len(range(_middle(height), height, CELL))
    guess = cv2.resize(guess.reshape(rows, -1, 2), (width, height), interpolation=cv2.INTER_LINEAR)
    return guess + _both(np.minimum(explained / ENOUGH, 1)) * (ab - guess)


def _both(weight: np.ndarray) -> np.ndarray:
    """(h, w) as (h, w, 2): several times faster to multiply than NumPy's broadcasting."""
    return cv2.merge([weight, weight])


def _state(look: Look, said: Said, source: Source, motion: np.ndarray) -> State:
    ab, confidence = said
    return State(ab, confidence, source, motion, _cells(look.lightness, ab, np.ones_like(confidence)))


def _cells(lightness: np.ndarray, ab: np.ndarray, known: np.ndarray) -> Cells:
    """One cell for each `CELL` pixels across and down; `known` (h, w) is averaged and compared to `ENOUGH`."""
    height, width = lightness.shape
    at = slice(_middle(height), None, CELL), slice(_middle(width), None, CELL)
    mean = cv2.blur(lightness, (9, 9))
    texture = np.sqrt(np.maximum(cv2.blur(lightness * lightness, (9, 9)) - mean * mean, 0))
    down, across = np.mgrid[at[0].start : height : CELL, at[1].start : width : CELL].astype(np.float32)
    # Lightness counts in steps of 3, position in steps of 20 pixels: nearby cells of another lightness are rivals.
    fine, coarse = cv2.blur(lightness, (3, 3)), cv2.blur(lightness, (25, 25))
    planes = [fine[at] / 3, mean[at] / 6, texture[at] / 3, coarse[at] / 10]
    features = np.stack([*planes, down / 20, across / 20], axis=-1).reshape(-1, 6)
    sure = cv2.blur(known.astype(np.float32), (CELL, CELL))[at].ravel() >= ENOUGH
    return Cells(features, cv2.blur(ab, (5, 5))[at].reshape(-1, 2), sure)


def _middle(length: int) -> int:
    """Where the first cell's middle lies."""
    return min(CELL // 2, length - 1)


def _anchor(state: State | None, source: Source) -> State:
    """The state at a source's own frame: its colours, and where it is unsure what was carried here."""
    ab, confidence, past = source.ab, source.confidence, source.views or ()
    if state is not None and source.views is None:
        share = confidence / np.maximum(confidence + (1 - confidence) * state.confidence, 1e-6)
        # Exact where the source is sure, so that it does not matter how the sweep came here.
        ab = ab * _both(share) + state.ab * _both(1 - share)
        confidence = np.maximum(confidence, state.confidence)
        past = views.corrected(state.views, _shown(state.source), _shown(source))
    motion = np.zeros((*confidence.shape, 2), np.float32)
    return replace(_state(source.look, (ab, confidence), source, motion), views=past)


def _shown(source: Source) -> views.Shown:
    return source.look.picture, source.ab, source.confidence


def _from_the_end(placed: list[Source], last: int) -> list[Source]:
    """The sources as a sweep meets them that starts at frame `last`, each with what it remembers from there on.

    One that does not cover its frame needs what comes from farther behind it, so there the sweep goes on.
    """
    mirrored = sorted((replace(one, frame=last - one.frame) for one in placed), key=lambda one: one.frame)
    for n, source in enumerate(mirrored):
        if source.confidence.min() == 1:
            passed = mirrored[max(0, n - views.BEHIND) : n + 1]
            mirrored[n] = replace(source, views=views.behind([_shown(one) for one in passed]))
    return mirrored


def _said(state: State | None) -> Said | None:
    return None if state is None else (state.ab, state.confidence)


def _share(index: int, told: list[int]) -> float:
    """How much nearer the last source is than the next, 0..1."""
    since = [index - frame for frame in told if frame <= index]
    until = [frame - index for frame in told if frame >= index]
    if not since or not until:
        return 1.0 if since else 0.0
    return (min(until) + 0.5) / (min(since) + min(until) + 1)


def _blend(forward: Said | None, backward: Said | None, share: float) -> Painted:
    """Both sides, each pixel by confidence and distance in time."""
    if forward is None or backward is None:
        said = forward or backward
        assert said is not None
        return _painted(*said)
    one, other = share * forward[1] ** 4, (1 - share) * backward[1] ** 4
    ab = backward[0] + _both(one / np.maximum(one + other, 1e-9)) * (forward[0] - backward[0])
    return _painted(ab, np.maximum(forward[1], backward[1]))


def _painted(ab: np.ndarray, confidence: np.ndarray) -> Painted:
    channels = np.ascontiguousarray(ab.transpose(2, 0, 1), dtype=np.float32)
    return Painted(torch.from_numpy(channels), torch.from_numpy(confidence[None].astype(np.float32).clip(0, 1)))


def _look(lightness: np.ndarray) -> Look:
    lightness = np.ascontiguousarray(lightness)
    return Look(lightness, flow.visible(lightness))


def _mirrored(source: Source) -> Source:
    look = Look(_flip(source.look.lightness), _flip(source.look.picture))
    return _known(source.frame, look, _flip(source.ab), _flip(source.confidence))


def _flip(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(image[:, ::-1])


def _relit(source: Source, own: np.ndarray, film: np.ndarray) -> Source:
    """The source as lit as the film: `own` and `film` are lightness of the same things, whose mean and spread meet."""
    if not own.size:
        return source
    gain = np.clip(film.std() / max(float(own.std()), 1e-3), 0.5, 2)
    relit = np.clip((source.look.lightness - own.mean()) * gain + film.mean(), 0, 100).astype(np.float32)
    return _known(source.frame, Look(relit, source.look.picture), source.ab, source.confidence)


def _image(ab: torch.Tensor) -> np.ndarray:
    return np.ascontiguousarray(ab.permute(1, 2, 0).numpy())


def _known(frame: int, look: Look, ab: np.ndarray, confidence: np.ndarray) -> Source:
    return Source(frame, look, ab, confidence, _cells(look.lightness, ab, confidence > 0))


def _neighbour(painted: Painted | None, frame: int, film: list[Look]) -> list[Source]:
    """What a neighbouring piece said of a frame, as a source; none if there is none."""
    if painted is None:
        return []
    return [_known(frame, film[frame], _image(painted.ab), np.ascontiguousarray(painted.confidence[0].numpy()))]


def _source(reference: Reference, frame: int) -> Source:
    """Where the picture does not reach, likely colours of its own stand in; their confidence stays 0."""
    look, confidence = _look(reference.lightness[0].numpy()), np.ascontiguousarray(reference.confidence[0].numpy())
    ab = _recall(look, _image(reference.ab), (confidence > 0).astype(np.float32), [], place=1.0)
    return _known(frame, look, ab, confidence)


def _pack(state: State | None, sources: list[Source], start: int, way: int) -> dict[str, torch.Tensor]:
    """What the next piece takes up: one sweep alone, so that pieces do not change what a whole clip says.

    `start` is the film's index of the sweep's first frame, `way` 1 forward and -1 backward. A source that is none of
    the `sources`, which the next piece is given as well, goes along.
    """
    if state is None:
        return {SILENT: torch.tensor(True)}
    packed = {
        "ab": torch.from_numpy(np.ascontiguousarray(state.ab)),
        "confidence": torch.from_numpy(np.ascontiguousarray(state.confidence)),
        "motion": torch.from_numpy(state.motion),
        "source": torch.tensor(start + way * state.source.frame),
    }
    if state.views:
        packed["views"] = torch.from_numpy(views.packed(state.views))
    source = state.source
    if all(source.frame != one.frame for one in sources):
        names = "source_lightness", "source_ab", "source_confidence"
        parts = source.look.lightness, source.ab, source.confidence
        packed |= {name: torch.from_numpy(np.ascontiguousarray(part)) for name, part in zip(names, parts, strict=True)}
    return packed


def _unpack(
    packed: dict[str, torch.Tensor] | None, look: Look, sources: list[Source], start: int, way: int
) -> State | None:
    """The state where a neighbour's sweep ended, if it had begun and its source is there."""
    if packed is None or SILENT in packed:
        return None
    frame = (int(packed["source"]) - start) * way
    source = next((source for source in sources if source.frame == frame), None)
    if "source_ab" in packed:
        light, colours, sure = (packed[f"source_{name}"].numpy() for name in ("lightness", "ab", "confidence"))
        source = _known(frame, _look(light), colours, sure)
    if source is None:
        return None
    ab, confidence, motion = (packed[name].numpy() for name in ("ab", "confidence", "motion"))
    past = views.unpacked(view.numpy() for view in packed.get("views", ()))
    return replace(_state(look, (ab, confidence), source, motion), views=past)
