"""Films come out frame for frame as they were put in, from any start, damaged or not."""

from __future__ import annotations

import gc
import io
import threading
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kinochrome import video
from kinochrome.errors import VideoError
from kinochrome.types import Frame
from kinochrome.video.background import in_background
from kinochrome.video.planes import layout_of, read_planes
from tests.film import assert_same, grey_planes, make_film, make_frame, moving_planes, planes_of, seen_by_scan

SIZE = (48, 64)


# Pixel formats

YUV = [
    f"yuv{layout}p{bits}" for layout in ("420", "422", "444") for bits in ("", "9le", "10le", "12le", "14le", "16le")
]
OTHERS = ["yuv410p", "yuv411p", "yuv440p"]
GREY = ["gray", "gray9le", "gray10le", "gray12le", "gray14le", "gray16le"]
BIG_ENDIAN = ["yuv420p10be", "yuv422p16be", "gray12be", "gray16be"]
RGB_PLANAR = ["gbrp", "gbrp9le", "gbrp10le", "gbrp12le", "gbrp14le", "gbrp16le"]


def write_raw(path: Path, frames: list[tuple[np.ndarray, ...]], name: str, size: tuple[int, int]) -> Path:
    """Uncompressed; FFmpeg's NUT holds every pixel format as it is."""
    return make_film(path.with_suffix(".nut"), frames, name, "rawvideo", size=size, format="nut")


@pytest.mark.parametrize("size", [(48, 64), (35, 51)], ids=["even", "odd"])
@pytest.mark.parametrize("name", YUV + OTHERS + GREY + BIG_ENDIAN)
def test_planes_and_times_of_every_planar_format(tmp_path: Path, name: str, size: tuple[int, int]) -> None:
    truth = moving_planes(3, size, name)
    info = video.probe(write_raw(tmp_path / "film", truth, name, size))
    table, frames = seen_by_scan(info)
    assert (info.width, info.height) == (size[1], size[0])
    assert info.rgb is False
    assert len(frames) == 3
    for frame, planes in zip(frames, truth, strict=True):
        assert [plane.dtype for plane in planes_of(frame)] == [plane.dtype for plane in planes]
        assert all(np.array_equal(a, b) for a, b in zip(planes_of(frame), planes, strict=True))
    assert [Fraction(int(pts)) * info.time_base for pts in table.pts] == [Fraction(n, 25) for n in range(3)]


@pytest.mark.parametrize("name", ["gray", "gray16le", "yuv420p", "yuv422p10le", "yuv444p12le", "yuv411p"])
def test_ffv1_in_matroska(tmp_path: Path, name: str) -> None:
    truth = moving_planes(3, (35, 51), name)
    info = video.probe(make_film(tmp_path / "film.mkv", truth, name))
    _, frames = seen_by_scan(info)
    for frame, planes in zip(frames, truth, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(planes_of(frame), planes, strict=True))


def depth_of(name: str) -> int:
    digits = name.removesuffix("le").removesuffix("be").rsplit("p" if "p" in name else "gray", 1)[-1]
    return int(digits.removeprefix("y") or 8)


@pytest.mark.parametrize("name", YUV + OTHERS + GREY + BIG_ENDIAN + RGB_PLANAR)
def test_depth_and_subsampling(tmp_path: Path, name: str) -> None:
    info = video.probe(write_raw(tmp_path / "film", moving_planes(1, SIZE, name), name, SIZE))
    assert info.depth == depth_of(name)
    layout = "".join(filter(str.isdigit, name[:8]))[:3]
    assert info.subsampling == ("grey" if "gray" in name else "444" if "gbr" in name else layout)
    assert info.pixel_format == name


def interleaved(pattern: str, planes: dict[str, np.ndarray]) -> np.ndarray:
    """Rows that repeat the letters of a pattern; X is 255."""
    height = planes[pattern.replace("X", "")[0]].shape[0]
    turns = dict.fromkeys(pattern, 0)
    columns = []
    repeats = -(-max(plane.shape[1] for plane in planes.values()) // max(1, pattern.count("Y") or 1))
    for _ in range(repeats):
        for letter in pattern:
            plane = planes.get(letter)
            if plane is None:
                columns.append(np.full(height, 255, np.uint8))
            else:
                columns.append(plane[:, min(turns[letter], plane.shape[1] - 1)])
                turns[letter] += 1
    return np.stack(columns, axis=1)


def assert_read(frame: av.VideoFrame, truth: tuple[np.ndarray, ...]) -> None:
    """The planes of a frame in memory: for formats that no container of FFmpeg's holds uncompressed."""
    layout = layout_of(frame.format.name)
    assert layout is not None
    luma, chroma = read_planes(frame, SimpleNamespace(rgb=False, depth=layout.depth))  # type: ignore[arg-type]
    assert chroma is not None
    for found, plane in zip((luma, *chroma), truth, strict=True):
        assert found.dtype == plane.dtype
        assert np.array_equal(found, plane)


@pytest.mark.parametrize(
    ("name", "planar", "pattern"),
    [
        ("yuyv422", "yuv422p", "YUYV"),
        ("yvyu422", "yuv422p", "YVYU"),
        ("uyvy422", "yuv422p", "UYVY"),
        ("uyyvyy411", "yuv411p", "UYYVYY"),
        ("vuyx", "yuv444p", "VUYX"),
    ],
)
def test_packed_yuv(name: str, planar: str, pattern: str) -> None:
    truth = moving_planes(2, (36, 52), planar)
    for planes in truth:
        packed = interleaved(pattern, dict(zip("YUV", planes, strict=True)))
        assert_read(make_frame([packed], (36, 52), name), planes)


@pytest.mark.parametrize(
    ("name", "planar", "order"),
    [("nv12", "yuv420p", "UV"), ("nv21", "yuv420p", "VU"), ("nv16", "yuv422p", "UV"), ("nv24", "yuv444p", "UV")],
)
def test_paired_chroma(name: str, planar: str, order: str) -> None:
    truth = moving_planes(2, (35, 51), planar)
    for y, u, v in truth:
        assert_read(make_frame([y, interleaved(order, {"U": u, "V": v})], (35, 51), name), (y, u, v))


@pytest.mark.parametrize(
    ("name", "planar"), [("p010le", "yuv420p10le"), ("p212le", "yuv422p12le"), ("p416le", "yuv444p16le")]
)
def test_samples_kept_at_the_top_of_their_word(name: str, planar: str) -> None:
    truth = moving_planes(2, SIZE, planar)
    shift = 16 - depth_of(planar)
    for y, u, v in truth:
        paired = interleaved("UV", {"U": u << shift, "V": v << shift})
        assert_read(make_frame([y << shift, paired], SIZE, name), (y, u, v))


@pytest.mark.parametrize("name", [*RGB_PLANAR, "rgb24", "bgr24", "rgb48le", "rgb48be", "bgr0", "0rgb"])
def test_grey_rgb_is_its_luma(tmp_path: Path, name: str) -> None:
    if name in RGB_PLANAR:
        truth = [planes[0] for planes in moving_planes(2, (35, 51), name)]
        stored: list[tuple[np.ndarray, ...]] = [(plane, plane, plane) for plane in truth]
    else:
        truth = [planes[0] for planes in moving_planes(2, (35, 51), "gray16le" if "48" in name else "gray")]
        letters = dict.fromkeys("RGB", 0)
        pattern = name.upper().replace("0", "X")[:4] if "0" in name else name[:3].upper()
        stored = []
        for plane in truth:
            unused = np.full_like(plane, 255)
            stored.append((np.stack([plane if letter in letters else unused for letter in pattern], axis=-1),))
    info = video.probe(write_raw(tmp_path / "film", stored, name, (35, 51)))
    assert (info.rgb, info.subsampling, info.range, info.matrix) == (True, "444", "full", "bt709")
    _, frames = seen_by_scan(info)
    for frame, plane in zip(frames, truth, strict=True):
        assert np.array_equal(frame.luma, plane)
        assert frame.chroma is None


def test_coloured_rgb_has_chroma(tmp_path: Path) -> None:
    red, green, blue = (np.full(SIZE, value, np.uint8) for value in (200, 100, 40))
    info = video.probe(write_raw(tmp_path / "film", [(np.stack([red, green, blue], -1),)], "rgb24", SIZE))
    _, (frame,) = seen_by_scan(info)
    luma = 0.2126 * 200 + 0.7152 * 100 + 0.0722 * 40
    assert np.unique(frame.luma).tolist() == [round(luma)]
    assert frame.chroma is not None
    assert np.unique(frame.chroma[0]).tolist() == [round(128 + (40 - luma) / 1.8556)]
    assert np.unique(frame.chroma[1]).tolist() == [round(128 + (200 - luma) / 1.5748)]


def test_one_bit_and_palette(tmp_path: Path) -> None:
    bits = np.random.default_rng(1).integers(0, 2, (16, 24), np.uint8)
    for name, white in (("monob", 1), ("monow", 0)):
        packed = np.packbits(bits == white, axis=1)
        info = video.probe(write_raw(tmp_path / name, [(packed,)], name, (16, 24)))
        _, (frame,) = seen_by_scan(info)
        assert np.array_equal(frame.luma, bits * np.uint8(255))


def test_opaque_alpha_is_read_and_transparency_is_refused(tmp_path: Path) -> None:
    grey = moving_planes(1, SIZE, "gray")[0][0]
    opaque = np.stack([grey, grey, grey, np.full_like(grey, 255)], -1)
    info = video.probe(write_raw(tmp_path / "opaque", [(opaque,)], "rgba", SIZE))
    assert np.array_equal(seen_by_scan(info)[1][0].luma, grey)
    opaque[3, 5, 3] = 254
    info = video.probe(write_raw(tmp_path / "clear", [(opaque,)], "rgba", SIZE))
    with pytest.raises(VideoError, match=r"clear\.nut: frame 0 .*transparent.*premultiply"):
        video.scan(info)


@pytest.mark.parametrize("name", ["rgb565le", "rgb444le", "bayer_rggb8"])
def test_other_formats_are_refused_with_a_remedy(tmp_path: Path, name: str) -> None:
    frame = np.zeros((48, 64 * av.VideoFormat(name, 64, 48).padded_bits_per_pixel // 8), np.uint8)
    path = write_raw(tmp_path / "film", [(frame,)], name, SIZE)
    with pytest.raises(VideoError, match=f"unsupported pixel format '{name}'.*ffmpeg -i"):
        video.probe(path)


# What a film says of itself


def test_tags_are_kept(tmp_path: Path) -> None:
    path = make_film(
        tmp_path / "film.mp4",
        moving_planes(2, SIZE),
        codec="libx264",
        tags={"matrix": 9, "range": 2, "primaries": 9, "transfer": 16},
        options={"chroma_sample_location": "topleft"},
        sample_aspect=Fraction(16, 15),
        rate=Fraction(30000, 1001),
    )
    info = video.probe(path)
    assert (info.matrix, info.range, info.primaries, info.transfer) == ("bt2020nc", "full", "bt2020", "smpte2084")
    assert info.chroma_location == "topleft"
    assert info.sample_aspect == Fraction(16, 15)
    assert info.rate == Fraction(30000, 1001)


@pytest.mark.parametrize(
    ("size", "name", "expected"),
    [
        ((480, 16), "yuv420p", ("smpte170m", "limited", "smpte170m", "smpte170m")),
        ((576, 16), "yuv420p", ("bt470bg", "limited", "bt470bg", "smpte170m")),
        ((578, 16), "yuv420p", ("bt709", "limited", "bt709", "bt709")),
        ((16, 1026), "yuv420p", ("bt709", "limited", "bt709", "bt709")),
        ((16, 16), "gray", ("smpte170m", "full", "smpte170m", "smpte170m")),
        ((32, 32), "gbrp", ("bt709", "full", "bt709", "iec61966-2-1")),
    ],
)
def test_open_tags_are_resolved_by_the_rule(
    tmp_path: Path, size: tuple[int, int], name: str, expected: tuple[str, ...]
) -> None:
    info = video.probe(make_film(tmp_path / "film.nut", moving_planes(1, size, name), name, "rawvideo"))
    assert (info.matrix, info.range, info.primaries, info.transfer) == expected
    assert info.chroma_location == "left"


def test_odd_matrices_are_refused(tmp_path: Path) -> None:
    path = make_film(tmp_path / "film.mkv", moving_planes(1, SIZE), tags={"matrix": 8})
    with pytest.raises(VideoError, match="colour matrix 'ycgco'"):
        video.probe(path)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_rotation_is_clockwise(tmp_path: Path, rotation: int) -> None:
    path = make_film(tmp_path / "film.mp4", moving_planes(2, SIZE), codec="libx264", rotation=rotation)
    info = video.probe(path)
    assert info.rotation == rotation
    assert info.upright_size == (SIZE if rotation in (0, 180) else SIZE[::-1])


def test_a_mirrored_film_is_refused(tmp_path: Path) -> None:
    path = make_film(tmp_path / "film.mp4", moving_planes(2, SIZE), codec="libx264", mirrored=True)
    with pytest.raises(VideoError, match="mirrored"):
        video.probe(path)


def test_cover_art_is_not_the_film(tmp_path: Path) -> None:
    path = tmp_path / "song.mka"
    with av.open(str(path), "w", format="matroska") as output:
        sound = output.add_stream("pcm_s16le", rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 48000
        output.mux(sound.encode(frame))
    with pytest.raises(VideoError, match=r"song\.mka has no video stream \(it holds audio\)"):
        video.probe(path)


# Fields


def fields(count: int, size: tuple[int, int]) -> list[tuple[np.ndarray, ...]]:
    """Frames woven of the odd and even rows of two moments: combed wherever something moves."""
    moments = grey_planes(2 * count, size, "yuv420p")
    woven = []
    for first, second in zip(moments[::2], moments[1::2], strict=True):
        luma = first[0].copy()
        luma[1::2] = np.roll(second[0], 4, axis=1)[1::2]
        woven.append((luma, *first[1:]))
    return woven


def interlaced_film(path: Path, count: int = 10) -> Path:
    options = {"x264-params": "interlaced=1:tff=1", "qp": "0"}
    return make_film(path, fields(count, (64, 96)), codec="libx264", options=options)


def test_flagged_fields_are_detected(tmp_path: Path) -> None:
    assert video.probe(interlaced_film(tmp_path / "film.mp4")).interlaced
    whole = make_film(tmp_path / "whole.mp4", moving_planes(4, SIZE), codec="libx264")
    assert not video.probe(whole).interlaced


def test_unflagged_fields_are_detected_by_their_combs(tmp_path: Path) -> None:
    combed = make_film(tmp_path / "combed.mkv", fields(20, (64, 96)))
    assert video.probe(combed).interlaced
    noisy = make_film(tmp_path / "noisy.mkv", grey_planes(20, (64, 96), "yuv420p"))
    assert not video.probe(noisy).interlaced


def bwdif_by_hand(planes: list[tuple[np.ndarray, ...]], name: str) -> list[np.ndarray]:
    """The luma of FFmpeg's filter over the whole film at once."""
    height, width = planes[0][0].shape
    graph = av.filter.Graph()
    source = graph.add_buffer(width=width, height=height, format=av.VideoFormat(name), time_base=Fraction(1, 25))
    graph.link_nodes(source, graph.add("bwdif", "mode=send_frame:deint=all"), graph.add("buffersink")).configure()
    found = []
    for frame in [make_frame(p, (height, width), name) for p in planes] + [None]:
        graph.push(frame)
        while True:
            try:
                out = graph.pull().planes[0]
            except (av.error.BlockingIOError, av.error.EOFError):
                break
            found.append(np.frombuffer(out, np.uint8).reshape(-1, out.line_size)[:height, :width].copy())
    return found


def test_deinterlaced_frames_are_bwdifs_from_any_start(tmp_path: Path) -> None:
    truth = fields(9, (64, 96))
    path = make_film(tmp_path / "film.mkv", truth, options={"g": "3"})
    info = video.probe(path, deinterlace=True)
    assert info.interlaced and info.deinterlace
    table, frames = seen_by_scan(info)
    expected = bwdif_by_hand(truth, "yuv420p")
    assert len(frames) == len(expected) == 9
    assert all(np.array_equal(frame.luma, plane) for frame, plane in zip(frames, expected, strict=True))
    assert not np.array_equal(frames[4].luma, truth[4][0])
    for start in range(9):
        assert_same(list(video.frames(info, table, start, min(start + 2, 9))), frames[start : start + 2])


def test_packed_film_is_deinterlaced_like_its_planar_twin(tmp_path: Path) -> None:
    truth = [(y, np.repeat(u, 2, 0), np.repeat(v, 2, 0)) for y, u, v in fields(4, (64, 96))]
    packed = [(interleaved("UYVY", dict(zip("YUV", planes, strict=True))),) for planes in truth]
    one = video.probe(write_raw(tmp_path / "packed", packed, "uyvy422", (64, 96)), deinterlace=True)
    two = video.probe(write_raw(tmp_path / "planar", truth, "yuv422p", (64, 96)), deinterlace=True)
    assert_same(seen_by_scan(one)[1], seen_by_scan(two)[1])


def test_formats_that_bwdif_would_convert_are_refused(tmp_path: Path) -> None:
    path = make_film(tmp_path / "film.mkv", moving_planes(1, SIZE, "gray10le"), "gray10le")
    with pytest.raises(VideoError, match=r"cannot be deinterlaced.*gray16le"):
        video.probe(path, deinterlace=True)


# Any frame, from any start

LONG = moving_planes(40, SIZE)
VARIABLE = [0, 40, 90, 91, 300, *range(400, 400 + 35 * 33, 33)]
FILMS: dict[str, tuple[str, dict[str, object]]] = {
    "h264": ("a.mp4", {"codec": "libx264", "options": {"g": "10", "bf": "3"}}),
    "h264 open groups": ("b.mp4", {"codec": "libx264", "options": {"x264-params": "open-gop=1:keyint=9:bframes=3"}}),
    "h264 refreshed by parts": ("c.mkv", {"codec": "libx264", "options": {"x264-params": "intra-refresh=1:keyint=12"}}),
    "h264 transport": ("d.ts", {"codec": "libx264", "options": {"g": "12", "bf": "2"}}),
    "h264 in avi": ("e.avi", {"codec": "libx264", "options": {"g": "10", "bf": "2"}}),
    "h264 bare": ("f.h264", {"codec": "libx264", "options": {"g": "10", "bf": "2"}}),
    "h265 open groups": ("g.mkv", {"codec": "libx265", "options": {"x265-params": "open-gop=1:keyint=8"}}),
    "mpeg2 open groups": ("h.mpg", {"codec": "mpeg2video", "options": {"g": "9", "bf": "2"}, "format": "mpeg"}),
    "mpeg4 in avi": ("i.avi", {"codec": "mpeg4", "options": {"g": "10", "bf": "2"}}),
    "variable rate": ("j.mkv", {"codec": "libx264", "pts": VARIABLE, "time_base": Fraction(1, 1000)}),
    "late start": ("k.mkv", {"pts": range(250, 290), "options": {"g": "7"}}),
    "sound beside": ("l.mp4", {"codec": "libx264", "options": {"g": "8"}, "audio": True}),
    "y4m": ("m.y4m", {"codec": "wrapped_avframe"}),
}  # fmt: skip


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SimpleNamespace]:
    folder = tmp_path_factory.mktemp("films")
    made = {}
    for name, (file, options) in FILMS.items():
        info = video.probe(make_film(folder / file, LONG, **options))  # type: ignore[arg-type]
        table, frames = seen_by_scan(info)
        made[name] = SimpleNamespace(info=info, table=table, frames=frames)
    return made


@pytest.mark.parametrize("name", FILMS)
def test_every_frame_is_there_in_order(films: dict[str, SimpleNamespace], name: str) -> None:
    film = films[name]
    assert len(film.table) == 40
    assert film.table.held == ()
    for frame, planes in zip(film.frames, LONG, strict=True):
        assert np.abs(frame.luma.astype(int) - planes[0]).mean() < 12  # its neighbours are 20 and more away
    times = [(int(pts) - int(film.table.pts[0])) * film.info.time_base for pts in film.table.pts]
    expected = (
        [Fraction(n, 1000) for n in VARIABLE] if name == "variable rate" else [Fraction(n, 25) for n in range(40)]
    )
    assert times == expected
    if name == "late start":
        assert film.table.pts[0] * film.info.time_base == 10


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(sorted(FILMS)), start=st.integers(0, 40), length=st.integers(0, 12))
def test_frames_from_any_start_are_a_slice_of_all(
    films: dict[str, SimpleNamespace], name: str, start: int, length: int
) -> None:
    film = films[name]
    stop = min(start + length, 40)
    assert_same(list(video.frames(film.info, film.table, start, stop)), film.frames[start:stop])


def test_seeking_does_not_decode_the_whole_film(films: dict[str, SimpleNamespace]) -> None:
    film = films["h264"]
    assert film.table.keyframes.tolist() == [0, 10, 20, 30]
    assert films["h264 bare"].table.keyframes.tolist() == []


def test_a_span_beyond_the_film_is_refused(films: dict[str, SimpleNamespace]) -> None:
    film = films["h264"]
    for start, stop in ((0, 41), (-1, 3), (5, 4)):
        with pytest.raises(VideoError, match="has frames 0 to 39"):
            video.frames(film.info, film.table, start, stop)


def test_planes_may_be_kept_and_not_written(films: dict[str, SimpleNamespace]) -> None:
    film = films["h264"]
    kept = list(video.frames(film.info, film.table))
    assert_same(kept, film.frames)
    with pytest.raises(ValueError, match="read-only"):
        kept[0].luma[0, 0] = 1


def test_edit_lists_hide_what_they_cut(tmp_path: Path) -> None:
    path = make_film(tmp_path / "film.mp4", LONG, codec="libx264", options={"g": "10", "bf": "2"})
    cut = tmp_path / "cut.mp4"
    with av.open(str(path)) as source, av.open(str(cut), "w") as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        shift = 5 * 512  # the first five frames lie before time 0, and the muxer writes an edit list for that
        for packet in source.demux(video=0):
            if packet.size:
                packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, stream
                output.mux(packet)
    info = video.probe(cut)
    table, frames = seen_by_scan(info)
    assert len(table) in (35, 40)
    offset = 40 - len(table)
    original = seen_by_scan(video.probe(path))[1]
    for frame, other in zip(frames, original[offset:], strict=True):
        assert np.array_equal(frame.luma, other.luma)
    assert_same(list(video.frames(info, table, 7, 15)), frames[7:15])


# The thread


def test_closing_early_ends_the_thread(films: dict[str, SimpleNamespace]) -> None:
    film = films["h264"]
    before = threading.active_count()
    reader = video.frames(film.info, film.table)
    assert next(reader).index == 0
    reader.close()
    assert threading.active_count() == before
    abandoned = video.frames(film.info, film.table)
    next(abandoned)
    del abandoned
    gc.collect()
    assert threading.active_count() == before


def test_errors_of_the_reader_reach_the_caller(films: dict[str, SimpleNamespace]) -> None:
    film = films["h264"]
    before = threading.active_count()

    def see(frame: Frame) -> None:
        if frame.index == 3:
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        video.scan(film.info, see)
    assert threading.active_count() == before


def test_the_producer_waits_and_its_error_comes_after_its_items() -> None:
    made: list[int] = []

    def produce() -> object:
        for number in range(100):
            made.append(number)
            yield number
            if number == 50:
                raise VideoError("broken")

    items = in_background(produce, lambda _: 10, 30)  # type: ignore[arg-type]
    assert [next(items) for _ in range(5)] == list(range(5))
    assert len(made) <= 5 + 3 + 1
    with pytest.raises(VideoError, match="broken"):
        list(items)
    assert made[-1] == 50


def test_a_film_that_changed_is_noticed(tmp_path: Path) -> None:
    path = make_film(tmp_path / "film.mkv", LONG[:12])
    info = video.probe(path)
    table = video.scan(info)
    make_film(path, LONG[:6])
    with pytest.raises(VideoError, match="the file has changed"):
        list(video.frames(info, table, 4, 10))


# From a pipe


Y4M = [
    "yuv420p", "yuv422p", "yuv444p", "yuv411p", "gray", "yuvj420p", "gray10le", "gray16le", "yuv420p10le",
    "yuv422p12le", "yuv444p16le",
]  # fmt: skip


@pytest.mark.parametrize("name", Y4M)
def test_spooled_frames_are_the_same(tmp_path: Path, name: str) -> None:
    truth = moving_planes(4, (35, 51), name)
    rate = Fraction(24000, 1001)
    y4m = make_film(tmp_path / "a.y4m", truth, name, "wrapped_avframe", rate, container={"strict": "-1"})
    data = y4m.read_bytes().replace(b" A0:0 ", b" A4:3 ", 1)
    path = video.spool(io.BytesIO(data), tmp_path / "kept" / "film.mkv")
    info = video.probe(path)
    _, frames = seen_by_scan(info)
    assert info.rate == rate
    assert info.sample_aspect == Fraction(4, 3)
    assert info.depth == depth_of(name)
    for frame, planes in zip(frames, truth, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(planes_of(frame), planes, strict=True))
    again = video.spool(io.BytesIO(data), tmp_path / "again.mkv")
    assert again.read_bytes() == path.read_bytes(), "a later run knows the film again"
    assert [file.name for file in (tmp_path / "kept").iterdir()] == [path.name]


def test_spooling_keeps_fields_and_siting(tmp_path: Path) -> None:
    header = b"YUV4MPEG2 W64 H48 F25:1 It A16:15 C420paldv\n"
    picture = b"FRAME\n" + bytes(64 * 48 * 3 // 2)
    info = video.probe(video.spool(io.BytesIO(header + 3 * picture), tmp_path / "film.mkv"))
    assert info.interlaced
    assert info.chroma_location == "topleft"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "holds nothing"),
        (b"RIFF....AVI \n", "something else than raw y4m"),
        (b"YUV4MPEG2 W64 H48 F25:1 C420jpeg\n", "holds a y4m header and no frame"),
        (b"YUV4MPEG2 W64 H48 F25:1 C420jpeg\nFRAME\n" + bytes(100), "(breaks off|no frame)"),
        (
            b"YUV4MPEG2 W64 H48 F25:1 C420jpeg\nFRAME\n" + bytes(64 * 72) + b"FRAME\n" + bytes(100),
            "breaks off within frame 1",
        ),
    ],
)
def test_a_bad_pipe_leaves_nothing(tmp_path: Path, data: bytes, words: str) -> None:
    with pytest.raises(VideoError, match=words):
        video.spool(io.BytesIO(data), tmp_path / "film.mkv")
    assert list(tmp_path.iterdir()) == []
