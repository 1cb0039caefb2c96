"""What rows hand to methods: references, strokes, drafts; and what the baselines paste."""

from __future__ import annotations

import sys
import weakref
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import numpy as np
import pytest
import torch

from kinochrome import methods
from kinochrome.errors import MethodError
from kinochrome.evaluation.evaluate import Job, evaluate
from kinochrome.evaluation.footage import TrueClip, find
from kinochrome.evaluation.grey import Lstar
from kinochrome.evaluation.protocols import protocol_of
from kinochrome.evaluation.rows import KEPT, CopyRow, MethodRow, check_needs, true_frame
from kinochrome.metrics.picture import Picture
from kinochrome.types import Clip, Painted
from tests.evaluation.data import write_data


@dataclass(frozen=True)
class NoOptions:
    """Nothing can be set."""


class Brush:
    """Paints every frame in the mean colour of the strokes, grey where it got none."""

    needs, uses, longest, Options = frozenset({"scribble"}), frozenset({"scribble"}), 3, NoOptions

    def __init__(self, options: NoOptions, device: str) -> None: ...

    def working_size(self, height: int, width: int) -> tuple[int, int]:
        return height // 2, width // 2

    def colorize(self, clip: Clip):
        size = clip.lightness.shape[-2:]
        colours = [one.ab[:, one.where[0]].mean(dim=1) for one in clip.scribbles] or [torch.zeros(2)]
        for _ in range(len(clip)):
            yield Painted(torch.stack(colours).mean(dim=0)[:, None, None].expand(2, *size), torch.ones(1, *size))


class Halve(Brush):
    """Makes its draft half as colourful."""

    needs, uses = frozenset({"draft"}), frozenset({"draft"})

    def colorize(self, clip: Clip):
        assert clip.draft is not None
        for ab in clip.draft:
            yield Painted(ab / 2, torch.ones(1, *ab.shape[1:]))


class Glance(Brush):
    """Looks at every reference it is shown and remembers what it saw as long as others do."""

    needs, uses = frozenset({"reference"}), frozenset({"reference"})
    seen: ClassVar[list[weakref.ref]] = []

    def colorize(self, clip: Clip):
        for one in clip.references:
            assert one.frame is not None and one.lightness.shape[0] == one.confidence.shape[0] == 1
            self.seen.append(weakref.ref(one.ab))
        for _ in range(len(clip)):
            yield Painted(torch.zeros(2, *clip.lightness.shape[-2:]), torch.ones(clip.lightness.shape[1:]))


@pytest.fixture(autouse=True)
def three_methods(monkeypatch: pytest.MonkeyPatch) -> None:
    """These stand in the table as if they were methods of the program."""
    for kind in (Brush, Halve, Glance):
        name = kind.__name__.lower()
        module = ModuleType(name)
        setattr(module, kind.__name__, kind)
        monkeypatch.setitem(sys.modules, f"kinochrome.methods.{name}", module)
        monkeypatch.setitem(methods.METHODS, name, "for a test")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"), {"bear": 5})


@pytest.fixture
def clip(data: Path) -> TrueClip:
    return find(data)[0]


def test_a_method_gets_the_strokes_at_its_working_size(clip: TrueClip) -> None:
    row = MethodRow("brush", {}, Lstar(), None, "cpu")
    (task,) = protocol_of("scribbles-4").tasks(5)
    true = true_frame(clip, 0)
    frames = [Picture(paint(true)) for paint in row.paints(clip, task)]
    assert len(frames) == 5
    means = [frame.lab[1:].mean(axis=(1, 2)) for frame in frames]
    assert np.abs(means[0]).max() > 2, "the piece that holds frame 0 has them"
    assert np.abs(means[4]).max() < 0.1, "pieces after it have not: strokes lie on their own frame"


def test_drafts_are_what_the_method_before_said(clip: TrueClip, data: Path, tmp_path: Path) -> None:
    row = MethodRow("flow,halve", {}, Lstar(), None, "cpu")
    (task,) = protocol_of("first-frame").tasks(5)
    drafts = row.drafts(clip, task)
    assert drafts is not None
    true = true_frame(clip, 3)
    whole = list(drafts)[3](true)
    half = list(row.paints(clip, task))[3](true)
    strengths = [np.abs(Picture(one).lab[1:]).mean() for one in (half, whole)]
    assert strengths[0] == pytest.approx(strengths[1] / 2, rel=0.05)
    assert MethodRow("flow", {}, Lstar(), None, "cpu").drafts(clip, task) is None
    found = evaluate(Job(data, tmp_path, "first-frame", ("flow,halve",), metrics=("data_fidelity",)))
    by_hand = -10 * np.log10(np.square(half.astype(float) - whole).mean())
    at = found.scores["flow,halve"]["bear"]
    assert at.frames["data_fidelity"][at.index.index(3)] == pytest.approx(by_hand, abs=0.01)
    assert found.means["grey"]["data_fidelity"] is None, "no draft stands behind it"


def test_given_frames_of_a_long_clip_are_not_all_kept(tmp_path: Path) -> None:
    (clip,) = find(write_data(tmp_path, {"long": 41}))
    (task,) = protocol_of("every-2").tasks(41)
    Glance.seen.clear()
    for _ in MethodRow("glance", {}, Lstar(), None, "cpu").paints(clip, task):
        assert len({id(ab) for one in Glance.seen if (ab := one()) is not None}) <= KEPT
    assert len(Glance.seen) > 41


def test_copy_pastes_the_nearest_given_frame(clip: TrueClip) -> None:
    (task,) = protocol_of("first-and-last").tasks(5)
    true = true_frame(clip, 2)
    paints = list(CopyRow(Lstar()).paints(clip, task))
    for index, nearest in ((1, 0), (2, 0), (3, 4)):
        expected = Lstar().pasted(true, true_frame(clip, nearest).lab[1:])
        assert np.array_equal(paints[index](true), expected), index
    for index in (0, 4):
        assert np.array_equal(paints[index](true), true.given), "given: its own colours"


@pytest.mark.parametrize(
    ("names", "protocol", "text"),
    [
        ("flow", "automatic", "flow needs a reference, which the protocol automatic does not give"),
        ("brush", "first-frame", "brush needs a scribble, which the protocol first-frame does not give"),
        ("halve", "automatic", "halve needs a draft"),
    ],
)
def test_what_a_protocol_does_not_give(names: str, protocol: str, text: str) -> None:
    with pytest.raises(MethodError, match=text):
        check_needs(names, protocol_of(protocol))


def test_a_method_must_make_something_of_what_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Brush, "needs", frozenset())
    with pytest.raises(MethodError, match="brush makes nothing of a reference"):
        check_needs("brush", protocol_of("first-frame"))
    check_needs("flow,halve", protocol_of("first-frame"))
