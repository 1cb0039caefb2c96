"""Engines: image colorizers of others, exported to ONNX and described by a small TOML file (`docs/engines.md`).

An engine colours each frame by itself and asks for no hints, so it colours stills and first references
(`proposals.py`); a film that it coloured alone would flicker, so no `--method` takes one. Its model is a file that the
user has, or has got from the catalogue of weights: nothing is downloaded here. The model's own scalings stand in the
TOML file and end here.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import re
import tomllib
import typing
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F

from . import color, sweeps, weights
from .errors import MethodError, WeightsError, did_you_mean
from .types import Clip, Painted

Size = tuple[int, ...]
Numbers = tuple[float, ...]
Zeros = dict[str, int]

CONFIDENCE = 0.5
"""Of every colour: a guess, and the model does not say how good."""
PLANES = {"lightness": 1, "grey": 1, "grey-rgb": 3, "ab": 2, "rgb": 3}
"""How many each kind has."""
FARTHEST = {"ab": 256.0, "rgb": 2.0}
"""No colour lies farther from zero, so what does was scaled another way."""
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider", "mps": "CoreMLExecutionProvider"}
"""Device -> what onnxruntime calls it."""
NUMBERS = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
"""What onnxruntime calls the planes that a model may take -> their type."""


@dataclass(frozen=True)
class Input:
    """What the model sees: (plane * scale - mean) / std."""

    planes: Literal["lightness", "grey", "grey-rgb"]
    """L* 0..100; or the sRGB grey of that L*, 0..1, once or as R', G', B'."""
    size: Size
    """(height, width) that each frame is brought to; or, for a model of any size, the short side that suits it."""
    multiple: int = 1
    """Of this a model of any size wants its sides."""
    scale: Numbers = (1.0,)
    mean: Numbers = (0.0,)
    std: Numbers = (1.0,)
    zeros: Zeros = field(default_factory=dict)
    """Further inputs, such as hints that nobody gives -> their planes: they are fed zeros."""


@dataclass(frozen=True)
class Output:
    """What the model says: value * scale + offset."""

    planes: Literal["ab", "rgb"]
    """CIELAB a*, b*; or sRGB 0..1, of which only a*, b* are taken."""
    scale: Numbers = (1.0,)
    offset: Numbers = (0.0,)
    name: str = ""
    """Which one, where the model has several."""


@dataclass(frozen=True)
class EngineOptions:
    """What an engine's TOML file says."""

    name: str
    model: str
    """The ONNX file; in the TOML file beside that, or a name of the catalogue; once read a path."""
    licence: str
    """Of the model."""
    source: str
    """Where the model is from."""
    input: Input
    output: Output
    sha256: str = ""
    """Of the ONNX file; another one is then refused."""


def load(file: Path, device: str = "cpu") -> Engine:
    """The engine that a TOML file describes, its model open on the device."""
    return Engine(read(file), device)


class Engine:
    """A model of others as a method that needs no hints; see the module."""

    needs: ClassVar[frozenset[str]] = frozenset()
    uses: ClassVar[frozenset[str]] = frozenset()
    longest = 72
    onward: ClassVar[Literal[True]] = True
    Options: ClassVar[type] = EngineOptions

    def __init__(self, options: EngineOptions, device: str = "cpu") -> None:
        self.options = options
        self._session = _opened(options, device)
        self._fed, self._zeros = _inputs(self._session, options)
        self._told = _output(self._session, options)

    def working_size(self, height: int, width: int) -> tuple[int, int]:
        """The short side that the model sees, never larger than the film."""
        return sweeps.working_size(height, width, min(self.options.input.size))

    def colorize(self, clip: Clip) -> Generator[Painted, None, None]:
        """One `Painted` a frame, each by itself."""
        for lightness in clip.lightness:
            yield Painted(self._ab(lightness), torch.full_like(lightness, CONFIDENCE))

    def _ab(self, lightness: torch.Tensor) -> torch.Tensor:
        """(2, h, w) of (1, h, w)."""
        inside, outside = self.options.input, self.options.output
        planes = _seen(_resized(lightness, self._model_size(*lightness.shape[-2:])), inside.planes)
        planes = (planes * _a_plane(inside.scale) - _a_plane(inside.mean)) / _a_plane(inside.std)
        values = torch.from_numpy(self._run(planes.numpy())) * _a_plane(outside.scale) + _a_plane(outside.offset)
        # Put so that what is no number is caught, too.
        if not (values.abs() <= FARTHEST[outside.planes]).all():
            raise MethodError(
                f"{self.options.model} said {outside.planes} from {values.min():.4g} to {values.max():.4g}, which is "
                "no colour: let scale and offset of [output], or scale, mean and std of [input], be the model's own."
            )
        ab = values if outside.planes == "ab" else color.lab_from_rgb(values.clamp(0, 1))[1:]
        return _resized(ab, lightness.shape[-2:])

    def _model_size(self, height: int, width: int) -> tuple[int, int]:
        """(h, w) of what the model sees of a frame of this size."""
        size, multiple = self.options.input.size, self.options.input.multiple
        if len(size) == 2:
            return size[0], size[1]
        return max(1, round(height / multiple)) * multiple, max(1, round(width / multiple)) * multiple

    def _run(self, planes: np.ndarray) -> np.ndarray:
        """(c, h, w) of the model's output, float32, for (c, h, w) of its input."""
        shape = planes.shape[-2:]
        feed = {name: np.zeros((1, count, *shape), kind) for name, (count, kind) in self._zeros.items()}
        name, kind = self._fed
        wanted = PLANES[self.options.output.planes]
        try:
            (said,) = self._session.run([self._told], {name: planes[None].astype(kind), **feed})
        # onnxruntime's errors have no class in common but this one.
        except Exception as error:
            raise WeightsError(
                f"{self.options.model} failed on a frame of {shape[0]}x{shape[1]}: {_line(error)}. "
                "Let size and multiple of [input] be what the model takes."
            ) from error
        if said.ndim != 4 or said.shape[:2] != (1, wanted):
            raise WeightsError(
                f"{self.options.model} said {_shown(said.shape)}, not {_shown((1, wanted, 'height', 'width'))}: "
                "[output] planes or name is of another model."
            )
        return said[0].astype(np.float32)


def _seen(lightness: torch.Tensor, planes: str) -> torch.Tensor:
    """The planes, before any scaling, of (1, h, w) lightness."""
    if planes == "lightness":
        return lightness
    grey = color.rgb_from_lab(F.pad(lightness, (0, 0, 0, 0, 0, 2)))
    return grey if planes == "grey-rgb" else grey[1:2]


def _resized(planes: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """(c, h, w) at another size, bilinear; averaged where it shrinks."""
    if planes.shape[-2:] == tuple(size):
        return planes.clone()
    return F.interpolate(planes[None], tuple(size), mode="bilinear", antialias=True)[0]


def _a_plane(numbers: Numbers) -> torch.Tensor:
    """One for each plane, or one for all."""
    return torch.tensor(numbers).view(-1, 1, 1)


# --- The TOML file ---


def read(file: Path) -> EngineOptions:
    """What an engine's TOML file says, checked; the model itself is not looked at."""
    try:
        given = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise MethodError(f"{file} cannot be read as an engine's TOML file: {error}.") from error
    options: EngineOptions = _table(EngineOptions, given, str(file))
    if len(options.input.size) == 2 and options.input.multiple != 1:
        raise MethodError(f"{file}, [input]: multiple goes with size = SHORT SIDE, for a model that takes any size.")
    if options.sha256 and not re.fullmatch("[0-9a-fA-F]{64}", options.sha256):
        raise MethodError(f"{file}: sha256 must be the 64 digits that `sha256sum MODEL` prints.")
    if 0 in options.input.std:
        raise MethodError(f"{file}, [input]: std divides, so it cannot be 0; 1 changes nothing.")
    for name, table, keys in (
        ("input", options.input, ("scale", "mean", "std")),
        ("output", options.output, ("scale", "offset")),
    ):
        for key in keys:
            count, planes = len(getattr(table, key)), PLANES[table.planes]
            if count not in (1, planes):
                raise MethodError(
                    f"{file}, [{name}]: {key} has {count} numbers, but {table.planes} {planes} planes. Give one for "
                    "each, or one for all."
                )
    return _placed(options, file.parent)


def _placed(options: EngineOptions, folder: Path) -> EngineOptions:
    """The same with the model's path. What the catalogue lists has its checksum, and the command that gets it."""
    listed = weights.CATALOGUE.get(options.model)
    if listed is None or listed.purpose != "engines":
        return replace(options, model=str(folder / options.model))
    source = f"`kinochrome weights get {options.model}` ({options.source})"
    path = str(weights.folder() / listed.file)
    return replace(options, model=path, source=source, sha256=options.sha256 or listed.sha256)


def _table(kind: type, given: Mapping[str, Any], where: str) -> Any:
    """A dataclass of one table; no key is unknown, none is missing, each is of its kind."""
    fields = {one.name: one for one in dataclasses.fields(kind)}
    kinds = typing.get_type_hints(kind)
    for key in given:
        if key not in fields:
            hint = did_you_mean(key, fields)
            raise MethodError(f"{where}: there is no {key!r}{hint} The keys here: {', '.join(fields)}.")
    values = {}
    for key, one in fields.items():
        if key not in given:
            if one.default is one.default_factory is dataclasses.MISSING:
                raise MethodError(f"{where}: {key} is missing; it must be {_wanted(key, kinds[key])}.")
            continue
        if dataclasses.is_dataclass(kinds[key]) and isinstance(given[key], dict):
            values[key] = _table(typing.cast(type, kinds[key]), given[key], f"{where}, [{key}]")
        else:
            values[key] = _fitting(given[key], kinds[key])
        if values[key] is None:
            raise MethodError(f"{where}: {key} = {given[key]!r} must be {_wanted(key, kinds[key])}.")
    return kind(**values)


def _fitting(value: Any, kind: Any) -> Any:
    """The value as its kind, or None where it is of another."""
    listed = value if isinstance(value, list) else [value]
    if kind == Numbers:
        numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in listed)
        return tuple(map(float, listed)) if numbers and listed and all(map(math.isfinite, listed)) else None
    if kind == Size:
        return tuple(listed) if all(map(_counts, listed)) and len(listed) == 1 + isinstance(value, list) else None
    if kind == Zeros:
        return value if isinstance(value, dict) and all(map(_counts, value.values())) else None
    if typing.get_origin(kind) is Literal:
        return value if value in typing.get_args(kind) else None
    if kind is int:
        return value if _counts(value) else None
    return value if kind is str and isinstance(value, str) and value.strip() else None


def _counts(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _wanted(key: str, kind: Any) -> str:
    """How an error describes a kind."""
    if dataclasses.is_dataclass(kind):
        return f"a table: [{key}], and its keys below"
    if typing.get_origin(kind) is Literal:
        return f"one of {', '.join(map(repr, typing.get_args(kind)))}"
    if kind == Numbers:
        return "a finite number, or a list of one for each plane"
    if kind == Size:
        return "[HEIGHT, WIDTH], or the SHORT SIDE for a model that takes any size; whole numbers above 0"
    if kind == Zeros:
        return "a table {NAME = PLANES}"
    return "a whole number above 0" if kind is int else "a text in quotes"


# --- The model ---


def _opened(options: EngineOptions, device: str) -> Any:
    """onnxruntime's session of the model, on the device and nowhere else."""
    try:
        import onnxruntime
    except ImportError as error:
        raise MethodError(
            f"The engine {options.name} needs onnxruntime, which is not installed: pip install 'kinochrome[onnx]'"
        ) from error
    _check_file(options)
    provider = PROVIDERS.get(device, device)
    if provider not in onnxruntime.get_available_providers():
        more = "pip install onnxruntime-gpu in place of onnxruntime, or " if device == "cuda" else ""
        raise MethodError(
            f"The engine {options.name} cannot run on {device}: this onnxruntime knows no {provider}. "
            f"Do: {more}--device cpu."
        )
    # It sends usage data where Microsoft built it for Windows; no word of a film leaves the machine.
    onnxruntime.disable_telemetry_events()
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = torch.get_num_threads()
    settings.use_deterministic_compute = True
    # Warnings are on the export, which nobody here can change; 3 keeps errors.
    settings.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(options.model, settings, providers=[provider])
    # As above: they have no class in common but this one.
    except Exception as error:
        raise WeightsError(
            f"{options.model} cannot be opened as an ONNX model: {_line(error)}. Get it again from: {options.source}"
        ) from error
    if session.get_providers()[0] != provider:
        raise MethodError(f"The engine {options.name}: onnxruntime could not start {provider}. Do: --device cpu.")
    return session


def _check_file(options: EngineOptions) -> None:
    """The model is there, and the one that the TOML file means."""
    model = Path(options.model)
    if not model.is_file():
        raise WeightsError(
            f"{model} is missing, the model of the engine {options.name}. Nothing is downloaded for you: get it from "
            f"{options.source}, or correct the key model."
        )
    if options.sha256:
        with model.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        if digest != options.sha256.lower():
            raise WeightsError(
                f"{model} has the sha256 {digest}, not {options.sha256.lower()}: it is damaged or another model. Get "
                f"it again from: {options.source}. If another one is meant, correct the key sha256."
            )


def _inputs(session: Any, options: EngineOptions) -> tuple[tuple[str, type], dict[str, tuple[int, type]]]:
    """Name and type of the input that is fed the frame; planes and type of those that are fed zeros."""
    inside, there = options.input, {one.name: one for one in session.get_inputs()}
    fed = [name for name in there if name not in inside.zeros]
    if len(fed) != 1 or any(name not in there for name in inside.zeros):
        raise MethodError(
            f"{options.model} has the inputs {', '.join(there)}. All but the one for the frame must stand in zeros of "
            f"[input], and no others: zeros = {{{', '.join(f'{name} = PLANES' for name in list(there)[1:])}}}"
        )
    planes = {fed[0]: PLANES[inside.planes], **inside.zeros}
    sides = inside.size if len(inside.size) == 2 else ("any height", "any width")
    for name, one in there.items():
        wanted = (1, planes[name], *sides)
        if one.type not in NUMBERS:
            raise WeightsError(f"{options.model}: {name} takes {one.type}, not float32 or float16: export it so.")
        if not _fits(one.shape, wanted):
            raise WeightsError(
                f"{options.model}: {name} takes {_shown(one.shape)}, but by [input] it is {_shown(wanted)}. Let "
                "planes, size and zeros be the model's; one of another order of planes, or of more than one frame at "
                "once, must be exported anew."
            )
    kinds = {name: NUMBERS[one.type] for name, one in there.items()}
    return (fed[0], kinds[fed[0]]), {name: (count, kinds[name]) for name, count in inside.zeros.items()}


def _output(session: Any, options: EngineOptions) -> str:
    """Name of the output that holds the colours."""
    there, outside = {one.name: one for one in session.get_outputs()}, options.output
    if outside.name not in there and (outside.name or len(there) != 1):
        raise MethodError(f"{options.model} has the outputs {', '.join(there)}. Choose one as name of [output].")
    name = outside.name or next(iter(there))
    shape, wanted = there[name].shape, PLANES[outside.planes]
    # Not every export knows the shape of what it says; then the first frame tells.
    if shape and (len(shape) != 4 or (isinstance(shape[1], int) and shape[1] != wanted)):
        raise WeightsError(
            f"{options.model}: {name} is {_shown(shape)}, but by [output] {_shown((1, wanted, 'height', 'width'))}. "
            "Let planes and name be the model's."
        )
    return name


def _fits(shape: Sequence[Any], wanted: Sequence[Any]) -> bool:
    """Whether each side of a model is that which is wanted, or open; sides that are wanted in words must be open."""
    return len(shape) == len(wanted) and all(
        not isinstance(side, int) or side == want for side, want in zip(shape, wanted, strict=True)
    )


def _shown(shape: Sequence[Any]) -> str:
    return f"[{', '.join('any' if side is None else str(side) for side in shape)}]"


def _line(error: Exception) -> str:
    """What an error says, its first line, without a full stop."""
    return str(error).partition("\n")[0].rstrip(".")
