"""A lock between runs: whoever holds its file works alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from .errors import KinochromeError


@contextmanager
def held(file: Path, busy: KinochromeError) -> Iterator[None]:
    """Nobody else holds this file meanwhile, or `busy` is raised; the system lets go of it even after a crash.

    The file stays: if it were removed, one run could hold the old one and another a new one.
    """
    with file.open("wb") as handle:
        try:
            _lock(handle)
        except OSError as error:
            raise busy from error
        yield


def _lock(handle: BinaryIO) -> None:
    if os.name == "nt":
        import msvcrt

        msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    else:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
