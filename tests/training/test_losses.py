"""Every loss: its value computed by hand on a few pixels, its gradient, and what must lower or raise it."""

from __future__ import annotations

from collections.abc import Callable
from math import exp, log, sqrt
from pathlib import Path

import pytest
import torch

from kinochrome import color, weights
from kinochrome.errors import MethodError, WeightsError
from kinochrome.nets.imagenet import normalized
from kinochrome.nets.vgg import Vgg
from kinochrome.training import losses
from kinochrome.training.losses import Link
from tests.nets.test_public_names import filled, on_paper


def row(*values: float) -> torch.Tensor:
    """(1, 1, 1, W)."""
    return torch.tensor(values, dtype=torch.float64)[None, None, None]


def some(*shape: int, seed: int = 0) -> torch.Tensor:
    """Values about -1..1, float64, with a gradient."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, dtype=torch.float64, generator=generator).requires_grad_()


def has_its_gradient(loss: Callable[..., torch.Tensor], *inputs: torch.Tensor) -> bool:
    return torch.autograd.gradcheck(loss, inputs)


NO_MOTION = torch.zeros(1, 2, 1, 4, dtype=torch.float64)
RIGHT = torch.tensor([1.0, 0.0], dtype=torch.float64)[None, :, None, None].expand(1, 2, 1, 4)
"""What lay one pixel further right."""
RAMP = row(0, 1, 2, 3)


# --- Reconstruction ---


def test_reconstruction_by_hand() -> None:
    ours, truth = row(1, 2, 3), row(1, 2.5, 0)
    assert losses.l1(ours, truth).item() == pytest.approx(3.5 / 3)
    assert losses.l2(ours, truth).item() == pytest.approx(9.25 / 3)
    assert losses.smooth_l1(ours, truth).item() == pytest.approx((0.125 + 2.5) / 3)
    assert losses.smooth_l1(ours, truth, bend=4).item() == pytest.approx((0.25 / 8 + 9 / 8) / 3)


@pytest.mark.parametrize("loss", [losses.l1, losses.l2, losses.smooth_l1, losses.hard_examples])
def test_reconstruction_knows_weights_and_nothing(loss: Callable[..., torch.Tensor]) -> None:
    ours, truth, weight = some(2, 2, 3, 4), some(2, 2, 3, 4, seed=1), torch.rand(2, 1, 3, 4).double()
    assert has_its_gradient(lambda a, b: loss(a, b, weight), ours, truth)
    assert loss(ours, ours).item() == 0
    assert loss(ours, truth, torch.ones(2, 1, 3, 4)).item() == pytest.approx(loss(ours, truth).item())
    nothing = loss(ours, truth, torch.zeros(2, 1, 3, 4).double())
    nothing.backward()
    assert nothing.item() == 0 and ours.grad is not None and not ours.grad.any()


def test_a_weight_divides_by_its_sum() -> None:
    # Two channels, differences 1 and 5 at the left, 9 at the right.
    ours = torch.tensor([1.0, 9.0, 5.0, 9.0]).view(1, 2, 1, 2)
    weight = torch.tensor([0.5, 0.0]).view(1, 1, 1, 2)
    assert losses.l1(ours, torch.zeros_like(ours), weight).item() == 3
    assert losses.l2(ours, torch.zeros_like(ours), weight).item() == 13
    # One for the whole batch.
    assert losses.l1(ours.repeat(3, 1, 1, 1), torch.zeros(3, 2, 1, 2), weight).item() == 3


def test_hard_examples_by_hand() -> None:
    ours, truth = row(1, 2, 3, 10), row(0, 0, 0, 0)
    assert losses.hard_examples(ours, truth).item() == pytest.approx(4 + 2 * 6.5)
    assert losses.hard_examples(ours, truth, share=0.25, extra=1).item() == pytest.approx(4 + 10)
    assert losses.hard_examples(ours, truth, row(1, 1, 1, 0), share=1 / 3).item() == pytest.approx(2 + 2 * 3)
    assert losses.hard_examples(ours, truth, extra=0).item() == losses.l1(ours, truth).item()


def test_each_image_has_hard_examples_of_its_own() -> None:
    ours = torch.tensor([1.0, 2.0, 10.0, 20.0]).view(2, 1, 1, 2)
    assert losses.hard_examples(ours, torch.zeros_like(ours)).item() == pytest.approx(33 / 4 + 2 * (2 + 20) / 2)


# --- Perception ---


def test_perceptual_by_hand() -> None:
    ours, truth = [row(1, 3), row(5)], [row(0, 0), row(3)]
    assert losses.perceptual(ours, truth).item() == 5 + 4
    assert losses.perceptual(ours, truth, shares=[2, 0.5], distance="absolute").item() == 2 * 2 + 0.5 * 2
    assert losses.perceptual(ours, ours).item() == 0
    with pytest.raises(ValueError):
        losses.perceptual(ours, truth[:1])
    with pytest.raises(ValueError):
        losses.perceptual(ours, truth, shares=[1])


def test_style_by_hand() -> None:
    # Products of [1 2] and [3 4]: 5, 11, 11, 25; divided by two channels times two places.
    features = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).view(1, 2, 1, 2)
    assert losses.style([features], [torch.zeros_like(features)]).item() == (5 + 11 + 11 + 25) / 4 / 4
    assert losses.style([features], [features.flip(3)]).item() == 0  # whatever the place
    assert losses.style([features], [features.flip(1)]).item() > 0


def test_contextual_by_hand() -> None:
    reference = torch.tensor([[1.0, -1.0], [0.0, 0.0]], dtype=torch.float64).view(1, 2, 1, 2)
    # The first is the reference's first; the second lies as far from both, and so prefers each by half.
    ours = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64).view(1, 2, 1, 2)
    assert losses.contextual([ours], [reference]).item() == pytest.approx(-log((1 + 0.5) / 2))
    twice = losses.contextual([ours, ours], [reference, reference], shares=[8, 2])
    assert twice.item() == pytest.approx(-10 * log(0.75))
    # Directions are seen from the middle of the reference.
    assert losses.contextual([ours + 5], [reference + 5]).item() == pytest.approx(-log(0.75))


def test_contextual_measures_how_much_nearer_the_nearest_is() -> None:
    # Around the reference's centre (0): directions 0, 90, 180 and 270 degrees; ours at 30: cosines 0.866 and 0.5.
    reference = torch.tensor([[1.0, 0.0, -1.0, 0.0], [0.0, 1.0, 0.0, -1.0]], dtype=torch.float64).view(1, 2, 2, 2)
    ours = torch.tensor([sqrt(3) / 2, 0.5], dtype=torch.float64).view(1, 2, 1, 1)
    near = 1 - sqrt(3) / 2 + 1e-5
    preference = [exp(-(1 - cosine) / near / 0.5) for cosine in (sqrt(3) / 2, 0.5, -sqrt(3) / 2, -0.5)]
    loss = losses.contextual([ours], [reference], width=0.5).item()
    assert loss == pytest.approx(-log(preference[0] / sum(preference)))


def test_contextual_does_not_ask_where() -> None:
    reference = some(1, 6, 4, 4)
    shuffled = reference.flatten(2)[:, :, torch.randperm(16, generator=torch.Generator().manual_seed(2))]
    assert losses.contextual([shuffled.view(1, 6, 2, 8)], [reference]).item() == pytest.approx(0, abs=1e-6)
    assert losses.contextual([some(1, 6, 4, 4, seed=5)], [reference]).item() > 0.1


def test_perception_has_its_gradients() -> None:
    ours, truth = some(2, 3, 2, 3), some(2, 3, 2, 3, seed=1)
    assert has_its_gradient(lambda a, b: losses.perceptual([a], [b]), ours, truth)
    assert has_its_gradient(lambda a, b: losses.perceptual([a], [b], distance="absolute"), ours, truth)
    assert has_its_gradient(lambda a, b: losses.style([a], [b]), ours, truth)
    assert has_its_gradient(lambda a, b: losses.contextual([a], [b], width=0.5), ours, truth)


def test_any_encoder_serves_as_features() -> None:
    features = losses.Features("halves", lambda rgb: [rgb / 2, rgb[:, :1]])
    lightness, ab = torch.full((1, 1, 2, 2), 60.0), torch.zeros(1, 2, 2, 2, requires_grad=True)
    first, second = features(lightness, ab)
    rgb = color.rgb_from_lab(torch.cat([lightness, ab], dim=1))
    assert torch.equal(first, rgb / 2) and torch.equal(second, rgb[:, :1])
    first[:, 2].sum().backward()
    assert features.name == "halves" and ab.grad is not None and (ab.grad[:, 1] < 0).all()  # less b*, more blue


def test_features_of_a_public_network(monkeypatch: pytest.MonkeyPatch) -> None:
    network = on_paper("vgg16")
    assert isinstance(network, Vgg)
    network.features = filled(network.features[:10])  # type: ignore[assignment]
    asked = []
    monkeypatch.setattr(weights, "load", lambda build, source, device: asked.append((source, device)) or network)
    features = losses.vgg_features(16, ("relu2_2", "relu1_1"))
    lab = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 20 + 20
    shallow, deep = features(lab[:, :1], lab[:, 1:])
    rgb = color.rgb_from_lab(lab)
    assert torch.equal(shallow, network.features[:2](normalized(rgb)))
    assert torch.equal(deep, network.features[:9](normalized(rgb)))
    assert asked == [("vgg16", "cpu")] and features.name == "vgg16 relu2_2,relu1_1"


def test_weights_that_are_missing_are_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KINOCHROME_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsError, match="kinochrome weights get vgg19"):
        losses.vgg_features()


# --- Space ---


def test_smoothness_by_hand() -> None:
    ab = torch.tensor([[0.0, 1.0], [3.0, 5.0]])[None, None]
    assert losses.smoothness(ab).item() == (1 + 2) / 2 + (3 + 4) / 2
    assert losses.smoothness(torch.full((2, 2, 3, 4), 7.0)).item() == 0
    assert losses.smoothness(row(0, 2)).item() == 2  # none below


def test_guided_smoothness_by_hand() -> None:
    # Of the nine around each pixel, its own column goes on at the edge: six are like it.
    ab = row(0, 3)
    assert losses.guided_smoothness(ab, row(50, 50)).item() == pytest.approx(1)
    half = row(50, 50 + sqrt(10 * log(2)))  # the other column counts half
    assert losses.guided_smoothness(ab, half).item() == pytest.approx(3 * 0.5 / 2.5)
    assert losses.guided_smoothness(ab, row(0, 100)).item() == pytest.approx(0)
    assert losses.guided_smoothness(ab, half, spread=20).item() == pytest.approx(3 * sqrt(0.5) / (2 + sqrt(0.5)))


def test_edge_by_hand() -> None:
    step = row(0, 0, 1, 1).expand(1, 1, 3, 4)  # Sobel: 0 4 4 0
    flat = torch.zeros_like(step)
    assert losses.edge(step, flat).item() == pytest.approx(sqrt(8))
    assert losses.edge(-step, step).item() == pytest.approx(0, abs=1e-5)  # how strong, not which way
    down = row(0, 0, 1).mT.expand(1, 1, 3, 5)  # 0 4 4 from above
    assert losses.edge(down, torch.zeros_like(down)).item() == pytest.approx(sqrt(2 / 3 * 16))
    both = torch.cat([step, flat], dim=1)
    assert losses.edge(both, step).item() == pytest.approx(sqrt(8 / 2))  # one guide for two channels


def test_neighbours_are_alike_and_near() -> None:
    found = losses.bilateral_neighbours(row(0, 1, 0.1, 1), count=1)
    assert found.tolist() == [[[2], [3], [0], [1]]]
    assert losses.neighbour_regularisation(row(0, 10, 4, 7), found).item() == (4 + 3 + 4 + 3) / 4
    assert losses.neighbour_regularisation(row(2, 2, 2, 2), found).item() == 0
    # 0.001 and a pixel away, or 0 and three pixels: nearer is what the reach says.
    faint = row(0, 0.001, 0.003, 0)
    assert losses.bilateral_neighbours(faint, count=1)[0, 0].item() == 1
    assert losses.bilateral_neighbours(faint, count=1, reach=5000)[0, 0].item() == 3
    flat = losses.bilateral_neighbours(torch.zeros(1, 3, 3, 3, dtype=torch.float64), count=4)
    assert sorted(flat[0, 4].tolist()) == [1, 3, 5, 7]  # left, right, above and below the middle


def test_neighbours_of_more_pixels_than_are_compared_at_once() -> None:
    guide = some(2, 3, 36, 36).detach()
    found = losses.bilateral_neighbours(guide, count=5)
    assert found.shape == (2, 36 * 36, 5)
    for image, pixel in ((0, 3), (1, 1023), (0, 1024), (1, 1290)):
        y, x = torch.arange(36 * 36) // 36, torch.arange(36 * 36) % 36
        points = torch.cat([guide[image].flatten(1), torch.stack([x, y]) / 500])
        distance = (points - points[:, pixel, None]).norm(dim=0)
        assert found[image, pixel].tolist() == distance.argsort()[1:6].tolist()


def test_space_has_its_gradients() -> None:
    ab, lightness = some(2, 2, 3, 4), some(2, 1, 3, 4, seed=1)
    assert has_its_gradient(losses.smoothness, ab)
    assert has_its_gradient(losses.guided_smoothness, ab, lightness)
    assert has_its_gradient(losses.edge, ab, lightness)
    found = losses.bilateral_neighbours(lightness.detach(), count=2)
    assert has_its_gradient(lambda image: losses.neighbour_regularisation(image, found), ab)


# --- Time ---


def still(*levels: float) -> list[torch.Tensor]:
    """Frames of one level each."""
    return [torch.full((1, 1, 1, 4), level, dtype=torch.float64) for level in levels]


def links(pairs: list[tuple[int, int]], weight: torch.Tensor | None = None) -> list[Link]:
    return [Link(later, earlier, NO_MOTION, weight) for later, earlier in pairs]


def test_pairs() -> None:
    assert losses.short_pairs(4) == [(1, 0), (2, 1), (3, 2)]
    assert losses.long_pairs(4) == [(1, 0), (2, 0), (3, 0)]
    assert losses.long_pairs(4, interval=2) == [(2, 0), (3, 1)]
    assert losses.dense_pairs(4) == [(2, 0), (3, 0), (3, 1)]
    assert losses.short_pairs(1) == losses.long_pairs(2, interval=5) == losses.dense_pairs(2) == []


def test_losses_of_clips_by_hand() -> None:
    frames = still(0, 1, 3, 7)
    assert losses.short_term(frames, links(losses.short_pairs(4))).item() == pytest.approx((1 + 2 + 4) / 3)
    assert losses.long_term(frames, links(losses.long_pairs(4))).item() == pytest.approx((1 + 3 + 7) / 3)
    assert losses.long_term(frames, links(losses.long_pairs(4, 2)), interval=2).item() == pytest.approx((3 + 6) / 2)
    assert losses.dense_long_term(frames, links(losses.dense_pairs(4))).item() == pytest.approx((3 + 7 + 6) / 3)


def test_losses_of_clips_follow_the_motion_where_it_is_in_sight() -> None:
    moved = row(1, 2, 3, 9)  # the ramp, moved left; nobody knows what came in
    assert losses.short_term([RAMP, moved], [Link(1, 0, RIGHT)]).item() == 6 / 4
    assert losses.short_term([RAMP, moved], [Link(1, 0, RIGHT, row(1, 1, 1, 0))]).item() == 0
    assert losses.short_term([RAMP, moved], [Link(1, 0, NO_MOTION, row(1, 0, 0, 0))]).item() == 1


def test_a_missing_motion_is_an_error_and_a_short_clip_is_not() -> None:
    with pytest.raises(MethodError, match="from frame 3 to frame 1"):
        losses.dense_long_term(still(0, 1, 3, 7), links([(2, 0), (3, 0)]))
    frame = some(1, 1, 1, 4)
    nothing = losses.dense_long_term([frame, frame], [])
    nothing.backward()
    assert nothing.item() == 0 and frame.grad is not None and not frame.grad.any()


def test_temporal_consistency_by_hand() -> None:
    assert losses.temporal_consistency(row(1, 2, 3, 5), RAMP, RIGHT).item() == 2**2 / 4
    assert losses.temporal_consistency(row(1, 2, 3, 5), RAMP, RIGHT, row(1, 1, 1, 0)).item() == 0


def test_self_regularisation_by_hand() -> None:
    ours = torch.zeros(1, 2, 1, 4, dtype=torch.float64)
    other = torch.tensor([3.0, 4.0], dtype=torch.float64)[None, :, None, None].expand(1, 2, 1, 4)
    assert losses.self_regularisation(ours, other, NO_MOTION).item() == pytest.approx(5 * exp(-50 * 0.05**2))
    assert losses.self_regularisation(ours, other, NO_MOTION, sharpness=0).item() == pytest.approx(5)
    assert losses.self_regularisation(ours, 20 * other, NO_MOTION).item() < 1e-10  # something else
    assert losses.self_regularisation(other, other, NO_MOTION).item() == pytest.approx(0, abs=1e-5)
    assert losses.self_regularisation(row(1, 2, 3, 3), RAMP, RIGHT).item() == pytest.approx(0, abs=1e-5)


def test_self_regularisation_never_rewards_a_greater_change() -> None:
    ours = row(0, 5, 10, 30).requires_grad_()
    losses.self_regularisation(ours, row(0, 0, 0, 0), NO_MOTION).backward()
    expected = [0] + [exp(-50 * (change / 100) ** 2) / 4 for change in (5, 10, 30)]
    assert ours.grad is not None and ours.grad.flatten().tolist() == pytest.approx(expected)


def test_what_is_in_sight() -> None:
    lightness, other = row(50, 50, 50, 50), row(50, 60, 50, 150)
    seen = losses.visibility(lightness, other, NO_MOTION)
    assert seen.flatten().tolist() == pytest.approx([1, exp(-0.5), 1, exp(-50)])
    assert losses.visibility(row(1, 2, 3, 3), RAMP, RIGHT).tolist() == row(1, 1, 1, 1).tolist()
    assert losses.in_sight(NO_MOTION, NO_MOTION).tolist() == row(1, 1, 1, 1).tolist()
    # The last pixel's motion leaves the picture.
    assert losses.in_sight(RIGHT, -RIGHT).tolist() == row(1, 1, 1, 0).tolist()
    # A counter-motion of another pixel: by 1 is more than 0.5 and 1 % of 1.
    assert losses.in_sight(RIGHT, NO_MOTION).tolist() == row(0, 0, 0, 0).tolist()
    assert losses.in_sight(RIGHT, -0.5 * RIGHT).tolist() == row(1, 1, 1, 0).tolist()
    # The counter-motion is that of where the motion arrives.
    counter = NO_MOTION.clone()
    counter[0, 0, 0] = torch.tensor([0.0, -1.0, 5.0, -1.0])
    assert losses.in_sight(RIGHT, counter).tolist() == row(1, 0, 1, 0).tolist()


def test_time_has_its_gradients() -> None:
    first, second, third = (some(1, 2, 1, 4, seed=seed) for seed in range(3))
    motion, weight = NO_MOTION + 0.3, row(1, 0.5, 0, 1)
    every = [Link(later, earlier, motion, weight) for later in range(3) for earlier in range(later)]
    for loss in (losses.short_term, losses.long_term, losses.dense_long_term):
        assert has_its_gradient(lambda a, b, c, loss=loss: loss([a, b, c], every), first, second, third)
    assert has_its_gradient(lambda a, b: losses.temporal_consistency(a, b, motion, weight), first, second)
    # With sharpness the weight moves too, and is meant to have no gradient.
    assert has_its_gradient(lambda a, b: losses.self_regularisation(a, b, motion, sharpness=0), first, second)


# --- Adversaries ---

REAL, FAKE = torch.tensor([2.0, 0.0]), torch.tensor([-2.0, 1.0])


@pytest.mark.parametrize(
    ("name", "generator", "discriminator"),
    [
        ("logistic", (log(1 + exp(2)) + log(1 + exp(-1))) / 2, None),
        ("hinge", 0.5, (0 + 1) / 2 + (0 + 2) / 2),
        ("least_squares", (9 + 0) / 2 / 2, ((1 + 1) / 2 + (4 + 1) / 2) / 2),
        ("wasserstein", 0.5, -0.5 - 1),
        # The means are 1 and -0.5.
        (
            "relativistic",
            (4**2 + 1**2) / 2 + (3.5**2 + 1.5**2) / 2,
            (1.5**2 + 0.5**2) / 2 + (2**2 + 1**2) / 2,
        ),
    ],
)
def test_contests_by_hand(name: str, generator: float, discriminator: float | None) -> None:
    contest = losses.CONTESTS[name]
    assert contest.generator(REAL, FAKE).item() == pytest.approx(generator)
    if discriminator is None:
        discriminator = sum(log(1 + exp(score)) / 2 for score in (-2, 0, -2, 1))
    assert contest.discriminator(REAL, FAKE).item() == pytest.approx(discriminator)


@pytest.mark.parametrize("name", losses.CONTESTS)
def test_contests_pull_both_ways(name: str) -> None:
    contest = losses.CONTESTS[name]
    # Between what least squares ask for, which they call back from beyond: 0 and 1.
    real, fake = (some(2, 1, 2, 2, seed=seed).detach().sigmoid() * 0.7 + 0.15 for seed in (0, 1))
    assert contest.generator(real, fake + 0.1) < contest.generator(real, fake)
    assert contest.discriminator(real, fake - 0.1) < contest.discriminator(real, fake)
    assert contest.discriminator(real + 0.1, fake) < contest.discriminator(real, fake)
    for side in contest:
        assert has_its_gradient(side, real.clone().requires_grad_(), fake.clone().requires_grad_())


def test_gradient_penalty_by_hand() -> None:
    real, fake = torch.full((2, 1, 2, 2), 4.0), torch.zeros(2, 1, 2, 2)
    # Slope 3 at each of four pixels: length 6.
    assert losses.gradient_penalty(lambda image: 3 * image.sum(dim=(1, 2, 3)), real, fake).item() == 25
    # Half the square has the picture as its slope: 1 and 2 a pixel, lengths 2 and 4.
    share = torch.tensor([0.25, 0.5]).view(2, 1, 1, 1)
    penalty = losses.gradient_penalty(lambda image: image.square().sum() / 2, real, fake, share)
    assert penalty.item() == ((2 - 1) ** 2 + (4 - 1) ** 2) / 2
    assert losses.gradient_penalty(lambda image: image.sum() / 2, real, fake).item() == 0


def test_gradient_penalty_teaches_the_discriminator() -> None:
    real, fake = some(2, 1, 2, 2).detach(), some(2, 1, 2, 2, seed=1).detach()
    share = torch.full((2, 1, 1, 1), 0.3, dtype=torch.float64)

    def penalty(kernel: torch.Tensor) -> torch.Tensor:
        return losses.gradient_penalty(lambda image: (image * kernel).tanh().sum(dim=(1, 2, 3)), real, fake, share)

    assert has_its_gradient(penalty, some(1, 1, 2, 2, seed=2))


def test_between_is_drawn_anew() -> None:
    torch.manual_seed(0)
    pictures = (torch.full((1, 1, 2, 2), 4.0), torch.zeros(1, 1, 2, 2))
    penalties = {losses.gradient_penalty(lambda image: image.square().sum(), *pictures).item() for _ in range(3)}
    assert len(penalties) == 3


# --- Diversity ---


def test_diversity_by_hand() -> None:
    truth = [row(0, 0)]
    four = [[row(level, level)] for level in (4, 3, 2, 1)]
    assert losses.diversity(four, truth).item() == pytest.approx(1 + 0.08 * 4 + 0.04 * 3 + 0.02 * 2 + 0.01 * 1)
    assert losses.diversity(four[::-1], truth) < losses.diversity(four, truth)  # the first should be the best
    two_layers = losses.diversity([[row(1, 1), row(3)]], [row(0, 0), row(1)])
    assert two_layers.item() == pytest.approx((1 + 2) * 1.01)
    assert losses.diversity([truth, truth], truth).item() == 0


def test_each_frame_has_its_own_best_answer() -> None:
    answers = [[torch.tensor([1.0, 8.0]).view(2, 1, 1, 1)], [torch.tensor([8.0, 3.0]).view(2, 1, 1, 1)]]
    little = (0.02 * 1 + 0.01 * 8 + 0.02 * 8 + 0.01 * 3) / 2
    assert losses.diversity(answers, [torch.zeros(2, 1, 1, 1)]).item() == pytest.approx((1 + 3) / 2 + little)


def test_diversity_has_its_gradient() -> None:
    truth = some(2, 2, 2, 3, seed=9).detach()
    answers = [some(2, 2, 2, 3, seed=seed) for seed in range(3)]
    assert has_its_gradient(lambda *given: losses.diversity([[answer] for answer in given], [truth]), *answers)


# --- Colour as a choice ---

BINS = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 40.0]], dtype=torch.float64)


def test_bins_of_the_gamut() -> None:
    bins = losses.gamut_bins()
    listed = {tuple(centre) for centre in bins.tolist()}
    assert {(0.0, 0.0), (80.0, 70.0), (-90.0, 80.0), (80.0, -110.0)} <= listed  # grey, red, green, blue
    assert not {(-90.0, -90.0), (0.0, 110.0)} & listed
    assert len(listed) == len(bins) == 261
    assert len(losses.gamut_bins(40.0)) < 30


def test_soft_encoding_by_hand() -> None:
    ab = torch.tensor([3.0, 0.0], dtype=torch.float64).view(1, 2, 1, 1)
    near, far = exp(-9 / 50), exp(-49 / 50)
    shares = losses.soft_encoding(ab, BINS, count=2)
    assert shares.flatten().tolist() == pytest.approx([near / (near + far), far / (near + far), 0])
    assert losses.soft_encoding(ab, BINS, count=1).flatten().tolist() == [1, 0, 0]
    off = losses.soft_encoding(torch.full((1, 2, 1, 1), 500.0, dtype=torch.float64), BINS, count=3)
    assert off.sum().item() == pytest.approx(1) and off.argmax() == 2


def test_soft_encoding_keeps_pixels_apart() -> None:
    ab = torch.zeros(2, 2, 2, 3, dtype=torch.float64)
    ab[1, 0, 0, 2], ab[0, 1, 1, 0] = 10, 40
    best = losses.soft_encoding(ab, BINS, count=2).argmax(dim=1)
    assert best.tolist() == [[[0, 0, 0], [2, 0, 0]], [[0, 0, 1], [0, 0, 0]]]
    assert losses.bin_counts(ab, BINS).tolist() == [10, 1, 1]


def test_rarity_by_hand() -> None:
    apart = torch.tensor([[0.0, 0.0], [100.0, 0.0]], dtype=torch.float64)
    counts = torch.tensor([30.0, 10.0], dtype=torch.float64)
    first, second = 1 / (0.5 * 0.75 + 0.25), 1 / (0.5 * 0.25 + 0.25)
    mean = 0.75 * first + 0.25 * second
    assert losses.rarity(counts, apart).tolist() == pytest.approx([first / mean, second / mean])
    assert losses.rarity(counts, apart, mix=1).tolist() == pytest.approx([1, 1])


def test_rarity_smooths_over_neighbours() -> None:
    counts = torch.tensor([10.0, 0.0, 0.0], dtype=torch.float64)
    grey, beside, far = losses.rarity(counts, BINS).tolist()
    assert grey < beside < far
    assert losses.rarity(counts, BINS, spread=0.1)[1].item() == pytest.approx(
        losses.rarity(counts, BINS, spread=0.1)[2]
    )


def test_cross_entropy_by_hand() -> None:
    truth = torch.tensor([[1.0, 0.5], [0.0, 0.5]], dtype=torch.float64).view(1, 2, 1, 2)
    even = torch.zeros_like(truth)
    assert losses.cross_entropy(even, truth).item() == pytest.approx(log(2))
    scores = torch.tensor([[log(3), 0.0], [0.0, log(3)]], dtype=torch.float64).view(1, 2, 1, 2)
    left, right = -log(0.75), -(log(0.75) + log(0.25)) / 2
    assert losses.cross_entropy(scores, truth).item() == pytest.approx((left + right) / 2)
    assert losses.cross_entropy(scores, truth, weight=row(1, 0)).item() == pytest.approx(left)
    certain = truth.round()  # the right pixel lies in no bin
    rarities = torch.tensor([2.0, 7.0])
    assert losses.cross_entropy(scores, certain, rarities).item() == pytest.approx(2 * left / 2)


def test_cross_entropy_counts_rare_colours_more() -> None:
    truth = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64).view(1, 2, 1, 2)
    scores = torch.tensor([[log(3), 0.0], [0.0, 0.0]], dtype=torch.float64).view(1, 2, 1, 2)
    loss = losses.cross_entropy(scores, truth, torch.tensor([0.5, 3.0]))
    assert loss.item() == pytest.approx((0.5 * -log(0.75) + 3 * log(2)) / 2)


def test_annealed_mean_by_hand() -> None:
    scores = torch.tensor([0.0, log(3)], dtype=torch.float64).view(1, 2, 1, 1)
    for temperature, expected in ((1, 7.5), (0.5, 9), (0.01, 10), (1e6, 5)):
        ab = losses.annealed_mean(scores, BINS[:2], temperature)
        assert ab.flatten().tolist() == pytest.approx([expected, 0], abs=1e-4)


def test_what_is_encoded_comes_back() -> None:
    bins = losses.gamut_bins()
    ab = torch.tensor([[12.0, -33.0], [-17.0, 48.0]]).view(1, 2, 1, 2)
    shares = losses.soft_encoding(ab, bins)
    back = losses.annealed_mean(shares.log().clamp(min=-1e4), bins, temperature=1)
    assert (back - ab).abs().max() < 4
    assert losses.cross_entropy(shares.log().clamp(min=-1e4), shares) < losses.cross_entropy(shares, shares)


def test_choice_has_its_gradients() -> None:
    scores, truth = some(2, 3, 2, 2), some(2, 3, 2, 2, seed=1).softmax(dim=1).detach()
    rarities = torch.tensor([0.5, 1.0, 2.0])
    assert has_its_gradient(lambda given: losses.cross_entropy(given, truth, rarities), scores)
    assert has_its_gradient(lambda given: losses.annealed_mean(given, BINS), scores)
    assert has_its_gradient(lambda given: losses.soft_encoding(10 * given, BINS, count=2), some(1, 2, 2, 2, seed=4))
