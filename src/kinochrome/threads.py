"""How many threads OpenCV and PyTorch use: settings of the process, which films coloured at the same time share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock

import cv2
import torch


@dataclass
class Lowered:
    """A number of threads, lower while anybody holds it; who comes later finds what the first one found."""

    read: Callable[[], int]
    write: Callable[[int], None]
    low: Callable[[int], int]
    """The lower number, by the one that was found."""
    each: bool
    """It is set for the calling thread, and for threads to come; otherwise for all."""
    _lock: Lock = field(default_factory=Lock)
    _holders: int = 0
    _found: int = 0

    def usual(self) -> int:
        """The number while nobody holds it."""
        with self._lock:
            return self._found if self._holders else self.read()

    @contextmanager
    def held(self) -> Iterator[None]:
        with self._lock:
            self._found = self._found if self._holders else self.read()
            self._holders += 1
            self.write(self.low(self._found))
        try:
            yield
        finally:
            with self._lock:
                self._holders -= 1
                self.write(self._found if self.each or not self._holders else self.low(self._found))


opencv_alone = Lowered(cv2.getNumThreads, cv2.setNumThreads, lambda found: 1, each=False)
"""OpenCV works in the calling thread alone.

On small pictures its threads cost more than they bring, and the encoder can use the cores.
"""
half_of_pytorch = Lowered(torch.get_num_threads, torch.set_num_threads, lambda found: max(1, found // 2), each=True)
"""What two threads compute at once takes half of PyTorch's threads each: more than there are cores only wait."""
