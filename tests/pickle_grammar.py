"""Random pickles that are nearly right: the fuzzer's third kind of file.

Damage to honest files cannot find a program that means something else. These are made of
the instructions themselves: whole arrays, containers that share their parts, names that
are allowed and names that are not, in an order that is mostly a sentence.
"""

from __future__ import annotations

import struct

from hypothesis import strategies as st

from .hostile_files import crafted

NAMES = [
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy._core.numeric", "_frombuffer"),
    ("_codecs", "encode"),
    ("builtins", "set"),
    ("builtins", "frozenset"),
    ("builtins", "list"),
    ("builtins", "bytes"),
    ("__builtin__", "dict"),
    ("collections", "OrderedDict"),
    ("builtins", "eval"),
    ("os", "system"),
    ("copyreg", "_reconstructor"),
    ("torch._utils", "_rebuild_tensor_v2"),
]
WORDS = [
    "train",
    "text",
    "audio",
    "vision",
    "labels",
    "id",
    "latin1",
    "f4",
    "O",
    "C",
    "raw_text",
]
# Instructions that take from the stack or the memo, often more than is there.
LOOSE = [
    b"t", b"\x85", b"\x86", b"\x87", b"l", b"d", b"e", b"a", b"s", b"u", b"\x90", b"\x91",
    b"R", b"b", b"(", b"0", b"1", b"2", b"\x94", b"\x81", b"\x92", b"o", b"Q", b"\x93",
    b"\x97", b"\x98", b"\x82\x01", b"ios\nsystem\n", b"Pkey\n",
]  # fmt: skip


def text(word):
    return b"X" + struct.pack("<I", len(word)) + word.encode()


def name_of(pair):
    return b"c" + "\n".join(pair).encode() + b"\n"


def integer(n):
    data = n.to_bytes((n.bit_length() + 8) // 8, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def buffered(shape, code, data):
    """An array as protocol 5 writes it."""
    sizes = b"(" + b"".join(map(integer, shape)) + b"t"
    dtype = name_of(("numpy", "dtype")) + text(code) + b"\x85R"
    content = b"B" + struct.pack("<I", len(data)) + data
    return name_of(NAMES[4]) + b"(" + content + dtype + sizes + text("C") + b"tR"


def reconstructed(shape, code, data):
    """An array as protocols 2 to 4 write it."""
    sizes = b"(" + b"".join(map(integer, shape)) + b"t"
    dtype = name_of(NAMES[0]) + text(code) + b"\x85R(K\x03" + text("<") + b"NNNtb"
    made = name_of(NAMES[2]) + name_of(NAMES[1]) + b"K\0\x85C\x01b\x87R"
    return made + b"(K\x01" + sizes + dtype + b"\x89C" + bytes([len(data)]) + data + b"tb"


SHAPES = st.lists(st.sampled_from([0, 1, 2, 3, 4, 2**31, 2**45, -1]), max_size=4)
HONEST_SHAPES = st.lists(st.integers(0, 3), min_size=1, max_size=3)


@st.composite
def arrays(draw):
    code = draw(st.sampled_from(["f4", "i2", "u1", "U1", "S2", "O", "V3", "f4,f4", "x"]))
    shape = draw(HONEST_SHAPES | SHAPES)
    honest = 1
    for n in shape:
        honest *= max(0, n)
    size = honest * {"f4": 4, "i2": 2, "u1": 1, "U1": 4, "S2": 2}.get(code, 1)
    data = bytes(size if size < 200 and draw(st.booleans()) else draw(st.integers(0, 64)))
    make = draw(st.sampled_from([buffered, reconstructed]))
    return make(shape, code, data)


ATOMS = st.one_of(
    st.sampled_from(
        [b"N", b"\x88", b"\x89", b"K\x02", b")", b"]", b"}", b"\x8f", b"I01\n"]
    ),
    st.sampled_from(WORDS).map(text),
    st.integers(-(2**70), 2**70).map(integer),
    st.binary(max_size=12).map(lambda b: b"C" + bytes([len(b)]) + b),
    st.floats().map(lambda x: b"G" + struct.pack(">d", x)),
    st.sampled_from(NAMES).map(name_of),
    st.integers(0, 8).map(lambda k: b"h" + bytes([k])),
    arrays(),
)


def containers(items):
    several = st.lists(items, max_size=4).map(b"".join)
    pairs = st.lists(st.tuples(ATOMS, items).map(b"".join), max_size=4).map(b"".join)
    return st.one_of(
        several.map(lambda body: b"](" + body + b"e"),
        several.map(lambda body: b"(" + body + b"t"),
        several.map(lambda body: b"\x8f(" + body + b"\x90"),
        several.map(lambda body: b"(" + body + b"\x91"),
        pairs.map(lambda body: b"}(" + body + b"u"),
        pairs.map(lambda body: b"(" + body + b"d"),
        st.tuples(st.sampled_from(NAMES).map(name_of), several).map(
            lambda call: call[0] + b"(" + call[1] + b"tR"
        ),
        items.map(lambda body: body + b"\x94"),
        items.map(lambda body: body + b"2\x86"),
        st.lists(items, min_size=1, max_size=3).map(
            lambda parts: parts[-1] + b"\x94" * len(parts)
        ),
    )


VALUES = st.recursive(ATOMS, containers, max_leaves=12)


@st.composite
def layouts_of(draw):
    """A MulT dictionary with some of its fields replaced."""
    rows = buffered([2, 3, 4], "f4", bytes(96))
    fields = dict.fromkeys(("text", "audio", "vision"), rows)
    fields["labels"] = buffered([2, 1, 1], "f4", bytes(8))
    for key in draw(
        st.lists(st.sampled_from([*fields, "id", "raw_text", "text_bert"]), max_size=3)
    ):
        fields[key] = draw(VALUES)
    if draw(st.booleans()):
        fields["regression_labels"] = fields["labels"]
    body = b"".join(text(key) + value for key, value in fields.items())
    return crafted(b"}(", text("train"), b"}(", body, b"uu")


@st.composite
def sentences(draw):
    """Values and loose instructions in any order."""
    parts = draw(st.lists(VALUES | st.sampled_from(LOOSE), min_size=1, max_size=12))
    return crafted(*parts)


PROGRAMS = layouts_of() | sentences()
