"""Colours carried along the motion, from references at any frames: no network, no weights.

Two sweeps go over the clip, forward and (where a colour source lies later) backward. In a sweep every frame has two candidates:
the frame before it, warped (the chain), and the last reference, warped (direct). The direct flow is searched around the
composition of all flows since, so it survives long motion, and the reference is sampled only once.
Each pixel takes what its lightness agrees with; where neither explains it, colours of like lightness in the references step in.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import torch

from kinochrome import flow
from kinochrome.errors import MethodError
from kinochrome.types import Clip, Painted, Reference


@dataclass(frozen=True)
class Options:
    """What can be set with `--set flow.OPTION=VALUE`."""

    quality: Literal["fast", "best"] = "best"
    """`best` searches motion at half the working size, `fast` at a quarter: about half the time, 1 dB less."""


@dataclass(frozen=True)
class Source:
    """Known colours at one frame of the clip (index within the clip, may lie outside)."""

    frame: int
    lightness: np.ndarray
    ab: np.ndarray
    confidence: np.ndarray


@dataclass
class State:
    """What a sweep knows of the frame it has reached."""

    ab: np.ndarray
    confidence: np.ndarray
    source: Source | None = None
    motion: np.ndarray | None = None
    """From this frame to `source`."""


class Flow:
    """The method `flow`; see the module."""

    needs = frozenset({"reference"})
    uses = frozenset({"reference"})
    longest = 72
    Options = Options

    def __init__(self, options: Options, device: str = "cpu") -> None:
        self.options = options
        self._motion = flow.Motion(finest=1 if options.quality == "best" else 2)

    def working_size(self, height: int, width: int) -> tuple[int, int]:
        """Short side 240, never larger than the film."""
        scale = min(1.0, 240 / min(height, width))
        return max(1, round(height * scale)), max(1, round(width * scale))

    def colorize(self, clip: Clip) -> Generator[Painted, None, dict[str, torch.Tensor] | None]:
        """One `Painted` a frame; carries the flow to the last reference to the next piece."""
        if not clip.references and clip.previous is None and clip.following is None:
            raise MethodError(
                f"Method flow has no reference for frame {clip.start}. Give one: --reference PICTURE@{clip.start}."
            )
        film = [np.ascontiguousarray(frame[0].numpy()) for frame in clip.lightness]
        palette = Palette(clip.references)
        sources = self._sources(clip, film, palette)
        last = len(film) - 1
        backward: list[State] = []
        if any(source.frame > 0 for source in sources):
            mirrored = [Source(last - s.frame, s.lightness, s.ab, s.confidence) for s in reversed(sources)]
            backward = [state for state, _ in self._sweep(film[::-1], mirrored, None)][::-1]
        carried = _unpack(clip.carried, sources)
        state = None
        for index, (state, _) in enumerate(self._sweep(film, sources, carried)):
            painted = state if not backward else _blend(state, backward[index])
            yield _painted(painted, film[index], palette)
        return _pack(state, clip.start + last, clip)

    def _sources(self, clip: Clip, film: list[np.ndarray], palette: Palette) -> list[Source]:
        """All that has a place in time, in order."""
        sources = [
            Source(
                reference.frame - clip.start,
                np.ascontiguousarray(reference.lightness[0].numpy()),
                _image(reference.ab),
                np.ascontiguousarray(reference.confidence[0].numpy()),
            )
            for reference in clip.references
            if reference.frame is not None
        ]
        known = {source.frame for source in sources}
        neighbours = [(max(clip.overlap - 1, 0), clip.previous), (len(film) - 1, clip.following)]
        for frame, painted in neighbours:
            if painted is not None and frame not in known:
                sources.append(Source(frame, film[frame], _image(painted.ab), painted.confidence[0].numpy()))
                known.add(frame)
        if not sources:
            ab, confidence = palette.look_up(film[0])
            sources.append(Source(0, film[0], ab, confidence))
        return sorted(sources, key=lambda source: source.frame)

    def _sweep(
        self, film: list[np.ndarray], sources: list[Source], carried: State | None
    ) -> Iterator[tuple[State, int]]:
        """States of all frames in order, told by the sources at or before each."""
        at = {source.frame: source for source in sources}
        earlier = [source for source in sources if source.frame < 0]
        pictures = [flow.visible(frame) for frame in film]
        state = carried or State(np.zeros((*film[0].shape, 2), np.float32), np.zeros(film[0].shape, np.float32))
        if carried is None and earlier:
            source = earlier[-1]
            motion = self._motion.between(pictures[0], flow.visible(source.lightness))
            state = self._fuse(film[0], state, None, State(state.ab, state.confidence, source, motion))
        for index, picture in enumerate(pictures):
            if index:
                step = self._motion.between(picture, pictures[index - 1])
                state = self._advance(film, index, step, state, picture)
            if index in at:
                state = _anchor(state, at[index])
            yield state, index

    def _advance(
        self, film: list[np.ndarray], index: int, step: np.ndarray, state: State, picture: np.ndarray
    ) -> State:
        """The state one frame on."""
        motion = None
        if state.source is not None and state.motion is not None:
            start = flow.compose(step, state.motion)
            motion = self._motion.between(picture, flow.visible(state.source.lightness), start)
        return self._fuse(film[index], state, (film[index - 1], step), State(state.ab, state.confidence, state.source, motion))

    def _fuse(
        self, lightness: np.ndarray, before: State, step: tuple[np.ndarray, np.ndarray] | None, after: State
    ) -> State:
        """Chain and direct candidates, each pixel weighed by how well the lightness agrees."""
        candidates = []
        if step is not None:
            previous, motion = step
            error = _disagreement(lightness, flow.warp(previous, motion))
            candidates.append((flow.warp(before.ab, motion), flow.warp(before.confidence, motion) * 0.998, error))
        if after.source is not None and after.motion is not None:
            error = _disagreement(lightness, flow.warp(after.source.lightness, after.motion))
            ab, confidence = flow.warp(after.source.ab, after.motion), flow.warp(after.source.confidence, after.motion)
            candidates.append((ab, confidence, error))
        weights = [np.exp(-error / 2) * confidence + 1e-9 for _, confidence, error in candidates]
        total = sum(weights)
        ab = sum(candidate[0] * (weight / total)[..., None] for candidate, weight in zip(candidates, weights))
        trust = sum(
            candidate[1] * np.exp(-np.maximum(candidate[2] - 3, 0) / 10) * (weight / total)
            for candidate, weight in zip(candidates, weights)
        )
        return State(ab, trust, after.source, after.motion)


class Palette:
    """What colours the references give to a lightness."""

    def __init__(self, references: tuple[Reference, ...]) -> None:
        self._table = np.zeros((101, 2), np.float32)
        weight = np.full(101, 1e-3, np.float32)
        for reference in references:
            level = np.clip(reference.lightness[0].numpy() + 0.5, 0, 100).astype(np.int64).ravel()
            trust = reference.confidence[0].numpy().ravel()
            weight += np.bincount(level, trust, 101).astype(np.float32)
            for channel in range(2):
                values = reference.ab[channel].numpy().ravel() * trust
                self._table[:, channel] += np.bincount(level, values, 101).astype(np.float32)
        table = cv2.GaussianBlur(self._table, (1, 0), 0.1, sigmaY=2) / cv2.GaussianBlur(weight[:, None], (1, 0), 0.1, sigmaY=2)
        self._table = table

    def look_up(self, lightness: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(ab (h, w, 2), confidence (h, w), low) by lightness alone."""
        level = np.clip(lightness + 0.5, 0, 100).astype(np.int64)
        return self._table[level], np.full(lightness.shape, 0.1, np.float32)


def _anchor(state: State, source: Source) -> State:
    """The state at a source's own frame."""
    known = source.confidence[..., None]
    ab = known * source.ab + (1 - known) * state.ab
    motion = np.zeros((*source.confidence.shape, 2), np.float32)
    return State(ab, np.maximum(source.confidence, state.confidence), source, motion)


def _disagreement(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return cv2.blur(cv2.absdiff(first, second), (7, 7))


def _blend(forward: State, backward: State) -> State:
    """Both sides, each pixel by confidence."""
    one, other = forward.confidence**4 + 1e-6, backward.confidence**4 + 1e-6
    share = (one / (one + other))[..., None]
    return State(share * forward.ab + (1 - share) * backward.ab, np.maximum(forward.confidence, backward.confidence))


def _painted(state: State, lightness: np.ndarray, palette: Palette) -> Painted:
    """What is not explained takes the palette's colours."""
    guess, _ = palette.look_up(lightness)
    known = np.clip(state.confidence * 2, 0, 1)[..., None]
    ab = known * state.ab + (1 - known) * guess
    confidence = np.clip(state.confidence, 0, 1)
    return Painted(torch.from_numpy(np.ascontiguousarray(ab.transpose(2, 0, 1))), torch.from_numpy(confidence[None].copy()))


def _image(ab: torch.Tensor) -> np.ndarray:
    return np.ascontiguousarray(ab.permute(1, 2, 0).numpy())


def _pack(state: State | None, frame: int, clip: Clip) -> dict[str, torch.Tensor] | None:
    if state is None or state.source is None or state.motion is None:
        return None
    return {
        "frame": torch.tensor(frame),
        "source": torch.tensor(state.source.frame + clip.start),
        "motion": torch.from_numpy(state.motion),
    }


def _unpack(carried: dict[str, torch.Tensor] | None, sources: list[Source]) -> State | None:
    return None
