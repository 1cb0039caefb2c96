"""The `flow` method: colours follow motion from every kind of source, and it knows what it does not know."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
import torch

from kinochrome import chain, methods, views
from kinochrome.types import Clip, Method, Painted, Reference, Shot

SIZE = (72, 112)


def method():
    return methods.load("flow")(methods.parse_options("flow", {}), "cpu")


def scene(frames: int = 12, step: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """(T, 1, h, w) lightness and (T, 2, h, w) ab of a camera that pans over coloured blocks with grain of their own."""
    random = np.random.default_rng(4)
    height, width = SIZE[0], SIZE[1] + frames * step
    grain = cv2.GaussianBlur(random.normal(size=(height, width)), (0, 0), 1.5)
    light = 50 + 60 * grain
    ab = np.zeros((2, height, width), np.float32)
    for row in range(0, height, 24):
        for column in range(0, width, 28):
            block = slice(row, row + 24), slice(column, column + 28)
            ab[(slice(None), *block)] = random.uniform(-50, 50, (2, 1, 1))
            light[block] += random.uniform(-20, 20)
    views = [slice(k * step, k * step + SIZE[1]) for k in range(frames)]
    lightness = np.stack([light.clip(2, 98)[None, :, view] for view in views]).astype(np.float32)
    return torch.from_numpy(lightness), torch.from_numpy(np.stack([ab[:, :, view] for view in views]))


def reference(lightness: torch.Tensor, ab: torch.Tensor, frame: int | None) -> Reference:
    return Reference(lightness, ab, torch.ones_like(lightness), frame)


def error(said: list[Painted], ab: torch.Tensor) -> np.ndarray:
    """Mean distance in ab of each frame."""
    return np.array([(one.ab - true).norm(dim=0).mean() for one, true in zip(said, ab, strict=True)])


def drain(clip: Clip) -> tuple[list[Painted], dict[str, torch.Tensor] | None]:
    generator, said = method().colorize(clip), []
    while True:
        try:
            said.append(next(generator))
        except StopIteration as end:
            return said, end.value


@pytest.mark.parametrize("frame", [0, 5, 11])
def test_a_reference_is_kept_at_its_frame_and_carried_both_ways(frame):
    lightness, ab = scene()
    said = list(method().colorize(Clip(0, 0, lightness, (reference(lightness[frame], ab[frame], frame),))))
    errors = error(said, ab)
    assert errors[frame] == 0 and said[frame].confidence.min() == 1
    near = errors[max(0, frame - 3) : frame + 4]
    assert near.max() < 0.2 * float(ab.norm(dim=1).mean())
    assert errors.max() < 0.45 * float(ab.norm(dim=1).mean())


def test_two_references_beat_one():
    lightness, ab = scene()
    ends = reference(lightness[0], ab[0], 20), reference(lightness[11], ab[11], 31)
    one = error(list(method().colorize(Clip(20, 0, lightness, ends[:1]))), ab)
    both = error(list(method().colorize(Clip(20, 0, lightness, ends))), ab)
    assert both[1:-1].mean() < 0.7 * one[1:-1].mean()


@pytest.mark.parametrize("outside", ["before", "after"])
def test_a_reference_outside_the_clip_is_used(outside):
    lightness, ab = scene()
    inner, frame = slice(2, 10), 0 if outside == "before" else 11
    said = list(method().colorize(Clip(2, 0, lightness[inner], (reference(lightness[frame], ab[frame], frame),))))
    errors = error(said, ab[inner])
    nearest = errors[0] if outside == "before" else errors[-1]
    assert nearest < 0.3 * float(ab.norm(dim=1).mean())


def test_pieces_say_what_the_whole_says():
    lightness, ab = scene()
    known = (reference(lightness[0], ab[0], 0),)
    whole, _ = drain(Clip(0, 0, lightness, known))
    first, carried = drain(Clip(0, 0, lightness[:6], known))
    second, _ = drain(Clip(5, 1, lightness[5:], known, previous=first[-1], carried=carried))
    for one, other in zip(whole, [*first, *second[1:]], strict=True):
        assert torch.equal(one.ab, other.ab)


def test_what_comes_into_view_is_doubted():
    lightness, ab = scene()
    said = list(method().colorize(Clip(0, 0, lightness, (reference(lightness[0], ab[0], 0),))))
    new, seen = said[-1].confidence[..., -24:].mean(), said[-1].confidence[..., :60].mean()
    assert new < 0.3 < 0.6 < seen


def test_flicker_of_exposure_is_no_motion_and_no_colour():
    lightness, ab = scene()
    gain = torch.tensor([1 + 0.03 * (-1) ** k for k in range(12)])[:, None, None, None]
    steady = error(list(method().colorize(Clip(0, 0, lightness, (reference(lightness[0], ab[0], 0),)))), ab)
    flickering = lightness * gain
    shaken = error(list(method().colorize(Clip(0, 0, flickering, (reference(flickering[0], ab[0], 0),)))), ab)
    assert shaken.mean() < steady.mean() + 0.1 * float(ab.norm(dim=1).mean())


def test_an_area_that_the_reference_does_not_reach_is_not_black_or_grey():
    lightness, ab = scene(frames=3, step=0)
    red = torch.tensor([40.0, 20.0])[None, :, None, None].expand_as(ab)
    known = reference(lightness[0], red[0].clone(), 0)
    reach = known.confidence.clone()
    reach[..., :20] = 0
    hole = dataclasses.replace(known, ab=known.ab * reach, confidence=reach)
    said = list(method().colorize(Clip(0, 0, lightness, (hole,))))
    assert (said[0].confidence[..., :14] < 0.5).all()
    assert said[0].ab[0, :, :14].mean() > 25


@pytest.mark.parametrize("kind", ["same", "mirrored", "darker"])
def test_a_still_of_the_same_things_is_matched(kind):
    lightness, ab = scene(frames=4, step=1)
    light, colours = {
        "same": (lightness[3], ab[3]),
        "mirrored": (lightness[0].flip(-1), ab[0].flip(-1)),
        "darker": (lightness[3] * 0.7, ab[3]),
    }[kind]
    still = reference(light.contiguous(), colours.contiguous(), None)
    said = list(method().colorize(Clip(0, 0, lightness, (still,))))
    grey = float(ab.norm(dim=1).mean())
    assert error(said, ab).mean() < 0.8 * grey
    assert max(float(one.ab.abs().max()) for one in said) <= float(ab.abs().max()) + 1


def test_places_of_an_unrelated_still_are_hardly_trusted():
    lightness, _ = scene(frames=3)
    random = np.random.default_rng(9)
    other = torch.from_numpy(random.uniform(0, 100, (1, *SIZE)).astype(np.float32))
    said = list(method().colorize(Clip(0, 0, lightness, (reference(other, torch.full((2, *SIZE), 30.0), None),))))
    assert all(float(one.confidence.mean()) < 0.3 for one in said)
    assert all(torch.isfinite(one.ab).all() for one in said)


def test_colours_neither_fade_nor_drift():
    lightness, ab = scene(frames=10, step=1)
    order = [*range(10), *range(8, 0, -1)] * 6
    clip = Clip(0, 0, lightness[order], (reference(lightness[0], ab[0], 0),))
    said = list(method().colorize(clip))
    strength = [float(one.ab.norm(dim=0).mean()) for one in said]
    assert abs(np.mean(strength[-18:]) - np.mean(strength[:18])) < 0.03 * np.mean(strength[:18])
    errors = error(said, ab[order])
    assert errors[-18:].mean() < errors[:18].mean() + 0.5


def away_and_back(stay: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A camera that rests at view `stay`, goes on until nothing of it is left in view, and comes back to rest there."""
    lightness, ab = scene(frames=40, step=4)
    order = [*range(stay), *[stay] * 10, *range(stay, 40), *range(38, stay, -1), *[stay] * 10]
    return lightness[order], ab[order]


def test_what_left_the_view_has_its_first_colours_when_it_returns():
    lightness, ab = away_and_back(stay=8)
    said = list(method().colorize(Clip(0, 0, lightness, (reference(lightness[0], ab[0], 0),))))
    change = (said[-1].ab - said[17].ab).norm(dim=0).mean()
    assert change < 0.2 * ab.norm(dim=1).mean()


def test_what_an_earlier_reference_showed_is_known_after_a_later_one():
    lightness, ab = away_and_back(stay=0)
    known = tuple(reference(lightness[frame], ab[frame], frame) for frame in (0, 49))
    errors = error(list(method().colorize(Clip(0, 0, lightness, known))), ab)
    # Were it not remembered, nothing would be known: the error would be as large as the colours.
    assert errors[-1] < 0.2 * float(ab.norm(dim=1).mean())


def test_a_later_reference_corrects_what_is_remembered():
    lightness, ab = scene(frames=10, step=1)
    order = [*range(10), *range(8, 0, -1)] * 4
    wrong, right = reference(lightness[0], -ab[0], 0), reference(lightness[0], ab[0], 36)
    errors = error(list(method().colorize(Clip(0, 0, lightness[order], (wrong, right)))), ab[order])
    assert errors[36:].max() < 0.2 * float(ab.norm(dim=1).mean())


def in_pieces(
    lightness: torch.Tensor, known: tuple[Reference, ...], longest: int, painter: Method | None = None
) -> list[Painted]:
    """A whole shot, coloured as the film's own path does it."""
    steps, shot = (chain.Step("tested", None, painter or method(), SIZE),), Shot(0, len(lightness))
    return list(chain.colour_shot(steps, shot, longest, lambda _, first, last: lightness[first:last], lambda _: known))


def half(known: Reference) -> Reference:
    """A reference that leaves the left half of its frame open."""
    reach = known.confidence.clone()
    reach[..., : SIZE[1] // 2] = 0
    return dataclasses.replace(known, ab=known.ab * reach, confidence=reach)


def assert_same(said: list[Painted], others: list[Painted]) -> None:
    for frame, (one, other) in enumerate(zip(said, others, strict=True)):
        assert torch.equal(one.ab, other.ab) and torch.equal(one.confidence, other.confidence), frame


@pytest.mark.parametrize("frames", [(0,), (0, 49)])
def test_pieces_remember_what_the_whole_remembers(frames):
    lightness, ab = away_and_back(stay=8)
    known = tuple(reference(lightness[frame], ab[frame], frame) for frame in frames)
    whole = list(method().colorize(Clip(0, 0, lightness, known)))
    assert_same(in_pieces(lightness, known, 20), whole)


@pytest.mark.parametrize("frames", [(5,), (33,), (49, 85), (11, 12, 33, 36, 57)], ids=str)
@pytest.mark.parametrize("longest", [12, 20])
def test_references_anywhere_serve_pieces_as_they_serve_the_whole(frames, longest):
    """One in the middle is nobody's first frame; the last two show what only the backward sweep brings to the start."""
    lightness, ab = away_and_back(stay=8)
    known = tuple(reference(lightness[frame], ab[frame], frame) for frame in frames)
    assert_same(in_pieces(lightness, known, longest), list(method().colorize(Clip(0, 0, lightness, known))))


@pytest.mark.parametrize("frames", [(20, 33), (13, 18, 24)], ids=str)
def test_what_a_reference_leaves_open_comes_from_behind_it_in_pieces_too(frames):
    lightness, ab = (stack[:40] for stack in away_and_back(stay=8))
    known = tuple(reference(lightness[frame], ab[frame], frame) for frame in frames)
    known = (*map(half, known[:-1]), known[-1])
    assert_same(in_pieces(lightness, known, 9), list(method().colorize(Clip(0, 0, lightness, known))))


def test_a_still_is_matched_once_and_goes_from_piece_to_piece():
    lightness, ab = away_and_back(stay=8)
    known = (reference(lightness[3], ab[3], None),)
    assert_same(in_pieces(lightness, known, 20), list(method().colorize(Clip(0, 0, lightness, known))))


def test_the_backward_sweep_remembers_later_references():
    lightness, ab = away_and_back(stay=8)
    known = tuple(reference(lightness[frame], ab[frame], frame) for frame in (49, 85))
    errors = error(list(method().colorize(Clip(0, 0, lightness, known))), ab)
    assert errors[8:18].max() < 0.4 * float(ab.norm(dim=1).mean())


def test_the_memory_that_is_handed_over_is_small():
    lightness, ab = away_and_back(stay=8)
    _, carried = drain(Clip(0, 0, lightness, (reference(lightness[0], ab[0], 0),)))
    assert carried is not None
    assert 2 <= len(carried["views"]) <= views.MOST and carried["views"].nbytes <= views.MOST * 4 * SIZE[0] * SIZE[1]
