"""LSTVC: its equations on small tensors, the method with the weights that come along, blocks, linkage, pictures."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import cv2
import pytest
import torch
from torch import Tensor

from kinochrome import methods
from kinochrome.errors import MethodError, WeightsError
from kinochrome.methods.lstvc import SHIPPED, network
from kinochrome.methods.lstvc.network import Linkage, Network, Shape, sine_positions
from kinochrome.nets.matching import Said
from kinochrome.types import Clip
from tests.methods.test_flow import error, in_pieces, reference, scene
from tests.methods.test_kino import drain, grey

TINY = Shape(levels=(8, 8, 8, 8), high=12, token=12, feed=16, joined=12, head=8, blocks=2, drawing=(8, 8, 8))
PAPER = Shape(
    variant="paper",
    high=512,
    token=384,
    feed=2048,
    grain=8,
    joined=512,
    head=256,
    place=4,
    drawing=(64, 128, 256),
    correct=False,
)


def method_of(**options: str):
    return methods.load("lstvc")(methods.parse_options("lstvc", options), "cpu")


@pytest.fixture(scope="module")
def method():
    return method_of()


def random(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(sum(shape)))


def near(one: Tensor, other: Tensor, within: float = 1e-5) -> bool:
    return bool((one - other).abs().max() < within)


# --- The paper's equations ---


def similar(asking: Tensor, told: Tensor) -> Tensor:
    """softmax(asking told^T / sqrt(d)) told, of (n, d) and (m, d), as the paper prints it."""
    scores = asking @ told.T / math.sqrt(asking.shape[1])
    return (scores.exp() / scores.exp().sum(1, keepdim=True)) @ told


def test_equations_1_to_3_are_asked_of_each_head():
    """Of every frame of two clips of three, each with its own clip's reference, by the softmax of cosines over tau."""
    net = Network(TINY)
    net.temperature = 0.05
    light, picture = random(2, 3, 1, 64, 64) * 100, random(2, 1, 64, 64) * 100
    places = 100 * random(2, 2, 8, 8) - 50
    with torch.no_grad():
        seen, known = net.see(light), net.see(picture[:, None])
        whole = places.repeat_interleave(8, 2).repeat_interleave(8, 3)
        found = net.match(seen, net.reference(picture, Said(whole, torch.ones(2, 1, 64, 64))))
    assert len(found) == 2
    for head, said in enumerate(found):
        assert torch.allclose(seen.keys[head].norm(dim=1), torch.ones(6, 8, 8), atol=1e-5)
        for number in range(6):
            keys = known.keys[head][number // 3].flatten(1)
            cosines = seen.keys[head][number, :, 0, 0] @ keys
            expected = places[number // 3].flatten(1) @ torch.softmax(cosines / 0.05, 0)
            # At a corner, what is enlarged is the place's own value.
            assert near(said.ab[number, :, 0, 0], expected, 1e-2)
            assert near(said.confidence[number, :, 0, 0], cosines.max().clamp(0, 1), 1e-4)
    corners = torch.stack([said.ab[:, :, 0, 0] for said in found]).flatten(0, 1)
    apart = torch.cdist(corners, corners) + 99 * torch.eye(12)
    assert apart.min() > 0.05, "no two of them are the same"


def test_equation_6_asks_what_was_kept_and_is_nothing_at_the_beginning():
    link = Linkage(8)
    link.heads = 1
    high, kept = random(1, 6, 8), random(1, 10, 8) * 3
    assert torch.equal(link.query(high, None), high)
    assert near(link.query(high, kept)[0], high[0] + similar(high[0], kept[0]))
    # The residual linear layer after it, here one that doubles.
    torch.nn.init.eye_(link.after_query.weight)
    assert near(link.query(high, kept)[0], 2 * (high[0] + similar(high[0], kept[0])))


def test_equation_7_adds_what_is_like_what_was_kept():
    link = Linkage(8)
    link.heads, link.norm = 1, torch.nn.Identity()
    kept, out = random(1, 10, 8), random(1, 6, 8) * 3
    assert torch.equal(link.store(None, out), out)
    assert near(link.store(kept, out)[0], kept[0] + similar(kept[0], out[0]))
    torch.nn.init.eye_(link.after_storage.weight)
    assert near(link.store(kept, out)[0], 2 * (kept[0] + similar(kept[0], out[0])))


def test_heads_share_out_the_channels():
    asking, told = random(1, 6, 8), random(1, 10, 8) * 3
    found = network.attended(asking, told, 4)[0]
    parts = [similar(asking[0, :, k : k + 2], told[0, :, k : k + 2]) for k in range(0, 8, 2)]
    assert near(found, torch.cat(parts, 1))


def test_positions_are_vistrs_three_axes_of_sines():
    """As Wang and others 2021: each axis runs to 2 pi, channel c of d has the rate 10000^(-2 (c // 2) / d)."""
    found = sine_positions(2, 3, 4, 12).view(2, 3, 4, 12)
    for t, y, x in ((0, 0, 0), (1, 2, 3), (0, 1, 2)):
        for axis, (place, size) in enumerate(((t, 2), (y, 3), (x, 4))):
            for c in range(4):
                wave = (place + 1) / size * 2 * math.pi / 10000 ** (2 * (c // 2) / 4)
                expected = math.cos(wave) if c % 2 else math.sin(wave)
                assert float(found[t, y, x, 4 * axis + c]) == pytest.approx(expected, abs=1e-5)


def test_both_branches_of_a_block_tell_each_other():
    block = network.CnnTransformer(12, 6, TINY)
    x, tokens = random(2, 12, 8, 8), random(1, 2, 12, 4, 4)
    with torch.no_grad():
        features, said = block(x, tokens)
        assert features.shape == x.shape and said.shape == tokens.shape
        assert not near(block(x, tokens + 1 * random(1, 2, 12, 4, 4))[0], features, 1e-3), "the CNN hears the tokens"
        assert not near(block(x + random(2, 12, 8, 8).flip(2), tokens)[1], said, 1e-3), "the tokens hear the CNN"
        other = x.clone()
        other[1] += random(12, 8, 8)
        assert not near(block(other, tokens)[1][0, 0], said[0, 0], 1e-4), "a frame hears the other one of its block"


def test_the_colorization_subnet_is_told_ten_planes():
    """W1, S1, W2, S2, the frame, and L, a, b of the reference (Eq. 5)."""
    net, told = Network(TINY), []
    net.colorization.register_forward_hook(lambda module, given, answer: told.append(given[0]))
    light, lab = random(1, 2, 1, 64, 64) * 100, torch.cat([100 * random(1, 1, 64, 64), 50 * random(1, 2, 64, 64)], 1)
    heads = [Said(40 * random(2, 2, 64, 64) * k, random(2, 1, 64, 64) / k) for k in (1, 2)]
    net.colour(light, heads, lab, net.see(light))
    parts = [heads[0].ab / 128, heads[0].confidence, heads[1].ab / 128, heads[1].confidence, light[0] / 50 - 1]
    parts += [(lab[:, :1] / 50 - 1).expand(2, -1, -1, -1), (lab[:, 1:] / 128).expand(2, -1, -1, -1)]
    assert told[0].shape[1] == 10 and torch.equal(told[0], torch.cat(parts, 1))


def test_untrained_the_surer_head_gives_the_colours():
    net = Network(TINY)
    light = random(1, 1, 1, 64, 64) * 100
    maps = [
        Said(torch.full((1, 2, 64, 64), ab), torch.full((1, 1, 64, 64), sure))
        for ab, sure in ((10.0, 0.9), (50.0, 0.1))
    ]
    with torch.no_grad():
        for heads, expected in ((maps, 10.0), (maps[::-1], 10.0)):
            said = net.colour(light, heads, torch.zeros(1, 3, 64, 64), net.see(light))
            assert (said.ab - expected).abs().max() < 0.1 and said.confidence.min() == pytest.approx(0.9)


def test_untrained_colours_end_where_the_lightness_does():
    """Places of 8 pixels, a border in the middle of one: what lies on either side has the colour of its own side."""
    light = torch.full((1, 1, 64, 64), 20.0)
    light[..., 28:] = 70
    true = torch.where(light > 50, 40.0, -40.0).expand(1, 2, 64, 64)
    coarse = torch.nn.functional.avg_pool2d(true, 8)
    blurred = torch.nn.functional.interpolate(coarse, scale_factor=8, mode="bilinear", align_corners=False)
    heads = [Said(blurred, torch.full((1, 1, 64, 64), sure)) for sure in (0.9, 0.5)]
    chosen = network._chosen(heads, light, torch.zeros(1, 18, 64, 64), 8)
    assert (chosen - true).abs().mean() < 0.4 * (blurred - true).abs().mean()
    # What is learned counts more than that, once there is something: here the place at the upper left of each pixel.
    learned = torch.zeros(1, 18, 64, 64)
    learned[:, 0] = 100
    upper_left = torch.nn.functional.pad(blurred, (8, 0, 8, 0), mode="replicate")[..., :64, :64]
    assert near(network._chosen(heads, light, learned, 8), upper_left, 1e-3)


def test_drawn_anew_colours_are_bounded_by_a_tanh():
    net = Network(dataclasses.replace(TINY, correct=False))
    torch.nn.init.constant_(net.colorization.leave.bias, 50.0)
    light = random(1, 1, 1, 64, 64) * 100
    heads = [Said(torch.zeros(1, 2, 64, 64), torch.zeros(1, 1, 64, 64))] * 2
    with torch.no_grad():
        assert (net.colour(light, heads, torch.zeros(1, 3, 64, 64), net.see(light)).ab - 128).abs().max() < 1e-3


@pytest.mark.parametrize("double", [True, False])
@pytest.mark.parametrize(("transformer", "linkage"), [(True, True), (True, False), (False, False)])
def test_every_ablation_is_a_network_of_its_own(double, transformer, linkage):
    net = Network(dataclasses.replace(TINY, double=double, transformer=transformer, linkage=linkage))
    names = {name for name, _ in net.named_parameters()}
    assert any("augmented" in name for name in names) == double
    assert any("self_attn" in name for name in names) == transformer
    assert any(name.startswith("linkage") for name in names) == linkage
    light, lab = random(1, 2, 1, 64, 64) * 100, random(1, 3, 64, 64) * 50
    with torch.no_grad():
        seen = net.see(light)
        heads = net.match(seen, net.reference(lab[:, :1], Said(lab[:, 1:], torch.ones(1, 1, 64, 64))))
        assert len(heads) == 1 + double and net.colour(light, heads, lab, seen).ab.shape == (2, 2, 64, 64)
        assert (net.keep(None, seen) is not None) == linkage


# --- The linkage ---


def test_what_is_kept_stays_bounded_and_changes_later_blocks():
    net = Network(TINY)
    for parameter in net.linkage.parameters():
        parameter.data += 0.3 * random(*parameter.shape)
    kept, sizes, largest = None, set(), []
    with torch.no_grad():
        for number in range(200):
            light = random(1, 2, 1, 64, 64).roll(number, -1) * 100
            kept = net.keep(kept, net.see(light, kept))
            sizes.add(tuple(kept.shape))
            largest.append(float(kept.abs().max()))
        assert sizes == {(1, 2 * 4 * 4, 12)} and max(largest[100:]) < 2 * max(largest[:10])
        alone, told = net.see(light), net.see(light, kept)
        assert not near(alone.tokens, told.tokens, 0.01) and not near(alone.keys[1], told.keys[1], 1e-4)


def test_the_first_block_changes_what_is_said_of_the_last(method):
    """Of two films that differ in their first block alone, and end alike."""
    lightness, ab = scene(frames=9, step=1)
    known = (reference(lightness[8], ab[8], 8),)
    other = torch.cat([lightness[:3].flip(-1), lightness[3:]])
    ends = [drain(method, Clip(0, 0, film, known))[0][7].ab for film in (lightness, other)]
    assert not torch.equal(*ends)
    unlinked = method_of(linkage="false")
    ends = [drain(unlinked, Clip(0, 0, film, known))[0][7].ab for film in (lightness, other)]
    assert torch.equal(*ends)


# --- The paper's sizes ---


def test_the_paper_variant_has_the_papers_sizes():
    """512 channels at a quarter of the size, two heads of 256, tokens as wide as VisTR's; no first max-pool."""
    torch.manual_seed(0)
    net = Network(PAPER).eval()
    assert net.correspondence.fuse.out_channels == 512
    assert net.correspondence.trunk.resnet.layer3[18] is net.correspondence.trunk.resnet.layer3[-1]
    assert sum(tensor.numel() for tensor in net.parameters()) == 74_249_349
    light = random(1, 2, 1, 64, 96) * 100
    with torch.no_grad():
        seen = net.see(light)
        assert [tuple(keys.shape) for keys in seen.keys] == [(2, 256, 16, 24)] * 2
        assert seen.tokens.shape == (1, 2, 384, 8, 12)
        lab = random(1, 3, 64, 96) * 50
        heads = net.match(seen, net.reference(lab[:, :1], Said(lab[:, 1:], torch.ones(1, 1, 64, 96))))
        assert net.colour(light, heads, lab, seen).ab.abs().max() <= network.COLOUR


def test_imagenets_statistics_stay_while_it_learns():
    net = Network(PAPER).train()
    assert net.colorization.training and not net.correspondence.trunk.resnet.bn1.training


# --- The method ---


def test_between_two_references_the_nearer_one_counts_more():
    """Two pictures of the same things that disagree: colours go from one to the other, and nowhere at once."""
    lightness, ab = scene(frames=1)
    still, colours = lightness.expand(13, -1, -1, -1), ab.expand(13, -1, -1, -1)
    ends = reference(still[0], colours[0], 0), reference(still[12], colours[12] + 20, 12)
    said, _ = drain(method_of(), Clip(0, 0, still, ends))
    means = torch.stack([(one.ab - ab[0]).mean() for one in said])
    steps = means[1:] - means[:-1]
    assert steps.min() > -0.5 and steps.max() < 5 and means[3] < 8 and means[9] > 12


def test_what_one_reference_leaves_open_comes_from_the_other(method):
    lightness, ab = scene(frames=6, step=0)
    known = reference(lightness[0], ab[0], 0)
    reach = known.confidence.clone()
    reach[..., reach.shape[-1] // 2 :] = 0
    hole = dataclasses.replace(known, ab=known.ab * reach, confidence=reach)
    darker = reference(0.8 * lightness[5], ab[5], 5)
    alone, both = (
        error(drain(method, Clip(0, 0, torch.cat([lightness[:5], 0.8 * lightness[5:]]), given))[0], ab)[1]
        for given in ((darker,), (hole, darker))
    )
    assert both < 1.1 * alone


def test_a_still_of_another_moment_is_matched(method):
    lightness, ab = scene(frames=4, step=1)
    still = reference(lightness[0].flip(-1).contiguous(), ab[0].flip(-1).contiguous(), None)
    assert error(drain(method, Clip(0, 0, lightness, (still,)))[0], ab).max() < 0.8 * grey(ab)


@pytest.mark.parametrize("block", [1, 2, 5])
def test_blocks_of_any_size_say_nearly_the_same(method, block):
    """Seven frames: the last block may be a shorter one."""
    lightness, ab = scene(frames=7, step=1)
    known = (reference(lightness[0], ab[0], 0),)
    usual = drain(method, Clip(0, 0, lightness, known))[0]
    said = drain(method_of(block=str(block)), Clip(0, 0, lightness, known))[0]
    change = max(float((one.ab - other.ab).abs().mean()) for one, other in zip(said, usual, strict=True))
    assert 0 < change < 0.1 * grey(ab)


def test_any_pieces_say_nearly_what_the_whole_says(method):
    """With a reference in a later piece, too, as the film's own path goes through them."""
    lightness, ab = scene(frames=17, step=1)
    known = reference(lightness[0], ab[0], 0), reference(lightness[15], ab[15], 15)
    whole, pieces = drain(method, Clip(0, 0, lightness, known))[0], in_pieces(lightness, known, 8, method)
    changes = [float((one.ab - other.ab).abs().mean()) for one, other in zip(whole, pieces, strict=True)]
    assert 0 < max(changes) < 0.1 * grey(ab)


def test_what_is_handed_on_does_not_grow(method):
    lightness, ab = scene(frames=30, step=1)
    known = (reference(lightness[0], ab[0], 0),)
    sizes = [drain(method, Clip(0, 0, lightness[:count], known))[1]["kept"].nbytes for count in (6, 30)]
    # 96 numbers for each 16 x 16 pixels of a block's three frames.
    assert sizes[0] == sizes[1] == 3 * 4 * 96 * math.prod(math.ceil(side / 16) for side in lightness.shape[-2:])


def test_a_higher_temperature_mixes_more_places(method):
    lightness, ab = scene(frames=2, step=1)
    known = (reference(lightness[0], ab[0], 0),)
    mixed = drain(method_of(temperature="1"), Clip(0, 0, lightness, known))[0][1].ab
    sharp = drain(method, Clip(0, 0, lightness, known))[0][1].ab
    assert mixed.std() < 0.7 * sharp.std()


# --- Pictures of both heads ---


def test_both_heads_can_be_looked_at(tmp_path: Path):
    """A picture a frame, named by the film's frames: grey, then the colours and the similarity map of each head."""
    lightness, ab = scene(frames=4, step=1)
    height, width = lightness.shape[-2:]
    folder = tmp_path / "a folder" / "heads"
    drain(method_of(heads=str(folder)), Clip(20, 0, lightness, (reference(lightness[0], ab[0], 20),)))
    assert [file.name for file in sorted(folder.iterdir())] == [f"{number:06d}.png" for number in range(20, 24)]
    picture = cv2.imread(str(folder / "000020.png"))
    assert picture.shape == (height, 5 * width, 3)
    grey_part, colours, similarity = (picture[:, k * width : (k + 1) * width] for k in range(3))
    assert (grey_part.max(2) - grey_part.min(2)).max() < 3 < (colours.max(2) - colours.min(2)).mean()
    # The reference is like itself everywhere: TURBO ends in dark red.
    assert similarity[..., 2].mean() > 100 > similarity[..., 1].mean()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("here already")
    lightness, ab = scene(frames=2, step=1)
    with pytest.raises(MethodError, match=r"lstvc\.heads=FOLDER"):
        drain(method_of(heads=str(tmp_path / "file")), Clip(0, 0, lightness, (reference(lightness[0], ab[0], 0),)))


# --- What it refuses ---


@pytest.mark.parametrize(("option", "value"), [("block", "0"), ("temperature", "0")])
def test_impossible_options_are_named(option, value):
    with pytest.raises(MethodError, match=option):
        method_of(**{option: value})


def test_the_papers_variant_asks_for_weights():
    with pytest.raises(WeightsError, match=r"No weights of lstvc.s variant paper come along"):
        method_of(variant="paper")


def test_weights_of_another_method_are_refused():
    other = SHIPPED.parent.parent / "bistnet" / "bistnet.safetensors"
    with pytest.raises(WeightsError, match="bistnet"):
        method_of(weights=str(other))


def test_no_piece_is_run_backward(method, monkeypatch):
    """It sees a later reference by itself: each frame is coloured once, though the reference lies in the last piece."""
    lightness, ab = scene(frames=18, step=1)
    coloured: list[int] = []
    colorize = method.colorize
    monkeypatch.setattr(method, "colorize", lambda clip: coloured.append(len(clip) - clip.overlap) or colorize(clip))
    in_pieces(lightness, (reference(lightness[17], ab[17], 17),), 8, method)
    assert sum(coloured) == 18 and len(coloured) == 3


def test_how_sure_it_is_tells_right_colours_from_wrong_ones(method):
    lightness, ab = scene(frames=12)
    said, _ = drain(method, Clip(0, 0, lightness, (reference(lightness[0], ab[0], 0),)))
    wrong = torch.stack([(one.ab - true).norm(dim=0) for one, true in zip(said[1:], ab[1:], strict=True)])
    sure = torch.stack([one.confidence[0] for one in said[1:]])
    assert wrong[sure > 0.8].mean() < 0.7 * wrong[sure < 0.5].mean()
