"""Work done ahead of need, in a thread of its own."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


def in_background(
    make: Callable[[], Generator[T, None, None]], weigh: Callable[[T], int], limit: int
) -> Generator[T, None, None]:
    """The items of `make()`, produced in a thread that runs ahead by at most `limit` (as weighed) or one item.

    An exception of the producer is raised here after the items before it. Closing this iterator, or leaving the loop
    over it, ends the thread and closes the producer before it returns.
    """
    queue: _Queue[T] = _Queue(limit)

    def produce() -> None:
        error: BaseException | None = None
        try:
            items = make()
            try:
                for item in items:
                    if not queue.put(item, weigh(item)):
                        break
            finally:
                items.close()
        except BaseException as raised:
            error = raised
        queue.end(error)

    thread = threading.Thread(target=produce, name="kinochrome-decode", daemon=True)
    thread.start()
    try:
        yield from queue
    finally:
        queue.abandon()
        thread.join()


class _Queue(Generic[T]):
    """One producer, one consumer, bounded by weight; items go out in order."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.items: deque[tuple[T, int]] = deque()
        self.weight = 0
        self.ended = self.abandoned = False
        self.error: BaseException | None = None
        self.changed = threading.Condition()

    def put(self, item: T, weight: int) -> bool:
        """Waits for room; False once nobody reads any more."""
        with self.changed:
            self.changed.wait_for(lambda: self.abandoned or not self.items or self.weight + weight <= self.limit)
            if self.abandoned:
                return False
            self.items.append((item, weight))
            self.weight += weight
            self.changed.notify_all()
        return True

    def end(self, error: BaseException | None) -> None:
        with self.changed:
            self.ended, self.error = True, error
            self.changed.notify_all()

    def abandon(self) -> None:
        with self.changed:
            self.abandoned = True
            self.items.clear()
            self.changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self.items or self.ended)
                if not self.items:
                    if self.error is not None:
                        raise self.error
                    return
                item, weight = self.items.popleft()
                self.weight -= weight
                self.changed.notify_all()
            yield item
