"""What sweeping methods share: things made ahead, in order, whatever ends the sweep."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
import torch

from kinochrome.sweeps import AHEAD, ahead


def made(make: Callable[[int], object], count: int) -> Iterator[object]:
    return (make(index) for index in range(count))


@pytest.fixture
def threads() -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(6)
    yield 6
    torch.set_num_threads(before)


def test_things_are_made_in_order_in_another_thread():
    places = set()

    def make(index: int) -> int:
        places.add(threading.current_thread().name)
        return index * index

    assert list(ahead(made(make, 3))) == [0, 1, 4]
    assert list(ahead(made(make, 1))) == [0]
    assert list(ahead(made(make, 0))) == []
    assert threading.current_thread().name not in places


def test_only_the_next_few_are_made_while_one_is_used():
    begun = [threading.Event() for _ in range(AHEAD + 2)]
    walk = ahead(made(lambda index: begun[index].set(), len(begun)))
    next(walk)
    assert begun[AHEAD].wait(60)
    walk.close()
    assert not begun[AHEAD + 1].is_set()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("kinochrome-ahead")]


def test_both_threads_take_half_of_the_processor(threads: int):
    walk = ahead(made(lambda index: torch.get_num_threads(), 2))
    assert next(walk) == threads // 2
    assert torch.get_num_threads() == threads // 2
    walk.close()
    assert torch.get_num_threads() == threads


def test_what_goes_wrong_is_raised_where_it_is_used(threads: int):
    def make(index: int) -> int:
        if index == 1:
            raise ValueError("the second")
        return index

    walk = ahead(made(make, 3))
    assert next(walk) == 0
    with pytest.raises(ValueError, match="the second"):
        next(walk)
    assert torch.get_num_threads() == threads
