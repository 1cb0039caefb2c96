"""Films kept as pictures, and single pictures."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from kinochrome import video
from kinochrome.errors import VideoError
from kinochrome.types import Frame, VideoInfo
from tests.film import make_frame, moving_planes

SIZE = (33, 47)


def write(path: Path, array: np.ndarray) -> None:
    assert cv2.imwrite(str(path), array)


def encode(path: Path, planes: list[np.ndarray], name: str, codec: str) -> None:
    """A picture of a kind that OpenCV does not write, by FFmpeg."""
    with av.open(str(path), "w", format="image2", options={"update": "1"}) as output:
        stream = output.add_stream(codec, rate=1)
        stream.height, stream.width, stream.pix_fmt = (*planes[0].shape[:2], name)
        frame = make_frame(planes, planes[0].shape[:2], name)
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def grey(count: int, bits: int = 8) -> list[np.ndarray]:
    return [planes[0] for planes in moving_planes(count, SIZE, "gray" if bits == 8 else "gray16le")]


def colour(bits: int = 8) -> np.ndarray:
    """(h, w, 3), R G B."""
    return np.stack([np.roll(grey(1, bits)[0], shift, 1) for shift in (0, 9, 20)], axis=-1)


def all_frames(info: VideoInfo) -> list[Frame]:
    frames: list[Frame] = []
    table = video.scan(info, frames.append)
    assert table.held == ()
    assert table.pts.tolist() == list(range(len(frames)))
    again = list(video.frames(info, table, len(frames) - 1))
    assert np.array_equal(again[0].luma, frames[-1].luma)
    return frames


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("suffix", ["png", "tif", "tiff"])
def test_grey_pictures_in_the_order_of_their_numbers(tmp_path: Path, suffix: str, bits: int) -> None:
    truth = grey(12, bits)
    for number, plane in enumerate(truth, start=7):  # 7 to 18: sorted by name, 10 would come before 7
        write(tmp_path / f"reel2_{number}.{suffix}", plane)
    (tmp_path / "notes.txt").write_text("not a picture")
    info = video.probe(tmp_path)
    assert (info.depth, info.subsampling, info.range, info.rate) == (bits, "grey", "full", 24)
    assert (info.interlaced, info.chroma_location) == (False, "center")
    frames = all_frames(info)
    assert len(frames) == 12
    assert all(np.array_equal(frame.luma, plane) for frame, plane in zip(frames, truth, strict=True))


def test_rate_padding_pattern_and_percent_signs(tmp_path: Path) -> None:
    folder = tmp_path / "50% done"
    folder.mkdir()
    for number, plane in enumerate(grey(3), start=99):
        write(folder / f"a%d_{number:03}_end.png", plane)
    info = video.probe(folder, rate=Fraction(18))
    assert info.rate == 18
    assert len(all_frames(info)) == 3
    plain = tmp_path / "plain"
    plain.mkdir()
    for number in (8, 9, 10):
        write(plain / f"f{number:02}.png", grey(1)[0])
        write(plain / f"mask{number:02}.png", grey(1)[0])
    assert len(all_frames(video.probe(plain / "f%02d.png"))) == 3
    with pytest.raises(VideoError, match="2 series"):
        video.probe(plain)


def test_rgb_pictures_are_read_as_luma(tmp_path: Path) -> None:
    plane = grey(1)[0]
    write(tmp_path / "equal.png", np.stack([plane] * 3, -1))
    info = video.probe(tmp_path / "equal.png")
    assert (info.rgb, info.transfer) == (True, "iec61966-2-1")
    (frame,) = all_frames(info)
    assert np.array_equal(frame.luma, plane)
    assert frame.chroma is None


def test_jpeg_keeps_its_own_luma(tmp_path: Path) -> None:
    write(tmp_path / "a.jpg", colour()[..., ::-1])
    info = video.probe(tmp_path / "a.jpg")
    assert (info.range, info.matrix, info.rgb, info.chroma_location) == ("full", "bt470bg", False, "center")
    (frame,) = all_frames(info)
    with av.open(str(tmp_path / "a.jpg")) as container:
        plane = next(container.decode(video=0)).planes[0]
    assert np.array_equal(frame.luma, np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[:33, :47])


def test_dpx_at_ten_bits(tmp_path: Path) -> None:
    plane = moving_planes(1, SIZE, "gray10le")[0][0]
    encode(tmp_path / "a1.dpx", [plane] * 3, "gbrp10le", "dpx")
    encode(tmp_path / "a2.dpx", [plane] * 3, "gbrp10le", "dpx")
    info = video.probe(tmp_path)
    assert (info.depth, info.rgb) == (10, True)
    assert np.array_equal(all_frames(info)[1].luma, plane)


def test_float_exr_goes_to_16_bit_by_the_srgb_curve(tmp_path: Path) -> None:
    linear = np.array([[-1.0, 0.0, 0.001, 0.0031308, 0.18, 0.5, 1.0, 7.0]], np.float32).repeat(4, 0)
    encode(tmp_path / "a.exr", [linear] * 3, "gbrpf32le", "exr")
    info = video.probe(tmp_path / "a.exr")
    assert (info.depth, info.range, info.transfer) == (16, "full", "iec61966-2-1")
    (frame,) = all_frames(info)
    curve = [0.0, 0.0, 0.01292, 0.0404499, 0.4613561, 0.7353569, 1.0, 1.0]
    assert np.abs(frame.luma[0] / 65535 - curve).max() < 2e-5
    assert np.abs(video.read_picture(tmp_path / "a.exr")[0, :, 1] - curve).max() < 2e-5


def test_gaps_sizes_and_names_that_do_not_fit(tmp_path: Path) -> None:
    plane = grey(1)[0]

    def folder(name: str, *files: str) -> Path:
        (tmp_path / name).mkdir()
        for file in files:
            write(tmp_path / name / file, plane)
        return tmp_path / name

    for path, words in (
        (folder("gap", "f1.png", "f2.png", "f4.png"), r"missing between f2\.png and f4\.png"),
        (folder("twice", "f1.png", "f01.png"), "have the same number"),
        (folder("ragged", "f1.png", "f02.png", "f3.png"), "digits"),
        (folder("words", "f1.png", "last.png"), r"last\.png has no number"),
        (folder("mixed", "f1.png", "f2.jpg"), "2 series"),
        (folder("none"), "holds no pictures"),
        (tmp_path / "none" / "f%03d.png", "No picture matches"),
        (tmp_path / "gone.png", "does not exist"),
    ):
        with pytest.raises(VideoError, match=words):
            video.probe(path)
    sizes = folder("sizes", "f1.png", "f2.png")
    write(sizes / "f3.png", np.zeros((20, 20), np.uint8))
    with pytest.raises(VideoError, match="frame 2 is 20x20 gray, the film began as 47x33"):
        video.scan(video.probe(sizes))


def test_a_damaged_picture_is_held(tmp_path: Path) -> None:
    truth = grey(5)
    for number, plane in enumerate(truth):
        write(tmp_path / f"f{number}.png", plane)
    (tmp_path / "f3.png").write_bytes((tmp_path / "f3.png").read_bytes()[:60])
    info = video.probe(tmp_path)
    frames: list[Frame] = []
    table = video.scan(info, frames.append)
    assert table.held == (3,)
    assert [int(frame.pts) for frame in frames] == list(range(5))
    assert np.array_equal(frames[3].luma, truth[2])
    assert np.array_equal(frames[4].luma, truth[4])


# References


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_read_picture_is_exact(tmp_path: Path, suffix: str, bits: int) -> None:
    rgb = colour(bits)
    write(tmp_path / f"a.{suffix}", rgb[..., ::-1])
    found = video.read_picture(tmp_path / f"a.{suffix}")
    assert found.dtype == np.float32 and found.shape == (*SIZE, 3)
    assert np.array_equal(found, rgb.astype(np.float32) / np.float32((1 << bits) - 1))


def test_read_picture_of_other_kinds(tmp_path: Path) -> None:
    smooth = cv2.GaussianBlur(colour(), (0, 0), 4)
    for suffix in ("jpg", "webp", "bmp"):
        write(tmp_path / f"a.{suffix}", smooth[..., ::-1])
        assert np.abs(video.read_picture(tmp_path / f"a.{suffix}") - smooth / 255).mean() < 0.02
    write(tmp_path / "grey.png", grey(1)[0])
    found = video.read_picture(tmp_path / "grey.png")
    assert np.array_equal(found[..., 0], found[..., 2])
    write(tmp_path / "clear.png", np.dstack([smooth[..., ::-1], np.full(SIZE, 90, np.uint8)]))
    assert np.array_equal(video.read_picture(tmp_path / "clear.png"), smooth.astype(np.float32) / np.float32(255))
    plane = moving_planes(1, SIZE, "gray10le")[0][0]
    encode(tmp_path / "a.dpx", [plane] * 3, "gbrp10le", "dpx")
    assert np.array_equal(video.read_picture(tmp_path / "a.dpx")[..., 1], plane.astype(np.float32) / np.float32(1023))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_read_picture_turns_upright(tmp_path: Path, orientation: int) -> None:
    rgb = cv2.GaussianBlur(colour(), (0, 0), 3)
    write(tmp_path / "plain.jpg", rgb[..., ::-1])
    data = (tmp_path / "plain.jpg").read_bytes()
    tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0" + bytes([orientation, 0, 0, 0]) + b"\0\0\0\0"
    exif = b"Exif\0\0" + tiff
    marked = data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + data[2:]
    (tmp_path / "turned.jpg").write_bytes(marked)
    plain = video.read_picture(tmp_path / "plain.jpg")
    turned = {
        1: plain, 2: plain[:, ::-1], 3: plain[::-1, ::-1], 4: plain[::-1], 5: plain.transpose(1, 0, 2),
        6: np.rot90(plain, -1), 7: np.rot90(plain, 2).transpose(1, 0, 2), 8: np.rot90(plain),
    }[orientation]  # fmt: skip
    assert np.array_equal(video.read_picture(tmp_path / "turned.jpg"), turned)


def test_bad_pictures_say_so(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("not a picture")
    write(tmp_path / "cut.png", colour())
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:40])
    (tmp_path / "text.exr").write_text("not a picture")
    for name, words in (
        ("gone.png", "does not exist"),
        ("empty.png", "is empty"),
        ("text.png", r"text\.png is not a picture"),
        ("cut.png", r"cut\.png is not a picture"),
        ("text.exr", r"text\.exr is not a picture"),
        (".", "is a folder"),
    ):
        with pytest.raises(VideoError, match=words):
            video.read_picture(tmp_path / name)
