"""What age does to film: nothing unless asked, the same from the same generator, and each kind what it says."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from kinochrome import color
from kinochrome.training import degrade
from kinochrome.training.degrade import KINDS, OLD_FILM, Wear

SIDE = 64
PROBABILITIES = {"orthochromatic", "blue_sensitive", "often", "rounding"}


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def flat(level: float, count: int = 6, side: int = SIDE) -> np.ndarray:
    return np.full((count, side, side), level, np.float32)


def ramp(count: int = 6) -> np.ndarray:
    """Black on the left, white on the right."""
    line = np.linspace(0, 100, SIDE, dtype=np.float32)
    return np.tile(line, (count, SIDE, 1))


def film(count: int = 6) -> torch.Tensor:
    """Lab of a still picture: a ramp across, other colours down."""
    x, y = torch.meshgrid(torch.linspace(0.1, 0.9, SIDE), torch.linspace(0, 1, SIDE), indexing="xy")
    return color.lab_from_rgb(torch.stack([x, x * (1 - y), x * y])).repeat(count, 1, 1, 1)


def patch(red: float, green: float, blue: float) -> torch.Tensor:
    return color.lab_from_rgb(torch.tensor([red, green, blue]).view(1, 3, 1, 1).expand(1, 3, 4, 4).contiguous())


# --- All of it ---


def test_no_wear_gives_the_clean_lightness_bit_for_bit() -> None:
    lab = film()
    for wear in (Wear(), Wear(often=1.0), replace(OLD_FILM, often=0, rounding=0, orthochromatic=0, blue_sensitive=0)):
        clean = degrade.age(lab, generator(), wear)
        assert torch.equal(clean, lab[:, :1])
        assert clean.data_ptr() != lab.data_ptr()


def test_the_same_generator_gives_the_same_film() -> None:
    lab, worn = film(), replace(OLD_FILM, often=1.0)
    before = lab.clone()
    first, second = degrade.age(lab, generator(1), worn), degrade.age(lab, generator(1), worn)
    assert torch.equal(first, second)
    assert torch.equal(lab, before)
    assert not torch.equal(first, degrade.age(lab, generator(2), worn))
    one = generator(1)
    assert torch.equal(first, degrade.age(lab, one, worn))
    assert not torch.equal(first, degrade.age(lab, one, worn))  # the next clip is another


@pytest.mark.parametrize("level", [0.0, 100.0, None])
def test_lightness_stays_within_its_range(level: float | None) -> None:
    lab = film(3)
    if level is not None:
        lab[:, 0], lab[:, 1:] = level, 0
    for seed in range(8):
        aged = degrade.age(lab, generator(seed), replace(OLD_FILM, often=1.0, grain=40.0, flicker=1.0))
        assert aged.shape == (3, 1, SIDE, SIDE) and aged.dtype == torch.float32
        assert aged.min() >= 0 and aged.max() <= 100 and aged.std() > 0.01


def test_a_field_of_wear_for_each_kind() -> None:
    assert {field.name for field in fields(Wear)} - PROBABILITIES == set(KINDS)
    assert all(getattr(OLD_FILM, name) > 0 and getattr(Wear(), name) == 0 for name in KINDS)


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_alone(name: str) -> None:
    lab = film()
    strength = 5.0 if name == "hairs" else getattr(OLD_FILM, name)  # there are few
    aged = [degrade.age(lab, generator(seed), Wear(often=1.0, **{name: strength})) for seed in range(10)]
    assert sum(not torch.equal(one, lab[:, :1]) for one in aged) >= 8  # now and then, none are drawn
    frames = lab[:, 0].numpy()
    before = frames.copy()
    worn = KINDS[name](frames, generator(), strength)
    assert worn.shape == frames.shape and worn.dtype == np.float32
    assert np.array_equal(frames, before)


def test_strength_is_that_asked_for_or_less() -> None:
    lab = torch.zeros(1, 3, SIDE, SIDE)
    lab[:, 0] = 50
    spreads = [degrade.age(lab, generator(seed), Wear(often=1.0, grain=5.0)).std().item() for seed in range(60)]
    assert max(spreads) < 5.4
    assert np.mean(spreads) == pytest.approx(2.5, abs=0.6)


def test_how_often() -> None:
    lab = film(1)
    aged = [degrade.age(lab, generator(seed), Wear(often=0.25, fading=0.5)) for seed in range(200)]
    touched = sum(not torch.equal(one, lab[:, :1]) for one in aged)
    assert 30 <= touched <= 70


def test_one_kind_less_leaves_the_others_as_they_were() -> None:
    lab = film()
    dusty, rough = Wear(often=1.0, dust=5.0), Wear(often=1.0, dust=5.0, vignetting=1e-9, flicker=1e-9)
    torch.testing.assert_close(degrade.age(lab, generator(3), dusty), degrade.age(lab, generator(3), rough))


# --- Stock ---


def test_film_blind_to_red() -> None:
    red, green, blue, grey = patch(0.8, 0.1, 0.1), patch(0.1, 0.8, 0.1), patch(0.1, 0.1, 0.8), patch(0.5, 0.5, 0.5)
    for shares in (degrade.ORTHOCHROMATIC, degrade.BLUE_SENSITIVE):
        assert sum(shares) == pytest.approx(1)
        assert (degrade.sensed(red, shares) < red[:, :1] - 20).all()
        assert (degrade.sensed(blue, shares) > blue[:, :1] + 10).all()
        torch.testing.assert_close(degrade.sensed(grey, shares), grey[:, :1], atol=0.1, rtol=0)
    assert (degrade.sensed(green, degrade.ORTHOCHROMATIC) > 50).all()
    assert (degrade.sensed(green, degrade.BLUE_SENSITIVE) < 45).all()


def test_lightness_is_that_of_the_light_seen() -> None:
    # Of one primary alone, L* of its share of light: a sixth is 116 (1/6)^(1/3) - 16, a hundredth lies below the bend.
    only_red = patch(1, 0, 0)
    assert degrade.sensed(only_red, (1 / 6, 0.5, 1 / 3)).mean().item() == pytest.approx(47.836, abs=0.1)
    assert degrade.sensed(only_red, (0.005, 0.5, 0.495)).mean().item() == pytest.approx(0.005 * 903.3, abs=0.1)
    # And as the project's own colours have it, where all count as they do for the eye.
    lab = film(1)
    eye = degrade.sensed(lab, (0.212671, 0.71516, 0.072169))
    torch.testing.assert_close(eye, lab[:, :1], atol=0.1, rtol=0)


def test_stock_is_chosen_as_often_as_asked() -> None:
    red = patch(0.8, 0.1, 0.1)
    seen = [
        degrade.age(red, generator(seed), Wear(orthochromatic=0.3, blue_sensitive=0.2)).mean().item()
        for seed in range(200)
    ]
    stocks = (red[:, :1], degrade.sensed(red, degrade.ORTHOCHROMATIC), degrade.sensed(red, degrade.BLUE_SENSITIVE))
    counts = [sum(abs(value - stock.mean().item()) < 0.01 for value in seen) for stock in stocks]
    assert sum(counts) == 200
    assert 80 <= counts[0] <= 120 and 40 <= counts[1] <= 80 and 22 <= counts[2] <= 60


# --- Lens and exposure ---


def test_vignetting_darkens_the_corners_and_stays() -> None:
    dark = degrade.vignetting(flat(80), generator(), 0.4)
    assert np.array_equal(dark[0], dark[-1])
    corners = dark[0][[0, 0, -1, -1], [0, -1, 0, -1]]
    assert corners.mean() == pytest.approx(80 * 0.6, abs=1.5)
    assert dark.max() == pytest.approx(80, abs=0.1)
    assert (dark[0, SIDE // 2, : SIDE // 4] < dark[0, SIDE // 2, SIDE // 2]).all()


def test_softness_takes_the_finest_first() -> None:
    fine = 50 + 10 * generator().standard_normal((2, SIDE, SIDE), np.float32)
    coarse = np.kron(fine[:, ::16, ::16], np.ones((16, 16), np.float32))
    for seed in range(6):  # by either way
        kept = [degrade.softness(fine, generator(seed), strength).std() / fine.std() for strength in (0.6, 1.2, 2.4)]
        assert 0.9 > kept[0] > 1.2 * kept[1] > 1.2 * 1.2 * kept[2]
        soft = degrade.softness(coarse, generator(seed), 1.2)
        assert soft.std() > 0.85 * coarse.std() and soft.mean() == pytest.approx(coarse.mean(), abs=0.5)


def test_blur_is_as_wide_as_asked() -> None:
    line = flat(0, count=1)
    line[:, :, 32] = 100
    blurred = [degrade.softness(line, generator(seed), 2.0)[0, 5] for seed in range(10)]
    places = np.arange(SIDE) - 32
    spreads = [np.sqrt((one * places**2).sum() / one.sum()) for one in blurred]
    assert min(abs(spread - 2) for spread in spreads) < 0.05
    assert len({round(float(spread), 3) for spread in spreads}) == 2  # a blur, and a smaller picture


def test_tone_keeps_black_white_and_order() -> None:
    bends = set()
    for seed in range(12):
        toned = degrade.tone(ramp(2), generator(seed), 0.5)
        assert np.array_equal(toned[0], toned[1])
        assert toned[0, 0, 0] == 0 and toned[0, 0, -1] == pytest.approx(100, abs=1e-3)
        assert (np.diff(toned[0, 0]) > 0).all()
        bends.add(np.sign(round(float(toned.mean() - 50), 1)))
    assert {-1.0, 1.0} <= bends


def test_flicker_changes_the_mean_of_frames() -> None:
    frames = flat(50, count=300, side=24)
    means = degrade.flicker(frames, generator(), 0.1).mean(axis=(1, 2))
    # 50 x 0.1, and a little of what is uneven.
    assert means.std() == pytest.approx(5, rel=0.2)
    assert means.mean() == pytest.approx(50, abs=1)


def test_flicker_is_uneven_but_without_edges() -> None:
    one = degrade.flicker(flat(50, count=1), generator(4), 0.1)[0]
    assert np.ptp(one) > 1
    assert max(np.abs(np.diff(one, axis=axis)).max() for axis in (0, 1)) < np.ptp(one) / 5


# --- The film itself ---


@pytest.mark.parametrize("seed", range(4))
def test_grain_is_as_strong_as_asked_in_middle_grey(seed: int) -> None:
    noise = degrade.grain(flat(50, side=96), generator(seed), 4.0) - 50
    assert noise.std() == pytest.approx(4, rel=0.05)
    assert abs(noise.mean()) < 0.2


def test_grain_is_weaker_in_black_and_white() -> None:
    spreads = {level: degrade.grain(flat(level), generator(), 4.0).std() for level in (0, 20, 50, 100)}
    assert spreads[0] == pytest.approx(0.8, rel=0.05) and spreads[100] == pytest.approx(0.8, rel=0.05)
    assert spreads[0] < spreads[20] < spreads[50]


def test_grain_is_lumpy_and_new_in_each_frame() -> None:
    alike, lumps = [], []
    for seed in range(8):
        noise = degrade.grain(flat(50, count=2, side=96), generator(seed), 4.0) - 50
        alike.append(np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1])
        lumps.append(np.corrcoef(noise[0, :, 1:].ravel(), noise[0, :, :-1].ravel())[0, 1])
    assert np.abs(alike).max() < 0.05
    assert min(lumps) > -0.03 and max(lumps) > 0.4


def test_fading_brings_all_nearer_to_one_grey() -> None:
    faded = degrade.fading(ramp(), generator(), 0.3)
    assert np.ptp(faded) == pytest.approx(70, abs=1e-3)
    assert 15 <= faded.min() <= 25.5


# --- What happened to it ---


def marks(frames: np.ndarray) -> np.ndarray:
    """Where frames that were 50 are no longer."""
    return np.abs(frames - 50) > 2


def test_scratches_are_upright_and_last() -> None:
    scratched = marks(degrade.scratches(flat(50, count=8), generator(1), 3.0))
    assert 0.01 < scratched.mean() < 0.4
    columns = scratched.mean(axis=1) > 0.2  # frame, x
    assert columns.any()
    # Wherever one stands, one stood or will stand within two pixels in the frame before or after.
    near = columns.copy()
    for shift in (-2, -1, 1, 2):
        near |= np.roll(columns, shift, axis=1)
    before, after = np.zeros_like(columns), np.zeros_like(columns)
    before[1:], after[:-1] = near[:-1], near[1:]
    lasting = columns & (before | after)
    assert lasting.sum() > 0.85 * columns.sum()
    assert not np.array_equal(scratched[0], scratched[-1])  # they come, go and wander


def test_as_many_scratches_as_asked() -> None:
    counts = []
    for seed in range(40):
        bare = np.full((5, 8, 1000), 50, np.float32)
        worn = np.abs(degrade.scratches(bare, generator(seed), 4.0) - 50).max(axis=1)[2] > 0.5
        counts.append((np.diff(worn.astype(int)) == 1).sum())
    assert np.mean(counts) == pytest.approx(4, abs=1.2)


def test_scratches_are_dark_or_light() -> None:
    scratched = np.stack([degrade.scratches(flat(50), generator(seed), 3.0) for seed in range(4)])
    assert scratched.min() < 30 and scratched.max() > 70


@pytest.mark.parametrize("litter", [degrade.dust, degrade.hairs])
def test_litter_is_gone_in_the_next_frame(litter: degrade.Kind) -> None:
    dirty = marks(litter(flat(50, count=40), generator(), 2.0))
    assert 0.0005 < dirty.mean() < 0.05
    shared = (dirty[1:] & dirty[:-1]).sum()
    assert shared < 0.1 * dirty.sum()


def test_as_much_litter_as_asked() -> None:
    clean = [(~marks(degrade.dust(flat(50, count=200), generator(), mean)).any(axis=(1, 2))).mean() for mean in (1, 3)]
    # Poisson's share of none; a few specks are too small to see, and a few lie outside.
    assert clean[0] == pytest.approx(np.exp(-1), abs=0.12)
    assert clean[1] == pytest.approx(np.exp(-3), abs=0.06)


def test_a_hair_is_longer_than_a_speck() -> None:
    extents = []
    for litter in (degrade.dust, degrade.hairs):
        dirty = marks(litter(flat(50, count=100, side=128), generator(), 0.3))
        rows = [np.flatnonzero(frame.any(axis=1)) for frame in dirty if frame.any()]
        extents.append(np.median([row[-1] - row[0] for row in rows]))
    assert extents[1] > 2 * extents[0]


def test_the_dirt_of_a_clip_is_all_dark_or_all_light() -> None:
    means = [degrade.dust(flat(50), generator(seed), 5.0) - 50 for seed in range(12)]
    assert all((one <= 0).all() or (one >= 0).all() for one in means)
    assert len({bool((one <= 0).all()) for one in means}) == 2


# --- What came of it as video ---


def test_compression_leaves_blocks() -> None:
    noisy = np.clip(50 + 8 * generator().standard_normal((3, SIDE, SIDE), np.float32), 0, 100)
    coarse = degrade.compression(noisy, generator(), 1.0)
    steps = np.abs(np.diff(coarse, axis=2)).mean(axis=(0, 1))
    borders = steps[7::8]  # between columns 7 and 8, 15 and 16, …
    inside = np.delete(steps, np.arange(7, SIDE - 1, 8))
    assert borders.mean() > 1.3 * inside.mean()
    fine = degrade.compression(noisy, generator(), 0.01)
    assert np.abs(fine - noisy).mean() < 0.2 * np.abs(coarse - noisy).mean()


def test_compression_keeps_levels() -> None:
    for level in (0, 37, 100):
        assert degrade.compression(flat(level, count=1), generator(), 0.5).mean() == pytest.approx(level, abs=2)


def test_rounding_leaves_the_steps_of_video() -> None:
    lab = film()
    aged = degrade.age(lab, generator(), Wear(rounding=1.0))
    codes = aged * 2.19
    torch.testing.assert_close(codes, codes.round(), atol=1e-3, rtol=0)
    assert 0.1 < (aged - lab[:, :1]).abs().max() <= 0.5 / 2.19 + 1e-3
    assert torch.equal(degrade.age(lab, generator(), Wear(rounding=0.0)), lab[:, :1])


# --- Gate weave ---


def edges(lab: torch.Tensor) -> np.ndarray:
    """Where along x the middle row of each frame crosses lightness 50."""
    rows = lab[:, 0, SIDE // 2].numpy()
    after = (rows > 50).argmax(axis=1)
    number = np.arange(len(rows))
    low, high = rows[number, after - 1], rows[number, after]
    return after - 1 + (50 - low) / (high - low)


def upright(count: int) -> torch.Tensor:
    """A soft upright edge between two colours, in the middle."""
    across = torch.sigmoid((torch.arange(SIDE) - SIDE / 2) / 1.5)
    levels = torch.tensor([[10.0, 90.0], [-20.0, 30.0], [40.0, -10.0]])
    line = levels[:, :1] + (levels[:, 1:] - levels[:, :1]) * across
    return line[None, :, None].expand(count, 3, SIDE, SIDE).contiguous()


def test_an_edge_moves_by_the_given_pixels() -> None:
    lab = upright(4)
    shifts = np.array([[0, 0], [1.5, 0], [-2.25, 7], [0, 3]])
    found = edges(degrade.moved(lab, shifts, np.zeros(4)))
    assert found - edges(lab) == pytest.approx(shifts[:, 0], abs=0.05)


def test_colours_move_with_lightness() -> None:
    lab = upright(1)
    shifted = degrade.moved(lab, np.array([[3.0, 0.0]]), np.zeros(1))
    torch.testing.assert_close(shifted[..., 8:-4], lab[..., 5:-7], atol=1e-3, rtol=0)


def test_a_turn_is_about_the_middle() -> None:
    lab = torch.zeros(1, 3, SIDE + 1, SIDE + 1)
    lab[:, 0, SIDE // 2, SIDE // 2] = 100  # stays
    lab[:, 0, SIDE // 2, SIDE // 2 + 20] = 100  # comes to stand above, or below
    turned = degrade.moved(lab, np.zeros((1, 2)), np.array([np.pi / 2]))[0, 0]
    bright = {tuple(place) for place in (turned > 50).nonzero().tolist()}
    assert bright == {(SIDE // 2, SIDE // 2), (SIDE // 2 - 20, SIDE // 2)}


def test_weave_is_as_wide_as_asked_and_smooth_in_time() -> None:
    lab = upright(300)
    path = edges(degrade.weave(lab, generator(), 1.5)) - edges(lab)
    assert path.std() == pytest.approx(1.5, rel=0.2)
    assert abs(path.mean()) < 0.5
    assert np.diff(path).std() < 0.8 * path.std()  # of unrelated frames it would be 1.41
    assert np.abs(np.diff(path)).max() > 0.1


def test_weave_turns_corners_half_as_far_as_it_shifts() -> None:
    lab = upright(200)
    rows = degrade.weave(lab, generator(), 2.0)[:, 0].numpy()
    top, bottom = ((rows[:, row] > 50).argmax(axis=1) for row in (4, SIDE - 5))
    lean = (top - bottom) / (SIDE - 9)  # the angle, but for whole pixels
    assert lean.std() == pytest.approx(2.0 / np.hypot(SIDE, SIDE), rel=0.35)


def test_no_weave_changes_nothing_and_any_is_deterministic() -> None:
    lab = film()
    assert torch.equal(degrade.weave(lab, generator(), 0.0), lab)
    first, second = (degrade.weave(lab, generator(5), 1.0) for _ in range(2))
    assert torch.equal(first, second) and first.dtype == torch.float32 and first.shape == lab.shape
    assert not torch.equal(first, degrade.weave(lab, generator(6), 1.0))
    assert first[:, 0].min() >= 0 and first[:, 0].max() <= 100
