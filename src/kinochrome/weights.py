"""Weights of networks: where they lie, how they are got, and the only code that reads and writes them.

`CATALOGUE` lists public files by name. Nothing is downloaded unless `get` is called, and nothing is kept whose
checksum differs.
"""

from __future__ import annotations

import glob
import hashlib
import http.client
import json
import os
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from .errors import WeightsError
from .locks import held

if TYPE_CHECKING:
    import torch
    from torch import nn

    Network = TypeVar("Network", bound=nn.Module)
    Shape = TypeVar("Shape")

FORMAT = 1
"""Of the headers that this version writes; a newer one is refused."""


@dataclass(frozen=True)
class Published:
    """A file of weights that others published."""

    url: str
    sha256: str
    size: int | None
    """Bytes; None where no public list states it."""
    licence: str
    purpose: str
    renamed: str | None = None
    """What the file is called here, where its own name says too little."""

    @property
    def file(self) -> str:
        return self.renamed or self.url.rpartition("/")[2]

    @property
    def shown_size(self) -> str:
        return "size unknown" if self.size is None else f"{self.size / 1e6:.3g} MB"


_TORCHVISION = "https://download.pytorch.org/models/"
_LPIPS = "https://raw.githubusercontent.com/richzhang/PerceptualSimilarity/master/lpips/weights/v0.1/"
_FID = "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
_ANNOTATORS = "https://huggingface.co/lllyasviel/Annotators/resolve/982e7edaec38759d914a963c48c4726685de7d96/"
_COLORIZERS = "https://github.com/clibdev/colorization/releases/latest/download/"
_FACEFUSION = "https://huggingface.co/facefusion/models-3.0.0/resolve/728b9659bd9691bf32cbf7f61af478d94b7ba81e/"
_BSD = "BSD-3-Clause (torchvision)"

CATALOGUE: dict[str, Published] = {
    "alexnet": Published(
        _TORCHVISION + "alexnet-owt-7be5be79.pth",
        "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
        *(244_408_911, _BSD, "lpips_alex, lpips_u8raw"),
    ),
    # FaceFusion names no licence on that page; the list of models in its code does. Checksum and size: the list of
    # models of CManga, which names this very version.
    "ddcolor_artistic": Published(
        _FACEFUSION + "ddcolor_artistic.onnx",
        "adad4b897990d627e139e858e8a6552c1f99e39e49e811d21e8f591803c877f1",
        *(980_103_562, "Apache-2.0 (DDColor)", "engines"),
    ),
    # Its page says all that stands here, and that whole numbers in it cost 1.1 units of ab.
    "ddcolor_tiny": Published(
        "https://huggingface.co/toolsmonk/ddcolor-tiny/resolve/main/ddcolor_tiny_512_int8.onnx",
        "e983347272b8e218edc974a0af2bd66f53b73212abb800e103c64806e4c14a14",
        *(112_723_138, "Apache-2.0 (DDColor)", "engines"),
    ),
    "deeplabv3_resnet50": Published(
        _TORCHVISION + "deeplabv3_resnet50_coco-cd0a2569.pth",
        "cd0a25694c4a0f7106b38f4938bf90a874f2f241cc410b8f63c7024399538f06",
        *(168_312_152, _BSD, "classes of things for methods"),
    ),
    # The page of this and siggraph17 states checksums, and sizes to a tenth of a megabyte.
    "eccv16": Published(
        _COLORIZERS + "colorization-eccv-16.onnx",
        "b4a4cecae9e84e776d665e85774815b0bb43de382813b02fb13144f8fd5d6c83",
        *(None, "BSD-2-Clause (richzhang/colorization)", "engines"),
    ),
    # Its page names no licence; the code that its author published with it says Apache of code and model.
    "hed": Published(
        _ANNOTATORS + "ControlNetHED.pth",
        "5ca93762ffd68a29fee1af9d495bf6aab80ae86f08905fb35472a083a4c7a8fa",
        *(29_444_406, "Apache-2.0 (ControlNet's annotator)", "edges for methods"),
    ),
    # The same numbers as in -1a9a5a14 of older scripts, saved anew (pytorch/vision pull request 3851).
    "inception_v3": Published(
        _TORCHVISION + "inception_v3_google-0cc3c7bd.pth",
        "0cc3c7bd75056d25e46cba549dc184522069b81e9787eff6df84f397bd52a5ef",
        *(108_949_747, _BSD, "fid_clip_tv, fid_all_tv"),
    ),
    "inception_v3_fid": Published(
        _FID + "pt_inception-2015-12-05-6726825d.pth",
        "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
        *(95_628_359, "Apache-2.0 (pytorch-fid, after TensorFlow)", "fid_all_tf"),
    ),
    "lpips_alex": Published(
        _LPIPS + "alex.pth",
        "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0",
        *(6_009, "BSD-2-Clause (LPIPS 0.1)", "lpips_alex, lpips_u8raw", "lpips-v0.1-alex.pth"),
    ),
    "lpips_squeeze": Published(
        _LPIPS + "squeeze.pth",
        "4a5350f23600cb79923ce65bb07cbf57dca461329894153e05a1346bd531cf76",
        *(10_811, "BSD-2-Clause (LPIPS 0.1)", "lpips_squeeze, perceptual_distance", "lpips-v0.1-squeeze.pth"),
    ),
    "lpips_vgg": Published(
        _LPIPS + "vgg.pth",
        "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868",
        *(7_289, "BSD-2-Clause (LPIPS 0.1)", "lpips_vgg", "lpips-v0.1-vgg.pth"),
    ),
    "raft_large": Published(
        _TORCHVISION + "raft_large_C_T_SKHT_V2-ff5fadd5.pth",
        "ff5fadd56d26b40647388883af1547351ea17868b765c05b27231e72dd16a322",
        *(21_106_607, _BSD, "motion, fine"),
    ),
    "raft_small": Published(
        _TORCHVISION + "raft_small_C_T_V2-01064c6d.pth",
        "01064c6dba73b0fc9fc8edf772248560a00a3acfd62ac6677e9eeebad9680e27",
        *(4_006_189, _BSD, "motion, quick"),
    ),
    "resnet101": Published(
        _TORCHVISION + "resnet101-63fe2227.pth",
        "63fe2227b86e8f1f2063f43a75c84d195911b6a0eace650907dd3dc62dd49a0a",
        # torchvision states 170.511 MiB, which is to half a kilobyte: too coarse to check a download by.
        *(None, _BSD, "features of methods"),
    ),
    "resnet50": Published(
        _TORCHVISION + "resnet50-0676ba61.pth",
        "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a",
        *(102_530_333, _BSD, "features of methods"),
    ),
    "siggraph17": Published(
        _COLORIZERS + "colorization-siggraph-17.onnx",
        "7db825910668ee321327d2e6b446e57cbc9c066e196e8be0e152bf76e1206eb7",
        *(None, "BSD-2-Clause (richzhang/colorization)", "engines"),
    ),
    "squeezenet1_1": Published(
        _TORCHVISION + "squeezenet1_1-b8a52dc0.pth",
        "b8a52dc049b60e4b6ab68ad0df457362afab8b6304b2febdc1650a5dab4d7e7b",
        *(4_958_839, _BSD, "lpips_squeeze, perceptual_distance"),
    ),
    "vgg16": Published(
        _TORCHVISION + "vgg16-397923af.pth",
        "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        *(553_433_881, _BSD, "lpips_vgg, top1, top5, losses"),
    ),
    "vgg19": Published(
        _TORCHVISION + "vgg19-dcbb9e9d.pth",
        "dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44",
        *(574_673_361, _BSD, "losses, features of methods"),
    ),
}
"""Name -> the file. torchvision's licence is that of its code; the data behind a file may bind you further."""


# --- Where they lie ---


def folder() -> Path:
    """Where weights are kept: $KINOCHROME_WEIGHTS, or this platform's place for a user's data."""
    if chosen := os.environ.get("KINOCHROME_WEIGHTS"):
        return Path(chosen).expanduser()
    if sys.platform == "darwin":
        data = Path.home() / "Library" / "Application Support"
    elif sys.platform == "win32":
        data = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    else:
        data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return data / "kinochrome" / "weights"


def published(name: str) -> Published:
    """The catalogue's line of that name."""
    if name not in CATALOGUE:
        raise WeightsError(f"No weights are called {name!r}. There are: {', '.join(CATALOGUE)}.")
    return CATALOGUE[name]


def is_here(name: str) -> bool:
    """Whether the file lies in the folder, complete as far as its size tells."""
    line, path = published(name), folder() / published(name).file
    return path.is_file() and line.size in (None, path.stat().st_size)


def find(name: str) -> Path:
    """The file of weights in the folder; where it is missing, the error says how to get it."""
    line, path = published(name), folder() / published(name).file
    if not is_here(name):
        state = "not here" if not path.exists() else f"damaged: {path} has {path.stat().st_size} bytes"
        raise WeightsError(
            f"The weights {name} are {state}. `kinochrome weights get {name}` downloads them ({line.shown_size}; "
            f"{line.licence}). Without a network, put {line.url} as {line.file} into {path.parent}."
        )
    return path


# --- How they are got ---

Report = Callable[[int, "int | None"], None]
"""Called with the bytes that are here, and how many there will be, where the server says it."""


def get(name: str, report: Report = lambda here, total: None) -> Path:
    """The file of weights, downloaded into the folder unless it is there; a download that broke off goes on."""
    line = published(name)
    path = folder() / line.file
    if _is_whole(path, line):
        return path
    lock = path.with_name(path.name + ".lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.touch()
    except OSError as error:
        raise WeightsError(
            f"No folder for weights: {error}. Set KINOCHROME_WEIGHTS to one you may write to."
        ) from error
    busy = WeightsError(
        f"Another run is downloading {name} into {path.parent}. Wait for it: then the weights are here."
    )
    with held(lock, busy):
        # Whoever held the lock before may have got it.
        if not _is_whole(path, line):
            _fetch(name, path, report)
    return path


def _is_whole(path: Path, line: Published) -> bool:
    return path.is_file() and _digest(path) == line.sha256


def _fetch(name: str, path: Path, report: Report) -> None:
    """Downloads what is missing, and puts the file in place once its checksum is right."""
    line = published(name)
    part = path.with_name(path.name + ".part")
    if not _is_whole(part, line):
        _download(line, part, report)
    if (digest := _digest(part)) != line.sha256:
        part.unlink()
        raise WeightsError(
            f"What {line.url} sent is not the weights {name}: its sha256 is {digest}, not {line.sha256}. It was "
            "deleted. Try once more; if it stays so, the published file has changed and must not be trusted."
        )
    part.replace(path)


def _download(line: Published, part: Path, report: Report) -> None:
    """Writes what is missing behind what `part` already holds."""
    start = part.stat().st_size if part.is_file() else 0
    if line.size is not None and start >= line.size:
        start = 0
    request = urllib.request.Request(line.url, headers={"User-Agent": "kinochrome"})
    if start:
        request.add_header("Range", f"bytes={start}-")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            goes_on = answer.status == 206
            here = start if goes_on else 0
            length = answer.headers.get("Content-Length")
            total = None if length is None else here + int(length)
            if None not in (line.size, total) and total != line.size:
                part.unlink(missing_ok=True)
                raise WeightsError(f"{line.url} has {total} bytes, not {line.size}: it is not the file it was.")
            with part.open("ab" if goes_on else "wb") as file:
                while block := answer.read1(1 << 20):  # whatever has come: `read` may drop it when the rest fails
                    file.write(block)
                    here += len(block)
                    report(here, total)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing lies behind what we hold, so that cannot be the file's beginning
            part.unlink()
        raise WeightsError(f"{line.url} cannot be downloaded: {error}. Try again later.") from error
    except (OSError, http.client.HTTPException) as error:
        raise WeightsError(f"{line.url} cannot be downloaded: {error}. Run the same again to go on.") from error
    if total is not None and here < total:
        raise WeightsError(f"{line.url} broke off after {here} of {total} bytes. Run the same again to go on.")


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


# --- Reading and writing ---


@dataclass(frozen=True)
class Header:
    """What a checkpoint of ours says of itself."""

    method: str
    options: Mapping[str, Any]
    """Those that the network was built with."""
    licence: str
    recipe: str
    """How it was trained."""
    data: str
    """What it was trained on."""


def write(path: Path, tensors: Mapping[str, torch.Tensor], header: Header, shard: int | None = None) -> None:
    """A `.safetensors` file, put in place only when it is whole.

    What is larger than `shard` bytes becomes several: NAME-00001-of-00003.safetensors and so on, none larger, each
    with the header. What was there under the name is gone then, in one file or in several.
    """
    from safetensors.torch import save

    words = {key: value if isinstance(value, str) else json.dumps(value) for key, value in asdict(header).items()}
    words = {"format": str(FORMAT)} | words
    groups = [list(tensors)] if shard is None else _groups(path, tensors, shard, words)
    if len(groups) > 1:
        words |= {"shards": str(len(groups)), "set": _set_of(tensors, words)}
    files = [_shard_file(path, number, len(groups)) for number in range(1, len(groups) + 1)]
    parts = [file.with_name(file.name + ".part") for file in files]
    try:
        for names, part in zip(groups, parts, strict=True):
            # `save_file` would make one that nobody else may read.
            part.write_bytes(save({name: tensors[name].contiguous() for name in names}, words))
        for part, file in zip(parts, files, strict=True):
            part.replace(file)
        for former in {path, *_shards_of(path.parent, path.stem)} - set(files):
            former.unlink(missing_ok=True)
    except OSError as error:
        raise WeightsError(f"{path} cannot be written: {error}. Make room, or write to another folder.") from error
    finally:
        for part in parts:
            part.unlink(missing_ok=True)


# --- Shards: one network in several files ---

_SHARD = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.safetensors")


def _shard_file(path: Path, number: int, count: int) -> Path:
    return path if count == 1 else path.with_name(f"{path.stem}-{number:05d}-of-{count:05d}.safetensors")


def _groups(path: Path, tensors: Mapping[str, torch.Tensor], shard: int, words: Mapping[str, str]) -> list[list[str]]:
    """Names for each file, in order, so that none gets larger than `shard` bytes."""
    # A file begins with its length and its words; "shards" and "set" may come to them, and spaces to the next 8 bytes.
    begin = 8 + 8 + len(json.dumps({"__metadata__": dict(words)})) + 128
    groups: list[list[str]] = []
    size = shard
    for name, tensor in tensors.items():
        line = {"dtype": str(tensor.dtype), "shape": list(tensor.shape), "data_offsets": [1 << 50, 1 << 50]}
        needs = tensor.numel() * tensor.element_size() + len(json.dumps({name: line}))
        if begin + needs > shard:
            raise WeightsError(
                f"{path}: the tensor {name} needs {begin + needs} bytes with its header, and a shard has {shard}. "
                "Allow larger shards."
            )
        if size + needs > shard:
            groups.append([])
            size = begin
        groups[-1].append(name)
        size += needs
    return groups or [[]]


def _set_of(tensors: Mapping[str, torch.Tensor], words: Mapping[str, str]) -> str:
    """What tells the shards of one writing from those of another."""
    import torch

    digest = hashlib.sha256(json.dumps(dict(words)).encode())
    for name, tensor in tensors.items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]


def _shards_of(folder: Path, stem: str) -> list[Path]:
    """Every shard in a folder that bears this name, of whatever count."""
    found = ((file, _SHARD.fullmatch(file.name)) for file in folder.glob(f"{glob.escape(stem)}-*-of-*.safetensors"))
    return [file for file, match in found if match and match[1] == stem]


def _files(path: Path) -> list[Path]:
    """The files that hold a network: `path`, or all shards of which it names one, or the stem."""
    found = _SHARD.fullmatch(path.name)
    if not found and path.exists():
        return [path]
    stem = found[1] if found else path.name.removesuffix(".safetensors")
    counts = {int(found[3])} if found else {int(file.stem[-5:]) for file in _shards_of(path.parent, stem)}
    if not counts:
        whole = path.with_name(path.name + ".safetensors")
        return [whole if whole.exists() else path]
    if len(counts) > 1:
        listed = " and ".join(map(str, sorted(counts)))
        raise WeightsError(f"{path} is there in {listed} shards. Name the first shard of those you want.")
    count = counts.pop()
    files = [path.with_name(f"{stem}-{number:05d}-of-{count:05d}.safetensors") for number in range(1, count + 1)]
    if missing := [file.name for file in files if not file.exists()]:
        raise WeightsError(f"{path.parent} lacks {_few(missing)}: {stem} is in {count} shards. Get what is missing.")
    return files


FILE_OPTIONS = frozenset({"weights", "model"})
"""What options that name a network's file are called: those of methods, and of engines."""


def by_content(options: Mapping[str, Any]) -> dict[str, Any]:
    """A method's options by what they mean: of those that name files, in shards maybe, the content, not the name.

    `options` by their names, or as METHOD.OPTION.
    """

    def meant(value: str) -> list[str] | str:
        files = _files(Path(value)) if value else []
        return [_digest(file) for file in files if file.is_file()] or value

    # Any other text, such as a licence, is no path, even where a file happens to be called so.
    return {name: meant(value) if name.rpartition(".")[2] in FILE_OPTIONS else value for name, value in options.items()}


def _words_of(path: Path) -> dict[str, str]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path} cannot be read as safetensors: {error}. Get it again.") from error


def read_header(path: Path) -> Header:
    """What a `.safetensors` file of ours, or one in shards, says of itself, without reading its tensors."""
    files = _files(path)
    words = _words_of(files[0])
    _check_set(path, files)
    version = words.pop("format", "")
    if version.isdecimal() and int(version) > FORMAT:
        raise WeightsError(f"{path} is of format {version}; this version reads up to {FORMAT}. Update kinochrome.")
    for key in ("shards", "set"):
        words.pop(key, None)
    try:
        return Header(**{**words, "options": json.loads(words["options"])})
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{path} has no header of Kinochrome's: {sorted(words) or 'it is empty'}.") from error


def _check_set(path: Path, files: list[Path]) -> None:
    """Shards of different writings make no network."""
    if len(files) > 1 and len({_words_of(file).get("set") for file in files}) > 1:
        raise WeightsError(f"{path}: its {len(files)} shards are not of one writing. Get or write all of them again.")


def read(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a `.safetensors` file, of all its shards, or of a `.pth` of nothing but tensors by name."""
    import pickle

    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    files = _files(path)
    _check_set(path, files)
    try:
        if files[0].suffix == ".safetensors":
            held = {name: tensor for file in files for name, tensor in load_file(file).items()}
        else:
            held = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, SafetensorError, pickle.UnpicklingError) as error:
        why = str(error).partition("\n")[0]
        raise WeightsError(f"{path} cannot be read as weights: {why}. Get it again.") from error
    if not isinstance(held, dict) or not all(isinstance(value, torch.Tensor) for value in held.values()):
        inside = ", ".join(map(str, held)) if isinstance(held, dict) else type(held).__name__
        raise WeightsError(f"{path} holds {inside[:200]}, not tensors by name: give the file of the network alone.")
    return _finite(held, path)


def _finite(tensors: dict[str, torch.Tensor], path: Path) -> dict[str, torch.Tensor]:
    """The tensors; WeightsError where one holds what is no number."""
    import torch

    if lost := [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]:
        raise WeightsError(
            f"{path} holds values that are no numbers, in {_few(lost)}: its training went astray, or it was damaged. "
            "Take an earlier checkpoint, or get it again."
        )
    return dict(tensors)


def load_own(
    method: str, file: Path, shape: Callable[..., Shape], build: Callable[[Shape], Network], device: str
) -> Network:
    """The network of one of our own checkpoints, built in the shape that its header says."""
    header = read_header(file)
    if header.method != method:
        raise WeightsError(f"{file} holds weights of {header.method}, not of {method}.")
    import torch

    try:
        options = {name: tuple(one) if isinstance(one, list) else one for name, one in header.options.items()}
        built = shape(**options)
        with torch.device("meta"):
            empty = build(built)
    except (TypeError, ValueError) as error:
        raise WeightsError(f"{file} was made for another network than this version's {method}: {error}.") from error
    network = load(lambda: empty, file, device)
    # Convolutions on a processor take a third less time so.
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # the stub forgets it


def load_variant(
    method: str, chosen: tuple[str, str], shipped: Path, shape: Callable[..., Shape], build: Callable[[Shape], Network]
) -> Network:
    """The network of a method in two variants: of the `chosen` (variant, file), or of what comes along."""
    variant, file = chosen
    if variant == "paper" and not file:
        raise WeightsError(
            f"No weights of {method}'s variant paper come along. Train it (docs/methods/{method}.md says how), then "
            f"give --set {method}.weights=RUN/best.safetensors; or leave the variant small."
        )
    return load_own(method, Path(file) if file else shipped, shape, build, "cpu")


def load(build: Callable[[], Network], source: str | Path, device: str = "cpu") -> Network:
    """The network that `build` makes, with exactly the tensors of a file, for evaluation: no dropout, no gradients.

    `source` is a name of the catalogue or a path. What `build` makes is never initialised, so that it must hold its
    state in parameters and persistent buffers only.
    """
    import torch

    path = find(source) if isinstance(source, str) else source
    with torch.device("meta"):
        network = build()
    tensors = _fitted(network, read(path), path)
    network.load_state_dict(tensors, strict=True, assign=True)
    return network.eval().requires_grad_(False).to(device)


def _fitted(network: nn.Module, given: dict[str, torch.Tensor], path: Path) -> dict[str, torch.Tensor]:
    """The given tensors in the network's own types; names and shapes must be the network's."""
    import torch

    wanted = network.state_dict()
    for name in wanted:
        # Only training counts batches, and files from before PyTorch 0.4.1 do not.
        if name.endswith(".num_batches_tracked"):
            given.setdefault(name, torch.tensor(0))
    missing = [name for name in wanted if name not in given]
    foreign = [name for name in given if name not in wanted]
    misshapen = [
        f"{name} {tuple(given[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in given and given[name].shape != tensor.shape
    ]
    faults = {"missing": missing, "unknown": foreign, "of another shape": misshapen}
    if any(faults.values()):
        listed = "; ".join(f"{len(names)} {kind}: {_few(names)}" for kind, names in faults.items() if names)
        looks = architecture(given)
        seen = f"It looks like {looks}. " if looks else ""
        raise WeightsError(f"{path} does not fit {type(network).__name__}. {seen}Tensors {listed}.")
    return {name: given[name].to(tensor.dtype) for name, tensor in wanted.items()}


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")


_SIGNS: tuple[tuple[str, str, tuple[int, ...]], ...] = (
    ("VGG with batch normalisation", "features.1.running_mean", (64,)),
    ("VGG-19", "features.34.weight", (512, 512, 3, 3)),
    ("VGG-16", "features.28.weight", (512, 512, 3, 3)),
    ("AlexNet", "features.10.weight", (256, 256, 3, 3)),
    ("SqueezeNet 1.1", "features.12.expand3x3.weight", (256, 64, 3, 3)),
    ("ResNet-152", "layer3.35.conv3.weight", (1024, 256, 1, 1)),
    ("ResNet-101", "layer3.22.conv3.weight", (1024, 256, 1, 1)),
    ("ResNet-50", "layer3.5.conv3.weight", (1024, 256, 1, 1)),
    ("Inception v3 of torchvision", "AuxLogits.fc.weight", (1000, 768)),
    ("Inception v3 of TensorFlow, for FID", "fc.weight", (1008, 2048)),
    ("RAFT, large", "mask_predictor.conv.weight", (576, 256, 1, 1)),
    ("RAFT, small", "update_block.recurrent_block.convgru1.convz.weight", (96, 242, 3, 3)),
    ("RAFT as its authors name it, not as torchvision does", "module.fnet.conv1.weight", ()),
    ("LPIPS's layers for AlexNet", "lin2.model.1.weight", (1, 384, 1, 1)),
    ("LPIPS's layers for SqueezeNet", "lin6.model.1.weight", (1, 512, 1, 1)),
    ("LPIPS's layers for VGG-16", "lin4.model.1.weight", (1, 512, 1, 1)),
)
"""Architecture, a tensor that tells it from those below, and that one's shape; () for any."""


def architecture(tensors: Mapping[str, torch.Tensor]) -> str | None:
    """Which public architecture tensors by name look like."""
    for looks, name, shape in _SIGNS:
        if name in tensors and shape in ((), tuple(tensors[name].shape)):
            return looks
    if tensors and all(name.startswith("module.") for name in tensors):
        return "weights saved from DataParallel, with `module.` before each name"
    return None
