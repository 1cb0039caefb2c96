"""What kino, BiSTNet and LSTVC do alike with references: they keep them, carry them, complete them, refuse them."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import itertools

import pytest
import torch

from kinochrome import methods, weights
from kinochrome.errors import MethodError
from kinochrome.types import Clip, Method
from tests.methods.test_flow import assert_same, away_and_back, error, in_pieces, reference, scene
from tests.methods.test_kino import drain, grey

LIMITS = {"kino": (0.3, 0.6, 0.8), "bistnet": (0.4, 0.8, 0.8), "lstvc": (0.8, 0.8, 0.9)}
"""Errors near one reference and anywhere, of what grey has; between two, of what one leaves."""


@functools.cache
def made(name: str) -> Method:
    return methods.load(name)(methods.parse_options(name, {}), "cpu")


@pytest.fixture(params=LIMITS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def method(name: str) -> Method:
    return made(name)


@pytest.mark.parametrize("frame", [0, 5, 11])
def test_a_reference_is_kept_at_its_frame_and_carried_both_ways(method, name, frame):
    lightness, ab = scene()
    said, _ = drain(method, Clip(0, 0, lightness, (reference(lightness[frame], ab[frame], frame),)))
    errors, (near, far, _) = error(said, ab), LIMITS[name]
    assert errors[frame] == 0 and said[frame].confidence.min() == 1
    assert errors[max(0, frame - 3) : frame + 4].max() < near * grey(ab)
    assert errors.max() < far * grey(ab)


def test_two_references_beat_one(method, name):
    lightness, ab = scene()
    ends = reference(lightness[0], ab[0], 20), reference(lightness[11], ab[11], 31)
    one = error(drain(method, Clip(20, 0, lightness, ends[:1]))[0], ab)
    both = error(drain(method, Clip(20, 0, lightness, ends))[0], ab)
    assert both[1:-1].mean() < LIMITS[name][2] * one[1:-1].mean()


@pytest.mark.parametrize("name", ["bistnet", "lstvc"])
def test_of_many_references_the_nearest_two_count(method):
    """The first and the last are wrong; the frames between the two in the middle hear nothing of them."""
    lightness, ab = scene(frames=12, step=1)
    inner = tuple(reference(lightness[k], ab[k], k) for k in (4, 8))
    outer = tuple(reference(lightness[k], -ab[k], k) for k in (0, 11))
    alone, _ = drain(method, Clip(0, 0, lightness, inner))
    among, _ = drain(method, Clip(0, 0, lightness, inner + outer))
    assert_same(alone[4:9], among[4:9])
    assert not torch.equal(alone[2].ab, among[2].ab)


@pytest.mark.parametrize(
    ("name", "hints", "frames", "end"),
    [
        *(("kino", hints, 24, 13) for hints in ("first", "none", "still")),
        *(("bistnet", hints, 24, 13) for hints in ("first", "still")),
        # Pieces of whole blocks.
        ("lstvc", "first", 18, 9),
    ],
)
def test_pieces_say_what_the_whole_says(method, hints, frames, end):
    lightness, ab = scene(frames=frames, step=1)
    known = {"first": (reference(lightness[0], ab[0], 0),), "still": (reference(lightness[0], ab[0], None),)}
    given = known.get(hints, ())
    whole, _ = drain(method, Clip(0, 0, lightness, given))
    first, kept = drain(method, Clip(0, 0, lightness[:end], given))
    second, _ = drain(method, Clip(end - 1, 1, lightness[end - 1 :], given, previous=first[-1], carried=kept))
    assert_same([*first, *second[1:]], whole)


@pytest.mark.parametrize(
    ("name", "frames"),
    [
        ("kino", ()),
        *itertools.product(("kino", "bistnet"), [(5,), (33,), (0, 33, 57), (49, 85), (11, 12, 33, 36, 57)]),
    ],
    ids=str,
)
def test_references_anywhere_serve_pieces_as_they_serve_the_whole(method, frames):
    lightness, ab = away_and_back(stay=8)
    known = tuple(reference(lightness[frame], ab[frame], frame) for frame in frames)
    assert_same(in_pieces(lightness, known, 20, method), list(method.colorize(Clip(0, 0, lightness, known))))


def test_a_reference_that_covers_a_part_is_completed(method):
    lightness, ab = scene(frames=3, step=0)
    known = reference(lightness[0], ab[0], 0)
    reach = known.confidence.clone()
    reach[..., :20] = 0
    hole = dataclasses.replace(known, ab=known.ab * reach, confidence=reach)
    said, _ = drain(method, Clip(0, 0, lightness, (hole,)))
    assert torch.equal(said[0].ab[..., 20:], ab[0][..., 20:])
    assert said[0].ab[..., :16].abs().mean() > 1
    assert said[0].confidence[..., :12].mean() < said[0].confidence[..., 24:].mean()


def test_a_film_of_a_few_pixels_is_coloured(method):
    light = torch.rand(3, 1, 5, 9, generator=torch.Generator().manual_seed(18)) * 100
    known = reference(light[0], torch.full((2, 5, 9), 30.0), 0)
    said, _ = drain(method, Clip(0, 0, light, (known,)))
    assert all(one.ab.shape == (2, 5, 9) and torch.isfinite(one.ab).all() for one in said)


@pytest.mark.parametrize("name", ["bistnet", "lstvc"])
def test_two_references_of_one_frame_are_an_error(method):
    lightness, ab = scene(frames=3)
    twice = (reference(lightness[0], ab[0], 7), reference(lightness[0], -ab[0], 7))
    with pytest.raises(MethodError, match="frame 7 has several"):
        list(method.colorize(Clip(7, 0, lightness, twice)))


@pytest.mark.parametrize("name", ["bistnet", "lstvc"])
def test_no_reference_names_the_frame_and_the_way(method):
    lightness, _ = scene(frames=3)
    with pytest.raises(MethodError, match="at frame 7: give its shot a reference, for instance --reference PICTURE@7"):
        list(method.colorize(Clip(7, 0, lightness)))


@pytest.mark.parametrize(("name", "size"), [("kino", 25e6), ("bistnet", 10e6), ("lstvc", 10e6)])
def test_the_weights_that_come_along_say_what_they_are(name, size):
    shipped = importlib.import_module(f"kinochrome.methods.{name}").SHIPPED
    header = weights.read_header(shipped)
    assert header.method == name and header.licence and header.recipe and header.data
    assert shipped.stat().st_size < size
