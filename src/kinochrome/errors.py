"""Every error that Kinochrome raises on purpose.

    KinochromeError
    ├── VideoError    (OSError)       a film, picture or stream that cannot be read, written or joined
    ├── HintError     (ValueError)    a reference, scribble or shot list that does not fit the film
    ├── MethodError   (ValueError)    an unknown method or option, or a need that nothing meets
    ├── WeightsError  (RuntimeError)  a checkpoint that is missing, damaged or of another architecture
    ├── ProjectError  (RuntimeError)  a project folder of another film or of a newer version
    └── TrainingError (RuntimeError)  a recipe, data or run of training that cannot go on

Each text says what happened, where (file, frame, shot) and what to do about it.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class KinochromeError(Exception):
    """What all of them share; `exit_code` is what the command line ends with."""

    exit_code = 1


class VideoError(KinochromeError, OSError):
    """A film, picture or stream that cannot be read, written or joined."""

    exit_code = 3


class HintError(KinochromeError, ValueError):
    """A reference, scribble or shot list that does not fit the film."""

    exit_code = 4


class MethodError(KinochromeError, ValueError):
    """An unknown method or option, or a need of the method that nothing meets."""

    exit_code = 5


class WeightsError(KinochromeError, RuntimeError):
    """A checkpoint that is missing, damaged or of another architecture."""

    exit_code = 6


class ProjectError(KinochromeError, RuntimeError):
    """A project folder that belongs to another film or to a newer version."""

    exit_code = 7


class TrainingError(KinochromeError, RuntimeError):
    """A recipe, data or run of training that cannot go on."""

    exit_code = 8


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """How the sentence on an unknown word ends: with the one that was meant, if one is near."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else "."
