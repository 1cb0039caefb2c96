"""Methods one behind the other, and colours handed over between pieces in both directions."""

from __future__ import annotations

import pytest
import torch

from kinochrome import chain, clips
from kinochrome.errors import MethodError
from kinochrome.segments import Handover
from kinochrome.types import Clip, Painted, Reference, Scribble, Shot
from tests.test_clips import INFO

SIZE = (6, 8)


class Teller:
    """Says where each colour comes from: b* is the clip's start, a* the frame of the reference, or -1."""

    needs = frozenset()
    uses = frozenset({"reference", "draft"})
    longest = 10

    def colorize(self, clip: Clip):
        for n in range(len(clip)):
            ab = torch.full((2, *SIZE), -1.0)
            if clip.draft is not None:
                ab = clip.draft[n] + 1
            elif clip.following is not None:
                ab = clip.following.ab
            elif clip.references:
                ab[0] = max(reference.frame or 0 for reference in clip.references)
            yield Painted(ab, torch.ones(1, *SIZE))
        return {"count": torch.tensor(len(clip))}


def step() -> chain.Step:
    return chain.Step("teller", None, Teller(), SIZE)


def reference(frame: int | None) -> Reference:
    return Reference(torch.zeros(1, *SIZE), torch.zeros(2, *SIZE), torch.ones(1, *SIZE), frame)


def test_a_later_reference_is_brought_back_over_every_piece_between() -> None:
    pieces = clips.split([Shot(0, 40)], 10)
    kept: dict[int, Handover] = {}
    ran: list[tuple[int, int]] = []

    def run_piece(piece: clips.Piece, after: Handover | None) -> chain.Outcome:
        ran.append((piece.first, piece.last))
        clip = Clip(piece.first, piece.overlap, torch.zeros(piece.last - piece.first, 1, *SIZE), (reference(33),))
        return chain.run((step(),), lambda size: clip, None, after, lambda share: None)

    after = chain.bring_back(pieces, 0, [33], run_piece, kept)
    assert after is not None and after.boundary[0].ab[0].mean() == 33
    holding = next(n for n, piece in enumerate(pieces) if piece.start <= 33 < piece.stop)
    assert sorted(kept) == list(range(holding))
    assert ran[0] == (pieces[holding].first, 34), "backward only up to the reference itself"
    ran.clear()
    chain.bring_back(pieces, 1, [33], run_piece, kept)
    assert not ran, "what was brought back is kept"


@pytest.mark.parametrize("placed", [[], [0], [5]])
def test_nothing_is_brought_back_where_nothing_lies_later(placed: list[int]) -> None:
    pieces = clips.split([Shot(0, 40)], 10)
    assert chain.bring_back(pieces, 1, placed, None, {}) is None  # type: ignore[arg-type]
    other = clips.split([Shot(0, 20), Shot(20, 40)], 10)
    assert chain.bring_back(other, 1, [30], None, {}) is None, "not from another shot"  # type: ignore[arg-type]


def test_what_scribbles_tell_of_a_frame_becomes_a_reference() -> None:
    class Doubter(Teller):
        def colorize(self, clip: Clip):
            (drawn,) = clip.scribbles
            assert len(clip) == 1 and clip.start == drawn.frame
            yield Painted(torch.where(drawn.where, drawn.ab, 7.0), drawn.where * 0.75 + 0.25)

    where = torch.zeros(1, *SIZE) > 0
    where[0, 2, 3] = True
    drawn = Scribble(9, torch.full((2, *SIZE), 30.0), where)
    light = torch.full((1, 1, *SIZE), 50.0)
    told = chain.scribbled(chain.Step("doubter", None, Doubter(), SIZE), Clip(9, 0, light, (), (drawn,)))
    assert told.frame == 9 and torch.equal(told.lightness, light[0])
    assert told.ab[0].unique().tolist() == [7, 30] and told.confidence.unique().tolist() == [0.25, 1]
    assert clips.backward_starts([reference(20), told]) == [20], "it leaves a part open"


def test_a_shot_is_coloured_frame_for_frame() -> None:
    painted = list(
        chain.colour_shot(
            (step(),), Shot(0, 25), 10,
            lambda size, first, last: torch.zeros(last - first, 1, *size), lambda size: [reference(0)],
        )
    )  # fmt: skip
    assert len(painted) == 25


def test_each_output_is_the_next_ones_draft() -> None:
    clip = Clip(0, 0, torch.zeros(4, 1, *SIZE), (reference(2),))
    told: list[float] = []
    outcome = chain.run((step(), step()), lambda size: clip, None, None, told.append)
    assert [float(said[0].ab[0].mean()) for said in outcome.said] == [2, 3]
    assert sum(told) == pytest.approx(4)
    assert [int(carried["count"]) for carried in outcome.carried if carried] == [4, 4]


def test_a_method_that_breaks_its_word_is_named() -> None:
    class Short(Teller):
        def colorize(self, clip: Clip):
            yield from []

    broken = chain.Step("short", None, Short(), SIZE)
    clip = Clip(7, 0, torch.zeros(4, 1, *SIZE))
    with pytest.raises(MethodError, match="short coloured 0 of 4 frames from frame 7"):
        chain.run((broken,), lambda size: clip, None, None, lambda share: None)


def test_methods_are_loaded_as_they_are_named() -> None:
    (flow,) = chain.load("flow", {}, "cpu", INFO, 20)
    assert flow.size == (20, 36)
    with pytest.raises(MethodError, match="makes nothing of a draft"):
        chain.load("flow, flow", {}, "cpu", INFO, None)
