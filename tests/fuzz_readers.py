"""Tens of thousands of damaged files: the readers refuse them, run nothing and stay small.

make fuzz                                       # 2,600 of each kind, 14,000 programs
python tests/fuzz_readers.py --examples 100     # fewer
"""

from __future__ import annotations

import argparse
import collections
import faulthandler
import resource
import shutil
import sys
import tempfile
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import h5py
import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1]))

from sk_mer import MTEClassifier, load
from sk_mer.datasets import (
    add_emotion_labels,
    load_emotion_labels,
    load_feature_folders,
    load_multimodal,
    make_multimodal_emotions,
)
from sk_mer.datasets._content_files import read_content, write_content
from sk_mer.datasets._limited_reader import limit_this_process
from sk_mer.datasets._pickle_values import content_limit
from sk_mer.datasets._safe_pickle import read_pickle
from tests import hostile_files, hostile_headers, layouts
from tests.pickle_grammar import PROGRAMS

SIZES = {"text": 4, "audio": 5, "vision": 2}
COUNTS = {"train": 3, "valid": 2, "test": 2}
# What any reader takes, tables of pandas included; a damaged file is a few kilobytes.
ALLOWANCE = 2_000_000
MODEL_ALLOWANCE = 30_000_000
SECONDS = 60
# Of the one process that reads all files: as much again as a laptop has, and an hour.
MEMORY, WORK, WRITTEN = 16 << 30, 3600, 1 << 28
PROGRAMS_FOR_EACH_EXAMPLE = 14_000 / 2_600
FORBIDDEN = (
    "os.system",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "subprocess.Popen",
    "socket.connect",
    "ctypes.dlopen",
    "shutil.rmtree",
)
INTERESTING = [
    b"\xff\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\xff" * 8,
    b"\x00" * 8,
    b"\x00\x00\x00\x01\x00\x00\x00\x00",
    b"cos\nsystem\n",
    b"\x8c\x02os\x8c\x06system\x93",
]
DAMAGE = st.lists(
    st.tuples(
        st.sampled_from(["write", "insert", "delete", "cut", "repeat"]),
        st.integers(0, 2**20),
        st.binary(min_size=1, max_size=8) | st.sampled_from(INTERESTING),
    ),
    min_size=1,
    max_size=5,
)


def damaged(whole: bytes, steps: list[tuple[str, int, bytes]]) -> bytes:
    """A file after some accidents."""
    data = bytearray(whole)
    for kind, position, piece in steps:
        at = position % max(1, len(data))
        if kind == "write":
            data[at : at + len(piece)] = piece
        elif kind == "insert":
            data[at:at] = piece
        elif kind == "delete":
            del data[at : at + len(piece)]
        elif kind == "cut":
            del data[at:]
        else:
            data[at:at] = data[at : at + 16 * len(piece)]
    return bytes(data)


class Target:
    """A file to damage, or an entry of an archive, whose checksum is then made right."""

    def __init__(self, path: Path, entry: str = "") -> None:
        self.path, self.entry = path, entry
        self.before = path.read_bytes()
        self.whole = self._entries()[entry] if entry else self.before

    def _entries(self) -> dict[str, bytes]:
        with zipfile.ZipFile(self.path) as archive:
            return {name: archive.read(name) for name in archive.namelist()}

    def write(self, data: bytes) -> None:
        """Put other content in its place."""
        if not self.entry:
            self.path.write_bytes(data)
            return
        self.mend()
        entries = {**self._entries(), self.entry: data}
        with zipfile.ZipFile(self.path, "w") as archive:
            for name, content in entries.items():
                archive.writestr(name, content)

    def mend(self) -> None:
        """Put the file back as it was."""
        self.path.write_bytes(self.before)


def seeds(folder: Path) -> dict[str, tuple[Path, Target]]:
    """For each layout what to read and which of its files to damage."""
    splits = layouts.content(sizes=SIZES, counts=COUNTS, longest=3)
    small = {"windows": (3, 3, 3)}
    found = {
        "MulT": layouts.write_mult(folder / "mult", splits, **small),
        "MulT, protocol 2": layouts.write_mult(folder / "two", splits, protocol=2, **small),
        "MulT, protocol 5": layouts.write_mult(
            folder / "five", splits, protocol=5, **small
        ),
        "MMSA": layouts.write_mmsa(folder / "mmsa", splits),
        "TAILOR": layouts.write_tailor(folder / "tailor", splits),
        "TAILOR, arrays": layouts.write_tailor(folder / "arrays", splits, tensors=False),
        "labels": layouts.write_labels_csd(folder / "labels.csd", splits),
    }
    plain = {name: (path, Target(path)) for name, path in found.items()}
    tensors = layouts.write_tailor(folder / "x", splits)
    arrays = layouts.write_tailor(folder / "y", splits, tensors=False)
    mte = layouts.write_mte_folder(folder / "mte", splits)
    nine = layouts.write_iemocap_nine(folder / "nine", splits)
    mtl = layouts.write_mtl(folder / "mtl", splits)
    return {
        **plain,
        "tensors, pickle": (tensors, Target(tensors, "x/data.pkl")),
        "arrays, pickle": (arrays, Target(arrays, "y/data.pkl")),
        "MTE": (mte, Target(mte / "audio_train.h5")),
        "IEMOCAP, nine": (nine, Target(nine / "text_train.p")),
        "MTL": (mtl, Target(mtl / "video.npz")),
        "MTL, array": (mtl, Target(mtl / "video.npz", "train_data.npy")),
    }


def folder_seeds(folder: Path) -> dict[str, tuple[Path, dict[str, Path], Target]]:
    """Labels of each kind, the features of their utterances, and what to damage."""
    rng, words = np.random.default_rng(0), {"a": "happy", "b": "sad", "c": "happy"}
    single, framed = folder / "single", folder / "framed.h5"
    single.mkdir(parents=True)
    with h5py.File(framed, "w") as file:
        for name in words:
            np.save(single / f"{name}.npy", rng.normal(size=5))
            file[name] = rng.normal(size=(3, 2))
    labels = layouts.write_folder_labels(folder, words)
    features = {"audio": single, "vision": framed}
    npz, mmin = labels["MERTools"], labels.pop("MMIN")
    return {
        **{name: (path, features, Target(path)) for name, path in labels.items()},
        "MERTools, pickle": (npz, features, Target(npz, "train_corpus.npy")),
        "MMIN, names": (mmin, features, Target(mmin / "trn_int2name.npy")),
        "MMIN, labels": (mmin, features, Target(mmin / "trn_label.npy")),
        "a vector": (npz, features, Target(single / "b.npy")),
        "vectors": (npz, features, Target(framed)),
    }


class Watch:
    """Counts outcomes and stops at the first that must not be."""

    def __init__(self) -> None:
        self.outcomes: collections.Counter[str] = collections.Counter()
        self.on = False
        self.worst = 0.0
        sys.addaudithook(self._audit)

    def _audit(self, event: str, arguments: tuple[object, ...]) -> None:
        own = event == "shutil.rmtree" and Path(str(arguments[0])).name.startswith(
            "sk_mer_"
        )
        if self.on and event in FORBIDDEN and not own:
            raise AssertionError(f"a file made the reader do {event}{arguments}")

    def read(self, read: Callable[[], object], allowed: int) -> None:
        """Call `read`, which may take so many bytes and raise nothing but ValueError."""
        faulthandler.dump_traceback_later(SECONDS, exit=True)
        tracemalloc.start()
        self.on = True
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                read()
            self.outcomes["read"] += 1
        except ValueError as error:
            kind = type(error).__name__ if str(error) else "no sentence"
            self.outcomes[kind] += 1
        finally:
            self.on = False
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            faulthandler.cancel_dump_traceback_later()
        self.worst = max(self.worst, peak / allowed)
        assert peak <= allowed, f"{peak} bytes where {allowed} are allowed"


def examples(n: int) -> settings:
    return settings(
        max_examples=n,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


def fuzz(read: Callable[[], object], target: Target, watch: Watch, n: int) -> None:
    """Read after each of many accidents to `target`, which is then mended."""

    @examples(n)
    @given(DAMAGE)
    def one_file(steps: list[tuple[str, int, bytes]]) -> None:
        target.write(damaged(target.whole, steps))
        size = max(target.path.stat().st_size, len(target.before))
        watch.read(read, 4 * size + ALLOWANCE)

    one_file()
    target.mend()


def fuzz_programs(folder: Path, watch: Watch, n: int) -> None:
    """Random pickles: read, handed on as the limited process does, and as a corpus."""
    path = folder / "program.pkl"

    def read() -> None:
        write_content(read_pickle(path), folder)
        read_content(folder, path)
        load_multimodal(path)

    @examples(n)
    @given(PROGRAMS)
    def one_program(data: bytes) -> None:
        path.write_bytes(data)
        watch.read(read, content_limit(len(data)) + ALLOWANCE)

    one_program()


def fuzz_models(folder: Path, watch: Watch, n: int) -> None:
    """Saved models whose headers say something else in a few places."""
    data = make_multimodal_emotions(60, random_state=0)
    model = MTEClassifier(hidden_sizes=4, num_layers=1, max_epochs=1, random_state=0)
    model.fit(data.X, data.y[data.seen]).save(folder / "model")
    header, tensors = hostile_headers.read_model(folder / "model")
    rng = np.random.default_rng(0)
    for _ in range(n):
        changed = hostile_headers.altered(header, rng)
        path = hostile_headers.write_model(folder / "altered", changed, tensors)
        watch.read(lambda path=path: load(path).predict(data.X[:3]), MODEL_ALLOWANCE)


def read_hostile(folder: Path, watch: Watch) -> None:
    """One file of each known family."""
    for path in hostile_files.write_all(folder).values():
        read = load_emotion_labels if path.suffix == ".csd" else load_multimodal
        size = path.stat().st_size
        watch.read(lambda read=read, path=path: read(path), content_limit(size))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=2600, help="files of each kind")
    n = parser.parse_args().examples
    folder = Path(tempfile.mkdtemp())
    watch = Watch()
    places = seeds(folder)
    folders = folder_seeds(folder / "folders")
    known = load_multimodal(places["MulT"][0])
    limit_this_process(MEMORY, WORK, WRITTEN)  # one process serves all files
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    total = 0

    def report(name: str) -> None:
        nonlocal total
        assert not watch.outcomes["no sentence"]
        total += watch.outcomes.total()
        print(f"{name:18} {dict(watch.outcomes)}", flush=True)
        watch.outcomes.clear()

    for name, (path, target) in places.items():
        labels = path.name == "labels.csd"
        joined = partial(add_emotion_labels, known, path)
        fuzz(joined if labels else partial(load_multimodal, path), target, watch, n)
        report(name)
    for name, (path, features, target) in folders.items():
        fuzz(partial(load_feature_folders, path, features), target, watch, n)
        report(name)
    for name in ("programs", "models", "hostile"):
        (folder / name).mkdir()
    fuzz_programs(folder / "programs", watch, round(n * PROGRAMS_FOR_EACH_EXAMPLE))
    report("programs")
    fuzz_models(folder / "models", watch, n)
    report("saved models")
    read_hostile(folder / "hostile", watch)
    report("known families")
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{total} files; largest share of the memory allowed: {watch.worst:.2f}")
    print(f"peak resident memory grew by {(after - before) / 1024:.0f} MB")
    assert after - before < 1024 * 1024
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
