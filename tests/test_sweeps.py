"""What sweeping methods share: things made one ahead, in order, whatever ends the sweep."""

from __future__ import annotations

import threading

import pytest

from kinochrome.sweeps import ahead


def test_things_are_made_in_order_in_another_thread():
    places = set()

    def make(index: int) -> int:
        places.add(threading.current_thread().name)
        return index * index

    assert list(ahead(make, range(3, 6))) == [9, 16, 25]
    assert list(ahead(make, range(7, 8))) == [49]
    assert list(ahead(make, range(0))) == []
    assert threading.current_thread().name not in places


def test_the_next_one_alone_is_made_while_one_is_used():
    begun = [threading.Event() for _ in range(3)]
    walk = ahead(lambda index: begun[index].set(), range(3))
    next(walk)
    assert begun[1].wait(60)
    walk.close()
    assert not begun[2].is_set()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("kinochrome-ahead")]


def test_what_goes_wrong_is_raised_where_it_is_used():
    def make(index: int) -> int:
        if index == 1:
            raise ValueError("the second")
        return index

    walk = ahead(make, range(3))
    assert next(walk) == 0
    with pytest.raises(ValueError, match="the second"):
        next(walk)
