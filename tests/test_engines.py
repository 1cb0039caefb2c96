"""Engines: models of others say what their TOML file says they say, at every size; what does not fit is refused."""

from __future__ import annotations

import dataclasses
import hashlib
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from kinochrome import chain, engines, weights
from kinochrome.errors import KinochromeError, MethodError, WeightsError
from kinochrome.types import Clip, Shot
from tests.test_docs import blocks

PAGE = Path(__file__).parent.parent / "docs" / "engines.md"
ANY = ("height", "width")
OPEN = [1, 1, *ANY]

ABOUT = """
name = "tiny"
model = "tiny.onnx"
licence = "CC0"
source = "made by this test"
"""
PLAIN = """
[input]
planes = "lightness"
size = [6, 8]
[output]
planes = "ab"
"""


def described(tmp_path: Path, tables: str = PLAIN, about: str = ABOUT) -> Path:
    file = tmp_path / "tiny.toml"
    file.write_text(about + tables, encoding="utf-8")
    return file


def save(
    tmp_path: Path, nodes: list, inputs: dict, outputs: dict, numbers: dict, kind: int = TensorProto.FLOAT
) -> None:
    """An ONNX file; `inputs` and `outputs` are name -> shape, `numbers` the constants by name."""
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(np.asarray(one), name) for name, one in numbers.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, tmp_path / "tiny.onnx")


def save_linear(tmp_path: Path, weight: list, bias: list, shape: list | None = None, half: bool = False) -> None:
    """A model that says weight @ planes + bias of each pixel."""
    number = np.float16 if half else np.float32
    numbers = {"w": np.array(weight, number)[..., None, None], "b": np.array(bias, number)}
    kind = TensorProto.FLOAT16 if half else TensorProto.FLOAT
    shape = shape or [1, numbers["w"].shape[1], *ANY]
    said = [shape[0], len(bias), *shape[2:]]
    save(tmp_path, [helper.make_node("Conv", ["x", "w", "b"], ["y"])], {"x": shape}, {"y": said}, numbers, kind)


def save_measuring(tmp_path: Path, shape: list) -> None:
    """A model that says a tenth of the height, and a tenth of the width, that it sees."""
    nodes = [
        helper.make_node("Shape", ["x"], ["sides"], start=2, end=4),
        helper.make_node("Cast", ["sides"], ["number"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["number", "form"], ["planes"]),
        helper.make_node("Mul", ["x", "nothing"], ["blank"]),
        helper.make_node("Add", ["blank", "planes"], ["whole"]),
        helper.make_node("Mul", ["whole", "tenth"], ["y"]),
    ]
    numbers = {"form": np.array([1, 2, 1, 1]), "nothing": np.float32(0), "tenth": np.float32(0.1)}
    save(tmp_path, nodes, {"x": shape}, {"y": [1, 2, *shape[2:]]}, numbers)


def light(frames: int = 1, height: int = 6, width: int = 8) -> torch.Tensor:
    return torch.rand(frames, 1, height, width, generator=torch.Generator().manual_seed(3)) * 100


def said(file: Path, lightness: torch.Tensor) -> torch.Tensor:
    """(T, 2, h, w)"""
    return torch.stack([one.ab for one in engines.load(file).colorize(Clip(0, 0, lightness))])


def close(ab: torch.Tensor, a: object, b: object, within: float = 1e-3) -> bool:
    true = torch.stack([torch.as_tensor(one, dtype=torch.float32).expand(ab.shape[-2:]) for one in (a, b)])
    return torch.allclose(ab, true.expand_as(ab), atol=within, rtol=0)


# --- What an engine says ---


def test_colours_are_what_the_model_says_of_each_frame(tmp_path):
    save_linear(tmp_path, [[0.5], [-0.25]], [0, 3])
    lightness = light(3)
    ab = said(described(tmp_path), lightness)
    assert ab.shape == (3, 2, 6, 8) and ab.dtype == torch.float32
    for one, frame in zip(ab, lightness, strict=True):
        assert close(one, 0.5 * frame[0], 3 - 0.25 * frame[0])


def test_confidence_is_the_same_everywhere_and_less_than_sure(tmp_path):
    save_linear(tmp_path, [[1], [1]], [0, 0])
    for one in engines.load(described(tmp_path)).colorize(Clip(0, 0, light(2))):
        assert one.confidence.shape == (1, 6, 8)
        assert (one.confidence == engines.CONFIDENCE).all() and 0 < engines.CONFIDENCE < 1


def test_the_clip_stays_as_it_was_and_the_answer_the_same(tmp_path):
    save_linear(tmp_path, [[0.5], [-0.25]], [0, 3])
    lightness = light(2, 9, 13)
    before = lightness.clone()
    engine = engines.load(described(tmp_path))
    first, again = (list(engine.colorize(Clip(0, 0, lightness))) for _ in range(2))
    assert torch.equal(lightness, before)
    assert all(torch.equal(one.ab, two.ab) for one, two in zip(first, again, strict=True))


@pytest.mark.parametrize(
    ("keys", "true"),
    [
        ("", 40.0),
        ("mean = 50", -10.0),
        ("mean = 50\nstd = 100", -0.1),
        ("scale = 2\nmean = 50\nstd = 10", 3.0),
    ],
)
def test_input_is_scaled_then_the_mean_taken_off_then_divided(tmp_path, keys, true):
    save_linear(tmp_path, [[1], [0]], [0, 7])
    file = described(tmp_path, PLAIN.replace("[output]", f"{keys}\n[output]"))
    assert close(said(file, torch.full((1, 1, 6, 8), 40.0))[0], true, 7)


def test_grey_is_the_srgb_of_the_lightness(tmp_path):
    """L* 50 is the sRGB code 118.9 of 255 (scikit-image and others agree)."""
    save_linear(tmp_path, [[255], [0]], [0, 0])
    ab = said(described(tmp_path, PLAIN.replace("lightness", "grey")), torch.full((1, 1, 6, 8), 50.0))
    assert close(ab[0], 118.9, 0, within=0.1)


def test_grey_rgb_has_three_planes_each_with_its_own_numbers(tmp_path):
    save_linear(tmp_path, [[10, 0, 0], [0, 1, 10]], [0, 0])
    keys = "mean = [0.485, 0.456, 0.406]\nstd = [0.229, 0.224, 0.225]"
    file = described(tmp_path, PLAIN.replace('"lightness"', f'"grey-rgb"\n{keys}'))
    # White is 1 in all three.
    a, b = 10 * (1 - 0.485) / 0.229, (1 - 0.456) / 0.224 + 10 * (1 - 0.406) / 0.225
    assert close(said(file, torch.full((1, 1, 6, 8), 100.0))[0], a, b, within=5e-3)


def test_what_it_says_is_scaled_and_shifted_a_plane(tmp_path):
    save_linear(tmp_path, [[0], [0]], [0.5, -0.5])
    assert close(said(described(tmp_path, PLAIN + "scale = 110"), light())[0], 55, -55)
    assert close(said(described(tmp_path, PLAIN + "scale = [110, 2]\noffset = [1, -7]"), light())[0], 56, -8)


@pytest.mark.parametrize(
    ("values", "keys"), [([1, 0, 0], ""), ([1.3, -0.2, 0], ""), ([255, 0, 0], "scale = 0.00392156862745098")]
)
def test_of_rgb_only_the_colour_is_taken(tmp_path, values, keys):
    """sRGB's red has a* 80.09, b* 67.20."""
    save_linear(tmp_path, [[0], [0], [0]], values)
    file = described(tmp_path, PLAIN.replace('"ab"', f'"rgb"\n{keys}'))
    assert close(said(file, light())[0], 80.09, 67.20, within=0.02)


def test_a_model_in_half_precision_is_fed_it(tmp_path):
    save_linear(tmp_path, [[0.5], [-0.25]], [0, 3], half=True)
    lightness = light()
    ab = said(described(tmp_path), lightness)
    assert ab.dtype == torch.float32
    assert close(ab[0], 0.5 * lightness[0, 0], 3 - 0.25 * lightness[0, 0], within=0.1)


def test_hints_that_nobody_gives_are_zeros(tmp_path):
    """As SIGGRAPH-17 with its hints and their mask: 10 * L + 5 * hint + 99 * mask, and the second hint."""
    numbers = {"w": np.array([[0.1, 5, 0, 99], [0, 0, 1, 0]], np.float32)[..., None, None]}
    nodes = [
        helper.make_node("Concat", ["light", "hints", "mask"], ["all"], axis=1),
        helper.make_node("Conv", ["all", "w"], ["y"]),
    ]
    shapes = {"light": OPEN, "hints": [1, 2, *ANY], "mask": OPEN}
    save(tmp_path, nodes, shapes, {"y": [1, 2, *ANY]}, numbers)
    lightness = light()
    file = described(tmp_path, PLAIN.replace("[output]", "zeros = { hints = 2, mask = 1 }\n[output]"))
    assert close(said(file, lightness)[0], lightness[0, 0] / 10, 0)


def test_one_of_several_outputs_is_chosen_by_name(tmp_path):
    nodes = [helper.make_node("Conv", ["x", "w", "b"], ["classes"]), helper.make_node("Neg", ["classes"], ["colours"])]
    numbers = {"w": np.zeros((2, 1, 1, 1), np.float32), "b": np.array([4, -9], np.float32)}
    save(tmp_path, nodes, {"x": OPEN}, {"classes": [1, 2, *ANY], "colours": [1, 2, *ANY]}, numbers)
    assert close(said(described(tmp_path, PLAIN + 'name = "colours"'), light())[0], -4, 9)
    with pytest.raises(MethodError, match=r"outputs classes, colours\. Choose one"):
        engines.load(described(tmp_path))
    with pytest.raises(MethodError, match=r"outputs classes, colours\. Choose one"):
        engines.load(described(tmp_path, PLAIN + 'name = "colors"'))


# --- Sizes ---


@pytest.mark.parametrize("size", [(6, 8), (48, 20), (5, 3)])
def test_a_model_of_one_size_sees_that_size_whatever_the_clip_has(tmp_path, size):
    save_measuring(tmp_path, [1, 1, 6, 8])
    ab = said(described(tmp_path), light(1, *size))
    assert ab.shape == (1, 2, *size)
    assert close(ab[0], 0.6, 0.8)


@pytest.mark.parametrize(("size", "sides"), [((64, 96), (64, 96)), ((50, 90), (64, 96)), ((9, 47), (32, 32))])
def test_a_model_of_any_size_sees_the_nearest_multiples(tmp_path, size, sides):
    save_measuring(tmp_path, OPEN)
    ab = said(described(tmp_path, PLAIN.replace("[6, 8]", "240\nmultiple = 32")), light(1, *size))
    assert ab.shape == (1, 2, *size)
    assert close(ab[0], sides[0] / 10, sides[1] / 10)


@pytest.mark.parametrize("size", [(12, 16), (60, 80), (24, 64)])
def test_colours_lie_where_the_light_that_made_them_does(tmp_path, size):
    """Lightness that rises evenly to the right and downward is the same slope at any size, borders apart."""
    save_linear(tmp_path, [[1], [-1]], [0, 0], [1, 1, 24, 32])
    down = (torch.arange(size[0]) + 0.5)[:, None] / size[0]
    right = (torch.arange(size[1]) + 0.5) / size[1]
    lightness = 20 + 20 * down + 50 * right
    ab = said(described(tmp_path, PLAIN.replace("[6, 8]", "[24, 32]")), lightness[None, None])[0]
    inner = slice(size[0] // 6, -size[0] // 6), slice(size[1] // 6, -size[1] // 6)
    assert close(ab[:, *inner], lightness[inner], -lightness[inner], within=0.3)


def test_what_shrinks_is_averaged(tmp_path):
    """Every fourth column is white; of four columns made one, none is lost."""
    save_linear(tmp_path, [[1], [1]], [0, 0])
    stripes = torch.zeros(1, 1, 6, 32)
    stripes[..., ::4] = 100
    inner = said(described(tmp_path), stripes)[0, :, :, 8:24]
    assert close(inner, 25, 25, within=5)


def test_ab_may_come_smaller_than_the_frame_went(tmp_path):
    pool = helper.make_node("AveragePool", ["x"], ["small"], kernel_shape=[2, 2], strides=[2, 2])
    numbers = {"w": np.array([[1], [0.5]], np.float32)[..., None, None]}
    save(tmp_path, [pool, helper.make_node("Conv", ["small", "w"], ["y"])], {"x": OPEN}, {"y": [1, 2, 3, 4]}, numbers)
    assert close(said(described(tmp_path), torch.full((1, 1, 6, 8), 30.0))[0], 30, 15)


@pytest.mark.parametrize(
    ("size", "film", "wanted"),
    [
        ("[256, 256]", (1080, 1920), (256, 455)),
        ("[512, 512]", (1920, 1080), (910, 512)),
        ("[512, 512]", (240, 320), (240, 320)),
        ("480\nmultiple = 32", (1080, 1920), (480, 853)),
    ],
)
def test_working_size_has_the_models_short_side(tmp_path, size, film, wanted):
    save_linear(tmp_path, [[1], [1]], [0, 0])
    assert engines.load(described(tmp_path, PLAIN.replace("[6, 8]", size))).working_size(*film) == wanted


def test_it_serves_in_the_chain_as_a_method(tmp_path):
    save_linear(tmp_path, [[0.5], [-0.25]], [0, 3])
    engine = engines.load(described(tmp_path))
    assert not engine.needs and not engine.uses and engine.longest > 0
    lightness = light(10)
    step = chain.Step("tiny", None, engine, (6, 8))
    coloured = list(
        chain.colour_shot((step,), Shot(0, 10), 4, lambda size, first, last: lightness[first:last], lambda size: ())
    )
    assert len(coloured) == 10
    for one, frame in zip(coloured, lightness, strict=True):
        assert close(one.ab, 0.5 * frame[0], 3 - 0.25 * frame[0])


def test_it_is_made_as_every_method_is(tmp_path):
    save_linear(tmp_path, [[1], [1]], [0, 0])
    options = engines.read(described(tmp_path))
    assert isinstance(options, engines.Engine.Options)
    assert engines.Engine(options, "cpu").options.licence == "CC0"


# --- What is refused ---


def refused(tmp_path: Path, kind: type[KinochromeError], words: list[str], tables: str = PLAIN, about: str = ABOUT):
    with pytest.raises(kind) as caught:
        said(described(tmp_path, tables, about), light())
    for word in words:
        assert word in str(caught.value), str(caught.value)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ('licence = "CC0"', 'license = "CC0"', ["'license'", "did you mean 'licence'", "sha256"]),
        ('licence = "CC0"', "", ["licence is missing", "text in quotes"]),
        ('name = "tiny"', "name = 3", ["name = 3", "text in quotes"]),
        ('name = "tiny"', 'name = " "', ["name = ' '", "text in quotes"]),
        ('name = "tiny"', "name = ", ["tiny.toml", "cannot be read"]),
        ('"made by this test"', '"x"\nsha256 = "abc"', ["sha256", "64 digits"]),
        ("[input]", "[inputs]", ["'inputs'", "did you mean 'input'"]),
        ('[input]\nplanes = "lightness"\nsize = [6, 8]', "", ["input is missing", "a table: [input]"]),
        ('[output]\nplanes = "ab"', "", ["output is missing", "a table: [output]"]),
        ('planes = "ab"', "", ["[output]: planes is missing", "'ab', 'rgb'"]),
        ('planes = "ab"', 'planes = "lab"', ["[output]: planes = 'lab'", "'ab', 'rgb'"]),
        ('planes = "ab"', 'planes = "ab"\nmean = 1', ["[output]", "'mean'", "scale, offset, name"]),
        ('"lightness"', '"grey_rgb"', ["[input]: planes = 'grey_rgb'", "'lightness', 'grey', 'grey-rgb'"]),
        ("size = [6, 8]", "", ["[input]: size is missing", "[HEIGHT, WIDTH]"]),
        ("[6, 8]", "[6]", ["size = [6]", "[HEIGHT, WIDTH]"]),
        ("[6, 8]", "[6, 0]", ["size = [6, 0]", "above 0"]),
        ("[6, 8]", "true", ["size = True", "above 0"]),
        ("[6, 8]", "[6, 8]\nmultiple = 2", ["[input]: multiple", "SHORT SIDE"]),
        ("[6, 8]", "6\nmultiple = 2.5", ["multiple = 2.5", "whole number"]),
        ("[6, 8]", "[6, 8]\nstd = 0", ["[input]: std", "cannot be 0"]),
        ("[6, 8]", "[6, 8]\nmean = [1, 2, 3]", ["[input]: mean has 3 numbers", "lightness 1 planes"]),
        ("[6, 8]", "[6, 8]\nscale = inf", ["scale = inf", "finite number"]),
        ("[6, 8]", "[6, 8]\nscale = []", ["scale = []", "finite number"]),
        ("[6, 8]", "[6, 8]\nzeros = { mask = 0 }", ["zeros = {'mask': 0}", "{NAME = PLANES}"]),
        ('planes = "ab"', 'planes = "ab"\nscale = [1, 2, 3]', ["[output]: scale has 3 numbers", "ab 2 planes"]),
        ('planes = "ab"', 'planes = "ab"\noffset = "1"', ["offset = '1'", "finite number"]),
    ],
)
def test_a_key_that_is_wrong_is_named_with_what_it_should_be(tmp_path, before, after, words):
    save_linear(tmp_path, [[1], [1]], [0, 0])
    assert before in ABOUT + PLAIN
    engines.load(described(tmp_path))
    refused(tmp_path, MethodError, words, "", (ABOUT + PLAIN).replace(before, after))


def test_a_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(MethodError, match=r"none\.toml cannot be read"):
        engines.read(tmp_path / "none.toml")
    refused(tmp_path, WeightsError, ["tiny.onnx is missing", "made by this test", "Nothing is downloaded"])


def test_the_model_lies_beside_its_toml_file(tmp_path, monkeypatch):
    (tmp_path / "models").mkdir()
    save_linear(tmp_path / "models", [[0], [0]], [1, 2])
    file = described(tmp_path, about=ABOUT.replace("tiny.onnx", "models/tiny.onnx"))
    monkeypatch.chdir(tmp_path / "models")
    assert close(said(file, light())[0], 1, 2)


def test_a_checksum_holds_the_model_to_its_bytes(tmp_path):
    save_linear(tmp_path, [[0], [0]], [1, 2])
    digest = hashlib.sha256((tmp_path / "tiny.onnx").read_bytes()).hexdigest()
    about = f'{ABOUT}sha256 = "{digest.upper()}"\n'
    assert close(said(described(tmp_path, about=about), light())[0], 1, 2)
    save_linear(tmp_path, [[0], [0]], [1, 3])
    refused(tmp_path, WeightsError, ["tiny.onnx has the sha256", digest, "made by this test"], about=about)


def test_a_name_of_the_catalogue_is_its_file_held_to_its_checksum(tmp_path, monkeypatch):
    """Nothing is got for whoever has not asked; a file of another content is not opened."""
    folder = tmp_path / "weights"
    folder.mkdir()
    save_linear(folder, [[0], [0]], [1, 2])
    digest = hashlib.sha256((folder / "tiny.onnx").read_bytes()).hexdigest()
    line = weights.Published("https://somewhere.example/tiny.onnx", digest, None, "CC0", "engines")
    monkeypatch.setitem(weights.CATALOGUE, "listed", line)
    monkeypatch.setenv("KINOCHROME_WEIGHTS", str(folder))
    about = ABOUT.replace("tiny.onnx", "listed")
    assert close(said(described(tmp_path, about=about), light())[0], 1, 2)
    save_linear(folder, [[0], [0]], [1, 3])
    words = ["tiny.onnx has the sha256", digest, "`kinochrome weights get listed` (made by this test)"]
    refused(tmp_path, WeightsError, words, about=about)
    own = hashlib.sha256((folder / "tiny.onnx").read_bytes()).hexdigest()
    assert close(said(described(tmp_path, about=f'{about}sha256 = "{own}"\n'), light())[0], 1, 3)
    (folder / "tiny.onnx").unlink()
    refused(
        tmp_path, WeightsError, ["tiny.onnx is missing", "get it from `kinochrome weights get listed`"], about=about
    )


def test_what_is_no_model_is_named(tmp_path):
    (tmp_path / "tiny.onnx").write_bytes(b"not a model")
    refused(tmp_path, WeightsError, ["tiny.onnx cannot be opened", "made by this test"])


def test_without_onnxruntime_it_says_what_to_install(tmp_path, monkeypatch):
    save_linear(tmp_path, [[1], [1]], [0, 0])
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert engines.read(described(tmp_path)).name == "tiny"
    refused(tmp_path, MethodError, ["needs onnxruntime", "pip install 'kinochrome[onnx]'"])


def test_a_device_that_onnxruntime_lacks_is_refused(tmp_path, monkeypatch):
    save_linear(tmp_path, [[1], [1]], [0, 0])
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    for device, words in (
        ("cuda", "CUDAExecutionProvider.*onnxruntime-gpu.*--device cpu"),
        ("mps", "CoreML.*Do: --dev"),
    ):
        with pytest.raises(MethodError, match=words):
            engines.load(described(tmp_path), device)


@pytest.mark.parametrize(
    ("shape", "tables", "words"),
    [
        ([1, 1, 12, 16], PLAIN, ["x takes [1, 1, 12, 16]", "[1, 1, 6, 8]", "planes, size"]),
        ([1, 1, 6, 8], PLAIN.replace("[6, 8]", "6"), ["x takes [1, 1, 6, 8]", "any height"]),
        ([2, 1, 6, 8], PLAIN, ["x takes [2, 1, 6, 8]", "more than one frame"]),
        ([1, 1, *ANY], PLAIN.replace("lightness", "grey-rgb"), ["[1, 1, height, width]", "[1, 3, 6, 8]"]),
        ([1, 1, *ANY], PLAIN.replace('"ab"', '"rgb"'), ["y is [1, 2, height, width]", "[1, 3, height, width]"]),
    ],
)
def test_a_model_of_other_shapes_than_told_is_refused_before_it_colours(tmp_path, shape, tables, words):
    save_linear(tmp_path, [[1], [1]], [0, 0], shape)
    file = described(tmp_path, tables)
    with pytest.raises(WeightsError) as caught:
        engines.load(file)
    for word in words:
        assert word in str(caught.value), str(caught.value)


def test_a_model_with_more_inputs_than_told_is_refused(tmp_path):
    node = helper.make_node("Concat", ["light", "hint"], ["y"], axis=1)
    save(tmp_path, [node], {"light": OPEN, "hint": OPEN}, {"y": [1, 2, *ANY]}, {})
    refused(tmp_path, MethodError, ["inputs light, hint", "zeros = {hint = PLANES}"])
    for zeros in ("{ hunt = 1 }", "{ light = 1, hint = 1 }"):
        tables = PLAIN.replace("[output]", f"zeros = {zeros}\n[output]")
        refused(tmp_path, MethodError, ["inputs light, hint", "zeros"], tables)
    tables = PLAIN.replace("[output]", "zeros = { hint = 2 }\n[output]")
    refused(tmp_path, WeightsError, ["hint takes [1, 1, height, width]", "[1, 2, 6, 8]"], tables)


def test_a_model_that_takes_no_floats_is_refused(tmp_path):
    node = helper.make_node("Concat", ["x", "x"], ["y"], axis=1)
    save(tmp_path, [node], {"x": OPEN}, {"y": [1, 2, *ANY]}, {}, TensorProto.UINT8)
    refused(tmp_path, WeightsError, ["x takes tensor(uint8)", "float32"])


def test_shapes_that_only_a_run_shows_are_checked_then(tmp_path):
    """Only a frame tells this model that it says (1, 1, 12, 8), and that no frame but one of 96 pixels fits."""
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["greatest"]),
        helper.make_node("Mul", ["greatest", "nothing"], ["blank"]),
        helper.make_node("Add", ["blank", "form"], ["sides"]),
        helper.make_node("Cast", ["sides"], ["whole"], to=TensorProto.INT64),
        helper.make_node("Squeeze", ["whole", "first"], ["flat"]),
        helper.make_node("Reshape", ["x", "flat"], ["y"]),
    ]
    form = np.array([1, 1, 12, 8], np.float32).reshape(1, 1, 1, 4)
    numbers = {"nothing": np.float32(0), "form": form, "first": np.array([0, 1, 2])}
    save(tmp_path, nodes, {"x": OPEN}, {"y": ["n", "planes", *ANY]}, numbers)
    refused(tmp_path, WeightsError, ["tiny.onnx failed on a frame of 6x8", "size"])
    refused(tmp_path, WeightsError, ["said [1, 1, 12, 8], not [1, 2"], PLAIN.replace("[6, 8]", "[12, 8]"))


@pytest.mark.parametrize(
    ("bias", "tables", "words"),
    [
        ([1000, 0], PLAIN, ["said ab from 0 to 1000", "scale and offset of [output]"]),
        ([float("nan"), 0], PLAIN, ["said ab from nan"]),
        ([255, 128, 0], PLAIN.replace('"ab"', '"rgb"'), ["said rgb from 0 to 255", "scale and offset of [output]"]),
    ],
)
def test_what_is_no_colour_is_refused(tmp_path, bias, tables, words):
    save_linear(tmp_path, [[0]] * len(bias), bias)
    refused(tmp_path, MethodError, words, tables)


# --- The page ---


def test_the_examples_of_the_page_are_engines(tmp_path):
    read = {}
    for number, one in enumerate(block.text for block in blocks(PAGE) if block.kind == "text"):
        file = tmp_path / f"{number}.toml"
        file.write_text(one, encoding="utf-8")
        options = engines.read(file)
        read[options.name] = options
    assert set(read) == {"DDColor", "SIGGRAPH-17"}
    assert read["DDColor"].input.planes == "grey-rgb" and read["DDColor"].input.size == (512, 512)
    assert read["SIGGRAPH-17"].input.planes == "lightness" and read["SIGGRAPH-17"].input.size == (256, 256)
    for name, engine in (("ddcolor_tiny", "DDColor"), ("siggraph17", "SIGGRAPH-17")):
        line = weights.CATALOGUE[name]
        assert (Path(read[engine].model), read[engine].sha256) == (weights.folder() / line.file, line.sha256)
        assert line.licence.startswith(read[engine].licence)


def test_the_page_lists_the_engines_of_the_catalogue():
    text = PAGE.read_text(encoding="utf-8")
    lines = {row.split("`")[1]: row for row in text.splitlines() if row.startswith("| `") and "http" in row}
    assert set(lines) == {name for name, line in weights.CATALOGUE.items() if line.purpose == "engines"}
    for name, row in lines.items():
        line = weights.CATALOGUE[name]
        assert f"| {line.licence.partition(' ')[0]} |" in row
        assert line.size is None or f"| {line.shown_size} |" in row


def test_the_page_names_every_key():
    text = PAGE.read_text(encoding="utf-8")
    for kind in (engines.EngineOptions, engines.Input, engines.Output):
        for one in dataclasses.fields(kind):
            assert f"`{one.name}`" in text or f"`[{one.name}]`" in text, one.name
