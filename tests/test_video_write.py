"""Presets, the Writer for films, pictures and raw video, and what is refused."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from kinochrome import color
from kinochrome.errors import KinochromeError, MethodError, VideoError
from kinochrome.types import Encoding, VideoInfo
from kinochrome.video.planes import read_letters
from kinochrome.video.presets import DEFAULTS, PRESETS, encoding_for
from kinochrome.video.tags import chroma_location
from kinochrome.video.trial import check_streams
from kinochrome.video.write import Writer, write_picture

from . import film

SIZE = (48, 64)
BASE = replace(film.FILM, pixel_format="gray", subsampling="grey", time_base=Fraction(1, 1000))


def names(folder: Path) -> list[str]:
    return sorted(item.name for item in folder.iterdir())


def planes_for(encoding: Encoding, info: VideoInfo, count: int = 5) -> list[film.Planes]:
    pixel_format = f"yuv{encoding.subsampling}p" + (f"{encoding.depth}le" if encoding.depth > 8 else "")
    return film.moving_planes(count, (info.height, info.width), pixel_format.replace("yuvgreyp", "gray"))


def write(path: Path, info: VideoInfo, encoding: Encoding, frames: list[film.Planes], times: list[int]) -> None:
    with Writer(path, info, encoding) as writer:
        for pts, planes in zip(times, frames, strict=True):
            writer.write(pts, *planes)


def read(path: Path) -> tuple[list[Fraction], list[dict[str, np.ndarray]]]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [(frame.pts * stream.time_base, read_letters(frame)) for frame in container.decode(stream)]
    return [time for time, _ in frames], [letters for _, letters in frames]


@pytest.mark.parametrize("depth", [8, 9, 10, 12, 14, 16])
@pytest.mark.parametrize("subsampling", ["grey", "420", "422", "444"])
def test_archive_keeps_every_code_at_every_depth_and_time(tmp_path: Path, depth: int, subsampling: str) -> None:
    info = replace(BASE, depth=depth, subsampling=subsampling, width=65, height=47)
    encoding = encoding_for(tmp_path / "a.mkv", info)
    assert (encoding.depth, encoding.subsampling) == (depth, "444" if subsampling == "grey" else subsampling)
    frames, times = planes_for(encoding, info), [7, 40, 41, 100, 333]
    write(encoding.target, info, encoding, frames, times)
    shown, got = read(encoding.target)
    assert shown == [Fraction(time, 1000) for time in times]
    for letters, planes in zip(got, frames, strict=True):
        for letter, plane in zip("YUV", planes, strict=True):
            np.testing.assert_array_equal(letters[letter], plane)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", {"preset": "lossless"}),
        ("a.mov", {"preset": "lossless"}),
        ("a.mkv", {"preset": "web", "options": {"codec": "libvpx-vp9", "lossless": "1"}}),
        ("a.mkv", {"preset": "archive", "options": {"pixel_format": "gray16le"}}),
        ("a.mkv", {"preset": "h265", "options": {"x265-params": "lossless=1", "pixel_format": "yuv444p12le"}}),
        ("a.y4m", {}),
    ],
)
def test_other_lossless_targets_keep_every_code(tmp_path: Path, name: str, options: dict) -> None:
    info = replace(BASE, depth=10)
    encoding = encoding_for(tmp_path / name, info, **options)
    frames = planes_for(encoding, info)
    write(encoding.target, info, encoding, frames, [0, 40, 80, 120, 160])
    _, got = read(encoding.target)
    assert len(got) == len(frames)
    for letters, planes in zip(got, frames, strict=True):
        for letter, plane in zip("YUV", planes, strict=False):
            np.testing.assert_array_equal(letters[letter], plane)


LOSSY = [("web", ".mp4"), ("h265", ".mp4"), ("h265", ".mkv"), ("av1", ".webm"), ("av1", ".mp4"), ("prores", ".mov"),
         ("prores", ".mxf"), ("dnxhr", ".mov"), ("dnxhr", ".mxf")]  # fmt: skip


@pytest.mark.parametrize(("preset", "suffix"), LOSSY)
def test_every_preset_is_written_and_read_back_with_its_tags(tmp_path: Path, preset: str, suffix: str) -> None:
    info = replace(BASE, width=256, height=128, time_base=Fraction(1, 25), sample_aspect=Fraction(1))
    encoding = encoding_for(tmp_path / f"a{suffix}", info, preset)
    frames = planes_for(encoding, info)
    write(encoding.target, info, encoding, frames, list(range(5)))
    shown, got = read(encoding.target)
    assert shown == [Fraction(index, 25) for index in range(5)]
    for letters, planes in zip(got, frames, strict=True):
        error = letters["Y"].astype(float) - planes[0]
        assert np.sqrt(np.mean(error**2)) / (1 << encoding.depth) < 0.02
    with av.open(str(encoding.target)) as container:
        context = container.streams.video[0].codec_context
        tags = (context.color_range, context.colorspace, context.color_primaries, context.color_trc)
    assert tags == (1, 1, 1, 1)


@pytest.mark.parametrize(
    ("preset", "suffix"), [("web", ".mp4"), ("h265", ".mkv"), ("prores", ".mov"), ("archive", ".mkv")]
)
def test_colour_tags_other_than_the_usual_survive(tmp_path: Path, preset: str, suffix: str) -> None:
    info = replace(BASE, matrix="bt470bg", primaries="smpte432", transfer="smpte2084", depth=10, subsampling="420")
    encoding = encoding_for(tmp_path / f"a{suffix}", info, preset)
    write(encoding.target, info, encoding, planes_for(encoding, info), list(range(5)))
    with av.open(str(encoding.target)) as container:
        stream = container.streams.video[0]
        context, frame = stream.codec_context, next(container.decode(stream))
        assert (context.colorspace, context.color_primaries, context.color_trc) == (5, 12, 16)
        assert (frame.colorspace, frame.color_primaries, frame.color_trc) == (5, 12, 16)


@pytest.mark.parametrize("location", ["left", "center", "topleft"])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_the_chroma_location_survives(tmp_path: Path, name: str, location: str) -> None:
    info = replace(BASE, subsampling="420", chroma_location=location)
    encoding = encoding_for(tmp_path / name, info)
    write(encoding.target, info, encoding, planes_for(encoding, info), list(range(5)))
    with av.open(str(encoding.target)) as container:
        assert chroma_location(container.streams.video[0]) == location


def test_full_range_is_tagged_and_prores_which_cannot_say_it_gets_limited_codes(tmp_path: Path) -> None:
    info = replace(BASE, range="full", depth=10)
    luma = np.tile(np.linspace(0, 1023, 64).astype(np.uint16), (48, 1))
    chroma = np.full((48, 32), 512, np.uint16)
    prores = encoding_for(tmp_path / "a.mov", info)
    write(prores.target, info, prores, [(luma, chroma, chroma)], [0])
    _, (letters,) = read(prores.target)
    np.testing.assert_allclose(letters["Y"], 64 + luma / 1023 * 876, atol=8)
    assert abs(int(letters["U"].mean()) - 512) <= 1
    web = encoding_for(tmp_path / "a.mp4", info)
    write(
        web.target,
        info,
        web,
        [(luma.astype(np.uint8), np.full((24, 32), 128, np.uint8)) * 1 + (np.full((24, 32), 128, np.uint8),)],
        [0],
    )
    with av.open(str(web.target)) as container:
        assert container.streams.video[0].codec_context.color_range == 2


def test_without_chroma_a_frame_is_grey(tmp_path: Path) -> None:
    encoding = encoding_for(tmp_path / "confidence.mkv", BASE)
    luma = planes_for(encoding, BASE, 1)[0][0]
    write(encoding.target, BASE, encoding, [(luma,)], [0])
    _, (letters,) = read(encoding.target)
    np.testing.assert_array_equal(letters["Y"], luma)
    assert (letters["U"] == 128).all() and (letters["V"] == 128).all()


@pytest.mark.parametrize(
    ("name", "preset"),
    [("a.mp4", "web"), ("a.mp4", "h265"), ("a.mp4", "av1"), ("a.mov", "prores"), ("a.mkv", "archive")],
)
@pytest.mark.parametrize("size", [(47, 64), (48, 65), (49, 67)])
def test_odd_sizes_are_kept_whole(tmp_path: Path, name: str, preset: str, size: tuple[int, int]) -> None:
    info = replace(BASE, height=size[0], width=size[1], subsampling="420")
    encoding = encoding_for(tmp_path / name, info, preset)
    write(encoding.target, info, encoding, planes_for(encoding, info, 2), [0, 40])
    _, got = read(encoding.target)
    assert [letters["Y"].shape for letters in got] == [size, size]


@pytest.mark.parametrize("depth", [8, 12, 16])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".dpx"])
def test_pictures_hold_the_luma_to_one_code(tmp_path: Path, suffix: str, depth: int) -> None:
    info = replace(BASE, depth=depth, range="full")
    encoding = encoding_for(tmp_path / f"out/%04d{suffix}", info)
    frames = film.grey_planes(3, SIZE, "yuv444p" if encoding.depth == 8 else f"yuv444p{encoding.depth}le")
    with Writer(tmp_path / "segment", info, encoding, first=41) as writer:
        for index, planes in enumerate(frames):
            writer.write(index, *planes)
    assert sorted(item.name for item in (tmp_path / "segment").iterdir()) == [f"{n:04d}{suffix}" for n in (41, 42, 43)]
    for index, planes in enumerate(frames):
        _, (letters,) = read(tmp_path / "segment" / f"{41 + index:04d}{suffix}")
        rgb = np.stack([letters[letter] for letter in "RGB"], axis=-1)
        stored = letters["G"].dtype.itemsize * 8 if suffix != ".dpx" else encoding.depth
        assert stored == encoding.depth
        luma = color.luma_from_rgb(rgb, info.matrix).astype(int)
        assert np.abs(luma - planes[0]).max() <= 1


def test_coloured_pictures_keep_luma_and_colour(tmp_path: Path) -> None:
    info = replace(BASE, range="full")
    encoding = encoding_for(tmp_path / "out", info)
    assert encoding.target == tmp_path / "out" / "%06d.png"
    luma = np.tile(np.arange(60, 124, dtype=np.uint8), (48, 1))
    planes = (luma, np.full_like(luma, 110), np.full_like(luma, 150))
    with Writer(tmp_path / "out", info, encoding) as writer:
        writer.write(0, *planes)
    _, (letters,) = read(tmp_path / "out" / "000000.png")
    rgb = np.stack([letters[letter] for letter in "RGB"], axis=-1)
    back, chroma = color.planes_from_rgb(rgb, info.matrix)
    assert np.abs(back.astype(int) - luma).max() <= 1
    assert all(np.abs(plane.astype(int) - value).max() <= 1 for plane, value in zip(chroma, (110, 150), strict=True))


def test_jpeg_and_exr_sequences_hold_the_picture(tmp_path: Path) -> None:
    info = replace(BASE, range="full")
    luma = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (48, 1))
    for suffix, depth in ((".jpg", 8), (".exr", 16)):
        encoding = encoding_for(tmp_path / f"{suffix[1:]}/%d{suffix}", info)
        plane = color.to_depth(luma, 8, depth) if depth == 8 else luma.astype(np.uint16) * 257
        with Writer(encoding.target.parent, info, encoding) as writer:
            writer.write(0, plane)
        _, (letters,) = read(encoding.target.parent / f"0{suffix}")
        if suffix == ".jpg":
            assert np.abs(letters["Y"].astype(int) - luma).max() <= 6
        else:
            encoded = np.where(luma / 255 <= 0.04045, luma / 255 / 12.92, ((luma / 255 + 0.055) / 1.055) ** 2.4)
            np.testing.assert_allclose(letters["G"], encoded, atol=1e-3)


def test_pictures_are_written_upright(tmp_path: Path) -> None:
    info = replace(BASE, rotation=90, range="full")
    encoding = encoding_for(tmp_path / "%d.png", info)
    luma = planes_for(encoding, info, 1)[0][0]
    with Writer(tmp_path / "segment", info, encoding) as writer:
        writer.write(0, luma)
    _, (letters,) = read(tmp_path / "segment" / "0.png")
    np.testing.assert_array_equal(letters["G"], np.rot90(luma, -1))


def test_one_picture_of_one_picture(tmp_path: Path) -> None:
    source = tmp_path / "grey.png"
    write_picture(source, np.full((48, 64, 3), 0.5, np.float32))
    encoding = encoding_for(tmp_path / "coloured.png", replace(BASE, path=source))
    assert encoding.kind == "picture"
    write(encoding.target, BASE, encoding, planes_for(encoding, BASE, 1), [0])
    assert read(encoding.target)[1][0]["G"].shape == SIZE


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_write_picture(tmp_path: Path, suffix: str) -> None:
    rgb = np.zeros((30, 41, 3), np.float32)
    rgb[:, :20] = (1.0, 0.5, 0.25)
    write_picture(tmp_path / f"a{suffix}", rgb)
    with av.open(str(tmp_path / f"a{suffix}")) as container:
        back = next(container.decode(video=0)).to_ndarray(format="rgb24")
    np.testing.assert_allclose(back[:, 2:18], np.broadcast_to([255, 128, 64], (30, 16, 3)), atol=3)
    assert names(tmp_path) == [f"a{suffix}"]
    with pytest.raises(VideoError, match=r"\.png, \.jpg or \.tif"):
        write_picture(tmp_path / "a.gif", rgb)


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "out/%d.png"])
def test_an_error_leaves_nothing_behind(tmp_path: Path, name: str) -> None:
    encoding = encoding_for(tmp_path / name, BASE)
    path = tmp_path / "made"
    with pytest.raises(RuntimeError, match="stop"), Writer(path, BASE, encoding) as writer:
        writer.write(0, *planes_for(encoding, BASE, 1)[0])
        raise RuntimeError("stop")
    assert names(tmp_path) == []


def test_an_error_in_the_thread_is_raised_in_the_caller(tmp_path: Path) -> None:
    encoding = encoding_for(tmp_path / "a.mkv", BASE)
    with pytest.raises(VideoError, match="does not fit"), Writer(tmp_path / "a.mkv", BASE, encoding) as writer:
        for index in range(50):  # more than the queue holds: the caller must not be left waiting
            writer.write(index, np.zeros((99, 99), np.uint8))
    assert names(tmp_path) == []


def test_a_missing_folder_and_a_folder_with_other_things_are_named(tmp_path: Path) -> None:
    encoding = encoding_for(tmp_path / "no" / "a.mkv", BASE)
    with pytest.raises(VideoError, match=r"folder .*no does not exist"):
        write(encoding.target, BASE, encoding, planes_for(encoding, BASE, 1), [0])
    pictures = encoding_for(tmp_path / "%d.png", BASE)
    (tmp_path / "diary.txt").write_text("mine")
    with pytest.raises(VideoError, match=r"diary\.txt"):
        write(tmp_path, BASE, pictures, planes_for(pictures, BASE, 1), [0])
    assert (tmp_path / "diary.txt").read_text() == "mine"


@pytest.mark.skipif(sys.platform == "win32", reason="no limits there")
@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "out/%d.png"])
def test_a_disk_without_room_is_named_and_nothing_is_left(tmp_path: Path, name: str) -> None:
    program = f"""
        import resource, signal
        from dataclasses import replace
        from pathlib import Path
        import numpy as np
        from tests.test_video_write import BASE
        from kinochrome.errors import VideoError
        from kinochrome.video.presets import encoding_for
        from kinochrome.video.write import Writer
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
        info = replace(BASE, width=320, height=240)
        encoding = encoding_for(Path({str(tmp_path / name)!r}), info)
        random = np.random.default_rng(0)
        try:
            with Writer(Path({str(tmp_path / "made")!r}), info, encoding) as writer:
                for index in range(30):
                    writer.write(index, random.integers(0, 256, (240, 320), np.uint8))
        except VideoError as error:
            print("said:", error)
    """
    here = str(Path(__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([here, *sys.path])}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], env=environment, capture_output=True, text=True
    )
    assert "said: " in done.stdout, done.stderr
    assert "Choose another disk" in done.stdout
    assert names(tmp_path) == []


REFUSED = [
    ("a.avi", {}, r"Nothing here writes \.avi.*\.mkv"),
    ("a.mpv", {}, r"Did you mean \.m"),
    ("a.mp4", {"preset": "wbe"}, "Did you mean web"),
    ("a.mp4", {"preset": "prores"}, r"\.mov.*or take preset web"),
    ("a.mkv", {"preset": "dnxhr"}, r"Name the target \.mxf or \.mov, or take preset .*archive"),
    ("a.mxf", {}, r"dnxhr writes 256x120 and larger; .* is 64x48\. Take --preset prores for"),
    ("a.mov", {"preset": "dnxhr"}, r"dnxhr writes 256x120 and larger.*--preset web or .*prores"),
    ("a.mp4", {"options": {"crff": "3"}}, "Did you mean crf"),
    ("a.mp4", {"options": {"qqqq": "3"}}, "It has: .*crf"),
    ("a.mp4", {"options": {"codec": "libx246"}}, "Did you mean libx26"),
    ("a.mp4", {"options": {"codec": "aac"}}, "not video"),
    ("a.mp4", {"options": {"pixel_format": "yuv420p16le"}}, "with one of: yuv420p"),
    ("a.mp4", {"options": {"pixel_format": "nv12"}}, "take a planar one"),
    ("a.mp4", {"options": {"pixel_format": "yuv421"}}, "take a planar one"),
    ("a.png", {}, "a_%06d.png, or name a folder"),
    ("%d_%d.png", {}, "written once"),
    ("%d.png", {"options": {"codec": "ffv1"}}, "leave codec=ffv1 out"),
]


@pytest.mark.parametrize(("name", "asked", "words"), REFUSED)
def test_what_is_unknown_is_refused_with_what_is_known(tmp_path: Path, name: str, asked: dict, words: str) -> None:
    with pytest.raises(KinochromeError, match=words) as caught:
        encoding_for(tmp_path / name, BASE, **asked)
    assert isinstance(caught.value, (VideoError, MethodError))


def test_an_option_value_that_the_encoder_refuses_is_found_before_work(tmp_path: Path) -> None:
    film.make_film(tmp_path / "film.mkv", film.grey_planes(2, SIZE))
    info = replace(BASE, path=tmp_path / "film.mkv")
    for name, options in (("a.mp4", {"crf": "much"}), ("%d.png", {"compression_level": "x"})):
        with pytest.raises(VideoError, match=r"64x48.*another --preset"):
            check_streams(info, encoding_for(tmp_path / name, info, options=options))


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30000, 1001)])
def test_an_encoder_that_counts_frames_takes_any_time_base(tmp_path: Path, rate: Fraction) -> None:
    """MPEG-2 knows a few rates alone, and MP4 a time base of 1/12800."""
    info = replace(BASE, rate=rate, time_base=1 / (rate * 512))
    encoding = encoding_for(tmp_path / "a.mp4", info, options={"codec": "mpeg2video"})
    write(encoding.target, info, encoding, planes_for(encoding, info), [512 * index for index in range(5)])
    assert read(encoding.target)[0] == [index / rate for index in range(5)]


def test_options_reach_the_encoder(tmp_path: Path) -> None:
    sizes = []
    for crf in ("1", "45"):
        encoding = encoding_for(tmp_path / f"{crf}.mp4", BASE, options={"crf": crf})
        assert encoding.options["preset"] == "veryfast"
        write(encoding.target, BASE, encoding, planes_for(encoding, BASE), [0, 40, 80, 120, 160])
        sizes.append(encoding.target.stat().st_size)
    assert sizes[0] > 2 * sizes[1]


def test_every_suffix_and_preset_is_described(tmp_path: Path) -> None:
    for suffix, preset in DEFAULTS.items():
        assert preset in PRESETS and len(PRESETS[preset]) > 10
        if suffix not in ("-",) and suffix != ".exr":
            name = f"%d{suffix}" if suffix in (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".dpx") else f"a{suffix}"
            assert encoding_for(tmp_path / name, replace(BASE, width=256, height=128)).preset == preset
    assert encoding_for("-", BASE).kind == "y4m"
    assert encoding_for(tmp_path / "folder", BASE, "tiff").target.name == "%06d.tif"


def test_the_source_is_never_a_target(tmp_path: Path) -> None:
    film_file = tmp_path / "film.mkv"
    film_file.write_bytes(b"x")
    folder = tmp_path / "stills"
    folder.mkdir()
    for target, path in (
        (film_file, film_file),
        (folder, folder),
        (folder / "%d.png", folder),
        (folder, folder / "%d.png"),
    ):
        with pytest.raises(VideoError, match="written over the source"):
            encoding_for(target, replace(BASE, path=path))
    assert encoding_for(tmp_path / "%d.png", replace(BASE, path=film_file)).kind == "pictures"
