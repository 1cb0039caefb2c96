"""VCGAN: its equations on small tensors, photographs and films by the same weights, pieces that change nothing."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.color import lab2rgb, rgb2lab
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from kinochrome import weights
from kinochrome.errors import MethodError, WeightsError
from kinochrome.methods.vcgan import Vcgan, VcganOptions, network
from kinochrome.methods.vcgan.network import COLOUR, Bottleneck, Network, NonLocal, Shape, still, tasted
from kinochrome.nets.raft import Raft
from kinochrome.training.losses import annealed_mean, gamut_bins
from kinochrome.types import Clip, Method
from tests.methods.test_flow import assert_same, in_pieces, scene
from tests.methods.test_kino import drain
from tests.metrics.judges import no_weights, raft  # noqa: F401

TINY = Shape(drawing=(4, 8, 8, 8, 16), stem=4, stages=(2, 2, 4), blocks=(1, 1, 2), features=8)
PAPER = Shape(
    variant="paper",
    head="regression",
    feedback="grey",
    drawing=(32, 64, 128, 256, 512, 512),
    finest=0,
    kernel=7,
    stem=64,
    stages=(64, 128, 256, 512),
    blocks=(3, 4, 6, 3),
    features=512,
    attending=3,
)


def network_of(shape: Shape = TINY, **changes: object) -> Network:
    """Random numbers everywhere, so that every layer has its say."""
    torch.manual_seed(3)
    net = Network(dataclasses.replace(shape, **changes)).eval()
    for one in net.parameters():
        if not one.any():
            one.data.normal_(0, 0.5)
    if net.shape.head == "classes":
        net.bins.copy_(gamut_bins())
    return net


def write(path: Path, net: Network, method: str = "vcgan", **changes: object) -> Path:
    header = weights.Header(method, dataclasses.asdict(net.shape) | changes, "none", "a test", "nothing")
    weights.write(path, net.state_dict(), header)
    return path


def method_of(file: Path, **options: object) -> Vcgan:
    return Vcgan(VcganOptions(weights=str(file), **options))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("weights") / "tiny.safetensors", network_of())


@pytest.fixture(scope="module")
def method(file: Path) -> Vcgan:
    return method_of(file)


def random(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(sum(shape)))


def lab_of(height: int, width: int) -> Tensor:
    """Colours well inside of sRGB."""
    return torch.cat([40 + 20 * random(1, 1, height, width), 30 * random(1, 2, height, width) - 15], 1)


def moved_by(x: float, height: int, width: int) -> Tensor:
    """The motion that leads so many pixels to the right."""
    return torch.tensor([x, 0.0])[None, :, None, None].expand(1, 2, height, width)


# --- Equations 3 and 4 ---


def shown(method: Vcgan, clip: Clip, monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """What the placeholder feature extractor sees of each frame."""
    found: list[Tensor] = []
    forward = method.network.forward
    monkeypatch.setattr(
        method.network, "forward", lambda light, seen, taste: found.append(seen) or forward(light, seen)
    )
    drain(method, clip)
    return found


@pytest.mark.parametrize("feedback", ["grey", "colour"])
def test_equation_3_shows_the_first_frame_itself_and_each_other_one_what_was_answered(feedback, tmp_path, monkeypatch):
    made = method_of(write(tmp_path / "one.safetensors", network_of(feedback=feedback)))
    light, _ = scene(frames=3, step=2)
    said, _ = drain(made, Clip(0, 0, light))
    seen = shown(made, Clip(0, 0, light), monkeypatch)
    height, width = light.shape[-2:]
    assert torch.equal(seen[0][..., :height, :width], torch.cat([light[:1], torch.zeros(1, 2, height, width)], 1))
    for index in (1, 2):
        frames = [made._fitted(light[k]) for k in (index, index - 1)]
        before = torch.cat([frames[1], made._fitted(said[index - 1].ab)], 1)
        motion = made._ways.tensor(made._ways.between(*frames))
        assert motion[:, 0].median() == pytest.approx(2, abs=0.5), "the camera pans"
        assert torch.equal(seen[index], made.network.feed(frames[0], before, motion))
        assert (seen[index][:, 1:].abs().max() > 1) == (feedback == "colour")


def test_equation_4_is_the_grey_of_the_answer_moved_along():
    """G is the linear transformation of R'G'B' that PAL, JPEG and OpenCV have."""
    lab = lab_of(6, 16)
    rgb = lab2rgb(lab[0].permute(1, 2, 0).double().numpy())
    assert rgb.min() > 0 and rgb.max() < 1
    grey = rgb @ [0.299, 0.587, 0.114]
    expected = rgb2lab(np.repeat(grey[..., None], 3, 2))[..., 0]
    found = network_of(feedback="grey").feed(lab[:, :1], lab, moved_by(2, 6, 16))
    assert np.abs(found[0, 0, :, :-2].numpy() - expected[:, 2:]).max() < 0.05
    assert np.abs(lab[0, 0].numpy() - expected).mean() > 0.2, "colours are in it, if little of them"
    assert torch.equal(found[:, 1:], torch.zeros(1, 2, 6, 16))


def test_colours_that_are_fed_back_move_along_and_end_where_something_new_is_seen():
    wide = torch.cat([random(1, 1, 32, 40) * 80 + 10, 60 * random(1, 2, 32, 40) - 30], 1)
    before, now = wide[..., :32], wide[..., 8:]
    found = network_of().feed(now[:, :1], before, moved_by(8, 32, 32))
    # What came into view at the right was not there before.
    assert (found[..., :16] - now[..., :16]).abs().max() < 0.5
    assert found[:, 1:, :, -8:].abs().max() == 0
    # Noise that did not move is explained by chance alone.
    still_there = network_of().feed(now[:, :1], before, moved_by(0, 32, 32))
    assert still_there[:, 1:].abs().mean() < 0.7 * found[:, 1:, :, :16].abs().mean()


# --- The architecture ---


def test_a_non_local_block_asks_every_place_and_begins_as_nothing():
    block, x = NonLocal(8), random(2, 8, 3, 4)
    assert torch.equal(block(x), x)
    block.gain.data.fill_(0.7)
    with torch.no_grad():
        found = block(x)
        query, key, value = (part(x).flatten(2) for part in (block.query, block.key, block.value))
        for image, place in ((0, 0), (1, 7)):
            scores = torch.stack([query[image, :, place] @ key[image, :, other] for other in range(12)])
            mixed = value[image] @ (scores.exp() / scores.exp().sum())
            expected = x[image].flatten(1)[:, place] + 0.7 * block.leave(mixed[:, None, None])[:, 0, 0]
            assert torch.allclose(found[image].flatten(1)[:, place], expected, atol=1e-5)


def test_parts_of_a_large_frame_ask_as_the_whole_would(monkeypatch):
    block, x = NonLocal(8), random(1, 8, 5, 7)
    block.gain.data.fill_(1.0)
    asked: list[tuple[int, int]] = []
    attention = torch.nn.functional.scaled_dot_product_attention
    monkeypatch.setattr(
        network.F,
        "scaled_dot_product_attention",
        lambda q, k, v, **told: asked.append((q.shape[1], k.shape[1])) or attention(q, k, v, **told),
    )
    with torch.no_grad():
        monkeypatch.setattr(network, "coarsened", lambda x: x)
        whole = block(x)
        monkeypatch.setattr(network, "AT_ONCE", 10)
        assert torch.allclose(block(x), whole, atol=1e-6)
    assert asked == [(35, 35), (10, 35), (10, 35), (10, 35), (5, 35)]


@pytest.mark.parametrize(("height", "width"), [(1, 1), (32, 54), (45, 46), (135, 240), (3, 5000)])
def test_what_is_asked_has_a_bound(height, width):
    found = network.coarsened(random(1, 1, height, width))
    assert found.shape[-2] * found.shape[-1] <= network.AT_ONCE
    assert (found.shape[-2:] == (height, width)) == (height * width <= network.AT_ONCE)


def test_what_is_asked_of_a_large_frame_are_means():
    picture = random(1, 1, 60, 64)
    found = network.coarsened(picture)
    assert found.shape[-2:] == (30, 32)
    assert float(found[0, 0, 3, 4]) == pytest.approx(float(picture[0, 0, 6:8, 8:10].mean()), rel=1e-5)


def test_a_bottleneck_is_resnets_with_its_own_norm_and_bend():
    """He and others 2016, but each picture normalised by itself, and LeakyReLU."""
    block, x = Bottleneck(6, 3, 2), random(2, 6, 8, 10)

    def normal(seen: Tensor, norm: nn.Module) -> Tensor:
        mean, spread = seen.mean((2, 3), keepdim=True), seen.var((2, 3), unbiased=False, keepdim=True)
        return (seen - mean) / (spread + 1e-5).sqrt() * norm.weight[:, None, None] + norm.bias[:, None, None]

    def bent(seen: Tensor) -> Tensor:
        return torch.where(seen > 0, seen, 0.2 * seen)

    with torch.no_grad():
        for norm in (block.norm1, block.norm2, block.norm3, block.downsample[1]):
            norm.weight.uniform_(0.5, 1.5)
            norm.bias.uniform_(-1, 1)
        change = bent(normal(torch.nn.functional.conv2d(x, block.conv1.weight), block.norm1))
        change = bent(normal(torch.nn.functional.conv2d(change, block.conv2.weight, None, 2, 1), block.norm2))
        change = normal(torch.nn.functional.conv2d(change, block.conv3.weight), block.norm3)
        passed = normal(torch.nn.functional.conv2d(x, block.downsample[0].weight, None, 2), block.downsample[1])
        assert torch.allclose(block(x), bent(change + passed), atol=1e-5)


def test_the_paper_variant_has_the_papers_sizes():
    """Extractors of 2048 channels that end in 512 at 1/32; 1536 joined there and halved once more; 7x7 at both ends.

    Non-local blocks stand after the first three stages of the decoder; each later stage takes two maps as wide as one.
    """
    with torch.device("meta"):
        net = Network(PAPER)
    sizes: dict[str, tuple[int, ...]] = {}

    def note(name: str, module: nn.Module) -> None:
        module.register_forward_hook(lambda module, told, answer: sizes.update({name: tuple(answer.shape[1:])}))

    parts = {"global": net.extractors["global"].stages, "end": net.extractors["placeholder"], "fuse": net.fuse}
    parts |= {f"attend{n}": one for n, one in enumerate(net.attend)} | {f"up{n}": one for n, one in enumerate(net.up)}
    for name, module in parts.items():
        note(name, module)
    light = torch.zeros(1, 1, 256, 512, device="meta")
    assert net(light, still(light)).ab.shape == (1, 2, 256, 512)
    assert sizes["global"] == (2048, 8, 16) and sizes["end"] == (512, 8, 16)
    assert net.fuse[0].weight.shape == (512, 1536, 4, 4) and sizes["fuse"] == (512, 4, 8)
    assert [sizes[f"attend{n}"] for n in range(3)] == [(512, 8, 16), (512, 16, 32), (256, 32, 64)]
    assert [sizes[f"up{n}"][0] for n in range(6)] == [512, 512, 256, 128, 64, 32] and sizes["up5"][1:] == (256, 512)
    assert [stage[0].in_channels for stage in net.up] == [512, 1024, 1024, 512, 256, 128]
    assert net.leave.weight.shape == (2, 64, 7, 7)
    assert not any(isinstance(part, nn.MaxPool2d | nn.AvgPool2d) for part in net.modules())
    assert sum(one.numel() for one in net.parameters()) == 96_683_205


@pytest.mark.parametrize(("height", "width", "published"), [(256, 512, 60.52), (512, 1024, 242.11)])
def test_the_paper_variant_costs_what_the_paper_says(height, width, published):
    """Table II's figures, within 2 %: those are of R'G'B', and of norms as well."""
    with torch.device("meta"):
        net = Network(PAPER)
    light = torch.zeros(1, 1, height, width, device="meta")
    with FlopCounterMode(display=False) as counter:
        net(light, still(light))
    assert counter.get_total_flops() / 2e9 == pytest.approx(published, rel=0.02)


PLAIN = dataclasses.replace(TINY, variant="paper", head="regression", finest=0)
"""The paper's form, tiny: five sizes, extractors that end at the coarsest, one halving below them."""


def test_below_the_extractors_is_one_more_halving_and_what_the_encoder_saw_is_joined_above_it():
    """Step by step, at a size that can be halved: down, down once more, up; each map joined where it has its size."""
    net, light = network_of(PLAIN, attending=1), random(1, 1, 128, 192) * 100
    with torch.no_grad():
        passed = [torch.nn.functional.leaky_relu(net.enter(light / 50 - 1), 0.2)]
        for stage in net.down:
            passed.append(stage(passed[-1]))
        joined = torch.cat([passed[4], *(look(still(light)) for look in net.extractors.values())], 1)
        assert joined.shape == (1, 16 + 8 + 8, 8, 12)
        x = net.fuse(joined)
        assert x.shape == (1, 16, 4, 6)
        for number, stage in enumerate(net.up):
            x = stage(torch.nn.functional.interpolate(x, scale_factor=2, mode="bilinear"))
            x = torch.cat([net.attend[0](x) if number == 0 else x, passed[4 - number]], 1)
        expected = COLOUR * torch.tanh(net.leave(x))
        assert torch.allclose(net(light, still(light)).ab, expected, atol=1e-3)
        assert expected.std() > 1


@pytest.mark.parametrize("head", ["regression", "classes"])
@pytest.mark.parametrize("finest", [0, 1, 2])
@pytest.mark.parametrize(("height", "width"), [(64, 64), (64, 80), (112, 80), (96, 256)])
def test_the_papers_form_takes_what_cannot_be_halved_once_more(height, width, finest, head):
    """At 1/16 these sides are 4 to 16, some of them odd; in training as in use."""
    net = network_of(PLAIN, finest=finest, head=head).train()
    light = random(1, 1, height, width) * 100
    with torch.no_grad():
        answer = net(light, still(light))
    assert answer.ab.shape == (1, 2, height, width) and bool(answer.ab.isfinite().all())
    assert answer.scores is None or answer.scores.shape == (1, 261, height // 4, width // 4)
    assert answer.ab.std() > 1


@pytest.mark.parametrize(("rows", "columns", "padded"), [(2, 2, (4, 4)), (5, 7, (6, 8)), (4, 6, (4, 6))])
def test_what_cannot_be_halved_repeats_its_edge(rows, columns, padded, monkeypatch):
    net, seen = network_of(PLAIN), []
    fuse = net.fuse.forward
    monkeypatch.setattr(net.fuse, "forward", lambda x: seen.append(x) or fuse(x))
    joined, passed = random(1, 32, rows, columns), [random(1, 4, 16 * rows, 16 * columns)]
    for stage in net.down:
        passed.append(stage(passed[-1]))
    with torch.no_grad():
        drawn, _ = net._drawn_below(joined, passed)
    assert seen[0].shape[-2:] == padded and torch.equal(seen[0][..., :rows, :columns], joined)
    assert torch.equal(seen[0][..., -1, columns - 1], joined[..., -1, -1])
    assert [tuple(one.shape[-2:]) for one in drawn] == [(rows << n, columns << n) for n in range(5)]


def test_the_paper_variant_colours_a_frame():
    net = network_of(PAPER)
    light = random(1, 1, 64, 96) * 100
    with torch.no_grad():
        ab = net(light, still(light)).ab
    assert ab.shape == (1, 2, 64, 96) and bool(ab.isfinite().all()) and 1 < ab.abs().max() <= COLOUR


def test_the_small_variant_is_small():
    net = Network()
    assert net.shape.stride == 16 and 1e6 < sum(one.numel() for one in net.parameters()) < 4e6


@pytest.mark.parametrize("extractors", [(True, True), (False, True), (True, False), (False, False)])
@pytest.mark.parametrize("head", ["regression", "classes"])
def test_every_ablation_is_a_network_of_its_own(head, extractors):
    there = dict(zip(("global_extractor", "placeholder_extractor"), extractors, strict=True))
    net = network_of(head=head, **there)
    assert [*net.extractors] == [name for name, on in zip(("global", "placeholder"), extractors, strict=True) if on]
    assert net.recurrent == extractors[1] and net.fuse[0].in_channels == 16 + 8 * sum(extractors)
    light = random(2, 1, 64, 80) * 100
    with torch.no_grad():
        answer = net(light, still(light))
        other = net(light, still(light) + 20 * random(2, 3, 64, 80))
    assert answer.ab.shape == (2, 2, 64, 80)
    assert (answer.scores is not None) == (head == "classes")
    assert torch.equal(answer.ab, other.ab) != extractors[1], "only the placeholder feature extractor hears of it"


# --- Heads ---


def test_what_is_drawn_is_bounded_and_begins_grey():
    light = random(1, 1, 64, 64) * 100
    net = Network(dataclasses.replace(TINY, head="regression"))
    with torch.no_grad():
        assert net(light, still(light)).ab.abs().max() == 0
        net.leave.bias.fill_(0.1)
        assert torch.allclose(net(light, still(light)).ab, torch.full((1, 2, 64, 64), COLOUR * math.tanh(0.1)))
        net.leave.bias.fill_(50)
        assert torch.allclose(net(light, still(light)).ab, torch.full((1, 2, 64, 64), COLOUR))


def test_what_is_chosen_is_the_annealed_mean_around_each_place():
    """Zhang and others 2016: the mean of the bins by the softmax of the scores over a temperature."""
    net = network_of()
    coarse, fine = random(1, 8, 5, 6), random(1, 8, 10, 12)
    with torch.no_grad():
        found = net._chosen(coarse, fine, None)
        ab = annealed_mean(found.scores, gamut_bins())
        assert torch.equal(found.scores, net.choose(coarse))
        # Where all nine places around say the same, it is that, whatever the shares.
        net.choose.weight.zero_()
        even = net._chosen(coarse, fine, None)
        assert torch.allclose(even.ab, annealed_mean(even.scores, gamut_bins())[..., :1, :1].expand_as(even.ab))
        # All shares at the middle one: each pixel has its own place's.
        net = network_of()
        net.leave.weight.zero_()
        net.leave.bias.copy_(torch.tensor([0.0] * 4 + [50.0] + [0.0] * 4))
        own = net._chosen(coarse, fine, None).ab
        # Enlarged twice: bilinearly from the shares' size, which four pixels' mean undoes.
        expected = ab.repeat_interleave(2, -1).repeat_interleave(2, -2)
        assert torch.allclose(
            torch.nn.functional.avg_pool2d(own, 2)[..., 1:-1, 1:-1], expected[..., 1:-1, 1:-1], atol=3
        )
        # All at the upper left one: what is said there has moved by a place, four pixels.
        net.leave.bias.copy_(torch.tensor([50.0] + [0.0] * 8))
        assert torch.allclose(net._chosen(coarse, fine, None).ab[..., 4:-1, 4:-1], own[..., :-5, :-5], atol=1e-3)


def test_a_lower_temperature_is_more_vivid(tmp_path):
    """One class is twice as likely as each of all others."""
    net, vivid = network_of(), int((gamut_bins() - torch.tensor([60.0, 40.0])).norm(dim=1).argmin())
    net.choose.weight.data.zero_()
    net.choose.bias.data.zero_()
    net.choose.bias.data[vivid] = math.log(2)
    file, light = write(tmp_path / "vivid.safetensors", net), scene(frames=1)[0]
    for temperature in (0.05, 0.38, 1.0):
        found = drain(method_of(file, temperature=temperature), Clip(0, 0, light))[0][0].ab
        odds = 2 ** (1 / temperature)
        expected = (gamut_bins().sum(0) + (odds - 1) * gamut_bins()[vivid]) / (len(gamut_bins()) - 1 + odds)
        assert torch.allclose(found, expected[:, None, None].expand_as(found), atol=1e-2)


# --- Photographs and films ---


def test_photographs_and_films_have_the_same_weights_and_the_same_beginning(file, method):
    """A film's first frame is coloured as a photograph is; later ones are not, unless each is taken for one."""
    light, _ = scene(frames=4, step=2)
    film, _ = drain(method, Clip(0, 0, light))
    alone, _ = drain(method_of(file, recurrent=False), Clip(0, 0, light))
    for index in range(4):
        photograph, _ = drain(method, Clip(index, 0, light[index : index + 1]))
        assert torch.equal(photograph[0].ab, alone[index].ab)
        assert torch.equal(photograph[0].ab, film[index].ab) == (index == 0)
    assert len(film) == 4 and all(one.ab.shape == light[0].expand(2, -1, -1).shape for one in film)


def test_a_frame_hears_of_all_frames_before(file, tmp_path):
    light, _ = scene(frames=4, step=1)
    other = torch.cat([light[:1].flip(-1), light[1:]])
    no_feedback = write(tmp_path / "without.safetensors", network_of(placeholder_extractor=False))
    told, unasked, deaf = method_of(file), method_of(file, recurrent=False), method_of(no_feedback)
    for made, hears in ((told, True), (unasked, False), (deaf, False)):
        first, second = (drain(made, Clip(0, 0, film))[0] for film in (light, other))
        assert torch.equal(first[1].ab, second[1].ab) != hears
        assert torch.equal(first[3].ab, second[3].ab) != hears


@pytest.mark.parametrize("longest", [2, 5, 7])
def test_pieces_say_what_the_whole_says(method, longest):
    light, _ = scene(frames=12, step=1)
    made: Method = method
    assert_same(in_pieces(light, (), longest, made), drain(method, Clip(0, 0, light))[0])


def test_a_piece_may_see_more_than_one_frame_of_the_one_before(method):
    light, _ = scene(frames=8, step=1)
    whole, _ = drain(method, Clip(20, 0, light))
    first, kept = drain(method, Clip(20, 0, light[:5]))
    second, _ = drain(method, Clip(22, 3, light[2:], previous=first[-1], carried=kept))
    assert_same(whole, [*first, *second[3:]])
    assert torch.equal(second[2].ab, first[-1].ab) and not kept


@pytest.mark.parametrize("shape", [TINY, PLAIN], ids=["small", "paper"])
def test_a_size_that_cannot_be_halved_hands_over_as_well(shape, tmp_path):
    light, made = random(6, 1, 67, 93) * 100, method_of(write(tmp_path / "one.safetensors", network_of(shape)))
    said = drain(made, Clip(0, 0, light))[0]
    assert_same(in_pieces(light, (), 3, made), said)
    assert {one.ab.shape for one in said} == {(2, 67, 93)}


@pytest.mark.parametrize("size", [(5, 9), (1, 1), (70, 3)])
def test_a_film_of_a_few_pixels_is_coloured(method, size):
    said, _ = drain(method, Clip(0, 0, random(3, 1, *size) * 100))
    assert all(one.ab.shape == (2, *size) and bool(one.ab.isfinite().all()) for one in said)
    assert all(0 < float(one.confidence.max()) < 0.5 for one in said), "nobody has told it anything"


def test_the_same_clip_gives_the_same_answer(method):
    light, _ = scene(frames=3)
    assert_same(drain(method, Clip(0, 0, light))[0], drain(method, Clip(0, 0, light))[0])


def test_it_asks_for_no_hint(method):
    assert not method.needs and not method.uses and method.working_size(1080, 1920) == (240, 427)


# --- What it refuses ---


def test_the_papers_variant_asks_for_weights():
    with pytest.raises(WeightsError, match=r"docs/methods/vcgan\.md"):
        Vcgan(VcganOptions("paper"))


def test_weights_that_do_not_fit_are_named(tmp_path):
    net = network_of()
    with pytest.raises(WeightsError, match="holds weights of kino, not of vcgan"):
        method_of(write(tmp_path / "other.safetensors", net, "kino"))
    with pytest.raises(WeightsError, match=r"another network than this version's vcgan.*eyes"):
        method_of(write(tmp_path / "newer.safetensors", net, eyes=3))
    with pytest.raises(WeightsError):
        method_of(write(tmp_path / "wider.safetensors", net, features=16))
    made = method_of(write(tmp_path / "paper.safetensors", network_of(variant="paper", head="regression")))
    assert made.network.shape == dataclasses.replace(TINY, variant="paper", head="regression")


@pytest.mark.parametrize("temperature", [0.0, -1.0, 1e-39, math.nan])
def test_impossible_temperatures_are_named(temperature):
    with pytest.raises(ValueError, match=r"temperature must be at least 0\.01"):
        VcganOptions(temperature=temperature)


@pytest.mark.parametrize("seed", [-1, 1 << 63])
def test_impossible_seeds_are_named(seed):
    with pytest.raises(ValueError, match="seed must be 0 or greater"):
        VcganOptions(seed=seed)


# --- Seeds ---


def test_each_seed_has_a_taste_of_its_own_and_keeps_it(file: Path):
    light = scene(frames=2, step=1)[0]
    usual, one, other, again = (drain(method_of(file, seed=seed), Clip(0, 0, light))[0][1].ab for seed in (0, 1, 2, 1))
    assert torch.equal(one, again)
    assert min(float((a - b).norm(dim=0).mean()) for a, b in ((usual, one), (usual, other), (one, other))) > 2


def test_a_taste_has_other_likes_for_other_things():
    """No mere turn of hues; of colours that are near, one is liked as the other."""
    bins = gamut_bins()
    likes = tasted(bins, 8, 5).likes
    assert likes.std() == pytest.approx(network.TASTE, rel=0.5)
    among = torch.corrcoef(likes.T) - torch.eye(network.KINDS)
    assert among.abs().mean() < 0.6
    near = [(k, n) for k in range(len(bins)) for n in range(k) if (bins[k] - bins[n]).norm() <= 10]
    steps = torch.stack([(likes[k] - likes[n]).abs().mean() for k, n in near]).mean()
    assert steps < 0.5 * likes.std()


def test_a_taste_follows_things_wherever_they_are():
    """Two things side by side are liked otherwise, each evenly; where they change places, so do the likes."""
    bins = gamut_bins()
    taste = tasted(bins, 8, 5)
    seen = torch.zeros(1, 8, 16, 32)
    seen[:, ::2, :, :16], seen[:, 1::2, :, 16:] = 1.0, 1.0
    likes, turned = taste.of(seen), taste.of(seen.flip(3))
    assert torch.allclose(likes.flip(3), turned, atol=1e-5)
    left, right = likes[0, :, :, :12], likes[0, :, :, 20:]
    assert float(left.std((1, 2)).max()) < 1e-4
    assert float((left.mean((1, 2)) - right.mean((1, 2))).abs().mean()) > 0.3
    even = torch.zeros(1, 8, 16, 32)
    even[:, :, 8, 8] = 1.0  # a speck is no thing
    assert float((taste.of(even)[..., 8, 8] - taste.of(even)[..., 0, 0]).abs().mean()) < float(
        (left.mean((1, 2)) - right.mean((1, 2))).abs().mean()
    )


def test_weights_that_draw_colours_have_no_taste(tmp_path: Path):
    drawn = write(tmp_path / "drawn.safetensors", network_of(head="regression"))
    with pytest.raises(MethodError, match=r"vcgan\.seed"):
        method_of(drawn, seed=3)


def test_motion_may_be_found_by_a_network(file: Path, raft: Raft) -> None:  # noqa: F811
    lightness, _ = scene(frames=3)
    by_network, _ = drain(method_of(file, flow="raft_small"), Clip(0, 0, lightness))
    by_search, _ = drain(method_of(file), Clip(0, 0, lightness))
    assert torch.equal(by_network[0].ab, by_search[0].ab), "nothing was said before"
    assert not torch.equal(by_network[2].ab, by_search[2].ab)
