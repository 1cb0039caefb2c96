"""Every way to colour a clip: one line here, one file beside it."""

from __future__ import annotations

import dataclasses
import importlib
import typing
from collections.abc import Mapping
from typing import Any

from kinochrome.errors import MethodError, did_you_mean
from kinochrome.types import Method

METHODS: dict[str, str] = {
    "kino": "the default: a trained network that takes any mix of hints, or none",
    "flow": "carries the colours of references along the motion; no network, no weights, the fastest",
    "bistnet": "BiSTNet 2022: two references, matched and carried both ways, drawn coarse to fine",
    "lstvc": "LSTVC 2023: one reference matched by two heads, in blocks of frames linked to each other",
    "vcgan": "VCGAN 2022: colours photographs and films by itself, each frame told of the one before",
}

DEFAULT = "kino"
"""What colours a film unless another is asked for: the best that `docs/experiments.md` has measured."""

_TRUTH = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def load(name: str) -> type[Method]:
    """The class of a method: `kinochrome.methods.<name>`'s class of that name in CamelCase."""
    if name not in METHODS:
        hint = did_you_mean(name, METHODS)
        raise MethodError(f"There is no method {name!r}{hint} `kinochrome methods` lists them all.")
    module = importlib.import_module(f"{__name__}.{name}")
    return getattr(module, name.title().replace("_", ""))


def parse_options(name: str, given: Mapping[str, str]) -> Any:
    """The method's frozen `Options`, its defaults replaced by what texts such as {"quality": "best"} say."""
    options = load(name).Options
    kinds = typing.get_type_hints(options)
    for option in given:
        if option not in kinds:
            known = f"It has: {', '.join(kinds)}." if kinds else "It has none."
            raise MethodError(f"Method {name} has no option {option!r}{did_you_mean(option, kinds)} {known}")
    values = {option: _parse(f"{name}.{option}", text, kinds[option]) for option, text in given.items()}
    try:
        return dataclasses.replace(options(), **values)
    except ValueError as error:
        raise MethodError(f"Method {name} cannot work with {_shown(given)}: {error}") from error


def _parse(where: str, text: str, kind: Any) -> Any:
    """`text` as a bool, int, float, str or one of a Literal's choices."""
    if typing.get_origin(kind) is typing.Literal:
        choices = typing.get_args(kind)
        if text not in choices:
            listed = ", ".join(choices)
            raise MethodError(f"{where}={text} is unknown{did_you_mean(text, choices)} Choose one of: {listed}.")
        return text
    if kind is bool:
        if text.lower() not in _TRUTH:
            raise MethodError(f"{where}={text} is neither true nor false.")
        return _TRUTH[text.lower()]
    try:
        return kind(text)
    except ValueError as error:
        wanted = {int: "a whole number", float: "a number"}.get(kind, kind.__name__)
        raise MethodError(f"{where}={text} is not {wanted}.") from error


def _shown(given: Mapping[str, str]) -> str:
    return ", ".join(f"{option}={text}" for option, text in given.items())
