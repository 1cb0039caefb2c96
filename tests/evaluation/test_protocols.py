"""Each protocol: what is given, what is scored, to the frame."""

from __future__ import annotations

import pytest

from kinochrome.errors import MethodError
from kinochrome.evaluation.protocols import PROTOCOLS, Task, protocol_of


@pytest.mark.parametrize(
    ("name", "count", "given", "scored"),
    [
        ("first-frame", 5, (0,), (1, 2, 3, 4)),
        ("first-and-last", 5, (0, 4), (1, 2, 3)),
        ("every-3", 8, (0, 3, 6), (1, 2, 4, 5, 7)),
        ("automatic", 3, (), (0, 1, 2)),
        ("scribbles", 3, (), (0, 1, 2)),
    ],
)
def test_one_task_over_the_clip(name: str, count: int, given: tuple[int, ...], scored: tuple[int, ...]) -> None:
    (task,) = protocol_of(name).tasks(count)
    assert (task.start, task.stop) == (0, count)
    assert task.references == given
    assert task.scored == scored


def test_every_few_frames_reads_well_whatever_the_number() -> None:
    assert protocol_of("every-3").text.startswith("one true frame in 3 is given, from the first;")


def test_windows_of_90() -> None:
    tasks = protocol_of("bistnet-90").tasks(200)
    assert [(task.start, task.stop, task.references) for task in tasks] == [(0, 90, (0, 89)), (90, 180, (90, 179))]
    # Frames 6 to 85, counted from 1: as many are left out before as after.
    assert [(task.scored[0], task.scored[-1], len(task.scored)) for task in tasks] == [(5, 84, 80), (95, 174, 80)]
    assert len(protocol_of("bistnet-90").tasks(90)) == 1


def test_photographs_are_tasks_of_their_own() -> None:
    rules = protocol_of("still")
    assert rules.stills
    assert rules.tasks(3) == [Task(k, k + 1, (), (k,)) for k in range(3)]


def test_strokes_are_counted_in_the_name() -> None:
    assert protocol_of("scribbles").tasks(4)[0].strokes == 10
    assert protocol_of("scribbles-3").tasks(4)[0].strokes == 3


@pytest.mark.parametrize(("name", "shortest"), [("first-frame", 2), ("first-and-last", 3), ("bistnet-90", 90)])
def test_too_short_a_clip_has_no_task(name: str, shortest: int) -> None:
    rules = protocol_of(name)
    assert rules.shortest == shortest
    assert rules.tasks(shortest - 1) == []
    assert rules.tasks(shortest)


def test_given_frames_are_scored_where_that_is_asked_for() -> None:
    rules = protocol_of("first-and-last", include_exemplar=True)
    assert rules.tasks(4)[0].scored == (0, 1, 2, 3)
    assert "so are the given frames" in rules.text


@pytest.mark.parametrize("name", ["automatic", "still", "scribbles", "bistnet-90"])
def test_no_given_frame_to_include(name: str) -> None:
    with pytest.raises(MethodError, match="--include-exemplar does not go with"):
        protocol_of(name, include_exemplar=True)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("frist-frame", "did you mean 'first-frame'"),
        ("every-N", "write a number"),
        ("every-1", "2 or more"),
        ("scribbles-0", "draws no stroke"),
        ("nonsense", "There are: first-frame"),
    ],
)
def test_names_that_are_none(name: str, text: str) -> None:
    with pytest.raises(MethodError, match=text):
        protocol_of(name)


def test_every_protocol_says_what_it_does() -> None:
    for name in PROTOCOLS:
        assert protocol_of(name.replace("-N", "-7")).text
