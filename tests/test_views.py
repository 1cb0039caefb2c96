"""Frames that a sweep remembers: which of them stay, when one is found again, and what comes back of it."""

from __future__ import annotations

import numpy as np

from kinochrome import views
from kinochrome.views import LATEST, MOST, Shown, Views


def shown(level: int, sure: float = 1.0) -> Shown:
    """An even frame, whose blueness tells its lightness."""
    ab = np.dstack([np.zeros((24, 32), np.float32), np.full((24, 32), level / 2, np.float32)])
    return np.full((24, 32), level, np.uint8), ab, np.full((24, 32), sure, np.float32)


def remembered(*frames: Shown) -> Views:
    found: Views = ()
    for frame in frames:
        found = views.remember(found, frame)
    return found


def levels(found: Views) -> list[int]:
    return [int(view.picture[0, 0]) for view in found]


def test_what_is_like_one_that_is_remembered_is_not_remembered_again():
    assert levels(remembered(shown(100), shown(102), shown(104))) == [100, 104]


def test_of_many_the_first_stays_and_what_is_seen_twice_goes():
    steps = range(4, 4 + 9 * MOST, 9)
    full = remembered(*map(shown, steps))
    assert levels(full) == [*steps]
    # Between two that are remembered, and less sure than they are: when one more comes, it is not missed.
    doubtful = views.remember(full[:-1], shown(8, sure=0.5))
    assert levels(views.remember(doubtful, shown(250))) == [*steps[:-1], 250]
    # Surer than its neighbour, it takes its place.
    surer = views.remember(remembered(*(shown(level, sure=0.5) for level in steps[:-1])), shown(8))
    assert levels(views.remember(surer, shown(250))) == [*steps[1:-1], 8, 250]


def test_an_earlier_one_is_found_only_where_the_film_is_back():
    found = remembered(*map(shown, range(0, 250, 20)))
    back = views.nearest(found, shown(43)[0])
    assert back is not None and back.picture[0, 0] == 40
    ab, confidence = views.colours(back)
    assert np.all(ab == [0, 20]) and np.all(confidence == 1)
    for level in levels(found)[-LATEST:]:
        assert views.nearest(found, shown(level)[0]) is None, "the film goes on from there"
    assert views.nearest(found[:LATEST], shown(0)[0]) is None


def test_what_is_handed_over_is_the_same_afterwards():
    found = remembered(*map(shown, range(0, 250, 20)))
    again = views.unpacked(views.packed(found))
    assert all(np.array_equal(one.planes, other.planes) for one, other in zip(found, again, strict=True))
    assert all(np.array_equal(one.small, other.small) for one, other in zip(found, again, strict=True))
