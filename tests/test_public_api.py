"""What other programs rely on: the names of the package and the words of `colorize`."""

from __future__ import annotations

import inspect
import math
from dataclasses import fields
from pathlib import Path

import pytest

import kinochrome
from kinochrome import cli
from kinochrome.errors import HintError
from kinochrome.plan import Job

NAMES = (
    *("Clip", "Frame", "KinochromeError", "Method", "Painted", "Reference", "Shot", "VideoInfo"),
    *("colorize", "find_shots", "probe", "stream"),
)

SPELLED_OTHERWISE = {
    "reference": "references",
    "scribble": "scribbles",
    "set_": "options",
    "from_": "start",
    "to": "stop",
}
"""The command's word -> the function's, where they differ."""

FOR_THE_SCREEN = {"as_json"}


def test_the_names() -> None:
    assert kinochrome.__all__ == sorted(NAMES)
    assert set(NAMES) < set(dir(kinochrome))


@pytest.mark.parametrize("name", NAMES)
def test_every_name_loads_and_is_documented(name: str) -> None:
    assert inspect.getdoc(getattr(kinochrome, name))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="colourise"):
        kinochrome.colourise  # noqa: B018


def test_the_version_is_the_packages() -> None:
    text = (Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8")
    assert f'version = "{kinochrome.__version__}"' in text


def test_the_function_knows_every_word_of_the_command() -> None:
    words = set(inspect.signature(cli.colorize).parameters) - FOR_THE_SCREEN
    settings = {field.name for field in fields(Job)}
    # Not of one job: a folder of photographs is as many.
    assert {SPELLED_OTHERWISE.get(word, word) for word in words} == settings | {"photographs"}


def test_errors_are_one_family() -> None:
    from kinochrome import errors

    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and kind is not errors.KinochromeError]
    assert len(kinds) >= 5
    codes = [kind.exit_code for kind in kinds]  # type: ignore[attr-defined]
    assert all(issubclass(kind, kinochrome.KinochromeError) for kind in kinds)
    assert len(set(codes)) == len(codes) and min(codes) > 2, "each has an exit code of its own"


@pytest.mark.parametrize("time", [math.inf, -math.inf, math.nan, -1.0, b"12"])
def test_a_time_that_is_none_is_told_and_what_to_give(time: object) -> None:
    with pytest.raises(HintError, match=r"colorize\(stop=.* is not a time in the film\. Give seconds"):
        kinochrome.colorize("film.mkv", "colour.mkv", stop=time)
