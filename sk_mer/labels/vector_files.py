"""Word-vector files read as streams: only the words asked for are ever kept.

A file may come from anywhere, so that nothing is believed of it: what the header states is
compared with the size before anything is read by it, and memory stays within a few blocks
whatever the file holds.
"""

from __future__ import annotations

import gzip
import io
import mmap
import os
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._regular_files import refuse_special_file
from .lexicon_files import is_lexicon, lexicon_words, read_lexicon

Vectors = dict[str, NDArray[np.float32]]

_MOST_VALUES = 100_000
# Bytes of a line, and bytes read at a time: few enough for a core's cache.
_LONGEST, _BLOCK = 1 << 20, 1 << 18
# Numbers written as text unpack to three times their size, seldom to five.
_MOST_EXPANSION, _SMALL = 20, 1 << 26
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")


def read_vectors(path: Path, words: Sequence[str]) -> Vectors:
    """The vectors of those `words` that a file has, whatever its layout."""
    if not os.path.exists(path):  # of Path it would fail for a very long name
        raise FileNotFoundError(
            f"No word-vector file at {str(path)!r}; give the path of a GloVe or "
            "word2vec file."
        )
    refuse_special_file(path)
    if path.suffix == ".kv":
        return from_keyed_vectors(load_keyed_vectors(path), words)
    if is_lexicon(path):
        return read_lexicon(path, words)
    layout = _layout(path)
    read = _read_binary if layout.is_binary else _read_text
    return read(path, words, layout)


def file_tokens(path: Path) -> Iterator[str]:
    """Every word of a file; used only to suggest a way out when one is missing."""
    if path.suffix == ".kv":
        yield from load_keyed_vectors(path).key_to_index
        return
    if is_lexicon(path):
        yield from lexicon_words(path)
        return
    layout = _layout(path)
    if layout.is_binary:
        with _mapped(path) as data:
            for token, _ in _records(path, data, layout):
                yield token.decode("utf8", "replace")
    else:
        for line in chain.from_iterable(_blocks(path)):
            if line.endswith(b"\n"):
                yield line.partition(b" ")[0].decode("utf8", "replace")


def load_keyed_vectors(path: Path) -> Any:
    """Open a ``.kv`` file with its vectors memory-mapped."""
    from gensim.models import KeyedVectors

    with _damage_refused(path):
        keyed = KeyedVectors.load(str(path), mmap="r")
    if not isinstance(keyed, KeyedVectors):
        raise ValueError(
            f"{path.name} holds a {type(keyed).__name__}; expected the KeyedVectors of "
            "gensim, as their save writes them."
        )
    return keyed


def from_keyed_vectors(keyed: Any, words: Sequence[str]) -> Vectors:
    """Look words up in a gensim ``KeyedVectors``."""
    return {
        word: np.array(keyed[word], dtype=np.float32)
        for word in words
        if word in keyed.key_to_index
    }


@contextmanager
def _damage_refused(path: Path) -> Iterator[None]:
    """One sentence instead of the many errors by which libraries report damage."""
    try:
        yield
    except Exception as error:
        raise ValueError(
            f"{path.name} is damaged ({type(error).__name__}: {error}); fetch or write the "
            "file again."
        ) from error


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The bytes of a file, unpacked."""
    with open(path, "rb") as source:
        if path.suffix == ".gz":
            with gzip.GzipFile(fileobj=source) as stream:
                yield stream
        elif path.suffix == ".zip":
            with _only_member(path, source) as stream:
                yield stream
        else:
            yield source


def _only_member(path: Path, source: IO[bytes]) -> IO[bytes]:
    with _damage_refused(path):
        archive = zipfile.ZipFile(source)
    members = [m for m in archive.infolist() if not m.filename.endswith("/")]
    if len(members) != 1:
        raise ValueError(
            f"{path.name} holds {len(members)} files; expected one vector file, "
            "so unpack it and give the path of the one you want."
        )
    # Of the other methods Python unpacks a block of any size at once.
    plain = members[0].compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    if members[0].flag_bits & 1 or not plain:
        raise ValueError(
            f"{path.name} is encrypted or not compressed by 'deflate'; unpack it and give "
            "the path of the file in it."
        )
    with _damage_refused(path):
        return archive.open(members[0])


def _blocks(path: Path) -> Iterator[Iterable[bytes]]:
    """Lines of a file, some hundreds at once, by which checks cost nothing for each.

    A line that the end of a block cuts lacks its newline there, and comes again whole.
    """
    left = float("inf")
    if path.suffix in (".gz", ".zip"):
        left = _MOST_EXPANSION * path.stat().st_size + _SMALL
    with _opened(path) as stream:
        cut = b""
        while block := _read(path, stream):
            left -= len(block)
            if left < 0:
                raise ValueError(
                    f"{path.name} unpacks to more than {_MOST_EXPANSION} times its size, "
                    "as numbers do not; unpack it yourself if you trust it, and give the "
                    "path of what comes out."
                )
            end = block.rfind(b"\n") + 1
            if end:
                lines = io.BytesIO(block)
                yield [cut + lines.readline()]
                yield lines
            cut = block[end:] if end else cut + block
            if len(cut) > _LONGEST:
                raise _too_long(path)
        if cut:
            yield [cut + b"\n"]


def _read(path: Path, stream: Any) -> bytes:
    with _damage_refused(path):
        block: bytes = stream.read(_BLOCK)
    return block


def _too_long(path: Path) -> ValueError:
    return ValueError(
        f"{path.name} is not a word-vector file: it has a line of more than {_LONGEST:,} "
        "bytes; expected a word and its numbers in each line."
    )


def _read_text(path: Path, words: Sequence[str], layout: _Layout) -> Vectors:
    wanted = _as_bytes(words)
    # A token may contain spaces (". . ." in glove.840B), so its first part selects the
    # lines worth parsing and the known number of values finds where it ends.
    heads = {word.partition(b" ")[0] for word in wanted}
    found: Vectors = {}
    lines = chain.from_iterable(_blocks(path))
    if layout.n_words is not None:
        next(lines, None)
    for line in lines:
        if line[: line.find(b" ")] not in heads or not line.endswith(b"\n"):
            continue
        token, *values = line.rsplit(maxsplit=layout.n_values) or [b""]
        word = wanted.get(token)
        if word is not None and word not in found:
            found[word] = _parse(path, word, values, layout.n_values)
            if len(found) == len(wanted):
                break
    return found


def _as_bytes(words: Sequence[str]) -> dict[bytes, str]:
    """Words by what a file has for them; of half a character it has nothing."""
    return {word.encode("utf8", "surrogatepass"): word for word in words}


class _Layout(NamedTuple):
    """What the start of a file says; GloVe's does not say how many words there are."""

    n_words: int | None
    n_values: int
    is_binary: bool = False


def _layout(path: Path) -> _Layout:
    with _opened(path) as stream, _damage_refused(path):
        first, rest = stream.readline(_LONGEST), stream.read(1 << 12)
    if len(first) == _LONGEST:
        raise _too_long(path)
    parts = first.split()
    if len(parts) != 2 or not all(part.isdigit() for part in parts):
        return _Layout(None, _count_values(path, first))
    if max(map(len, parts)) > 18 or not 1 <= int(parts[1]) <= _MOST_VALUES:
        raise ValueError(
            f"{path.name} states in its first line {first[:40]!r}; expected a number of "
            f"words and one of 1 to {_MOST_VALUES:,} values, so fetch the file again."
        )
    n_words, n_values = map(int, parts)
    is_binary = _looks_binary(rest, n_values)
    if is_binary and path.suffix in (".gz", ".zip"):
        raise ValueError(
            f"{path.name} holds word2vec's binary layout; unpack it and give the path of "
            "the .bin file."
        )
    return _Layout(n_words, n_values, is_binary)


def _count_values(path: Path, first: bytes) -> int:
    """Numbers at the end of GloVe's first line."""
    parts = first.split()
    n_values = 0
    while n_values < len(parts) - 1 and _is_number(parts[-1 - n_values]):
        n_values += 1
    if not 1 <= n_values <= _MOST_VALUES:
        raise ValueError(
            f"{path.name} is not a word-vector file: its first line is "
            f"{first[:40]!r}; expected a word and 1 to {_MOST_VALUES:,} numbers."
        )
    return n_values


def _is_number(text: bytes) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _parse(
    path: Path, word: str, values: Sequence[bytes], n_values: int
) -> NDArray[np.float32]:
    if len(values) != n_values or not all(map(_is_number, values)):
        raise ValueError(
            f"{path.name} is damaged at the word {word!r}: expected {n_values} numbers "
            f"after it; fetch the file again."
        )
    with np.errstate(over="ignore"):  # infinite then, which no label may be
        return np.array([float(value) for value in values], dtype=np.float32)


def _looks_binary(start: bytes, n_values: int) -> bool:
    """Whether what follows a header is neither a line of numbers nor damaged text."""
    numbers = start.partition(b"\n")[0].rsplit(maxsplit=n_values)[1:]
    if numbers and all(map(_is_number, numbers)):
        return False
    return _CONTROL.search(start) is not None


@contextmanager
def _mapped(path: Path) -> Iterator[mmap.mmap]:
    with (
        open(path, "rb") as stream,
        mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        yield data


def _records(path: Path, data: mmap.mmap, layout: _Layout) -> Iterator[tuple[bytes, int]]:
    """Token and position of the vector of each record of a word2vec binary file."""
    n_words, position = layout.n_words or 0, data.find(b"\n") + 1
    size = 4 * layout.n_values
    if n_words * (size + 1) > len(data) - position:
        raise ValueError(
            f"{path.name} has {len(data):,} bytes, too few for the {n_words:,} words of "
            f"{layout.n_values:,} values that it states; fetch the file again."
        )
    last = len(data) - size - 1
    for k in range(n_words):
        end = data.find(b" ", position)
        if not position <= end <= last or end - position > _LONGEST:
            raise ValueError(
                f"{path.name} is damaged at its word {k + 1:,} of {n_words:,}; fetch the "
                "file again."
            )
        yield data[position:end].lstrip(b"\n"), end + 1
        position = end + 1 + size


def _read_binary(path: Path, words: Sequence[str], layout: _Layout) -> Vectors:
    wanted = _as_bytes(words)
    found: Vectors = {}
    with _mapped(path) as data:
        for token, at in _records(path, data, layout):
            word = wanted.get(token)
            if word is None or word in found:
                continue
            raw = data[at : at + 4 * layout.n_values]
            found[word] = np.frombuffer(raw, "<f4").astype(np.float32)
            if len(found) == len(wanted):
                break
    return found
