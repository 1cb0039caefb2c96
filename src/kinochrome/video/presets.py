"""How each target is written: presets by name, and the encoding that a target's suffix asks for.

PRESETS maps a name to one line. `encoding_for` picks by suffix unless a preset is named. A preset fixes the encoder,
its options and the depths and chroma layouts it may use; the depth is the source's own or the encoder's next.
A source deeper than the encoder loses its lowest bits (`web`, `jpeg`: 8 bit; `h265`, `av1`, `prores`, `dnxhr`: 10 bit;
`lossless`: 10 bit); `archive`, `png`, `tiff`, `dpx` and y4m keep all that a source can have.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import av
from av.codec.context import OptionFlags

from ..errors import MethodError, VideoError
from ..project import NUMBERED, PICTURE_SUFFIXES
from ..types import Encoding, Subsampling, VideoInfo
from .planes import Layout, layout_of

SPECIAL = ("codec", "pixel_format")
"""Options that choose the encoder and its input; all others go to the encoder as they are."""

CONTAINERS = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
    ".mkv": "matroska",
    ".webm": "webm",
    ".mxf": "mxf",
}
"""Film suffix -> FFmpeg's name of the container."""

_WHOLE_SCALE = (8, 9, 10, 12, 14, 16)


@dataclass(frozen=True)
class Preset:
    """One way to write frames: which encoder, with which options, at which depths and chroma layouts."""

    line: str
    codec: str
    suffixes: tuple[str, ...]
    """Targets it is written into; it is the default of those that name it in `DEFAULTS`."""
    depths: tuple[int, ...]
    subsamplings: tuple[Subsampling, ...]
    """What it keeps of the source's chroma layout; the first serves every other source."""
    options: dict[str, str] = field(default_factory=dict)
    smallest: tuple[int, int] = (1, 1)
    """Width and height below which the encoder refuses."""


_ARCHIVE_OPTIONS = {"level": "3", "slices": "16", "slicecrc": "1", "context": "1", "g": "1"}

_TABLE = {
    "web": Preset(
        "H.264, 8 bit, 4:2:0: plays everywhere (4:4:4 where the picture's size is odd)",
        "libx264",
        (".mp4", ".m4v", ".mov", ".mkv"),
        (8,),
        ("420",),
        # As true as `medium` at crf 16, a tenth to a fifth larger, in a third of the time: at 1080p `medium` would take
        # longer than colouring does.
        {"crf": "15", "preset": "veryfast"},
    ),
    "archive": Preset(
        "FFV1 version 3, lossless at the film's own depth and chroma layout (4:4:4 for grey film), with checksums",
        "ffv1",
        (".mkv",),
        _WHOLE_SCALE,
        # Grey film has no chroma layout to keep, and 4:4:4 keeps the edges that colour was fitted to.
        ("444", "422", "420"),
        _ARCHIVE_OPTIONS,
    ),
    "lossless": Preset(
        "H.264, lossless, 4:4:4, 8 or 10 bit: for .mp4 and .mov, where FFV1 cannot go",
        "libx264",
        (".mp4", ".m4v", ".mov", ".mkv"),
        (8, 10),
        ("444",),
        {"qp": "0", "preset": "fast"},
    ),
    "h265": Preset(
        "H.265, 10 bit, 4:2:0: smaller than web, slower",
        "libx265",
        (".mp4", ".m4v", ".mov", ".mkv"),
        (10,),
        ("420",),
        {"crf": "18", "preset": "medium"},
    ),
    "av1": Preset(
        "AV1 (SVT-AV1), 10 bit, 4:2:0: smallest",
        "libsvtav1",
        (".webm", ".mp4", ".m4v", ".mkv"),
        (10,),
        ("420",),
        {"crf": "22", "preset": "6"},
    ),
    "prores": Preset(
        "Apple ProRes 422 HQ, 10 bit: for editing",
        "prores_ks",
        (".mov", ".mxf", ".mkv"),
        (10,),
        ("422",),
        {"profile": "hq", "vendor": "apl0"},
    ),
    "dnxhr": Preset(
        "Avid DNxHR HQX, 4:2:2, 10 bit, 256x120 and larger: for editing",
        "dnxhd",
        (".mxf", ".mov"),
        (10,),
        ("422",),
        {"profile": "dnxhr_hqx"},
        smallest=(256, 120),
    ),
    "png": Preset("PNG pictures, 8 or 16 bit", "png", (".png",), (8, 16), ("444",), {"compression_level": "4"}),
    "tiff": Preset(
        "TIFF pictures, 8 or 16 bit", "tiff", (".tif", ".tiff"), (8, 16), ("444",), {"compression_algo": "deflate"}
    ),
    "jpeg": Preset(
        "JPEG pictures, 4:4:4, 8 bit, not lossless",
        "mjpeg",
        (".jpg", ".jpeg"),
        (8,),
        ("444",),
        # FFmpeg's scale 2 (best) to 31; 118 is its unit.
        {"flags": "+qscale", "global_quality": str(2 * 118)},
    ),
    "dpx": Preset("DPX pictures, 8, 10, 12 or 16 bit", "dpx", (".dpx",), (8, 10, 12, 16), ("444",)),
    "exr": Preset(
        "OpenEXR pictures, linear light, half float",
        "exr",
        (".exr",),
        (16,),
        ("444",),
        {"compression": "zip16", "format": "half"},
    ),
    "y4m": Preset(
        "raw YUV4MPEG2 for other programs, to a file or to standard output",
        "ffv1",
        (".y4m", "-"),
        _WHOLE_SCALE,
        ("444", "422", "420"),
        # Pieces wait in a lossless file until they are joined; quick to write, soon thrown away.
        {"level": "3", "slices": "4", "context": "0", "g": "1"},
    ),
}

PRESETS: dict[str, str] = {name: preset.line for name, preset in _TABLE.items()}
"""Every preset's name and what it gives, in one line."""

DEFAULTS = {
    ".mp4": "web",
    ".m4v": "web",
    ".mkv": "archive",
    ".mov": "prores",
    ".mxf": "dnxhr",
    ".webm": "av1",
    ".png": "png",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".dpx": "dpx",
    ".exr": "exr",
    ".y4m": "y4m",
    "-": "y4m",
}
"""Suffix -> the preset that it stands for."""

WRITTEN_PICTURES = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".dpx", ".exr")

_PICTURE_FORMATS = {
    "png": {8: "rgb24", 16: "rgb48be"},
    "tiff": {8: "rgb24", 16: "rgb48le"},
    "mjpeg": {8: "yuvj444p"},
    "dpx": {8: "rgb24", 10: "gbrp10le", 12: "gbrp12le", 16: "rgb48be"},
    "exr": {16: "gbrpf32le"},
}
"""Picture encoder -> depth -> pixel format."""


def encoding_for(
    target: Path | str, info: VideoInfo, preset: str | None = None, options: dict[str, str] | None = None
) -> Encoding:
    """How `target` is written for this film; an error names what is known when something is not.

    `-` and .y4m: raw video. A picture suffix: one picture if the source is one, else a sequence, whose name needs a
    number (`frame_%06d.png`). No suffix: a folder of pictures, `%06d.png` or what a picture preset says.
    `options`: the encoder's own, by FFmpeg's names, over the preset's; `codec` and `pixel_format` replace those two.
    """
    path, kind = _target_and_kind(Path(target), info, preset)
    _check_is_not_source(path, info)
    suffix = "-" if str(path) == "-" else path.suffix.lower()
    name = _preset_name(suffix, preset, path)
    chosen, given = _TABLE[name], dict(options or {})
    codec = given.pop("codec", chosen.codec)
    if kind in ("y4m", "pictures", "picture") and codec != chosen.codec:
        raise MethodError(f"The encoder of {suffix} targets cannot be changed; leave codec={codec} out.")
    encoder = find_encoder(codec)
    if codec == chosen.codec:
        _check_size(name, suffix, path, info)
    depth, subsampling = _depth(chosen, info), _subsampling(chosen, info)
    if kind in ("pictures", "picture"):
        pixel_format = _PICTURE_FORMATS[codec][depth]
        layout = Layout((), depth, "444")
    else:
        pixel_format = given.pop("pixel_format", f"yuv{subsampling}p" + (f"{depth}le" if depth > 8 else ""))
        layout = _written_layout(pixel_format)
    _check_pixel_format(encoder, pixel_format)
    check_option_names(encoder, given)
    return Encoding(
        target=path,
        kind=kind,
        preset=name,
        format=suffix if kind in ("pictures", "picture") else CONTAINERS.get(suffix, "yuv4mpegpipe"),
        codec=codec,
        pixel_format=pixel_format,
        depth=layout.depth,
        subsampling=layout.subsampling,
        # Another encoder does not know the preset's options.
        options={**(_preset_options(chosen, info) if codec == chosen.codec else {}), **given},
    )


def find_encoder(name: str) -> av.Codec:
    """PyAV's encoder of this name, or an error with the nearest names."""
    try:
        encoder = av.Codec(name, "w")
    except ValueError as error:
        known = sorted(codec for codec in av.codecs_available if _is_video_encoder(codec))
        raise MethodError(f"This build has no video encoder '{name}'.{_nearest(name, known)}") from error
    if encoder.type != "video":
        raise MethodError(f"'{name}' encodes {encoder.type}, not video. Known: {', '.join(sorted(_encoders()))}.")
    return encoder


def missing_encoder(preset: str) -> str | None:
    """The encoder of a preset if this build lacks it."""
    codec = _TABLE[preset].codec
    return None if codec in _encoders() else codec


def check_option_names(encoder: av.Codec, options: dict[str, str]) -> None:
    """An error for an option that the encoder does not know."""
    supported = encoder.create().supported_options
    generic = (option.name for option in supported.generic if option.flags & OptionFlags.ENCODING_PARAM)
    known = {*generic, *(option.name for option in supported.private)}
    for name in options:
        if name not in known:
            private = [option.name for option in supported.private]
            hint = _nearest(name, [*private, *SPECIAL, *known], private)
            raise MethodError(f"The encoder {encoder.name} has no option '{name}'.{hint}")


def _written_layout(pixel_format: str) -> Layout:
    """The layout of a pixel format that can be written: one sample a plane, no alpha, or R, G, B."""
    layout = layout_of(pixel_format)
    if layout is None or layout.alpha or layout.dtype == ">u2" or not layout.planar:
        raise MethodError(f"Pixel format {pixel_format} cannot be written; take a planar one such as yuv444p10le.")
    return layout


def _target_and_kind(
    target: Path, info: VideoInfo, preset: str | None
) -> tuple[Path, Literal["film", "pictures", "picture", "y4m"]]:
    suffix = target.suffix.lower()
    if str(target) == "-" or suffix == ".y4m":
        return target, "y4m"
    if suffix in CONTAINERS:
        if target.is_dir():
            raise VideoError(f"{target} is a folder, whose place a film would take. Name another target.")
        return target, "film"
    if not suffix or target.is_dir():
        chosen = _TABLE.get(preset or "png", _TABLE["png"])
        ending = chosen.suffixes[0] if chosen.suffixes[0] in WRITTEN_PICTURES else ".png"
        return target / f"%06d{ending}", "pictures"
    if suffix not in WRITTEN_PICTURES:
        raise VideoError(
            f"Nothing here writes {suffix} ({target}).{_nearest(suffix, list(DEFAULTS))} Known: {', '.join(DEFAULTS)}, "
            "and a folder for pictures."
        )
    if NUMBERED.search(target.name):
        if len(NUMBERED.findall(target.name)) != 1 or target.name.count("%") != 1:
            raise VideoError(f"{target}: the frame number in a picture's name is written once, as %06d.")
        return target, "pictures"
    if info.path.suffix.lower() in PICTURE_SUFFIXES and not NUMBERED.search(info.path.name) and not info.path.is_dir():
        return target, "picture"
    numbered = target.with_name(f"{target.stem}_%06d{suffix}")
    raise VideoError(f"{target} is one picture, but {info.path} is a film. Write {numbered}, or name a folder.")


def _check_is_not_source(target: Path, info: VideoInfo) -> None:
    """The source is never written; nor is the folder that its pictures lie in."""
    pictures = NUMBERED.search(target.name) and target.suffix.lower() in WRITTEN_PICTURES
    folder = info.path if info.path.is_dir() else info.path.parent
    ours, theirs = (target.parent, folder) if pictures else (target, info.path)
    if pictures and not (info.path.is_dir() or NUMBERED.search(info.path.name)):
        return
    if ours.exists() and theirs.exists() and ours.samefile(theirs):
        raise VideoError(f"{target} would be written over the source {info.path}. Name another target.")


def _preset_name(suffix: str, preset: str | None, target: Path) -> str:
    """The preset asked for, or the suffix's own."""
    if preset is None:
        return DEFAULTS[suffix]
    if preset not in _TABLE:
        raise MethodError(f"There is no preset '{preset}'.{_nearest(preset, list(_TABLE))} Known: {', '.join(_TABLE)}.")
    if suffix not in _TABLE[preset].suffixes:
        fitting = [name for name, known in _TABLE.items() if suffix in known.suffixes]
        raise VideoError(
            f"Preset {preset} is not written into {suffix} targets ({target}). Name the target "
            f"{' or '.join(_TABLE[preset].suffixes)}, or take preset {' or '.join(fitting)}."
        )
    return preset


def _check_size(name: str, suffix: str, target: Path, info: VideoInfo) -> None:
    """The film is large enough for the preset's encoder."""
    width, height = _TABLE[name].smallest
    if info.width < width or info.height < height:
        fitting = [other for other, known in _TABLE.items() if suffix in known.suffixes and other != name]
        raise VideoError(
            f"Preset {name} writes {width}x{height} and larger; {info.path} is {info.width}x{info.height}. Take "
            f"--preset {' or '.join(fitting)} for {target}."
        )


def _depth(preset: Preset, info: VideoInfo) -> int:
    """The source's depth, or the next that the encoder knows, or its deepest."""
    return min((depth for depth in preset.depths if depth >= info.depth), default=max(preset.depths))


def _subsampling(preset: Preset, info: VideoInfo) -> Subsampling:
    """The source's chroma layout where the preset keeps it; 4:4:4 where x264 or x265 would have to crop an odd size."""
    chosen = info.subsampling if info.subsampling in preset.subsamplings else preset.subsamplings[0]
    odd = bool(info.width % 2 or info.height % 2)
    return "444" if odd and chosen == "420" and preset.codec in ("libx264", "libx265") else chosen


def _preset_options(preset: Preset, info: VideoInfo) -> dict[str, str]:
    if preset.codec == "ffv1" and (info.width % 2 or info.height % 2):
        # FFV1's slices must not part two luma samples that share their chroma; FFmpeg finds a number that fits.
        return {**preset.options, "slices": "0"}
    return preset.options


def _check_pixel_format(encoder: av.Codec, pixel_format: str) -> None:
    known = [form.name for form in encoder.video_formats or ()]
    if known and pixel_format not in known:
        raise MethodError(
            f"The encoder {encoder.name} does not take {pixel_format}. Add --encoder pixel_format=NAME with one of: "
            f"{', '.join(known)}."
        )


def _encoders() -> list[str]:
    return [name for name in av.codecs_available if _is_video_encoder(name)]


def _is_video_encoder(name: str) -> bool:
    try:
        return av.Codec(name, "w").type == "video"
    except ValueError:
        return False


def _nearest(name: str, known: list[str], listed: list[str] | None = None) -> str:
    """' Did you mean …?', or a list of what there is."""
    match = difflib.get_close_matches(name, known, 1, 0.6)
    if match:
        return f" Did you mean {match[0]}?"
    return f" It has: {', '.join(sorted(listed))}." if listed else ""
