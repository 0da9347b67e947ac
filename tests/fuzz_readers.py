"""Thousands of damaged files: the readers refuse them, run nothing and stay small.

make fuzz                                        # 1,500 of each layout
python tests/fuzz_readers.py --examples 100      # fewer
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
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1]))

from sk_mer.datasets import add_emotion_labels, load_multimodal
from tests import layouts

SIZES = {"text": 4, "audio": 5, "vision": 2}
COUNTS = {"train": 3, "valid": 2, "test": 2}
# A file is a few kilobytes; what any reader takes, tables of pandas included.
ALLOWANCE = 2_000_000
SECONDS = 60
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


def seeds(folder: Path) -> dict[str, tuple[Path, Path]]:
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
    plain = {name: (path, path) for name, path in found.items()}
    mte = layouts.write_mte_folder(folder / "mte", splits)
    nine = layouts.write_iemocap_nine(folder / "nine", splits)
    mtl = layouts.write_mtl(folder / "mtl", splits)
    return {
        **plain,
        "MTE": (mte, mte / "audio_train.h5"),
        "IEMOCAP, nine": (nine, nine / "text_train.p"),
        "MTL": (mtl, mtl / "video.npz"),
    }


class Watch:
    """Counts outcomes and stops at the first that must not be."""

    def __init__(self) -> None:
        self.outcomes: collections.Counter[str] = collections.Counter()
        self.on = False
        self.worst = 0.0
        sys.addaudithook(self._audit)

    def _audit(self, event: str, arguments: object) -> None:
        if self.on and event in FORBIDDEN:
            raise AssertionError(f"a file made the reader do {event}{arguments}")

    def read(self, path: Path, size: int, data: object) -> None:
        faulthandler.dump_traceback_later(SECONDS, exit=True)
        tracemalloc.start()
        self.on = True
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                if path.name == "labels.csd":
                    add_emotion_labels(data, path)
                else:
                    load_multimodal(path)
            self.outcomes["read"] += 1
        except ValueError as error:
            kind = type(error).__name__ if str(error) else "no sentence"
            self.outcomes[kind] += 1
        finally:
            self.on = False
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            faulthandler.cancel_dump_traceback_later()
        self.worst = max(self.worst, peak / (4 * size + ALLOWANCE))
        assert peak <= 4 * size + ALLOWANCE, f"{peak} bytes for a file of {size}"


def fuzz(path: Path, target: Path, watch: Watch, known: object, n_examples: int) -> None:
    """Read `path` after each of many accidents to `target`, which is then mended."""
    whole = target.read_bytes()

    @settings(
        max_examples=n_examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(DAMAGE)
    def one_file(steps: list[tuple[str, int, bytes]]) -> None:
        data = damaged(whole, steps)
        target.write_bytes(data)
        watch.read(path, max(len(data), len(whole)), known)

    one_file()
    target.write_bytes(whole)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=1500, help="files of each layout")
    n_examples = parser.parse_args().examples
    folder = Path(tempfile.mkdtemp())
    watch = Watch()
    places = seeds(folder)
    known = load_multimodal(places["MulT"][0])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    total = 0
    for name, (path, target) in places.items():
        watch.outcomes.clear()
        fuzz(path, target, watch, known, n_examples)
        assert not watch.outcomes["no sentence"]
        total += watch.outcomes.total()
        print(f"{name:18} {dict(watch.outcomes)}", flush=True)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{total} files; largest share of the memory allowed: {watch.worst:.2f}")
    print(f"peak resident memory grew by {(after - before) / 1024:.0f} MB")
    assert after - before < 500 * 1024
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
