"""The `kino` method with the weights that come along: any mix of hints, pieces that change nothing, bounded memory."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from kinochrome import methods, views, weights
from kinochrome.errors import WeightsError
from kinochrome.methods.kino import KEPT, SHIPPED, tuning
from kinochrome.methods.kino.network import Candidate, Network, Shape, carried
from kinochrome.types import Clip, Painted, Scribble
from tests.methods.test_flow import assert_same, away_and_back, error, in_pieces, reference, scene


@pytest.fixture(scope="module")
def method():
    return methods.load("kino")(methods.parse_options("kino", {}), "cpu")


def drain(method, clip: Clip) -> tuple[list[Painted], dict[str, torch.Tensor]]:
    generator, said = method.colorize(clip), []
    while True:
        try:
            said.append(next(generator))
        except StopIteration as end:
            return said, end.value


def grey(ab: torch.Tensor) -> float:
    return float(ab.norm(dim=1).mean())


@pytest.mark.parametrize("frame", [0, 5, 11])
def test_a_reference_is_kept_at_its_frame_and_carried_both_ways(method, frame):
    lightness, ab = scene()
    said, _ = drain(method, Clip(0, 0, lightness, (reference(lightness[frame], ab[frame], frame),)))
    errors = error(said, ab)
    assert errors[frame] == 0 and said[frame].confidence.min() == 1
    assert errors[max(0, frame - 3) : frame + 4].max() < 0.3 * grey(ab)
    assert errors.max() < 0.6 * grey(ab)


def test_two_references_beat_one(method):
    lightness, ab = scene()
    ends = reference(lightness[0], ab[0], 20), reference(lightness[11], ab[11], 31)
    one = error(drain(method, Clip(20, 0, lightness, ends[:1]))[0], ab)
    both = error(drain(method, Clip(20, 0, lightness, ends))[0], ab)
    assert both[1:-1].mean() < 0.8 * one[1:-1].mean()


@pytest.mark.parametrize("outside", ["before", "after"])
def test_a_reference_outside_the_clip_is_used(method, outside):
    lightness, ab = scene()
    inner, frame = slice(2, 10), 0 if outside == "before" else 11
    said, _ = drain(method, Clip(2, 0, lightness[inner], (reference(lightness[frame], ab[frame], frame),)))
    errors = error(said, ab[inner])
    assert (errors[0] if outside == "before" else errors[-1]) < 0.4 * grey(ab)


@pytest.mark.parametrize("hints", ["first", "none", "still"])
def test_pieces_say_what_the_whole_says(method, hints):
    lightness, ab = scene(frames=24, step=1)
    place = {"first": 0, "still": None}
    known = (reference(lightness[0], ab[0], place[hints]),) if hints in place else ()
    whole, _ = drain(method, Clip(0, 0, lightness, known))
    first, kept = drain(method, Clip(0, 0, lightness[:13], known))
    second, _ = drain(method, Clip(12, 1, lightness[12:], known, previous=first[-1], carried=kept))
    for one, other in zip(whole, [*first, *second[1:]], strict=True):
        assert torch.equal(one.ab, other.ab)


def test_pieces_with_a_later_reference_say_what_the_whole_says(method):
    lightness, ab = scene(frames=20, step=1)
    ends = reference(lightness[0], ab[0], 0), reference(lightness[19], ab[19], 19)
    whole, _ = drain(method, Clip(0, 0, lightness, ends))
    back, brought = drain(method, Clip(9, 1, lightness[9:], ends))
    first, kept = drain(method, Clip(0, 0, lightness[:10], ends, following=back[0], brought=brought))
    second, _ = drain(method, Clip(9, 1, lightness[9:], ends, previous=first[-1], carried=kept))
    for one, other in zip(whole, [*first, *second[1:]], strict=True):
        assert (one.ab - other.ab).abs().max() < 1e-3


@pytest.mark.parametrize("frames", [(5,), (33,), (0, 33, 57), (49, 85), (11, 12, 33, 36, 57), ()], ids=str)
def test_references_anywhere_serve_pieces_as_they_serve_the_whole(method, frames):
    lightness, ab = away_and_back(stay=8)
    known = tuple(reference(lightness[frame], ab[frame], frame) for frame in frames)
    assert_same(in_pieces(lightness, known, 20, method), list(method.colorize(Clip(0, 0, lightness, known))))


def test_what_is_handed_on_does_not_grow_with_the_shot(method):
    lightness, ab = scene(frames=2, step=1)
    # Every frame is unlike the last: nothing that is remembered stands for another.
    random = torch.Generator().manual_seed(0)
    film = (
        torch.rand((150, *lightness.shape[1:]), generator=random) * 20 + torch.linspace(0, 80, 150)[:, None, None, None]
    )
    _, kept = drain(method, Clip(0, 0, film, (reference(film[0], ab[0], 0),)))
    assert sum(name.startswith("keys") for name in kept) == KEPT and len(kept["views"]) == views.MOST
    assert sum(tensor.nbytes for tensor in kept.values()) < 40 * lightness[0].nbytes


def test_what_comes_into_view_is_doubted(method):
    lightness, ab = scene()
    said, _ = drain(method, Clip(0, 0, lightness, (reference(lightness[0], ab[0], 0),)))
    assert said[-1].confidence[..., -24:].mean() < said[-1].confidence[..., :60].mean() - 0.1


@pytest.mark.parametrize("kind", ["same", "mirrored", "darker"])
def test_a_still_of_the_same_things_is_matched(method, kind):
    lightness, ab = scene(frames=4, step=1)
    light, colours = {
        "same": (lightness[3], ab[3]),
        "mirrored": (lightness[0].flip(-1), ab[0].flip(-1)),
        "darker": (lightness[3] * 0.8, ab[3]),
    }[kind]
    said, _ = drain(method, Clip(0, 0, lightness, (reference(light.contiguous(), colours.contiguous(), None),)))
    assert error(said, ab).mean() < 0.9 * grey(ab)


def two_halves() -> tuple[torch.Tensor, torch.Tensor]:
    """(4, 1, h, w) lightness of a still picture, dark on the left and light on the right, and its ab."""
    lightness, _ = scene(frames=4, step=0)
    lightness = lightness * 0.2 + 20
    lightness[..., 56:] += 45
    ab = torch.zeros(4, 2, *lightness.shape[-2:])
    ab[:, 0, :, :56], ab[:, 1, :, 56:] = 40, 50
    return lightness, ab


@pytest.mark.parametrize("frame", [0, 3])
def test_scribbles_are_kept_and_spread(method, frame):
    lightness, ab = two_halves()
    where = torch.zeros(1, *lightness.shape[-2:], dtype=torch.bool)
    where[:, 30:34, 10:46] = where[:, 30:34, 66:102] = True
    said, _ = drain(method, Clip(0, 0, lightness, scribbles=(Scribble(frame, ab[frame], where),)))
    assert torch.equal(said[frame].ab[:, where[0]], ab[frame][:, where[0]])
    assert error(said, ab).max() < 0.5 * grey(ab)


def test_a_scribble_corrects_what_a_reference_brings(method):
    lightness, ab = two_halves()
    wrong = -ab
    where = torch.zeros(1, *lightness.shape[-2:], dtype=torch.bool)
    where[:, 10:60:8] = True
    known = reference(lightness[0], wrong[0], 0)
    said, _ = drain(method, Clip(0, 0, lightness, (known,), (Scribble(2, ab[2], where),)))
    assert torch.equal(said[2].ab[:, where[0]], ab[2][:, where[0]])
    assert torch.equal(said[0].ab, wrong[0])


def test_a_flickering_draft_becomes_steadier(method):
    lightness, ab = scene(frames=10, step=0)
    shakes = torch.tensor([12.0 * (-1) ** k for k in range(10)])[:, None, None, None]
    said, _ = drain(method, Clip(0, 0, lightness, draft=ab + shakes))
    answer = torch.stack([one.ab for one in said])
    assert (answer[3:] - answer[2:-1]).abs().mean() < 0.6 * 24
    assert error(said, ab)[2:].mean() < 0.8 * grey(ab)


def test_without_any_hint_it_still_colours(method):
    lightness, _ = scene(frames=3)
    said, _ = drain(method, Clip(0, 0, lightness))
    assert all(torch.isfinite(one.ab).all() and float(one.ab.abs().mean()) > 0.1 for one in said)


def test_a_reference_that_does_not_reach_is_completed(method):
    lightness, ab = scene(frames=3, step=0)
    known = reference(lightness[0], ab[0], 0)
    reach = known.confidence.clone()
    reach[..., :20] = 0
    hole = dataclasses.replace(known, ab=known.ab * reach, confidence=reach)
    said, _ = drain(method, Clip(0, 0, lightness, (hole,)))
    assert torch.equal(said[0].ab[..., 20:], ab[0][..., 20:])
    assert said[0].ab[..., :16].abs().mean() > 1
    assert said[0].confidence[..., :12].mean() < said[0].confidence[..., 24:].mean()


def test_moved_pictures_carry_colours_and_doubt_what_lies_outside():
    network = Network(Shape((8, 8, 8, 8), 8))
    light = torch.rand(1, 1, 32, 32).mul(100)
    here = network.see(light.roll(-4, -1))
    motion = torch.zeros(1, 2, 32, 32)
    motion[:, 0] = 4
    ab = torch.rand(1, 2, 32, 32)
    said = (ab, torch.ones(1, 1, 32, 32))
    moved: Candidate = carried("chain", here, light, said, motion)
    assert torch.allclose(moved.ab[..., :-4], ab[..., 4:], atol=1e-4)
    assert torch.allclose(moved.confidence[..., 2:26], torch.ones(1, 1, 32, 24), atol=1e-3)
    assert (moved.confidence[..., -4:] == 0).all()


def test_the_weights_that_come_along_say_what_they_are():
    header = weights.read_header(SHIPPED)
    assert header.method == "kino" and header.licence and header.recipe and header.data
    assert SHIPPED.stat().st_size < 25e6
    network = Network(Shape(**header.options))
    assert sum(parameter.numel() for parameter in network.parameters()) < 12e6


def test_other_weights_are_refused(tmp_path: Path):
    tensors = Network(Shape((8, 8, 8, 8), 8)).state_dict()
    files = {
        "weights of flow": weights.Header("flow", {}, "-", "-", "-"),
        "another network": weights.Header("kino", {"depth": 3}, "-", "-", "-"),
        "does not fit": weights.Header("kino", {"widths": [8, 8, 8, 16], "key": 8}, "-", "-", "-"),
    }
    for text, header in files.items():
        weights.write(tmp_path / "own.safetensors", tensors, header)
        with pytest.raises(WeightsError, match=text):
            methods.load("kino")(methods.parse_options("kino", {"weights": str(tmp_path / "own.safetensors")}), "cpu")
    with pytest.raises(WeightsError, match="missing"):
        methods.load("kino")(methods.parse_options("kino", {"weights": str(tmp_path / "missing.safetensors")}), "cpu")


def test_tuning_learns_the_reference_and_leaves_the_network_alone(method):
    lightness, ab = scene()
    before = {name: tensor.clone() for name, tensor in method.network.state_dict().items()}
    known = reference(lightness[0], ab[0], 0)
    heard: list[int] = []
    taught, same = (tuning.tuned(method.network, [known], 60, heard.append) for _ in range(2))
    assert heard == [*range(1, 61)] * 2
    assert all(torch.equal(tensor, before[name]) for name, tensor in method.network.state_dict().items())
    assert all(torch.equal(one, other) for one, other in zip(taught.parameters(), same.parameters(), strict=True))

    def guessed(network: Network) -> float:
        """How far its guess for the reference's frame is off."""
        guess = network.guess(network.see(known.lightness[None, :, :64, :112]))
        return float((guess.ab[0] - known.ab[:, :64, :112]).norm(dim=0).mean())

    assert guessed(taught) < 0.95 * guessed(method.network)
