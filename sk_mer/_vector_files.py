"""Word-vector files read as streams: only the words asked for are ever kept."""

from __future__ import annotations

import gzip
import io
import mmap
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

Vectors = dict[str, NDArray[np.float32]]


def read_vectors(path: Path, words: Sequence[str]) -> Vectors:
    """The vectors of those `words` that a file has, whatever its layout."""
    if not path.exists():
        raise FileNotFoundError(
            f"No word-vector file at {str(path)!r}; give the path of a GloVe or "
            "word2vec file."
        )
    if path.suffix == ".kv":
        return from_keyed_vectors(load_keyed_vectors(path), words)
    if _is_binary(path):
        return _read_binary(path, words)
    return _read_text(path, words)


def file_tokens(path: Path) -> Iterator[str]:
    """Every word of a file; used only to suggest a way out when one is missing."""
    if path.suffix == ".kv":
        yield from load_keyed_vectors(path).key_to_index
    elif _is_binary(path):
        with _mapped(path) as data:
            yield from (token.decode("utf8", "replace") for token, _ in _records(data))
    else:
        with _text_stream(path) as stream:
            for line in stream:
                yield line.partition(b" ")[0].decode("utf8", "replace")


def load_keyed_vectors(path: Path) -> Any:
    """Open a ``.kv`` file with its vectors memory-mapped."""
    from gensim.models import KeyedVectors

    return KeyedVectors.load(str(path), mmap="r")


def from_keyed_vectors(keyed: Any, words: Sequence[str]) -> Vectors:
    """Look words up in a gensim ``KeyedVectors``."""
    return {
        word: np.array(keyed[word], dtype=np.float32)
        for word in words
        if word in keyed.key_to_index
    }


@contextmanager
def _text_stream(path: Path) -> Iterator[IO[bytes]]:
    if path.suffix == ".gz":
        with gzip.open(path, "rb") as stream:
            yield stream  # type: ignore[misc]
    elif path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            names = [n for n in archive.namelist() if not n.endswith("/")]
            if len(names) != 1:
                raise ValueError(
                    f"{path.name} holds {len(names)} files; expected one vector file, "
                    "so unpack it and give the path of the one you want."
                )
            with archive.open(names[0]) as stream:
                yield io.BufferedReader(stream, 1 << 20)  # type: ignore[type-var]
    else:
        with open(path, "rb", buffering=1 << 20) as stream:
            yield stream


def _read_text(path: Path, words: Sequence[str]) -> Vectors:
    wanted = {word.encode("utf8") for word in words}
    # A token may contain spaces (". . ." in glove.840B), so its first part selects the
    # lines worth parsing and the known number of values finds where it ends.
    heads = {word.partition(b" ")[0] for word in wanted}
    found: Vectors = {}
    with _text_stream(path) as stream:
        first = stream.readline()
        n_values, is_header = _layout(path, first)
        lines: Iterator[bytes] = iter(stream)
        if not is_header:
            lines = _chain(first, lines)
        for line in lines:
            if line[: line.find(b" ")] not in heads:
                continue
            token, *values = line.rsplit(maxsplit=n_values)
            name = token.decode("utf8", "replace")
            if token in wanted and name not in found:
                found[name] = _parse(path, name, values, n_values)
                if len(found) == len(wanted):
                    break
    return found


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _layout(path: Path, first: bytes) -> tuple[int, bool]:
    """Values in a line, and whether the first line is word2vec's header."""
    parts = first.split()
    if len(parts) == 2 and all(part.isdigit() for part in parts):
        return int(parts[1]), True
    n_values = 0
    while n_values < len(parts) - 1 and _is_number(parts[-1 - n_values]):
        n_values += 1
    if not n_values:
        raise ValueError(
            f"{path.name} is not a word-vector file: its first line is "
            f"{first[:40]!r}; expected a word and its numbers."
        )
    return n_values, False


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
    return np.array([float(value) for value in values], dtype=np.float32)


def _is_binary(path: Path) -> bool:
    """word2vec's binary layout: a text header, then bytes that are no text."""
    if path.suffix in (".gz", ".zip"):
        return False
    with open(path, "rb") as stream:
        header = stream.readline(64).split()
        if len(header) != 2 or not all(part.isdigit() for part in header):
            return False
        start = stream.read(4 * int(header[1]) + 64)
    body = start.partition(b" ")[2]
    return not all(32 <= byte < 127 or byte in (9, 10, 13) for byte in body[:64])


@contextmanager
def _mapped(path: Path) -> Iterator[mmap.mmap]:
    with (
        open(path, "rb") as stream,
        mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        yield data


def _records(data: mmap.mmap) -> Iterator[tuple[bytes, int]]:
    """Token and position of the vector of each record of a word2vec binary file."""
    end_of_header = data.find(b"\n")
    n_words, n_values = map(int, data[:end_of_header].split())
    position, size = end_of_header + 1, 4 * n_values
    for _ in range(n_words):
        end = data.find(b" ", position)
        if end < 0 or end + 1 + size > len(data):
            return
        yield data[position:end].lstrip(b"\n"), end + 1
        position = end + 1 + size


def _read_binary(path: Path, words: Sequence[str]) -> Vectors:
    wanted = {word.encode("utf8") for word in words}
    found: Vectors = {}
    with _mapped(path) as data:
        n_values = int(data[: data.find(b"\n")].split()[1])
        for token, at in _records(data):
            if token not in wanted:
                continue
            raw = data[at : at + 4 * n_values]
            found.setdefault(token.decode("utf8"), np.frombuffer(raw, "<f4").copy())
            if len(found) == len(wanted):
                break
    return found
