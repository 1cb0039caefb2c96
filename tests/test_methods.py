"""The contract that every method keeps, and how methods and their options are found."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import typing
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from kinochrome import methods, weights
from kinochrome.errors import MethodError
from kinochrome.methods import METHODS
from kinochrome.types import Clip, Painted, Reference, Scribble

RED = (60.0, 40.0)
FRAMES = 5


def make_clip(name: str, frames: int = FRAMES, size: tuple[int, int] = (48, 64), start: int = 7) -> Clip:
    """A panning texture, one half of it coloured, with every hint that the method uses."""
    random = np.random.default_rng(1)
    canvas = cv2.GaussianBlur(random.normal(size=(size[0], size[1] + frames)), (0, 0), 2)
    canvas = (50 + 100 * canvas).clip(5, 95).astype(np.float32)
    lightness = torch.from_numpy(np.stack([canvas[None, :, k : k + size[1]] for k in range(frames)]))
    ab = torch.zeros(2, *size)
    ab[:, : size[0] // 2] = torch.tensor(RED)[:, None, None]
    uses = methods.load(name).uses
    return Clip(
        start=start,
        overlap=0,
        lightness=lightness,
        references=(Reference(lightness[0], ab, torch.ones(1, *size), start),) if "reference" in uses else (),
        scribbles=(Scribble(start, ab, torch.ones(1, *size) > 0),) if "scribble" in uses else (),
        draft=ab.expand(frames, 2, *size).clone() if "draft" in uses else None,
    )


def make_method(name: str) -> typing.Any:
    return methods.load(name)(methods.parse_options(name, {}), "cpu")


def run(name: str, clip: Clip) -> tuple[list[Painted], dict[str, torch.Tensor] | None]:
    generator, said = make_method(name).colorize(clip), []
    while True:
        try:
            said.append(next(generator))
        except StopIteration as end:
            return said, end.value


def tensors_of(clip: Clip) -> list[torch.Tensor]:
    found = [clip.lightness]
    for hint in (*clip.references, *clip.scribbles, *filter(None, (clip.previous, clip.following))):
        found += [value for value in vars(hint).values() if isinstance(value, torch.Tensor)]
    return found + ([clip.draft] if clip.draft is not None else []) + list((clip.carried or {}).values())


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("size", [(48, 64), (37, 53), (90, 31)])
def test_one_painted_a_frame_in_shape_and_range(name, size):
    said, _ = run(name, make_clip(name, size=size))
    assert len(said) == FRAMES
    for painted in said:
        assert painted.ab.shape == (2, *size) and painted.confidence.shape == (1, *size)
        assert painted.ab.dtype == painted.confidence.dtype == torch.float32
        assert torch.isfinite(painted.ab).all() and painted.ab.abs().max() <= 150
        assert painted.confidence.min() >= 0 and painted.confidence.max() <= 1


@pytest.mark.parametrize("name", METHODS)
def test_frames_come_in_order(name):
    """Nearer the reference a frame agrees with it at least as well; a reversed answer would not."""
    clip = make_clip(name)
    moved = [painted.ab for painted in run(name, clip)[0]]
    same = run(name, dataclasses.replace(clip, lightness=clip.lightness[:3]))[0]
    for index, painted in enumerate(same):
        assert torch.allclose(painted.ab, moved[index], atol=20)
    assert not torch.equal(moved[0], moved[-1])


@pytest.mark.parametrize("name", METHODS)
def test_the_same_clip_gives_the_same_answer_and_stays_as_it_was(name):
    clip = make_clip(name)
    before = [tensor.clone() for tensor in tensors_of(clip)]
    method = make_method(name)
    first, again = list(method.colorize(clip)), list(method.colorize(clip))
    fresh = run(name, clip)[0]
    for one, two, three in zip(first, again, fresh, strict=True):
        assert torch.equal(one.ab, two.ab) and torch.equal(one.ab, three.ab)
        assert torch.equal(one.confidence, two.confidence)
    assert all(torch.equal(old, new) for old, new in zip(before, tensors_of(clip), strict=True))


@pytest.mark.parametrize("name", METHODS)
def test_a_clip_of_one_frame(name):
    assert len(run(name, make_clip(name, frames=1))[0]) == 1


@pytest.mark.parametrize("name", METHODS)
def test_what_it_carries_is_a_flat_dict_of_tensors_that_it_takes_back(name):
    clip = make_clip(name)
    said, carried = run(name, clip)
    assert carried is None or all(isinstance(value, torch.Tensor) for value in carried.values())
    after = dataclasses.replace(
        clip,
        start=clip.start + FRAMES - 1,
        overlap=1,
        lightness=clip.lightness.flip(0),
        previous=said[-1],
        carried=carried,
    )
    assert len(run(name, after)[0]) == FRAMES


@pytest.mark.parametrize("name", METHODS)
def test_a_missing_need_is_an_error(name):
    if not methods.load(name).needs:
        pytest.skip("needs nothing")
    bare = dataclasses.replace(make_clip(name), references=(), scribbles=(), draft=None)
    with pytest.raises(MethodError, match="7"):
        run(name, bare)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("side", ["previous", "following"])
def test_colours_flow_from_the_neighbouring_pieces(name, side):
    """Half of the picture is red in what the neighbour said; so it is here, without a reference."""
    if "reference" not in methods.load(name).uses:
        pytest.skip("takes no colours from pictures")
    clip = make_clip(name)
    ab = clip.references[0].ab
    said = Painted(ab, torch.ones(1, *ab.shape[1:]))
    alone = dataclasses.replace(
        clip, references=(), scribbles=(), overlap=1 if side == "previous" else 0, **{side: said}
    )
    for painted in run(name, alone)[0]:
        red, grey = painted.ab[0, 4:16].mean(), painted.ab[0, 32:44].mean()
        assert red > 45 and abs(grey) < 15


@pytest.mark.parametrize("name", METHODS)
def test_the_class_says_what_it_is(name):
    method = methods.load(name)
    assert method.needs <= method.uses <= {"reference", "scribble", "draft"}
    made = make_method(name)
    assert made.longest >= 2
    for film in ((480, 854), (854, 480), (1, 1), (30, 2000)):
        height, width = made.working_size(*film)
        assert 1 <= height <= film[0] and 1 <= width <= film[1]
    assert METHODS[name] and "\n" not in METHODS[name]


@pytest.mark.parametrize("name", METHODS)
def test_options_are_frozen_and_each_is_explained(name):
    options = methods.load(name).Options
    assert dataclasses.is_dataclass(options) and options.__dataclass_params__.frozen  # type: ignore[attr-defined]
    body = next(
        node.body
        for node in ast.walk(ast.parse(inspect.getsource(inspect.getmodule(options))))
        if isinstance(node, ast.ClassDef) and node.name == options.__name__
    )
    for field in dataclasses.fields(options):
        place = next(
            n for n, node in enumerate(body) if isinstance(node, ast.AnnAssign) and node.target.id == field.name
        )
        after = body[place + 1] if place + 1 < len(body) else None
        assert isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant), f"{field.name} has no docstring"


@pytest.mark.parametrize("name", METHODS)
def test_an_option_that_is_read_from_a_file_counts_by_what_that_holds(name):
    """Or a run would go on with pieces of other weights: the name of such an option stands in FILE_OPTIONS."""
    kinds = typing.get_type_hints(methods.load(name).Options)
    written = {"heads"}  # a folder that a method only writes into
    assert {option for option, kind in kinds.items() if kind in (str, Path)} <= weights.FILE_OPTIONS | written


def test_an_unknown_method_names_the_nearest():
    with pytest.raises(MethodError, match=r"'folw'; did you mean 'flow'\?"):
        methods.load("folw")


def test_options_are_read_from_text():
    assert methods.parse_options("flow", {}) == methods.load("flow").Options()
    assert methods.parse_options("flow", {"quality": "best"}).quality == "best"


def test_an_unknown_option_names_the_nearest_and_all():
    with pytest.raises(MethodError, match=r"'qualty'; did you mean 'quality'\? It has: .*quality"):
        methods.parse_options("flow", {"qualty": "best"})


def test_a_value_out_of_the_choices_lists_them():
    with pytest.raises(MethodError, match=r"flow\.quality=bets is unknown; did you mean 'best'\?.*fast, good, best"):
        methods.parse_options("flow", {"quality": "bets"})


@dataclasses.dataclass(frozen=True)
class Kinds:
    steps: int = 3
    strength: float = 0.5
    wide: bool = False
    tint: str = "none"

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError("steps must be 1 or more")


@pytest.fixture
def kinds(monkeypatch):
    """A method whose options are of every kind."""
    monkeypatch.setattr(methods, "load", lambda name: type("Any", (), {"Options": Kinds}))


def test_numbers_truths_and_words_are_parsed(kinds):
    given = {"steps": "7", "strength": "0.25", "wide": "Yes", "tint": "sepia"}
    assert methods.parse_options("any", given) == Kinds(7, 0.25, True, "sepia")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"steps": "many"}, "any.steps=many is not a whole number"),
        ({"strength": "strong"}, "any.strength=strong is not a number"),
        ({"wide": "perhaps"}, "any.wide=perhaps is neither true nor false"),
        ({"steps": "0"}, "steps=0: steps must be 1 or more"),
    ],
)
def test_bad_values_say_what_is_wanted(kinds, given, said):
    with pytest.raises(MethodError, match=said):
        methods.parse_options("any", given)
