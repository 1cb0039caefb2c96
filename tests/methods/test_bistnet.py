"""BiSTNet: its equations on small tensors, the method with the weights that come along, pieces that change nothing."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import Tensor

from kinochrome import methods, weights
from kinochrome.errors import WeightsError
from kinochrome.methods.bistnet import experts, network
from kinochrome.methods.bistnet.experts import Eyes, Look, PublicEyes
from kinochrome.methods.bistnet.network import Known, Network, Shape, Side
from kinochrome.nets.matching import Places, Said
from kinochrome.types import Clip
from tests.methods.test_flow import reference, scene
from tests.methods.test_kino import drain
from tests.metrics.judges import no_weights, raft  # noqa: F401

TINY = Shape(levels=(8, 8, 8, 8), match=8, gate=8, drawing=(8, 8), classes=3)
PAPER = Shape(
    variant="paper",
    levels=(128, 256, 512, 512),
    match=64,
    place=4,
    gate=32,
    drawing=(64, 128, 256, 512),
    classes=21,
    correct=False,
)


@pytest.fixture(scope="module")
def method():
    return methods.load("bistnet")(methods.parse_options("bistnet", {}), "cpu")


def random(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(sum(shape)))


# --- The paper's equations ---


def test_equation_1_and_2_match_by_the_softmax_of_cosines():
    """Eq. 1 has no temperature; with 1 it is the equation as printed."""
    net = Network(dataclasses.replace(TINY, place=1))
    net.temperature = 1.0
    frame, other = random(1, 5, 2, 3), random(1, 5, 2, 2)
    colours = 40 * random(1, 4, 2)
    keys, held = (torch.nn.functional.normalize(x, dim=1) for x in (frame, other))
    known = torch.cat([colours, torch.ones(1, 4, 1)], 2)
    found = net.match(keys, Places(held.flatten(2).mT, known, torch.zeros(1, 4)))
    for y in range(2):
        for x in range(3):
            query = frame[0, :, y, x]
            cosines = torch.stack([query @ place / (query.norm() * place.norm()) for place in other[0].flatten(1).T])
            shares = cosines.exp() / cosines.exp().sum()
            assert torch.allclose(found.ab[0, :, y, x], shares @ colours[0], atol=1e-4)
            assert found.confidence[0, 0, y, x] == pytest.approx(float(cosines.max()), abs=1e-5)


def side(value: float) -> Side:
    said = Said(torch.full((1, 2, 4, 4), value), torch.full((1, 1, 4, 4), 0.5))
    return Side(said, said)


@pytest.mark.parametrize(
    ("fusion", "expected"),
    [("eq3-printed", 3 / 8 * 10 + 5 / 8 * 50), ("eq3-corrected", 5 / 8 * 10 + 3 / 8 * 50), ("average", 30.0)],
)
def test_equation_3_weighs_both_references_by_time(fusion, expected):
    """Frame 3 of 9 (N - 1 = 8), nearer the first: as printed that counts 3/8 only, corrected 5/8."""
    net = Network(dataclasses.replace(TINY, fusion=fusion))
    fused, told = net.fuse(side(10.0), side(50.0), torch.tensor([3 / 8]))
    assert torch.allclose(fused.ab, torch.full((1, 2, 4, 4), expected)) and told.shape[1] == 2


def test_gates_begin_with_the_nearer_and_the_surer_side():
    net = Network(TINY)
    early, late = (net.fuse(side(10.0), side(50.0), torch.tensor([time]))[0].ab.mean() for time in (0.1, 0.9))
    assert early < 13 and late > 47
    unsure = Side(side(10.0).matched, Said(side(10.0).carried.ab, torch.full((1, 1, 4, 4), 0.05)))
    assert net.fuse(unsure, side(50.0), torch.tensor([0.5]))[0].ab.mean() > 45


def test_the_u_nets_are_told_of_the_surer_match():
    near, far = (Said(torch.full((1, 2, 4, 4), v), torch.full((1, 1, 4, 4), c)) for v, c in ((10.0, 0.2), (50.0, 0.8)))
    for first, second in ((near, far), (far, near)):
        _, told = Network(TINY).fuse(Side(first, first), Side(second, second), torch.tensor([0.5]))
        assert torch.allclose(told[:, 10:12] * network.COLOUR, far.ab)


def test_keys_are_centred_over_the_picture_and_of_length_1():
    net = Network(TINY)
    look = net.eyes(random(1, 1, 64, 64) * 100)
    with torch.no_grad():
        keys = net.correspondence(look)
        net.correspondence.key.bias += 3 * random(*net.correspondence.key.bias.shape)
        assert torch.allclose(net.correspondence(look), keys, atol=1e-4)
    assert torch.allclose(keys.norm(dim=1), torch.ones(1, 8, 8))


@pytest.mark.parametrize("correct", [True, False])
def test_each_u_net_sees_the_colours_of_the_coarser_one(correct):
    net = Network(dataclasses.replace(TINY, correct=correct))
    seen: list[list[Tensor]] = [[], [], []]
    for draw, found in zip(net.draw, seen, strict=True):
        draw.register_forward_hook(lambda module, told, answer, found=found: found.append(told[0]))
    look = net.eyes(random(1, 1, 32, 48) * 100)
    fused, told = net.fuse(Side(maps(32, 48), maps(32, 48)), Side(maps(32, 48), maps(32, 48)), torch.tensor([0.5]))
    with torch.no_grad():
        net.colour(look, fused, told)
        torch.nn.init.constant_(net.draw[0].leave.bias, 0.1)
        levels = net.colour(look, fused, told)
    assert torch.equal(*seen[0])
    # Drawn anew, the second level is untrained and says the same as before to the third.
    for finer in seen[1:] if correct else seen[1:2]:
        assert torch.equal(finer[0][:, :-2], finer[1][:, :-2])
        assert (finer[1][:, -2:] - finer[0][:, -2:]).abs().min() > 0.01
    if not correct:
        assert torch.allclose(levels[0], torch.full_like(levels[0], network.COLOUR * float(torch.tensor(0.1).tanh())))


def test_gates_keep_what_moves_along_and_drop_what_does_not():
    net = Network(TINY)
    light = random(1, 1, 32, 32) * 100
    look = Look(light.roll(-4, -1), (), torch.zeros(1, 3, 8, 8), torch.zeros(1, 1, 16, 16))
    motion = torch.zeros(1, 2, 32, 32)
    motion[:, 0] = 4
    ab = 50 * random(1, 2, 32, 32)
    known = Known(light, Said(ab, torch.ones(1, 1, 32, 32)))
    matched = Said(torch.zeros(1, 2, 32, 32), torch.full((1, 1, 32, 32), 0.5))
    right = net.carry(look, known, motion, known, motion, matched)
    assert torch.allclose(right.ab[..., :-8], ab[..., 4:-4], atol=2) and right.confidence[..., 4:24].min() > 0.8
    still = torch.zeros_like(motion)
    wrong = net.carry(look, known, still, known, still, matched)
    assert wrong.confidence.mean() < 0.6 * right.confidence.mean()


def test_each_level_sees_what_the_coarser_one_drew():
    net = Network(TINY)
    look = net.eyes(random(1, 1, 32, 48) * 100)
    fused, told = net.fuse(*(Side(said, said) for said in (maps(32, 48), maps(32, 48))), torch.tensor([0.5]))
    with torch.no_grad():
        levels = net.colour(look, fused, told)
        assert [tuple(level.shape[-2:]) for level in levels] == [(8, 12), (16, 24), (32, 48)]
        # Untrained it says what was fused, to the last digit.
        assert torch.allclose(levels[-1], fused.ab, atol=1e-4)
        torch.nn.init.constant_(net.draw[0].leave.bias, 0.1)
        changed = net.colour(look, fused, told)
    assert torch.allclose(changed[-1], fused.ab + 0.1 * network.COLOUR, atol=1e-3)


def maps(height: int, width: int) -> Said:
    return Said(40 * random(1, 2, height, width), torch.full((1, 1, height, width), 0.5))


@pytest.mark.parametrize("fusion", ["gates", "eq3-corrected", "eq3-printed", "average"])
@pytest.mark.parametrize("experts_used", ["both", "segments", "edges", "none"])
@pytest.mark.parametrize("scales", [1, 3])
def test_every_ablation_is_a_network_of_its_own(fusion, experts_used, scales):
    net = Network(dataclasses.replace(TINY, fusion=fusion, experts=experts_used, scales=scales))
    look = net.eyes(random(1, 1, 32, 32) * 100)
    fused, told = net.fuse(Side(maps(32, 32), maps(32, 32)), Side(maps(32, 32), maps(32, 32)), torch.tensor([0.3]))
    assert len(net.draw) == len(net.colour(look, fused, told)) == scales
    seen = 1 + 3 * (experts_used in ("both", "segments")) + (experts_used in ("both", "edges"))
    assert net.draw[0].enter.in_channels == seen + (12 if fusion == "gates" else 2)


# --- The experts ---


def test_the_eyes_see_at_the_strides_they_say():
    look, segments, edges = Eyes((8, 8, 16, 16), 5).drawn(random(2, 1, 32, 48) * 100)
    assert [level.shape[-1] for level in look.levels] == [24, 12, 6, 3]
    assert look.segments.shape == segments.shape == (2, 5, 8, 12) and edges.shape == (2, 4, 16, 24)
    assert torch.allclose(look.segments.sum(1), torch.ones(2, 8, 12)) and look.edges.shape == (2, 1, 16, 24)


# --- The paper's sizes ---


@pytest.fixture
def untrained(monkeypatch):
    """Public networks of their true sizes with random weights, since nothing is downloaded here."""
    monkeypatch.setattr(experts.weights, "load", lambda make, name, device: make().eval().requires_grad_(False))


def test_the_paper_variant_has_the_papers_sizes(untrained):
    net, eyes = Network(PAPER), PublicEyes("cpu")
    # L, two matches, six maps of the gates, the surer match: 13 and 21 classes and an edge (the authors' 33 has 19).
    assert net.draw[0].enter.in_channels == 1 + 12 + 21 + 1
    assert net.correspondence.key.out_channels == 256
    assert sum(tensor.numel() for tensor in net.parameters()) == 27_902_870
    look = eyes(random(1, 1, 64, 96) * 100)
    assert [tuple(level.shape[1:]) for level in look.levels] == [
        (128, 32, 48),
        (256, 16, 24),
        (512, 8, 12),
        (512, 4, 6),
    ]
    assert look.segments.shape == (1, 21, 64, 96) and look.edges.shape == (1, 1, 64, 96)
    with torch.no_grad():
        assert net.correspondence(look).shape == (1, 256, 16, 24)
        fused, told = net.fuse(Side(maps(64, 96), maps(64, 96)), Side(maps(64, 96), maps(64, 96)), torch.tensor([0.5]))
        assert net.colour(look, fused, told)[-1].abs().max() <= network.COLOUR


# --- The method ---


def test_what_is_handed_on_does_not_grow(method):
    lightness, ab = scene(frames=30, step=1)
    known = (reference(lightness[0], ab[0], 0),)
    sizes = [
        sum(tensor.nbytes for tensor in drain(method, Clip(0, 0, lightness[:count], known))[1].values())
        for count in (6, 30)
    ]
    assert sizes[0] == sizes[1] < 20 * lightness[0].nbytes


def test_every_frame_is_looked_at_once_and_forgotten(method, monkeypatch):
    lightness, ab = scene(frames=8, step=1)
    looked, films = [], []
    monkeypatch.setattr(method, "_see", lambda light: looked.append(1) or method.network.eyes(light))
    sweep = method._sweep
    monkeypatch.setattr(method, "_sweep", lambda film, *told: films.append(film) or sweep(film, *told))
    ends = reference(lightness[0], ab[0], 0), reference(lightness[7], ab[7], 7)
    drain(method, Clip(0, 0, lightness, ends))
    # Six frames between, and the two references.
    assert len(looked) == 8 and len(films) == 2 and not films[0].seen and films[0].seen is films[1].seen


def test_a_run_that_brings_colours_back_draws_nothing(method, monkeypatch):
    lightness, ab = scene(frames=8, step=1)
    monkeypatch.setattr(method.network, "colour", None)
    said, _ = drain(method, Clip(3, 1, lightness, (reference(lightness[7], ab[7], 10),)))
    assert len(said) == 8


# --- What it refuses ---


def make(**options: str):
    return methods.load("bistnet")(methods.parse_options("bistnet", options), "cpu")


def write(path: Path, shape: Shape, method: str = "bistnet", **changes: object) -> Path:
    header = weights.Header(method, dataclasses.asdict(shape) | changes, "none", "a test", "nothing")
    weights.write(path, Network(shape).state_dict(), header)
    return path


def test_weights_that_do_not_fit_are_named(tmp_path: Path):
    with pytest.raises(WeightsError, match="No weights of bistnet's variant paper come along"):
        make(variant="paper")
    with pytest.raises(WeightsError, match="holds weights of kino, not of bistnet"):
        make(weights=str(write(tmp_path / "other.safetensors", TINY, "kino")))
    with pytest.raises(WeightsError, match=r"another network than this version's bistnet.*eyes"):
        make(weights=str(write(tmp_path / "newer.safetensors", TINY, eyes=3)))
    with pytest.raises(WeightsError, match=r"another network than this version's bistnet"):
        make(weights=str(write(tmp_path / "short.safetensors", TINY, levels=[8, 8, 8])))


def test_weights_say_of_which_variant_they_are(tmp_path: Path):
    made = make(variant="paper", weights=str(write(tmp_path / "small.safetensors", TINY)))
    assert made.network.shape == TINY


def test_weights_of_an_ablation_are_built_as_they_were_trained(tmp_path: Path):
    shape = dataclasses.replace(TINY, fusion="average", experts="none", scales=1)
    made = make(weights=str(write(tmp_path / "ablation.safetensors", shape)))
    assert made.network.shape == shape
    lightness, ab = scene(frames=3)
    assert len(drain(made, Clip(0, 0, lightness, (reference(lightness[0], ab[0], 0),)))[0]) == 3


# --- Another search of motion ---


def test_motion_may_be_found_by_a_network(method, raft) -> None:  # noqa: F811
    lightness, ab = scene(frames=3)
    clip = Clip(0, 0, lightness, (reference(lightness[0], ab[0], 0),))
    options = methods.parse_options("bistnet", {"flow": "raft_small"})
    by_network, _ = drain(methods.load("bistnet")(options, "cpu"), clip)
    by_search, _ = drain(method, clip)
    assert torch.equal(by_network[0].ab, by_search[0].ab), "the reference"
    assert all(
        (ours.ab - theirs.ab).abs().max() > 1 for ours, theirs in zip(by_network[1:], by_search[1:], strict=True)
    )


def test_motion_by_a_network_needs_its_weights(no_weights) -> None:  # noqa: F811
    with pytest.raises(WeightsError, match="`kinochrome weights get raft_large`"):
        methods.load("bistnet")(methods.parse_options("bistnet", {"flow": "raft_large"}), "cpu")
