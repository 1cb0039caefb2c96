"""The `kino` method with the weights that come along: any mix of hints, pieces that change nothing, bounded memory."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from kinochrome import methods, views, weights
from kinochrome.errors import WeightsError
from kinochrome.methods.kino import KEPT, SHIPPED, load, tuning
from kinochrome.methods.kino.network import (
    ALIKE,
    GROUP,
    QUARTER,
    SURE,
    Candidate,
    Network,
    Shape,
    alike,
    carried,
    followed,
    join,
    nudged,
    quarters,
    slopes,
    whole,
)
from kinochrome.nets.evidence import enlarged
from kinochrome.types import Clip, Painted, Scribble
from tests.methods.test_flow import error, reference, scene


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


@pytest.mark.parametrize("outside", ["before", "after"])
def test_a_reference_outside_the_clip_is_used(method, outside):
    lightness, ab = scene()
    inner, frame = slice(2, 10), 0 if outside == "before" else 11
    said, _ = drain(method, Clip(2, 0, lightness[inner], (reference(lightness[frame], ab[frame], frame),)))
    errors = error(said, ab[inner])
    assert (errors[0] if outside == "before" else errors[-1]) < 0.4 * grey(ab)


@pytest.mark.parametrize("meet", [9, 10], ids=["where sight moved along", "where it was looked at"])
def test_pieces_with_a_later_reference_say_what_the_whole_says(method, meet):
    lightness, ab = scene(frames=20, step=1)
    ends = reference(lightness[0], ab[0], 0), reference(lightness[19], ab[19], 19)
    whole, _ = drain(method, Clip(0, 0, lightness, ends))
    back, brought = drain(method, Clip(meet, 1, lightness[meet:], ends))
    brought = {name: tensor.contiguous() for name, tensor in brought.items()}  # as it comes back from a file
    first, kept = drain(method, Clip(0, 0, lightness[: meet + 1], ends, following=back[0], brought=brought))
    second, _ = drain(method, Clip(meet, 1, lightness[meet:], ends, previous=first[-1], carried=kept))
    for one, other in zip(whole, [*first, *second[1:]], strict=True):
        assert torch.equal(one.ab, other.ab) and torch.equal(one.confidence, other.confidence)


def test_what_passed_by_fast_has_its_colours_when_the_film_comes_back(method):
    lightness, ab = scene(frames=24, step=8)
    order = [*range(24), *range(22, 0, -1)]
    said, _ = drain(method, Clip(0, 0, lightness[order], (reference(lightness[0], ab[0], 0),)))
    errors = error(said, ab[order])
    assert errors[24:].mean() < 1.1 * errors[1:23].mean()


def test_what_is_handed_on_does_not_grow_with_the_shot(method):
    lightness, ab = scene(frames=2, step=1)
    # Every frame is unlike the last: nothing that is remembered stands for another.
    random = torch.Generator().manual_seed(0)
    film = (
        torch.rand((150, *lightness.shape[1:]), generator=random) * 20 + torch.linspace(0, 80, 150)[:, None, None, None]
    )
    _, kept = drain(method, Clip(0, 0, film, (reference(film[0], ab[0], 0),)))
    assert sum(name.endswith(".keys") for name in kept) == KEPT + 1 and len(kept["views"]) == views.MOST
    assert sum(tensor.nbytes for tensor in kept.values()) < (32 + views.MOST) * lightness[0].nbytes


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


def test_what_lightness_still_disagrees_about_moves_colours_on():
    at = torch.arange(32.0).expand(1, 1, 32, 32)
    here, there = (torch.sigmoid(at - middle) for middle in (16, 16.5))
    ab = torch.cat([40 * there, -20 * there], 1)
    lightness, still = 30 + 40 * here, torch.zeros(1, 2, 32, 32)
    sight = Network(Shape((8, 8, 8, 8), 8)).see(lightness)
    found = carried("chain", sight, 30 + 40 * there, (ab, torch.ones_like(here)), still).ab
    true = torch.cat([40 * here, -20 * here], 1)
    assert (found - true).abs().max() < 0.65 * (ab - true).abs().max()
    # Where it agrees, nothing changes.
    assert torch.equal(nudged(torch.cat([lightness, ab], 1), torch.zeros_like(here)), ab)


def test_quarters_lie_where_they_were_cut():
    image = torch.arange(2 * 3 * 4 * 6.0).reshape(2, 3, 4, 6)
    parts = quarters(image)
    assert parts.shape == (2, 6, 4, 3)
    assert parts[0, 4, :, 0].tolist() == image[0, 0, 2:, 2:4].flatten().tolist()
    assert torch.equal(whole(parts, (2, 3)), image)


def stripes() -> tuple[torch.Tensor, torch.Tensor]:
    """Lightness (1, 1, 64, 96) of columns 4 pixels wide, dark and light in turn, and ab that goes with it."""
    light = (torch.arange(96) // 4 % 2 * 40.0 + 30).expand(1, 1, 64, 96).contiguous()
    return light, torch.cat([light - 50, 50 - light], 1)


def test_the_memory_tells_quarters_of_a_place_apart(method):
    light, ab = stripes()
    sight = method.network.see(light)
    memory = method.network.remember(sight, ab, torch.ones_like(light))
    for remembered in (memory, join([memory, memory])):
        found = method.network.recall(sight, remembered).ab[..., 8:-8, 8:-8]
        # Every place of 8 pixels holds both colours alike: their mean is grey.
        assert (found - ab[..., 8:-8, 8:-8]).abs().mean() < 0.6 * 20


def test_unknown_quarters_are_not_recalled(method):
    light, ab = stripes()
    sight = method.network.see(light)
    known = (light > 50).float()
    memory = method.network.remember(sight, torch.full_like(ab, 30.0), known)
    found = method.network.recall(sight, memory)
    assert (found.ab - 30).abs().max() < 0.1
    assert found.confidence[light > 50].mean() > 2 * found.confidence[light < 50].mean()


def test_recalled_colours_follow_the_lightness_within_a_quarter(method):
    light = torch.rand(1, 1, 64, 96, generator=torch.Generator().manual_seed(1)) * 60 + 20
    ab = torch.cat([light - 50, 50 - light], 1)
    sight = method.network.see(light)
    found = method.network.recall(sight, method.network.remember(sight, ab, torch.ones_like(light))).ab
    means = enlarged(F.avg_pool2d(ab, QUARTER), QUARTER)
    assert (found - ab).abs().mean() < 0.3 * (means - ab).abs().mean()


def test_colours_follow_lightness_where_it_is_known_to_vary():
    light = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(1)) * 90
    ab, known = torch.cat([0.5 * light + 3, -0.2 * light], 1), torch.ones_like(light)
    ab[..., 16:], known[..., 16:] = 99, 0  # nobody knows these
    mean, slope = slopes(light, ab, known, 4)
    assert torch.equal(mean, F.avg_pool2d(light, 4))
    torch.testing.assert_close(slope[0, 0, :, :4], torch.full((8, 4), 0.5), atol=0.03, rtol=0)
    torch.testing.assert_close(slope[0, 1, :, :4], torch.full((8, 4), -0.2), atol=0.02, rtol=0)
    assert (slope[..., 5:] == 0).all()
    assert slopes(torch.full_like(light, 40), ab, known, 4)[1][..., :3].abs().max() < 1e-3


def test_what_is_less_like_is_recalled_with_less_confidence(method):
    light, ab = stripes()
    memory = method.network.remember(method.network.see(light), ab, torch.ones_like(light))
    alike, strange = (
        method.network.recall(method.network.see(one), memory).confidence.mean() for one in (light, 100 - light / 4)
    )
    assert strange < 0.8 * alike


def test_between_two_references_both_are_seen_with_what_speaks_against_them(method, monkeypatch):
    kinds, against = [], []
    fuse = method.network.fuse.forward

    def noted(sight, candidates):
        kinds.append([one.kind for one in candidates])
        against.extend(float(one.evidence[:, :3].abs().max()) for one in candidates if one.kind == "other")
        return fuse(sight, candidates)

    monkeypatch.setattr(method.network.fuse, "forward", noted)
    lightness, ab = scene(8)
    drain(method, Clip(0, 0, lightness, tuple(reference(lightness[k], ab[k], k) for k in (0, 7))))
    forward = [one for one in kinds if "other" in one]
    assert len(forward) == 6
    assert all(one.count("direct") == 2 for one in forward)
    assert min(against) > 0


def test_colours_come_from_an_own_frame_of_some_time_ago_too(method, monkeypatch):
    lightness, ab = scene(frames=22, step=1)
    seen, fuse = [], method.network.fuse.forward

    def noted(sight, candidates):
        seen.append([one for one in candidates if one.kind == "direct"])
        return fuse(sight, candidates)

    monkeypatch.setattr(method.network.fuse, "forward", noted)
    drain(method, Clip(0, 0, lightness, (reference(lightness[0], ab[0], 0),)))
    # Frames 9 and 18 are remembered; from the one just before, colours come as the chain.
    assert [len(directs) for directs in seen] == [1] * 10 + [2] * 8 + [1] + [2] * 2
    own, source = ((one.ab[..., :72, :112] - ab[21]).norm(dim=1).mean() for one in seen[-1])
    assert own < 0.9 * source


@pytest.mark.parametrize("places", [1, ALIKE - 1, ALIKE, GROUP * ALIKE, 333])
def test_the_places_most_alike_are_those_that_a_full_search_finds(places: int):
    random = torch.Generator().manual_seed(places)
    asked, held = torch.randn(2, 40, 12, generator=random), torch.randn(2, places, 12, generator=random)
    asked[..., SURE] = 1  # as all that is asked for has it
    found = alike(asked, held).sort(-1).values
    assert torch.equal(found, (asked @ held.mT).topk(min(ALIKE, places)).indices.sort(-1).values)


def test_what_is_seen_moves_along(method):
    light, _ = stripes()
    before = method.network.see(light)
    still, right = torch.zeros(1, 2, *light.shape[-2:]), torch.zeros(1, 2, *light.shape[-2:])
    right[:, 0] = 16
    same, moved = followed(before, light, still), followed(before, light, right)
    for name, side in (("context", 2), ("keys", 8), ("prior", 4)):
        old = getattr(before, name)
        torch.testing.assert_close(getattr(same, name), old, atol=1e-5, rtol=1e-5)
        step = 16 // side
        torch.testing.assert_close(getattr(moved, name)[..., :-step], old[..., step:], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("told", "count"), [([0], 6), ([0, 15], 9)])
def test_some_frames_are_looked_at_and_none_twice(method, monkeypatch, told, count):
    """Every third; every second where a sweep comes back from a later reference, besides that one."""
    looks = []
    see = method.network.see.forward
    monkeypatch.setattr(method.network.see, "forward", lambda light: (looks.append(1), see(light))[1])
    lightness, ab = scene(16)
    drain(method, Clip(0, 0, lightness, tuple(reference(lightness[k], ab[k], k) for k in told)))
    assert len(looks) == count + len(told)  # once more for each reference


def test_a_quickened_network_says_nearly_the_same():
    exact, quick = load(SHIPPED), load(SHIPPED).quickened()
    lightness, ab = scene()
    light, other = lightness[:1, :, :64, :112], lightness[5:6, :, :64, :112]
    said = ab[:1, :, :64, :112], torch.ones_like(light)
    answers = []
    for network in (exact, quick):
        sight = network.see(other)
        memory = network.remember(network.see(light), *said)
        still = torch.zeros(1, 2, *light.shape[-2:])
        chain = carried("chain", sight, light, said, still)
        answers.append(network.fuse(sight, [network.guess(sight), chain, network.recall(sight, memory)]))
    (colours, confidence, _), (quickly, quick_confidence, _) = answers
    assert quickly.dtype == quick_confidence.dtype == torch.float32
    assert 0 < (colours - quickly).abs().mean() < 0.1
    assert (confidence - quick_confidence).abs().mean() < 0.01


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


def test_tuning_learns_the_reference_and_leaves_the_network_alone():
    lightness, ab = scene()
    network = load(SHIPPED)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    known = reference(lightness[0], ab[0], 0)
    heard: list[int] = []
    taught, same = (tuning.tuned(network, [known], 60, heard.append) for _ in range(2))
    assert heard == [*range(1, 61)] * 2
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert all(torch.equal(one, other) for one, other in zip(taught.parameters(), same.parameters(), strict=True))

    def guessed(network: Network) -> float:
        """How far its guess for the reference's frame is off."""
        guess = network.guess(network.see(known.lightness[None, :, :64, :112]))
        return float((guess.ab[0] - known.ab[:, :64, :112]).norm(dim=0).mean())

    assert guessed(taught) < 0.95 * guessed(network)
