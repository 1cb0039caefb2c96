"""Weights: found, downloaded with a checksum, read strictly; against a real server on this machine."""

from __future__ import annotations

import contextlib
import hashlib
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from torch import nn

from kinochrome import weights
from kinochrome.errors import WeightsError

BODY = bytes(range(256)) * 3000


class Handler(BaseHTTPRequestHandler):
    """Serves BODY as the server's `manners` say."""

    def do_GET(self) -> None:
        manners: Manners = self.server.manners  # type: ignore[attr-defined]
        asked = self.headers.get("Range")
        manners.asked.append(asked)
        if manners.gone:
            self.send_error(404)
            return
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and manners.ranges else 0
        if start >= len(BODY):
            self.send_error(416)
            return
        body = BODY[start:]
        self.send_response(206 if start else 200)
        if manners.length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: manners.cut])

    def log_message(self, *words: object) -> None:
        pass


@dataclass
class Manners:
    """How the server behaves, and what it was asked for."""

    ranges: bool = True
    length: bool = True
    gone: bool = False
    cut: int | None = None
    asked: list[str | None] = field(default_factory=list)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manners]:
    """A server with weights called `tiny`, and an empty folder for them."""
    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.manners = Manners()  # type: ignore[attr-defined]
    threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
    url = f"http://127.0.0.1:{running.server_port}/tiny.pth"
    line = weights.Published(url, hashlib.sha256(BODY).hexdigest(), len(BODY), "CC0", "tests")
    monkeypatch.setitem(weights.CATALOGUE, "tiny", line)
    monkeypatch.setenv("KINOCHROME_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield running.manners  # type: ignore[attr-defined]
    running.shutdown()
    running.server_close()


def folder_holds() -> set[str]:
    """All but the lock, which stays."""
    return {path.name for path in weights.folder().iterdir()} - {"tiny.pth.lock"}


# --- The catalogue and the folder ---


@pytest.mark.parametrize("name", weights.CATALOGUE)
def test_a_line_of_the_catalogue_is_whole(name: str) -> None:
    line = weights.CATALOGUE[name]
    assert line.url.startswith("https://") and line.licence and line.purpose
    assert len(line.sha256) == 64 and set(line.sha256) <= set("0123456789abcdef")
    assert line.size is None or line.size > 1000
    # torchvision and pytorch-fid put the first eight digits of the checksum into the file's name.
    if "download.pytorch.org" in line.url or "pytorch-fid" in line.url:
        assert line.url.removesuffix(".pth").rpartition("-")[2] == line.sha256[:8]


def test_no_two_lines_share_a_file() -> None:
    files = [line.file for line in weights.CATALOGUE.values()]
    assert len(files) == len(set(files))
    assert len({line.sha256 for line in weights.CATALOGUE.values()}) == len(files)


def test_the_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KINOCHROME_WEIGHTS", str(tmp_path))
    assert weights.folder() == tmp_path
    monkeypatch.delenv("KINOCHROME_WEIGHTS")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert weights.folder() == tmp_path / "data" / "kinochrome" / "weights"
    monkeypatch.setattr("sys.platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert weights.folder() == tmp_path / "local" / "kinochrome" / "weights"


def test_missing_weights_say_how_to_get_them(server: Manners) -> None:
    with pytest.raises(WeightsError, match="kinochrome weights get tiny"):
        weights.find("tiny")
    assert not weights.is_here("tiny") and not server.asked, "nothing is downloaded unasked"


def test_unknown_weights(server: Manners) -> None:
    with pytest.raises(WeightsError, match="No weights are called 'vgg17'"):
        weights.get("vgg17")


# --- Downloads ---


def test_get_downloads_once(server: Manners) -> None:
    seen: list[tuple[int, int | None]] = []
    path = weights.get("tiny", lambda here, total: seen.append((here, total)))
    assert path.read_bytes() == BODY
    assert path == weights.find("tiny") and folder_holds() == {"tiny.pth"}
    assert seen[-1] == (len(BODY), len(BODY))
    assert weights.get("tiny") == path
    assert server.asked == [None]


def test_a_wrong_checksum_leaves_nothing(server: Manners, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(weights.CATALOGUE, "tiny", replace(weights.CATALOGUE["tiny"], sha256="0" * 64))
    with pytest.raises(WeightsError, match="sha256"):
        weights.get("tiny")
    assert folder_holds() == set()


def test_a_wrong_size_is_seen_before_downloading(server: Manners, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(weights.CATALOGUE, "tiny", replace(weights.CATALOGUE["tiny"], size=12))
    with pytest.raises(WeightsError, match=f"{len(BODY)} bytes, not 12"):
        weights.get("tiny")
    assert folder_holds() == set()


def test_a_download_that_broke_off_goes_on(server: Manners) -> None:
    server.cut = 1000
    with pytest.raises(WeightsError, match="to go on"):
        weights.get("tiny")
    assert folder_holds() == {"tiny.pth.part"} and not weights.is_here("tiny")
    server.cut = None
    assert weights.get("tiny").read_bytes() == BODY
    assert server.asked == [None, "bytes=1000-"] and folder_holds() == {"tiny.pth"}


def test_two_downloads_of_one_file_do_not_meet(server: Manners) -> None:
    """The second comes while the first is at it, and one that broke off is resumed by whoever comes next."""
    refused: list[str] = []

    def meanwhile(here: int, total: int | None) -> None:
        with pytest.raises(WeightsError, match=r"Another run is downloading tiny into .*Wait for it") as error:
            weights.get("tiny")
        refused.append(str(error.value))

    server.cut = 1000
    with pytest.raises(WeightsError, match="to go on"):
        weights.get("tiny", meanwhile)
    server.cut = None
    assert weights.get("tiny", meanwhile).read_bytes() == BODY
    assert refused and server.asked == [None, "bytes=1000-"]
    assert folder_holds() == {"tiny.pth"} and weights.get("tiny").read_bytes() == BODY


def test_what_another_run_got_just_now_is_not_got_again(server: Manners, monkeypatch: pytest.MonkeyPatch) -> None:
    held = weights.held

    @contextlib.contextmanager
    def held_later(file: Path, busy: WeightsError) -> Iterator[None]:
        (weights.folder() / "tiny.pth").write_bytes(BODY)
        with held(file, busy):
            yield

    monkeypatch.setattr(weights, "held", held_later)
    assert weights.get("tiny").read_bytes() == BODY and not server.asked


def test_a_server_without_ranges_starts_over(server: Manners) -> None:
    server.cut, server.ranges = 1000, False
    with pytest.raises(WeightsError, match="to go on"):
        weights.get("tiny")
    server.cut = None
    assert weights.get("tiny").read_bytes() == BODY


@pytest.mark.parametrize("half", [b"something else", b"x" * len(BODY), BODY + b"more"])
def test_a_foreign_half_file_never_gets_through(server: Manners, half: bytes) -> None:
    weights.folder().mkdir()
    (weights.folder() / "tiny.pth.part").write_bytes(half)
    try:
        path = weights.get("tiny")
    except WeightsError:
        path = weights.get("tiny")  # the error removed it
    assert path.read_bytes() == BODY


@pytest.mark.parametrize("half", [BODY, BODY + b"more"])
def test_a_whole_half_file_of_unknown_size(server: Manners, monkeypatch: pytest.MonkeyPatch, half: bytes) -> None:
    monkeypatch.setitem(weights.CATALOGUE, "tiny", replace(weights.CATALOGUE["tiny"], size=None))
    weights.folder().mkdir()
    (weights.folder() / "tiny.pth.part").write_bytes(half)
    if half != BODY:
        with pytest.raises(WeightsError, match="416"):
            weights.get("tiny")
    assert weights.get("tiny").read_bytes() == BODY


def test_a_damaged_file_is_replaced(server: Manners) -> None:
    weights.get("tiny").write_bytes(b"spoilt")
    with pytest.raises(WeightsError, match="damaged"):
        weights.find("tiny")
    assert weights.get("tiny").read_bytes() == BODY


def test_a_stream_of_unknown_length_is_judged_by_its_checksum(server: Manners) -> None:
    server.length = False
    assert weights.get("tiny").read_bytes() == BODY
    (weights.folder() / "tiny.pth").unlink()
    server.cut = 1000
    with pytest.raises(WeightsError, match="sha256"):
        weights.get("tiny")


def test_a_missing_page_and_a_missing_server(server: Manners, monkeypatch: pytest.MonkeyPatch) -> None:
    server.gone = True
    with pytest.raises(WeightsError, match="404"):
        weights.get("tiny")
    monkeypatch.setitem(
        weights.CATALOGUE, "tiny", replace(weights.CATALOGUE["tiny"], url="http://127.0.0.1:9/tiny.pth")
    )
    with pytest.raises(WeightsError, match="cannot be downloaded"):
        weights.get("tiny")


def test_a_folder_that_cannot_be_made(server: Manners, tmp_path: Path) -> None:
    (tmp_path / "weights").write_text("a file in its place")
    with pytest.raises(WeightsError, match="Set KINOCHROME_WEIGHTS"):
        weights.get("tiny")


# --- Reading and writing ---


def build() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout())


def saved(path: Path, **changes: torch.Tensor | None) -> Path:
    tensors = {name: torch.rand_like(tensor.float()) for name, tensor in build().state_dict().items()}
    for name, tensor in changes.items():
        name = name.replace("__", ".")
        if tensor is None:
            del tensors[name]
        else:
            tensors[name] = tensor
    torch.save(tensors, path)
    return path


def test_load_gives_the_files_tensors_for_evaluation(tmp_path: Path) -> None:
    path = saved(tmp_path / "net.pth")
    network = weights.load(build, path)
    assert not network.training and not any(parameter.requires_grad for parameter in network.parameters())
    for name, tensor in weights.read(path).items():
        assert torch.equal(network.state_dict()[name], tensor.to(network.state_dict()[name].dtype))
    network(torch.rand(1, 1, 8, 8))


def test_load_keeps_the_networks_own_types(tmp_path: Path) -> None:
    path = saved(tmp_path / "net.pth", **{"0__weight": torch.ones(2, 1, 3, 3, dtype=torch.float16)})
    network = weights.load(build, path)
    assert network[0].weight.dtype == torch.float32 and network[1].num_batches_tracked.dtype == torch.int64


def test_counters_of_training_may_be_missing(tmp_path: Path) -> None:
    weights.load(build, saved(tmp_path / "net.pth", **{"1__num_batches_tracked": None}))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"0__bias": None}, "1 missing: 0.bias"),
        ({"head": torch.zeros(1)}, "1 unknown: head"),
        ({"0__weight": torch.zeros(2, 3, 3, 3)}, r"0.weight \(2, 3, 3, 3\) instead of \(2, 1, 3, 3\)"),
        ({"1__running_mean": None}, "1 missing: 1.running_mean"),
        ({"features__10__weight": torch.zeros(256, 256, 3, 3)}, "looks like AlexNet"),
        ({"mask_predictor__conv__weight": torch.zeros(576, 256, 1, 1)}, "looks like RAFT, large"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, changes: dict[str, torch.Tensor | None], said: str) -> None:
    with pytest.raises(WeightsError, match=said):
        weights.load(build, saved(tmp_path / "net.pth", **changes))


def test_a_checkpoint_of_a_whole_training_run_is_refused(tmp_path: Path) -> None:
    torch.save({"model": build().state_dict(), "step": 3}, tmp_path / "run.pth")
    with pytest.raises(WeightsError, match="holds model, step, not tensors by name"):
        weights.read(tmp_path / "run.pth")


@pytest.mark.parametrize("name", ["net.pth", "net.safetensors"])
def test_what_is_no_checkpoint(tmp_path: Path, name: str) -> None:
    with pytest.raises(WeightsError, match="cannot be read"):
        weights.read(tmp_path / name)
    (tmp_path / name).write_bytes(b"<html>not found</html>")
    with pytest.raises(WeightsError, match="cannot be read"):
        weights.read(tmp_path / name)


class Payload:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("a checkpoint ran this",)


def test_a_checkpoint_cannot_run_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"weight": Payload()}, tmp_path / "evil.pth")
    with pytest.raises(WeightsError, match="cannot be read"):
        weights.read(tmp_path / "evil.pth")
    assert "ran this" not in capsys.readouterr().out


HEADER = weights.Header("flow", {"width": 32, "gated": True}, "Apache-2.0", "recipes/flow.toml", "our own renderings")


def test_safetensors_keep_header_and_tensors(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    state = build().state_dict()
    weights.write(path, state, HEADER)
    assert weights.read_header(path) == HEADER
    assert all(torch.equal(tensor, state[name]) for name, tensor in weights.read(path).items())
    weights.load(build, path)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    (tmp_path / "any").touch()
    assert path.stat().st_mode == (tmp_path / "any").stat().st_mode, "whoever may read other files may read this one"


def test_headers_of_others_and_of_newer_versions_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from safetensors.torch import save_file

    save_file({"weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="no header of Kinochrome's"):
        weights.read_header(tmp_path / "other.safetensors")
    monkeypatch.setattr(weights, "FORMAT", 2)
    weights.write(tmp_path / "new.safetensors", {"weight": torch.zeros(1)}, HEADER)
    monkeypatch.undo()
    with pytest.raises(WeightsError, match="format 2"):
        weights.read_header(tmp_path / "new.safetensors")
    (tmp_path / "torn.safetensors").write_bytes(b"\xff" * 20)
    with pytest.raises(WeightsError, match="cannot be read"):
        weights.read_header(tmp_path / "torn.safetensors")


# --- Shards ---

TENSORS = {name: torch.arange(float(size)) + size for name, size in (("a", 100), ("b", 300), ("c", 200), ("d", 1))}
SHARD = 2000


def shards_of(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def same_tensors(found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> bool:
    return list(found) == list(wanted) and all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_shards_hold_what_one_file_would_and_none_is_too_large(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    weights.write(path, TENSORS, HEADER, SHARD)
    assert shards_of(tmp_path) == [f"net-0000{n}-of-00003.safetensors" for n in (1, 2, 3)]
    assert all(file.stat().st_size <= SHARD for file in tmp_path.iterdir())
    for named in (path, tmp_path / "net", tmp_path / "net-00001-of-00003.safetensors"):
        assert same_tensors(weights.read(named), TENSORS)
        assert weights.read_header(named) == HEADER
    assert all(weights.read_header(file) == HEADER for file in tmp_path.iterdir()), "each shard tells all"


@pytest.mark.parametrize("shard", [4000, 1700, 2111, None])
def test_shards_of_any_size(tmp_path: Path, shard: int | None) -> None:
    path = tmp_path / "net.safetensors"
    weights.write(path, TENSORS, HEADER, shard)
    assert same_tensors(weights.read(path), TENSORS)
    assert shard is None or max(file.stat().st_size for file in tmp_path.iterdir()) <= shard
    if shard in (None, 4000):
        assert shards_of(tmp_path) == ["net.safetensors"]


def test_a_network_is_loaded_from_shards(tmp_path: Path) -> None:
    state = build().state_dict()
    weights.write(tmp_path / "net.safetensors", state, HEADER, 700)
    assert len(shards_of(tmp_path)) > 1
    network = weights.load(build, tmp_path / "net")
    assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    weights.write(tmp_path / "net.safetensors", TENSORS, HEADER, SHARD)
    (tmp_path / "net-00002-of-00003.safetensors").unlink()
    for named in ("net", "net.safetensors", "net-00001-of-00003.safetensors"):
        for act in (weights.read, weights.read_header):
            with pytest.raises(WeightsError, match=r"lacks net-00002-of-00003\.safetensors: net is in 3 shards"):
                act(tmp_path / named)


def test_a_tensor_larger_than_a_shard_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="the tensor b needs"):
        weights.write(tmp_path / "net.safetensors", TENSORS, HEADER, 1300)
    assert shards_of(tmp_path) == []


def test_shards_of_different_writings_are_not_mixed(tmp_path: Path) -> None:
    weights.write(tmp_path / "net.safetensors", TENSORS, HEADER, SHARD)
    former = (tmp_path / "net-00003-of-00003.safetensors").read_bytes()
    weights.write(tmp_path / "net.safetensors", TENSORS | {"a": torch.zeros(100)}, HEADER, SHARD)
    assert not weights.read(tmp_path / "net")["a"].any()
    (tmp_path / "net-00003-of-00003.safetensors").write_bytes(former)
    for act in (weights.read, weights.read_header):
        with pytest.raises(WeightsError, match="not of one writing"):
            act(tmp_path / "net")


def test_what_was_written_before_goes_and_neighbours_stay(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    (tmp_path / "net-work-00001-of-00002.safetensors").write_bytes(b"another's")
    weights.write(path, TENSORS, HEADER)
    weights.write(path, TENSORS, HEADER, SHARD)
    assert not path.exists(), "or it would be read in place of the shards"
    weights.write(path, {"a": TENSORS["a"], "b": TENSORS["b"], "e": torch.ones(1)}, HEADER, SHARD)
    expected = ["net-00001-of-00002.safetensors", "net-00002-of-00002.safetensors"]
    assert shards_of(tmp_path) == [*expected, "net-work-00001-of-00002.safetensors"]
    weights.write(path, TENSORS, HEADER)
    assert shards_of(tmp_path) == ["net-work-00001-of-00002.safetensors", path.name]
    assert same_tensors(weights.read(path), TENSORS)


def test_shards_of_two_counts_are_not_guessed_between(tmp_path: Path) -> None:
    weights.write(tmp_path / "net.safetensors", TENSORS, HEADER, SHARD)
    (tmp_path / "net-00001-of-00002.safetensors").write_bytes(b"another's")
    with pytest.raises(WeightsError, match="2 and 3 shards"):
        weights.read(tmp_path / "net")
    assert same_tensors(weights.read(tmp_path / "net-00002-of-00003.safetensors"), TENSORS)


def test_options_count_by_what_their_files_hold(tmp_path: Path) -> None:
    weights.write(tmp_path / "net.safetensors", TENSORS, HEADER)
    meant = weights.by_content({"weights": str(tmp_path / "net.safetensors")})
    (tmp_path / "net.safetensors").rename(tmp_path / "model.onnx")
    assert weights.by_content({"model": str(tmp_path / "model.onnx")}) == {"model": meant["weights"]}
    assert weights.by_content({"kino.weights": str(tmp_path / "model.onnx")}) == {"kino.weights": meant["weights"]}
    weights.write(tmp_path / "net.safetensors", TENSORS, HEADER, SHARD)
    assert len(weights.by_content({"weights": str(tmp_path / "net.safetensors")})["weights"]) == 3
    nothing: dict[str, object] = {"weights": "", "model": str(tmp_path / "none"), "rounds": 3}
    assert weights.by_content(nothing) == nothing


def test_an_option_that_names_no_file_is_no_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small").write_bytes(b"of anything")
    (tmp_path / "dis-00001-of-00002.safetensors").write_bytes(b"half a network")
    options = {"variant": "small", "kino.variant": "small", "flow": "dis", "licence": "All rights reserved. " * 20}
    assert weights.by_content(options) == options


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit")
@pytest.mark.parametrize("shard", [None, SHARD])
def test_a_full_disk_leaves_what_was_there(tmp_path: Path, shard: int | None) -> None:
    import resource

    path = tmp_path / "net.safetensors"
    weights.write(path, TENSORS, HEADER, shard)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, hard))
    try:
        with pytest.raises(WeightsError, match="cannot be written"):
            weights.write(path, TENSORS | {"d": torch.zeros(1)}, HEADER, shard)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
