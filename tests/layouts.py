"""Writers of every file layout that the readers know, small and with known content."""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass, field

import numpy as np

from sk_mer import MultimodalArray
from sk_mer.datasets import EmotionCorpus
from sk_mer.datasets._layouts import IEMOCAP_NINE, MTE_ORDER, SDK_ORDER

SIZES = {"text": 300, "audio": 74, "vision": 35}
COUNTS = {"train": 6, "valid": 3, "test": 4}


@dataclass
class Split:
    """Ragged content of one split."""

    sequences: dict[str, list[np.ndarray]]
    emotions: np.ndarray  # (n, 6) 0/1 in the order of the SDK
    sentiment: np.ndarray
    videos: list[str]
    index: np.ndarray
    intervals: np.ndarray
    sizes: dict[str, int] = field(default_factory=lambda: dict(SIZES))

    def __len__(self):
        return len(self.videos)

    def dense(self, name, window, side="right", dtype=np.float32):
        out = np.zeros((len(self), window, self.sizes[name]), dtype)
        for row, steps in zip(out, self.sequences[name]):
            place = (
                slice(window - len(steps), None) if side == "left" else slice(len(steps))
            )
            row[place] = steps
        return out

    def named(self, order):
        return self.emotions[:, [SDK_ORDER.index(name) for name in order]]


def content(*, longest=9, aligned=True, sizes=None, counts=None, seed=0):
    """Random utterances by split; the first of each has no emotion at all."""
    rng, sizes = np.random.default_rng(seed), sizes or SIZES
    splits = {}
    for split, n in (counts or COUNTS).items():
        steps = {m: rng.integers(2, longest + 1, n) for m in sizes}
        if aligned:
            steps = dict.fromkeys(sizes, steps["text"])
        sequences = {
            m: [rng.normal(1, 1, (t, d)).astype(np.float32) for t in steps[m]]
            for m, d in sizes.items()
        }
        emotions = (rng.random((n, 6)) < 0.4).astype(np.int64)
        emotions[0] = 0
        emotions[1:] |= np.eye(6, dtype=int)[np.arange(1, n) % 6]
        start = np.arange(n) % 2 * 7.25 + 0.5
        splits[split] = Split(
            sequences,
            emotions,
            rng.integers(-3, 4, n).astype(np.float32),
            [f"vid-{split}_{i // 2}" for i in range(n)],
            np.arange(n) % 2,
            np.stack([start, start + 5.125], axis=1),
            dict(sizes),
        )
    return splits


def _dump(path, value, protocol=4):
    with open(path, "wb") as stream:
        pickle.dump(value, stream, protocol=protocol)
    return path


def write_mult(
    path,
    splits,
    *,
    windows=(50, 50, 50),
    side="left",
    dtype=np.float32,
    inf=True,
    byte_ids=True,
    audio_as_list=False,
    protocol=4,
):
    """``mosei_senti_data.pkl``: sentiment, ids of three, -inf in COVAREP."""
    data = {}
    for name, s in splits.items():
        window = dict(zip(SIZES, windows))
        arrays = {m: s.dense(m, window[m], side, dtype) for m in SIZES}
        if inf:
            arrays["audio"][1, -1 if side == "left" else 0, 3] = -np.inf
        ids = np.array(
            [[v, str(a), str(b)] for v, (a, b) in zip(s.videos, s.intervals)],
            dtype="S" if byte_ids else "U",
        )
        if audio_as_list:
            arrays["audio"] = list(arrays["audio"])
        labels = s.sentiment.reshape(-1, 1, 1).astype(np.float32)
        data[name] = {**arrays, "labels": labels, "id": ids}
    return _dump(path, data, protocol)


def write_iemocap_four(path, splits):
    """``iemocap_data.pkl``: one-hot pairs, no ids, left-padded to 20."""
    data = {}
    for name, s in splits.items():
        yes = s.emotions[:, :4]
        labels = np.stack([1 - yes, yes], axis=2).astype(np.float32)
        arrays = {m: s.dense(m, 20, "left", np.float64) for m in SIZES}
        data[name] = {**arrays, "labels": labels}
    return _dump(path, data, 2)


def write_aligned_60(path, splits):
    """``mosei_emotion_aligned_60.pkl``."""
    data = {
        name: {
            **{m: s.dense(m, 60, "right") for m in SIZES},
            "labels": s.emotions,
            "id": np.array(s.videos, dtype=object),
        }
        for name, s in splits.items()
    }
    return _dump(path, data)


def write_mmsa(path, splits, *, aligned=True):
    """``aligned_50.pkl`` and ``unaligned_50.pkl``."""
    data = {}
    windows = {
        "text": 50,
        "audio": 50 if aligned else 500,
        "vision": 50 if aligned else 375,
    }
    for name, s in splits.items():
        steps = np.array([len(rows) for rows in s.sequences["text"]])
        bert = np.zeros((len(s), 3, 50), np.float32)
        bert[:, 0] = 101
        bert[:, 1] = np.arange(50) < steps[:, None]
        data[name] = {
            "raw_text": np.array([f"sentence {i}" for i in range(len(s))], dtype=object),
            **{m: s.dense(m, windows[m]) for m in SIZES},
            "text_bert": bert,
            "id": [f"{v}$_${k}" for v, k in zip(s.videos, s.index)],
            "annotations": ["Neutral"] * len(s),
            "classification_labels": np.zeros(len(s)),
            "regression_labels": s.sentiment,
        }
        if not aligned:
            for m in ("audio", "vision"):
                data[name][f"{m}_lengths"] = [len(rows) for rows in s.sequences[m]]
    return _dump(path, data)


def write_tailor(path, splits, *, tensors=True):
    """``train_valid_test.pt``; targets are token ids between a begin and an end token."""
    import torch

    make = torch.tensor if tensors else np.asarray
    data = {}
    for name, s in splits.items():
        data[name] = {
            f"src-{key}": [make(row) for row in s.dense(m, 60)]
            for key, m in (("visual", "vision"), ("audio", "audio"), ("text", "text"))
        }
        data[name]["tgt"] = [
            [2, *(np.flatnonzero(row) + 4).tolist(), 3] for row in s.emotions
        ]
    torch.save(data, path)
    return path


def write_mte_folder(folder, splits, *, dtype=np.float64, side="left", inf=False):
    """``seq_length_20``: one HDF5 file for each modality and split."""
    import h5py

    folder.mkdir(exist_ok=True)
    for name, s in splits.items():
        arrays = {
            f"text_{name}_emb": s.dense("text", 20, side, dtype),
            f"audio_{name}": s.dense("audio", 20, side, dtype),
            f"video_{name}": s.dense("vision", 20, side, dtype),
            f"ey_{name}": s.named(MTE_ORDER) * (2 / 3),
            f"y_{name}": s.sentiment.astype(dtype),
        }
        if inf:
            arrays[f"audio_{name}"][0, -1, 0] = -np.inf
        for key, values in arrays.items():
            with h5py.File(folder / f"{key}.h5", "w") as file:
                file["d1"] = values
    return folder


def write_mosi_folder(folder, splits):
    """MOSI's variant: 300 + 5 + 20 columns in one array."""
    import h5py

    folder.mkdir(exist_ok=True)
    for name, s in splits.items():
        joined = np.concatenate([s.dense(m, 20, "left") for m in SIZES], axis=2)
        for key, values in (("X", joined), ("y", s.sentiment)):
            with h5py.File(folder / f"{key}_{name}.h5", "w") as file:
                file["data"] = values
    return folder


def write_python2_pickle(path, array):
    """What Python 2 wrote: protocol 2 with byte strings that Python 3 has no word for."""
    data = np.ascontiguousarray(array)
    kind, size = data.dtype.kind + str(data.dtype.itemsize), len(data.tobytes())

    def text(value):
        return b"U" + bytes([len(value)]) + value.encode("latin1")

    def number(value):
        return b"J" + int(value).to_bytes(4, "little", signed=True)

    shape = b"(" + b"".join(map(number, data.shape)) + b"t"
    dtype = b"cnumpy\ndtype\n(" + text(kind) + number(0) + number(1) + b"tR"
    dtype += (
        b"(" + number(3) + text("<") + b"NNN" + number(-1) + number(-1) + number(0) + b"tb"
    )
    array_bytes = b"T" + size.to_bytes(4, "little") + data.tobytes()
    path.write_bytes(
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n"
        + b"(cnumpy\nndarray\n(" + number(0) + b"t" + text("b") + b"tR"
        + b"(" + number(1) + shape + dtype + b"\x89" + array_bytes + b"tb."
    )  # fmt: skip
    return path


def write_iemocap_nine(folder, splits):
    """Nine emotions between 'other' and 'unknown', in pickles of Python 2."""
    folder.mkdir(exist_ok=True)
    for name, s in splits.items():
        y = np.zeros((len(s), len(IEMOCAP_NINE) + 2))
        y[:, 1:7] = s.emotions
        y[0, 0] = 1
        for key, m in (("text", "text"), ("covarep", "audio"), ("facet", "vision")):
            write_python2_pickle(
                folder / f"{key}_{name}.p", s.dense(m, 21, "left", np.float64)
            )
        write_python2_pickle(folder / f"y_{name}.p", y)
    return folder


def write_mtl(folder, splits):
    """MTL's archives: videos of two utterances, one vector each."""
    folder.mkdir(exist_ok=True)
    arrays = {"text": {}, "audio": {}, "video": {}}
    for name, s in splits.items():
        n_videos, n = -(-len(s) // 2), len(s)
        place = np.arange(n) // 2, np.arange(n) % 2

        def by_video(values, n_videos=n_videos, place=place):
            out = np.zeros((n_videos, 3, *values.shape[1:]), values.dtype)
            out[place] = values
            return out

        for key, m in (("text", "text"), ("audio", "audio"), ("video", "vision")):
            means = np.stack([rows.mean(axis=0) for rows in s.sequences[m]])
            arrays[key][f"{name}_data"] = by_video(means)
        arrays["video"][f"{name}EmoLabel"] = by_video(s.named(MTE_ORDER).astype(float))
        arrays["video"][f"{name}SentiLabel"] = by_video(s.sentiment)
        arrays["video"][f"{name}_length"] = np.bincount(place[0])
    for key, values in arrays.items():
        np.savez(folder / f"{key}.npz", **values)
    return folder


def write_csd(path, root, sequences, dimension_names=None):
    """A computational sequence; `sequences` maps ids to (features, intervals)."""
    import h5py

    with h5py.File(path, "w") as file:
        data = file.create_group(f"{root}/data")
        for key, (features, intervals) in sequences.items():
            data[f"{key}/features"] = features
            data[f"{key}/intervals"] = intervals
        meta = file.create_group(f"{root}/metadata")
        meta["root name"] = [json.dumps(root).encode()]
        if dimension_names:
            meta["dimension names"] = [json.dumps(dimension_names).encode()]
    return path


def label_sequences(splits):
    """Labels by video, as ``CMU_MOSEI_Labels.csd`` keeps them."""
    found = {}
    for s in splits.values():
        values = np.concatenate([s.sentiment[:, None], s.emotions / 3], axis=1)
        for i, video in enumerate(s.videos):
            rows, times = found.setdefault(video, ([], []))
            rows.append(values[i])
            times.append(s.intervals[i])
    return {v: (np.array(a, np.float32), np.array(b)) for v, (a, b) in found.items()}


def write_labels_csd(path, splits):
    return write_csd(path, "All Labels", label_sequences(splits), ["sentiment", *SDK_ORDER])


def write_sdk_folder(folder, splits):
    """Labels, and features over whole videos at ten steps a second."""
    folder.mkdir(exist_ok=True)
    write_labels_csd(folder / "CMU_MOSEI_Labels.csd", splits)
    roots = {"text": "glove_vectors", "audio": "COVAREP", "vision": "FACET_4.2"}
    rng = np.random.default_rng(3)
    videos = {v: int(s.intervals.max() * 10) + 3 for s in splits.values() for v in s.videos}
    for m, root in roots.items():
        width = next(iter(splits.values())).sizes[m]
        sequences = {}
        for video, n in videos.items():
            start = np.arange(n) / 10
            features = rng.normal(size=(n, width)).astype(np.float32)
            sequences[video] = features, np.stack([start, start + 0.1], axis=1)
        write_csd(folder / f"CMU_MOSEI_{root}.csd", root, sequences)
    words = {
        video: (
            np.array([[b"so"], [b"sp"], [b"happy"]]),
            np.array([[0.6, 0.9], [0.9, 1.0], [1.0, 1.5]]),
        )
        for video in videos
    }
    write_csd(folder / "CMU_MOSEI_TimestampedWords.csd", "words", words)
    return folder


def corpus_of(rows, *, keep_index=False):
    """A corpus with the ids of a table of segments and one feature."""
    return EmotionCorpus(
        X=MultimodalArray(text=np.ones((len(rows), 1))),
        y=None,
        sentiment=None,
        ids=np.arange(len(rows)).astype(str),
        groups=rows["video"].to_numpy(dtype=object),
        split=np.full(len(rows), "train"),
        intervals=rows[["start", "end"]].to_numpy(float),
        index=rows["index"].to_numpy() if keep_index else np.full(len(rows), -1),
        sentences=None,
        layout="generated",
        facts={},
    )


def write_folder_labels(folder, words):
    """Labels of utterances whose features are a file each, in each form that is known."""
    told = {name: {"emo": word, "val": 0.5} for name, word in words.items()}
    np.savez(folder / "labels.npz", train_corpus=told)
    emotions = sorted(set(words.values()))
    target, codes = folder / "target", [emotions.index(word) for word in words.values()]
    target.mkdir()
    np.save(target / "trn_int2name.npy", np.array([[name.encode()] for name in words]))
    np.save(target / "trn_label.npy", np.array(codes))
    content = {"video": list(words)}, {"video": codes}, {}, {}, ["video"], []
    (folder / "labels.pkl").write_bytes(pickle.dumps(content))
    lines = [f"{name},{word},0.5,train" for name, word in words.items()]
    table = "\n".join(["name,emotion,valence,split", *lines])
    (folder / "labels.csv").write_text(table, encoding="utf-8")
    return {
        "MERTools": folder / "labels.npz",
        "MMIN": target,
        "GCNet": folder / "labels.pkl",
        "table": folder / "labels.csv",
    }
