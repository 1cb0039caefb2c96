"""Films kept as numbered pictures, and single pictures."""

from __future__ import annotations

import io
import itertools
import re
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from ..errors import VideoError
from ..project import NUMBERED, PICTURE_SUFFIXES, is_picture
from .planes import encoded, layout_of, read_letters

RATE = Fraction(24)
"""Frames a second of pictures when nobody says: cinema's."""

LAST_NUMBER = re.compile(r"(\d+)(?!.*\d)")


def is_pictures(path: Path) -> bool:
    """Whether a path means pictures: a folder, a printf pattern such as `frame_%04d.png`, or one picture file."""
    return path.is_dir() or path.suffix.lower() in PICTURE_SUFFIXES


def picture_input(path: Path, rate: Fraction | None = None) -> tuple[str, dict[str, str]] | None:
    """(url, options) for FFmpeg's image2 reader; None where the path is not pictures."""
    if not is_pictures(path):
        return None
    options = {"framerate": str(rate or RATE)}
    if _is_many(path):
        files = picture_files(path)
        if len(files) > 1:
            pattern, first = _sequence(path, files)
            return f"file:{pattern}", {**options, "pattern_type": "sequence", "start_number": str(first)}
        path = files[0]
    check_file(path)
    return f"file:{path}", {**options, "pattern_type": "none"}


def check_file(path: Path) -> None:
    """An error where there is no file, or nothing in it."""
    if not path.exists():
        raise VideoError(f"{path} does not exist. Check the name and the folder.")
    if path.is_file() and path.stat().st_size == 0:
        raise VideoError(f"{path} is empty (0 bytes). Copy it again from where it came from.")


def source_files(path: Path) -> list[Path]:
    """The files that a source is made of: itself, or its pictures in order."""
    return picture_files(path) if _is_many(path) else [path]


def picture_files(path: Path) -> list[Path]:
    """The pictures of a folder or pattern, in the order of the number in their names; gaps are errors."""
    if _is_pattern(path):
        behind = NUMBERED.split(path.name, maxsplit=1)[-1]
        if NUMBERED.search(behind) or LAST_NUMBER.search(Path(behind).stem):
            raise VideoError(f"{path} has a number behind its pattern. Let the pattern be the last number in the name.")
        files = matching(path)
        if not files:
            raise VideoError(f"No picture matches {path}. Check the folder and how many digits the numbers have.")
        return _in_order(path, files)
    pictures = [file for file in path.iterdir() if is_picture(file)]
    if not pictures:
        kinds = " ".join(sorted(PICTURE_SUFFIXES))
        raise VideoError(f"{path} holds no pictures ({kinds}). Name the folder that has them, or a film.")
    if len(pictures) == 1:
        return pictures
    series: set[str] = set()
    for file in pictures:
        found = LAST_NUMBER.search(file.stem)
        if found is None:
            raise VideoError(
                f"{file} has no number in its name, so its place is unknown. Rename it or move it away; or, "
                f"if {path} holds photographs, each to be coloured by itself, add --photographs."
            )
        series.add(f"{file.stem[: found.start()]}#{file.stem[found.end() :]}{file.suffix}")
    if len(series) > 1:
        names = ", ".join(sorted(series)[:4])
        raise VideoError(f"{path} holds {len(series)} series of pictures ({names}). Leave one, or name its pattern.")
    return _in_order(path, pictures)


def _number(file: Path) -> int:
    return int(_digits(file))


def _digits(file: Path) -> str:
    found = LAST_NUMBER.search(file.stem)
    assert found is not None, file
    return found[1]


def _in_order(path: Path, files: list[Path]) -> list[Path]:
    files = sorted(files, key=_number)
    for before, after in itertools.pairwise(files):
        step = _number(after) - _number(before)
        if step == 0:
            raise VideoError(f"{path}: {before.name} and {after.name} have the same number. Give each its own.")
        if step > 1:
            what = f"pictures are missing between {before.name} and {after.name}"
            raise VideoError(f"{path}: {what}. Number them without gaps.")
    return files


def _is_many(path: Path) -> bool:
    return path.is_dir() or _is_pattern(path)


def _is_pattern(path: Path) -> bool:
    return NUMBERED.search(path.name) is not None and not path.exists()


def matching(path: Path) -> list[Path]:
    """The files that a printf pattern means."""
    found = NUMBERED.search(path.name)
    assert found is not None
    before, after = path.name[: found.start()], path.name[found.end() :]
    width = int(found[1] or 0)
    named = re.compile(re.escape(before) + (rf"\d{{{width},}}" if width else r"\d+") + re.escape(after))
    return [file for file in path.parent.iterdir() if named.fullmatch(file.name)] if path.parent.is_dir() else []


def _sequence(path: Path, files: list[Path]) -> tuple[Path, int]:
    """A printf pattern for all pictures and the first number."""
    found = LAST_NUMBER.search(files[0].stem)
    assert found is not None
    width = min(len(_digits(file)) for file in files)
    before, after = files[0].stem[: found.start()], files[0].stem[found.end() :] + files[0].suffix
    for file in files:
        if file.name != f"{before}{_number(file):0{width}d}{after}":
            raise VideoError(f"{path}: {file.name} has more or fewer digits than the rest. Pad all to the same width.")
    # A percent sign that belongs to a folder or file name must not be taken for the number's place.
    folder, before, after = (text.replace("%", "%%") for text in (str(files[0].parent), before, after))
    return Path(folder) / f"{before}%0{width}d{after}", int(found[1])


def read_picture(path: Path, as_codes: bool = False) -> np.ndarray:
    """R'G'B' of a picture, float32 (height, width, 3), 0..1, turned upright as its EXIF tag says.

    `as_codes`: uint8 where it is of 8 bit, which is quicker.

    PNG, JPEG, WebP, TIFF, BMP, DPX and EXR, 8 or 16 bit, floats by the sRGB curve. Transparency and ICC profiles are
    ignored.
    """
    check_file(path)
    if path.is_dir():
        raise VideoError(f"{path} is a folder, not a picture. Name one file in it.")
    try:
        data = path.read_bytes()
    except PermissionError as error:
        raise VideoError(f"{path} may not be read (permission denied). Give yourself the right to read it.") from error
    return decode_picture(data, path, as_codes)


def decode_picture(data: bytes, path: Path, as_codes: bool = False) -> np.ndarray:
    """`read_picture` of a file that is in memory already, within a tar maybe; `path` is its name."""
    if path.suffix.lower() in (".exr", ".dpx"):  # OpenCV's wheels come without either
        return _decode_film_picture(data, path)
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    except cv2.error:  # a header that promises more than OpenCV will hold
        picture = None
    if picture is None:
        raise VideoError(f"{path} is not a picture that can be read, or it is damaged. Save it again as PNG.")
    if as_codes and picture.dtype == np.uint8:
        return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
    return _scaled(path, picture[..., ::-1])


def _decode_film_picture(data: bytes, path: Path) -> np.ndarray:
    """A picture in one of film's own formats, by FFmpeg."""
    try:
        with av.open(io.BytesIO(data), "r", format=f"{path.suffix.lower()[1:]}_pipe") as container:
            frame = next(container.decode(video=0))
    except (av.error.FFmpegError, StopIteration) as error:
        raise VideoError(
            f"{path} is not a picture that can be read, or it is damaged. Save it again as PNG."
        ) from error
    layout = layout_of(frame.format.name)
    if layout is None:
        raise VideoError(f"{path} has the unsupported pixel format '{frame.format.name}'. Save it again as PNG.")
    letters = read_letters(frame)
    rgb = np.stack([letters[name if layout.rgb else "Y"] for name in "RGB"], axis=-1)
    if rgb.dtype.kind == "u":
        return rgb.astype(np.float32) / np.float32((1 << layout.depth) - 1)
    return _scaled(path, rgb)


def _scaled(path: Path, rgb: np.ndarray) -> np.ndarray:
    if rgb.dtype.kind == "f":
        rgb = encoded(rgb)
    if rgb.dtype not in (np.uint8, np.uint16):
        raise VideoError(f"{path} has samples of type {rgb.dtype}. Save it again as 8- or 16-bit PNG.")
    return rgb.astype(np.float32) / np.float32(255 if rgb.dtype == np.uint8 else 65535)
