from __future__ import annotations

import dataclasses
import io
import re
from collections.abc import Callable, Iterable
from fractions import Fraction

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinochrome.errors import HintError
from kinochrome.shots import ShotFinder, most_alike, read_shots, write_shots
from kinochrome.types import Frame, FrameTable, Shot, VideoInfo
from tests.film import FILM

HEIGHT, WIDTH = 120, 160


def film_info(**changes) -> VideoInfo:
    info = dataclasses.replace(
        FILM, width=WIDTH, height=HEIGHT, pixel_format="gray", subsampling="grey",
        rate=Fraction(24), time_base=Fraction(1, 24),
    )  # fmt: skip
    return dataclasses.replace(info, **changes)


# Films of known truth: luma 0..1, (T, height, width)


def texture(seed: int, size: int = 400) -> np.ndarray:
    """A picture with structure of all sizes, as natural scenes have, 0..1."""
    random = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size)[None])
    spectrum = np.fft.fft2(random.normal(size=(size, size))) / np.maximum(frequency, 2 / size) ** 1.2
    picture = np.fft.ifft2(spectrum).real
    for _ in range(12):
        top, left = random.integers(0, size - 60, 2)
        high, wide = random.integers(15, 60, 2)
        picture[top : top + high, left : left + wide] += random.normal() * picture.std()
    return np.clip(0.5 + 0.2 * (picture - picture.mean()) / picture.std(), 0, 1).astype(np.float32)


def scene(seed: int, length: int, speed: float = 0.3, zoom: float = 0.0) -> np.ndarray:
    """A shot: the camera moves `speed` pixels a frame over a texture and zooms by `zoom` a frame."""
    picture, angle = texture(seed), seed * 2.4
    frames = []
    for frame in range(length):
        scale = (1 + zoom) ** (frame - length / 2)
        x, y = (100 + speed * frame * direction for direction in (np.cos(angle), np.sin(angle)))
        view = np.float32([[scale, 0, x], [0, scale, y]])
        frames.append(
            cv2.warpAffine(
                picture,
                view,
                (WIDTH, HEIGHT),
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_REFLECT,
            )
        )
    return np.stack(frames)


def aged(film: np.ndarray, grain: float = 0.04, flicker: float = 0.05, seed: int = 0) -> np.ndarray:
    """The film with grain, and with light that is not the same in any two frames."""
    random = np.random.default_rng(seed)
    light = 1 + flicker * random.normal(size=(len(film), 1, 1))
    return np.clip(film * light + grain * random.normal(size=film.shape), 0, 1).astype(np.float32)


def dissolved(one: np.ndarray, other: np.ndarray, length: int) -> np.ndarray:
    """The end of one shot dissolving over `length` frames into the beginning of the other."""
    weight = ((np.arange(length) + 0.5) / length)[:, None, None].astype(np.float32)
    mixed = (1 - weight) * one[-length:] + weight * other[:length]
    return np.concatenate([one[:-length], mixed, other[length:]])


def seen(film: np.ndarray, chroma: Iterable | None = None, **changes) -> ShotFinder:
    """A finder that has seen the film, coded at the depth and range of its info. chroma: (cb, cr), -0.5..0.5."""
    info = film_info(**changes)
    finder = ShotFinder(info)
    kind = np.uint8 if info.depth == 8 else np.uint16
    unit = 1 << (info.depth - 8)
    low, span, swing = (
        (16 * unit, 219 * unit, 224 * unit) if info.range == "limited" else (0, info.maximum, info.maximum)
    )
    colours = [None] * len(film) if chroma is None else list(chroma)
    for index, (luma, colour) in enumerate(zip(film, colours, strict=True)):
        planes = colour and tuple(
            np.rint(128 * unit + swing * plane).clip(0, info.maximum).astype(kind) for plane in colour
        )
        finder.see(Frame(index, index, np.rint(low + span * luma).astype(kind), planes))
    return finder


def boundaries(film: np.ndarray, **changes) -> list[tuple[int, int]]:
    return [(shot.start, shot.fade) for shot in seen(film, **changes).shots()[1:]]


# Cuts


@pytest.mark.parametrize(
    "changes", [{}, {"range": "full"}, {"depth": 10}, {"depth": 10, "range": "full"}, {"depth": 16}], ids=str
)
def test_cuts_of_grey_film_are_found_at_every_depth_and_range(changes):
    lengths = (30, 12, 41, 17)
    film = aged(np.concatenate([scene(seed, length) for seed, length in enumerate(lengths)]))
    finder = seen(film, **changes)
    assert finder.shots() == [Shot(0, 30), Shot(30, 42), Shot(42, 83), Shot(83, 100)]
    assert abs(finder.thumbnails.mean() - 255 * film.mean()) < 1.5


def test_cuts_are_found_in_dark_film():
    film = 0.05 + 0.2 * np.concatenate([scene(1, 20), scene(2, 20), scene(3, 20)])
    assert boundaries(film) == [(20, 0), (40, 0)]


@pytest.mark.parametrize("height, width", [(17, 23), (144, 256), (290, 513), (6, 600), (600, 8)])
def test_any_size_of_picture_is_taken(height, width):
    film = np.stack([cv2.resize(frame, (width, height)) for frame in [*scene(1, 10, 0), *scene(2, 10, 0)]])
    assert boundaries(film) == [(10, 0)]


def test_planes_are_not_kept():
    film = np.rint(16 + 219 * np.concatenate([scene(1, 10), scene(2, 10)])).astype(np.uint8)
    finder, plane = ShotFinder(film_info()), np.empty((HEIGHT, WIDTH), np.uint8)
    for index, luma in enumerate(film):
        plane[:] = luma
        finder.see(Frame(index, index, plane))
        plane[:] = 0
    assert [shot.start for shot in finder.shots()] == [0, 10]


@pytest.mark.parametrize("event", ["white", "black", "bright", "negative", "other picture", "three frames"])
def test_a_flash_is_no_cut(event):
    film = scene(5, 40)
    burst = {
        "white": lambda: np.ones_like(film[:1]),
        "black": lambda: np.zeros_like(film[:1]),
        "bright": lambda: np.clip(2 * film[20:21] + 0.2, 0, 1),
        "negative": lambda: 1 - film[20:21],
        "other picture": lambda: scene(6, 1),
        "three frames": lambda: np.ones_like(film[:3]),
    }[event]()
    film[20 : 20 + len(burst)] = burst
    assert boundaries(aged(film)) == []


def test_a_flash_at_a_cut_leaves_one_cut():
    film = np.concatenate([scene(5, 20), np.ones((1, HEIGHT, WIDTH), np.float32), scene(6, 20)])
    (boundary,) = boundaries(film)
    assert boundary in [(20, 0), (21, 0)]


def test_a_change_of_light_is_no_cut():
    film = scene(5, 40)
    film[20:] = 0.35 * film[20:]
    assert boundaries(film) == []


def test_scratches_and_dust_are_no_cuts():
    film, random = aged(scene(5, 60)), np.random.default_rng(1)
    for frame in film:
        for column in random.integers(0, WIDTH, 3):
            frame[:, column : column + 2] = random.choice([0.0, 1.0])
        for _ in range(5):
            cv2.circle(frame, tuple(int(value) for value in random.integers(0, HEIGHT, 2)), 5, 0.0, -1)
    assert boundaries(film) == []


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 9])
def test_very_short_films_are_one_shot(length):
    assert seen(scene(3, length)).shots() == [Shot(0, length)]


def test_a_film_of_no_frames_has_no_shots():
    finder = ShotFinder(film_info())
    assert finder.shots() == [] and finder.thumbnails.shape == (0, 24, 32)


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0, None])
def test_static_films_are_one_shot(level):
    film = scene(3, 30, speed=0) if level is None else np.full((30, HEIGHT, WIDTH), level, np.float32)
    assert boundaries(film) == []


def test_a_frame_out_of_order_is_refused():
    finder = ShotFinder(film_info())
    with pytest.raises(ValueError, match=r"film\.mkv: frame 1 .* seen 0"):
        finder.see(Frame(1, 1, np.zeros((HEIGHT, WIDTH), np.uint8)))


# Fades


def ramp(length: int) -> np.ndarray:
    return np.linspace(1, 0, length, dtype=np.float32)[:, None, None]


def test_fades_through_black_part_inside_the_black():
    first, second = scene(1, 50), scene(2, 50)
    first[-15:] *= ramp(15)
    second[:15] *= ramp(15)[::-1]
    film = np.concatenate([first, np.zeros((10, HEIGHT, WIDTH), np.float32), second])
    (boundary,) = boundaries(aged(film, flicker=0.02))
    assert 50 <= boundary[0] <= 60 and boundary[1] == 0


def test_leader_and_fades_at_the_ends_are_part_of_the_shot():
    film = scene(1, 60)
    film[:15] *= ramp(15)[::-1]
    film[-15:] *= ramp(15)
    black = np.zeros((12, HEIGHT, WIDTH), np.float32)
    assert boundaries(np.concatenate([black, film, black])) == []


def test_leader_that_ends_in_a_cut_is_a_shot():
    black = np.zeros((12, HEIGHT, WIDTH), np.float32)
    assert boundaries(np.concatenate([black, scene(1, 30)])) == [(12, 0)]
    assert boundaries(np.concatenate([scene(2, 30), black, scene(1, 30)])) == [(30, 0), (42, 0)]


# Dissolves


@pytest.mark.parametrize("length", [8, 12, 16, 24, 36, 48])
@pytest.mark.parametrize("seed", range(4))
def test_dissolves_are_found_in_their_middle(length, seed):
    one, other = scene(10 + seed, 30 + length, speed=0.1 * seed), scene(50 + seed, 40 + length, speed=0.25)
    film = aged(dissolved(one, other, length), grain=0.03, flicker=0.02 * (seed % 2), seed=seed)
    (boundary,) = boundaries(film)
    assert abs(boundary[0] - (30 + length // 2)) <= 2
    assert abs(boundary[1] - length / 2) <= 0.3 * length / 2


def test_dissolves_and_cuts_stand_side_by_side():
    film = dissolved(scene(20, 60), scene(21, 70), 16)
    film = np.concatenate([scene(22, 20), film, scene(23, 20)])
    starts = boundaries(aged(film, flicker=0.01))
    assert [start for start, _ in starts] == pytest.approx([20, 72, 134], abs=2)
    assert starts[0][1] == starts[2][1] == 0 and starts[1][1] == pytest.approx(8, rel=0.3)


def test_a_dissolve_shown_in_repeated_frames_is_one_boundary():
    film = dissolved(scene(24, 40, 0), scene(25, 40, 0), 12)[::3].repeat(3, axis=0)
    (boundary,) = boundaries(film)
    assert boundary[0] == pytest.approx(34, abs=3) and boundary[1] >= 3


def moving_object(seed: int) -> np.ndarray:
    film, sprite = scene(seed, 80, speed=0), texture(seed + 1)[:60, :60]
    for index, frame in enumerate(film):
        left = 2 * index - 30
        low, high = max(left, 0), min(left + 60, WIDTH)
        if low < high:
            frame[30:90, low:high] = sprite[:, low - left : high - left]
    return film


def lamp(seed: int) -> np.ndarray:
    light = np.linspace(0, 1, WIDTH)[None, None] ** (1 + np.linspace(0, 3, 80)[:, None, None])
    return scene(seed, 80) * (0.3 + 0.7 * light).astype(np.float32)


SINGLE_SHOTS: dict[str, Callable[[int], np.ndarray]] = {
    "slow pan": lambda seed: scene(seed, 80, speed=1),
    "pan": lambda seed: scene(seed, 80, speed=3),
    "whip pan": lambda seed: scene(seed, 60, speed=12),
    "zoom": lambda seed: scene(seed, 80, zoom=0.015),
    "pan and zoom": lambda seed: scene(seed, 80, speed=2, zoom=-0.01),
    "fade in": lambda seed: scene(seed, 60) * np.linspace(0, 1, 60, dtype=np.float32)[:, None, None],
    "fade out": lambda seed: scene(seed, 60) * np.linspace(1, 0, 60, dtype=np.float32)[:, None, None],
    "dip of light": lambda seed: scene(seed, 60) * (1 - 0.5 * np.sin(np.linspace(0, np.pi, 60))[:, None, None]),
    "out of focus": lambda seed: np.stack(
        [
            cv2.GaussianBlur(frame, (0, 0), 0.1 + 2.5 * np.sin(np.pi * at / 60))
            for at, frame in enumerate(scene(seed, 60))
        ]
    ),
    "moving object": moving_object,
    "lamp": lamp,
}


@pytest.mark.parametrize("kind", SINGLE_SHOTS)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("flicker", [0.0, 0.06])
def test_single_shots_stay_whole(kind, seed, flicker):
    assert boundaries(aged(SINGLE_SHOTS[kind](30 + seed), flicker=flicker)) == []


# Colour


def coloured(seed: int, length: int, amount: float = 0.12) -> tuple[np.ndarray, list]:
    """A shot in colour: luma, and Cb, Cr of half size that follow textures of their own."""
    luma = scene(seed, length)
    planes = [scene(seed + offset, length) for offset in (500, 900)]
    chroma = [
        tuple(cv2.resize(amount * 2 * (plane[index] - 0.5), (WIDTH // 2, HEIGHT // 2)) for plane in planes)
        for index in range(length)
    ]
    return luma, chroma


def toned(film: np.ndarray, curve: Callable[[np.ndarray], tuple], noise: tuple[float, float] = (0, 0)) -> list:
    """Chroma of half size that follows luma by the curve; noise: its strength in Cb and Cr, of equal sign."""
    random, chroma = np.random.default_rng(4), []
    for frame in film:
        small = cv2.resize(frame, (WIDTH // 2, HEIGHT // 2), interpolation=cv2.INTER_AREA)
        grain = random.normal(size=small.shape)
        chroma.append(tuple(plane + strength * grain for plane, strength in zip(curve(small), noise, strict=True)))
    return chroma


TONES = {
    "grey": lambda y: (0 * y, 0 * y),
    "aged tape": lambda y: (0 * y - 0.02, 0 * y + 0.04),
    "sepia": lambda y: (-0.4 * y * (1 - y), 0.25 * y * (1 - y)),
    "cyanotype": lambda y: (0.45 * y * (1 - y), -0.2 * y * (1 - y)),
    "tinted": lambda y: (-0.07 * y - 0.01, 0.08 * np.sqrt(1 - y)),
    "split": lambda y: (
        np.interp(y, [0, 0.4, 0.7, 1], [0.05, 0.04, -0.06, -0.01]),
        np.interp(y, [0, 1], [-0.02, 0.04]),
    ),
}


@pytest.mark.parametrize("depth", [8, 10])
@pytest.mark.parametrize("tone", TONES)
@pytest.mark.parametrize("noise", [(0, 0), (-0.02, 0.025)], ids=["clean", "noisy"])
def test_a_toning_is_black_and_white(depth, tone, noise):
    film = aged(scene(7, 12))
    finder = seen(film, toned(film, TONES[tone], noise), depth=depth, subsampling="420")
    assert finder.shots() == [Shot(0, 12)]


@pytest.mark.parametrize("changes", [{}, {"range": "full"}, {"depth": 10}], ids=str)
def test_colour_is_recognised(changes):
    luma, chroma = coloured(1, 12)
    finder = seen(luma, chroma, subsampling="420", **changes)
    assert finder.shots() == [Shot(0, 12, colour=True)]
    assert finder.shots(recolor=True) == [Shot(0, 12)]


def test_small_coloured_things_are_colour():
    luma = scene(8, 12)
    cb, cr = np.zeros((2, HEIGHT // 2, WIDTH // 2), np.float32)
    cr[20:35, 30:45], cb[40:52, 50:65] = 0.25, 0.25
    assert seen(luma, [(cb, cr)] * 12, subsampling="420").shots() == [Shot(0, 12, colour=True)]


GREY = (np.zeros((HEIGHT // 2, WIDTH // 2), np.float32),) * 2


def test_colour_begins_and_ends_within_a_shot():
    luma, chroma = coloured(2, 60)
    chroma[:25] = [GREY] * 25
    finder = seen(luma, chroma, subsampling="420")
    assert finder.shots() == [Shot(0, 25), Shot(25, 60, colour=True)]
    assert finder.shots(recolor=True) == [Shot(0, 60)]


def test_single_frames_do_not_toggle():
    luma, chroma = coloured(2, 60)
    chroma[10] = chroma[30] = chroma[31] = GREY
    assert seen(luma, chroma, subsampling="420").shots() == [Shot(0, 60, colour=True)]
    plain = [GREY] * 60
    plain[20:23] = chroma[20:23]
    assert seen(luma, plain, subsampling="420").shots() == [Shot(0, 60)]


def test_a_short_colour_shot_between_cuts_is_one():
    (one, _), (two, chroma), (three, _) = coloured(2, 30), coloured(3, 6), coloured(4, 30)
    finder = seen(np.concatenate([one, two, three]), [GREY] * 30 + chroma + [GREY] * 30, subsampling="420")
    assert finder.shots() == [Shot(0, 30), Shot(30, 36, colour=True), Shot(36, 66)]


def test_black_frames_go_with_their_shot():
    luma, chroma = coloured(2, 60)
    for part in (slice(0, 12), slice(45, 60)):
        luma[part] *= 0
        chroma[part] = [GREY] * len(chroma[part])
    shots = seen(luma, chroma, subsampling="420").shots()
    assert shots[-1].stop == 60 and all(shot.colour for shot in shots)


def test_a_dissolve_into_colour_is_one_boundary():
    (one, _), (two, chroma) = coloured(2, 50), coloured(3, 50)
    weights = np.clip((np.arange(84) - 34 + 0.5) / 16, 0, 1)
    faded = [tuple(weights[at] * plane for plane in chroma[max(at - 34, 0)]) for at in range(84)]
    first, second = seen(dissolved(one, two, 16), faded, subsampling="420").shots()
    assert abs(second.start - 42) <= 2 and second.fade >= 6 and (first.colour, second.colour) == (False, True)


# What a scan leaves


def test_a_saved_finder_tells_the_same():
    luma, chroma = coloured(2, 40)
    luma[20:] = scene(9, 20)
    chroma[20:] = [GREY] * 20
    finder, file = seen(luma, chroma, subsampling="420"), io.BytesIO()
    np.savez_compressed(file, **finder.arrays())
    file.seek(0)
    with np.load(file, allow_pickle=False) as saved:
        restored = ShotFinder.from_arrays(finder.info, dict(saved))
    assert restored.shots() == finder.shots() == [Shot(0, 20, colour=True), Shot(20, 40)]
    assert np.array_equal(restored.thumbnails, finder.thumbnails) and len(restored) == 40
    with pytest.raises(ValueError, match="seen 40"):
        restored.see(Frame(40, 40, np.zeros((HEIGHT, WIDTH), np.uint8)))


def test_a_frame_costs_less_than_a_kilobyte():
    finder = seen(scene(1, 50))
    assert sum(array.nbytes for array in finder.arrays().values()) < 50 * 800
    assert finder.thumbnails.dtype == np.uint8 and finder.thumbnails.shape == (50, 24, 32)


def test_the_most_alike_frame_is_of_the_same_scene():
    a, b, c = scene(1, 60), scene(2, 30), scene(3, 30)
    thumbnails = seen(np.concatenate([a[:30], b, c, 0.4 * a[30:]])).thumbnails
    candidates = thumbnails[[10, 45, 75]]
    index, score = most_alike(thumbnails[105], candidates)
    assert index == 0 and score > 0.5
    assert most_alike(thumbnails[50], candidates)[0] == 1
    assert most_alike(thumbnails[80], candidates)[0] == 2


def test_black_is_like_nothing():
    pictures = seen(scene(1, 3)).thumbnails
    assert most_alike(np.zeros((24, 32), np.uint8), pictures) == (0, 0.0)
    assert most_alike(pictures[1], np.zeros((2, 24, 32), np.uint8)) == (0, 0.0)


# Lists


def table_of(frames: int, step: int = 1) -> FrameTable:
    return FrameTable(
        pts=100 + step * np.arange(frames, dtype=np.int64),
        keyframes=np.zeros(1, np.int64),
        stop_pts=100 + step * frames,
    )


@st.composite
def shot_lists(draw) -> list[Shot]:
    lengths = draw(st.lists(st.integers(1, 3000), min_size=1, max_size=12))
    shots: list[Shot] = []
    start = 0
    for length in lengths:
        room = min(len(shots[-1]) - shots[-1].fade, length, 499) if shots else 0
        shots.append(Shot(start, start + length, draw(st.integers(0, room)), draw(st.booleans())))
        start += length
    return shots


@settings(max_examples=60, deadline=None)
@given(
    shots=shot_lists(),
    suffix=st.sampled_from([".csv", ".edl", ".CSV"]),
    rate=st.sampled_from(["24", "24000/1001", "60", "120", "1/2"]),
)
def test_lists_come_back_as_they_were(tmp_path_factory, shots, suffix, rate):
    path = tmp_path_factory.mktemp("lists") / f"shots{suffix}"
    info, table = film_info(rate=Fraction(rate)), table_of(shots[-1].stop)
    write_shots(shots, table, info, path)
    assert read_shots(path, table, info) == shots
    assert [item.name for item in path.parent.iterdir()] == [path.name]


SHOTS = [Shot(0, 48), Shot(48, 100, fade=6), Shot(100, 120, colour=True)]


def test_the_csv_is_written_for_people(tmp_path):
    write_shots(SHOTS, table_of(120), film_info(), tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == (
        "shot,start,stop,start_time,stop_time,fade,colour\n"
        "1,0,48,0:00:00.000,0:00:02.000,0,no\n"
        "2,48,100,0:00:02.000,0:00:04.167,6,no\n"
        "3,100,120,0:00:04.167,0:00:05.000,0,yes\n"
    )


def test_the_edl_is_cmx_3600(tmp_path):
    write_shots(SHOTS, table_of(120), film_info(), tmp_path / "a.edl")
    assert (tmp_path / "a.edl").read_text() == (
        "TITLE: a\n"
        "FCM: NON-DROP FRAME\n"
        "\n"
        "001  AX       V     C        00:00:00:00 00:00:01:18 00:00:00:00 00:00:01:18\n"
        "002  AX       V     C        00:00:01:18 00:00:01:18 00:00:01:18 00:00:01:18\n"
        "002  AX       V     D    012 00:00:01:18 00:00:04:04 00:00:01:18 00:00:04:04\n"
        "003  AX       V     C        00:00:04:04 00:00:05:00 00:00:04:04 00:00:05:00\n"
        "* COLOUR\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        "start,stop\n0,48\n48,120\n",
        "\ufeffshot;start;stop;fade;colour\r\n1;0;48;0;\r\n\r\n2;48;120;;No\r\n",
        "Start\tStop\tColour\n0\t48\tfalse\n48\t120\t0\n",
        'stop , start\n"48",0\n 120 , 48\n',
    ],
    ids=["short", "spreadsheet", "tabs", "quoted"],
)
def test_edited_csv_is_read(tmp_path, text):
    path = tmp_path / "edited.csv"
    path.write_bytes(text.encode())
    assert read_shots(path, table_of(120), film_info()) == [Shot(0, 48), Shot(48, 120)]


def test_edl_of_an_editing_suite_is_read(tmp_path):
    path = tmp_path / "suite.edl"
    path.write_text(
        "TITLE:   MY FILM\nFCM: NON-DROP FRAME\n\n"
        "001  TAPE1    V     C        01:00:00:00 01:00:01:18 00:00:00:00 00:00:01:18\n"
        "* FROM CLIP NAME: film.mkv\n"
        "002  TAPE1    A2    C        01:00:00:00 01:00:01:18 00:00:00:00 00:00:01:18\n"
        "003  TAPE1    V     C        01:00:01:18 01:00:01:18 00:00:01:18 00:00:01:18\n"
        "003  TAPE1    V     D    012 01:00:01:18 01:00:05:00 00:00:01:18 00:00:05:00\n"
        "M2   TAPE1       024.0                01:00:01:18\n"
    )
    assert read_shots(path, table_of(120), film_info()) == [Shot(0, 48), Shot(48, 120, fade=6)]


BAD_CSV = {
    "": "line 1: no column start and stop",
    "shot,start\n1,0\n": "line 1: no column stop",
    "start,stop,wipe\n0,120,1\n": "line 1: column 'wipe' is unknown",
    "start,stop\n": "no shot is listed",
    "start,stop\n0,50\n60,120\n": "line 3: frames are missing .* stops at 50, .* starts at 60",
    "start,stop\n0,50\n40,120\n": "line 3: the shot overlaps .* start it at 50",
    "start,stop\n50,120\n0,50\n": "line 2: frames are missing .* start it at 0",
    "start,stop\n0,50\n50,50\n50,120\n": "line 3: the shot stops at frame 50, not after",
    "start,stop\n0,50\n50,130\n": "line 3: the shot stops at frame 130, the film at 120",
    "start,stop\n0,50\n50,110\n": "line 3: the last shot stops at frame 110, the film at 120; set",
    "start,stop\n0,fifty\n": "line 2: stop is 'fifty'; write a whole number",
    "start,stop\n0,\n": "line 2: stop is ''",
    "start,stop\n-1,120\n": "line 2: start is '-1'",
    "start,stop\n0,1e2\n": "line 2: stop is '1e2'",
    "start,stop\n0,60,5\n60,120\n": "line 2: 3 cells under 2 columns",
    "start,stop,fade\n0,60,4\n60,120,0\n": "line 2: a fade of 4 frames does not fit; here it may be 0 to 0",
    "start,stop,fade\n0,60,0\n60,70,11\n70,120,0\n": "line 3: a fade of 11 frames .* 0 to 10",
    "start,stop,fade\n0,60,0\n60,70,8\n70,120,3\n": "line 4: a fade of 3 frames .* 0 to 2",
    "start,stop,colour\n0,120,perhaps\n": "line 2: colour is 'perhaps'; write yes or no",
}


@pytest.mark.parametrize("text", BAD_CSV)
def test_a_wrong_csv_says_where_and_why(tmp_path, text):
    path = tmp_path / "wrong.csv"
    path.write_text(text)
    with pytest.raises(HintError, match=rf"{re.escape(str(path))}.*{BAD_CSV[text]}"):
        read_shots(path, table_of(120), film_info())


def event(number: int, kind: str, start: str, stop: str) -> str:
    return f"{number:03d}  AX  V  {kind}  {start} {stop} {start} {stop}\n"


BAD_EDL = {
    "TITLE: none\n": "no shot is listed",
    event(1, "C", "00:00:00:00", "00:00:02:00")
    + event(2, "C", "00:00:03:00", "00:00:05:00"): "line 2: .* 72, .* at 48",
    event(1, "C", "01:00:00:00", "01:00:05:00"): "line 1: frames are missing",
    event(1, "C", "00:00:00:00", "00:00:05:01"): "line 1: the shot stops at frame 121, the film at 120",
    event(1, "C", "00:00:00:00", "00:00:04:24"): "line 1: 00:00:04:24 is no timecode at 24",
    event(1, "C", "00:00:00:00", "00:00:05;00"): "line 1: drop-frame timecode",
    "FCM: DROP FRAME\n": "line 1: drop-frame timecode",
    event(1, "W001 012", "00:00:00:00", "00:00:05:00"): "line 1: only cuts",
    event(1, "D", "00:00:00:00", "00:00:05:00"): "line 1: only cuts",
    event(1, "D 012", "00:00:00:00", "00:00:05:00"): "line 1: frames are missing .* starts at 6",
    "001  AX  V  C  00:00:00:00 00:00:05:00\n": "line 1: not an event",
}


@pytest.mark.parametrize("text", BAD_EDL)
def test_a_wrong_edl_says_where_and_why(tmp_path, text):
    path = tmp_path / "wrong.edl"
    path.write_text(text)
    with pytest.raises(HintError, match=rf"{re.escape(str(path))}.*{BAD_EDL[text]}"):
        read_shots(path, table_of(120), film_info())


def test_unreadable_lists_are_told(tmp_path):
    with pytest.raises(HintError, match=r"shots\.txt: a shot list is a \.csv or an \.edl"):
        read_shots(tmp_path / "shots.txt", table_of(9), film_info())
    with pytest.raises(HintError, match=r"none\.csv: the shot list cannot be read"):
        read_shots(tmp_path / "none.csv", table_of(9), film_info())
    (tmp_path / "photo.csv").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(HintError, match=r"photo\.csv: not a text file"):
        read_shots(tmp_path / "photo.csv", table_of(9), film_info())
    with pytest.raises(HintError, match=r"cannot be written .* another place"):
        write_shots(SHOTS, table_of(120), film_info(), tmp_path / "missing" / "a.csv")
    with pytest.raises(HintError, match=r"shot 2 fades too long for an EDL"):
        write_shots([Shot(0, 900), Shot(900, 2000, 600)], table_of(2000), film_info(), tmp_path / "a.edl")
    assert [item.name for item in tmp_path.iterdir()] == ["photo.csv"]
