"""The official lists of the field's test sets, and what of them lies in a folder."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from kinochrome.errors import MethodError, VideoError, did_you_mean
from kinochrome.project import is_picture


@dataclass(frozen=True)
class DataSet:
    """A list of clips, each with the number of its frames, 00000 to the last."""

    text: str
    clips: Mapping[str, int]
    height: int | None
    """Of every frame; None where it is not settled."""


def _counted(text: str) -> dict[str, int]:
    words = text.split()
    return {name: int(count) for name, count in zip(words[::2], words[1::2], strict=True)}


def data_set(name: str) -> DataSet:
    """The list of that name."""
    if name not in DATA_SETS:
        hint = did_you_mean(name, DATA_SETS)
        raise MethodError(f"There is no list {name!r}{hint} There are: {', '.join(DATA_SETS)}.")
    text, clips, height = DATA_SETS[name]
    return DataSet(text, _counted(clips), height)


DATA_SETS: dict[str, tuple[str, str, int | None]] = {
    "davis-val": (
        "DAVIS 2017 validation, 480p: 30 clips, 1999 frames",
        (
            "bike-packing 69 blackswan 50 bmx-trees 80 breakdance 84 camel 90 car-roundabout 75 car-shadow 40 "
            "cows 104 dance-twirl 90 dog 60 dogs-jump 66 drift-chicane 52 drift-straight 50 goat 90 gold-fish 78 "
            "horsejump-high 50 india 81 judo 34 kite-surf 50 lab-coat 47 libby 49 loading 50 mbike-trick 79 "
            "motocross-jump 40 paragliding-launch 80 parkour 100 pigs 79 scooter-black 43 shooting 40 soapbox 99"
        ),
        480,
    ),
    "davis-train": (
        "DAVIS 2017 training, 480p: 60 clips, 4209 frames",
        (
            # From davis.json of davisinteractive, the data set's own package, whose counts of the validation set are
            # those above; of the 30 clips of 2016 the data set's site (json_data/global.js) states the same.
            "bear 82 bmx-bumps 90 boat 75 boxing-fisheye 87 breakdance-flare 71 bus 80 car-turn 80 cat-girl 89 "
            "classic-car 63 color-run 84 crossing 52 dance-jump 60 dancing 62 disc-jockey 76 dog-agility 25 "
            "dog-gooses 86 dogs-scale 83 drift-turn 64 drone 91 elephant 80 flamingo 80 hike 80 hockey 75 "
            "horsejump-low 60 kid-football 68 kite-walk 80 koala 100 lady-running 65 lindy-hop 73 longboard 52 "
            "lucia 70 mallard-fly 70 mallard-water 80 miami-surf 70 motocross-bumps 60 motorbike 43 "
            "night-race 46 paragliding 70 planes-water 38 rallye 50 rhino 90 rollerblade 35 schoolgirls 80 "
            "scooter-board 91 scooter-gray 75 sheep 68 skate-park 80 snowboard 66 soccerball 48 stroller 91 "
            "stunt 71 surf 55 swing 60 tennis 70 tractor-sand 76 train 80 tuk-tuk 59 upside-down 65 "
            "varanus-cage 67 walking 72"
        ),
        480,
    ),
    "videvo-test": (
        "Videvo test, as Lai et al. 2018 and after them use it: 20 clips, 4794 frames",
        (
            "AircraftTakingOff1 300 CoupleRidingMotorbike 264 Cycling 249 Ducks 300 FarmingLandscape 253 "
            "FatherAndChild2 250 Festival 250 Freeway2 210 Koala 175 Madagascar 215 MenRidingMotorbike 300 "
            "PalmTrees 300 PoliceCar 239 SilverCat 227 SkateboarderTableJump 120 Surfing 143 "
            "TimeSquareTraffic 300 Vineyard 299 Waterfall2 150 YogaHut2 250"
        ),
        None,
    ),
}
"""Name -> (what it is, its clips and how many frames each has, height)."""


@dataclass(frozen=True)
class Finding:
    """What is there of one clip."""

    clip: str
    frames: int
    wanted: int | None
    faults: tuple[str, ...]
    """What is wrong, in words; empty where all is well."""


def check(folder: Path, name: str) -> list[Finding]:
    """One finding a clip of the list, then one for each folder of pictures that the list does not have."""
    wanted = data_set(name)
    if not folder.is_dir():
        raise VideoError(f"{folder} is not a folder. Name the one that holds the clips, JPEGImages/480p for DAVIS.")
    found = [_finding(folder / clip, count, wanted.height) for clip, count in wanted.clips.items()]
    foreign = [place for place in sorted(folder.iterdir()) if place.is_dir() and place.name not in wanted.clips]
    return found + [
        Finding(place.name, len(pictures), None, ("is not on the list",))
        for place in foreign
        if (pictures := _pictures(place))
    ]


def _finding(place: Path, count: int, height: int | None) -> Finding:
    files = _pictures(place) if place.is_dir() else {}
    if not files:
        return Finding(place.name, 0, count, ("is missing",))
    expected = range(count)
    faults = []
    if missing := [number for number in expected if number not in files]:
        faults.append(f"lacks {_spans(missing)}")
    if extra := [number for number in files if number not in expected]:
        faults.append(f"has {_spans(extra)} besides")
    return Finding(place.name, len(files), count, (*faults, *_doubled(place), *_wrong_sizes(files, height)))


def _wrong_sizes(files: Mapping[int, Path], height: int | None) -> list[str]:
    """Frames that are damaged, not as high as the list says, or not of the clip's own size."""
    found = {number: _size(file) for number, file in files.items()}
    sizes = {number: size for number, size in found.items() if size}
    faults = [f"has {_spans(damaged)} damaged"] if (damaged := [one for one in found if one not in sizes]) else []
    if not sizes:
        return faults
    first = next(iter(sizes.values()))
    if height is not None and first[0] != height:
        return [*faults, f"is {first[1]}x{first[0]}, not {height} pixels high"]
    odd = [number for number, size in sizes.items() if size != first]
    return [*faults, *[f"has {_spans(odd)} in another size than {first[1]}x{first[0]}"] * bool(odd)]


def _size(file: Path) -> tuple[int, int] | None:
    """(height, width) of a picture; None of one that is damaged."""
    from kinochrome import video

    try:
        height, width = video.read_picture(file).shape[:2]
    except VideoError:
        return None
    return height, width


def _pictures(place: Path) -> dict[int, Path]:
    """Number -> picture, in order; of two for one frame the first."""
    found: dict[int, Path] = {}
    for number, file in _numbered(place):
        found.setdefault(number, file)
    return dict(sorted(found.items()))


def _numbered(place: Path) -> Iterator[tuple[int, Path]]:
    for file in sorted(place.iterdir()):
        if is_picture(file) and (numbers := re.findall(r"\d+", file.stem)):
            yield int(numbers[-1]), file


def _doubled(place: Path) -> list[str]:
    """What is wrong where two pictures have one number: nobody can tell which is the frame."""
    counts = Counter(number for number, _ in _numbered(place))
    twice = sorted(number for number, count in counts.items() if count > 1)
    return [f"has {_spans(twice)} twice"] if twice else []


def _spans(numbers: list[int]) -> str:
    """`frames 3 to 7, 9`"""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    texts = [f"{first}" if first == last else f"{first} to {last}" for first, last in spans]
    return f"frame{'s' * (len(numbers) > 1)} {', '.join(texts[:5])}{', …' * (len(texts) > 5)}"
