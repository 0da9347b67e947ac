"""Features in one file an utterance, with the labels of MERTools, MMIN, GCNet or a table."""

from __future__ import annotations

import pickle

import h5py
import numpy as np
import pandas as pd
import pytest

from sk_mer import PooledLinearClassifier
from sk_mer.datasets import UnsafeFileError, load_feature_folders

NAMES = [f"clip_{k}" for k in range(6)]
WORDS = ["happy", "sad", "happy", "angry", "sad", "happy"]


@pytest.fixture
def folders(tmp_path):
    """Vectors of sound for all but one, frames of pictures for all."""
    rng = np.random.default_rng(0)
    audio, vision = tmp_path / "hubert-UTT", tmp_path / "clip-FRA"
    audio.mkdir()
    vision.mkdir()
    for k, name in enumerate(NAMES):
        if k != 4:
            np.save(audio / f"{name}.npy", rng.normal(size=5))
        np.save(vision / f"{name}.npy", rng.normal(size=(k + 1, 3)).astype(np.float32))
    frames = np.load(vision / "clip_1.npy")
    frames[0, 0] = np.nan
    np.save(vision / "clip_1.npy", frames)
    return {"audio": audio, "vision": vision}


def load(labels, features, **how):
    with pytest.warns(UserWarning, match="1 of 6 utterances have no file of 'audio'"):
        return load_feature_folders(labels, features, **how)


def check(data, folders):
    assert data.ids.tolist() == NAMES
    assert data.X.lengths("audio").tolist() == [1, 1, 1, 1, 0, 1]
    assert data.X.lengths("vision").tolist() == [1, 2, 3, 4, 5, 6]
    np.testing.assert_array_equal(
        data.X[5]["vision"], np.load(folders["vision"] / "clip_5.npy")
    )
    assert data.X[1]["vision"][0, 0] == 0
    assert data.X.provenance["audio"]["model"] == "hubert-UTT"
    summary = data.summary()["all"]
    assert summary["vision: not finite, read as 0"] == 1


def mertools(path, rows, **others):
    """As MERTools writes them: a dictionary in an array of one object a split."""
    splits = {}
    for split, name, emotion, valence in rows:
        splits.setdefault(f"{split}_corpus", {})[name] = {"emo": emotion, "val": valence}
    np.savez_compressed(path, **splits, **others)
    return path


def test_mertools(tmp_path, folders):
    splits = ["train"] * 4 + ["val", "test1"]
    valences = [0.5, -1, 2, -2, np.float64(-0.5), ""]
    path = mertools(tmp_path / "label-6way.npz", zip(splits, NAMES, WORDS, valences))
    data = load(path, folders)
    check(data, folders)
    assert data.layout == "MERTools, folders"
    assert list(data.y) == ["angry", "happy", "sad"]
    assert data.y.loc[0].tolist() == [0, 1, 0]
    assert data.split.tolist() == ["train"] * 4 + ["valid", "test1"]
    np.testing.assert_array_equal(data.valence, [0.5, -1, 2, -2, -0.5, np.nan])
    part = data.part("test1")
    assert part.valence.isna().tolist() == [True]
    assert len(part.X) == len(part.y) == 1
    order = load(path, folders, label_names=["sad", "happy", "angry"])
    assert order.y.loc[0].tolist() == [0, 1, 0]
    with pytest.raises(
        ValueError, match=r"label-6way.npz: label_names lacks 'angry', 'sad'"
    ):
        load_feature_folders(path, folders, label_names=["happy"])


def test_unlabelled_utterances(tmp_path, folders):
    rows = [("train", n, w if n != "clip_3" else "", 0.0) for n, w in zip(NAMES, WORDS)]
    data = load(mertools(tmp_path / "a.npz", rows), folders)
    assert list(data.y) == ["happy", "sad"]
    assert data.y.isna().all(axis=1).tolist() == [False, False, False, True, False, False]
    assert data.summary()["all"]["happy"] == 3
    model = PooledLinearClassifier(C=1.0).fit(data.X, data.y)
    assert model.predict(data.X).shape == (6, 2)


def test_mmin(tmp_path, folders):
    target = tmp_path / "target" / "1"
    target.mkdir(parents=True)
    for short, part in {"trn": NAMES[:4], "val": NAMES[4:5], "tst": NAMES[5:]}.items():
        np.save(target / f"{short}_int2name.npy", np.array([[n.encode()] for n in part]))
        codes = [["happy", "sad", "angry"].index(WORDS[NAMES.index(n)]) for n in part]
        np.save(target / f"{short}_label.npy", np.eye(3)[codes])
    with h5py.File(tmp_path / "denseface.h5", "w") as file:
        for name in NAMES:
            file[name] = np.load(folders["vision"] / f"{name}.npy")
    both = {**folders, "vision": tmp_path / "denseface.h5"}
    data = load(target, both, label_names=["happy", "sad", "angry"])
    check(data, folders)
    assert data.y["angry"].tolist() == [0, 0, 0, 1, 0, 0]
    assert data.split.tolist() == ["train"] * 4 + ["valid", "test"]
    assert list(load(target, both).y) == ["class 0", "class 1", "class 2"]
    with pytest.raises(ValueError, match="2 label names were given for 3 emotions"):
        load_feature_folders(target, both, label_names=["a", "b"])


def test_gcnet(tmp_path, folders):
    names = {"Ses01": NAMES[:4], "Ses05": NAMES[4:]}
    labels = {"Ses01": [0, 1, 0, 2], "Ses05": [1, 0]}
    path = tmp_path / "IEMOCAP_features_raw_4way.pkl"
    path.write_bytes(pickle.dumps((names, labels, {}, {}, {"Ses01"}, {"Ses05"})))
    data = load(path, folders, label_names=["happy", "sad", "angry"])
    check(data, folders)
    assert data.groups.tolist() == ["Ses01"] * 4 + ["Ses05"] * 2
    assert data.split.tolist() == ["train"] * 4 + ["test"] * 2
    assert data.y["sad"].tolist() == [0, 1, 0, 0, 1, 0]


def test_tables(tmp_path, folders):
    table = pd.DataFrame(
        {"Name": NAMES, "discrete": WORDS, "valence": range(6), "speaker": list("aabbcc")}
    )
    table.to_csv(tmp_path / "a.csv", index=False)
    data = load(tmp_path / "a.csv", folders)
    check(data, folders)
    assert data.groups.tolist() == list("aabbcc")
    assert data.valence.tolist() == list(range(6))
    many = pd.DataFrame({"name": NAMES, "happy": [1, 0, 1, 0, 0, 1], "calm": [1, 1, 0, 0, 0, 0],
                         "split": ["trn"] * 5 + ["tst"]})  # fmt: skip
    many.to_csv(tmp_path / "b.tsv", sep="\t", index=False)
    data = load(tmp_path / "b.tsv", folders)
    assert data.y.to_numpy().tolist() == many[["happy", "calm"]].to_numpy().tolist()
    assert data.split[-1] == "test"


class Evil:
    def __reduce__(self):
        return print, ("run",)


def test_what_is_refused(tmp_path, folders, capsys):
    evil = mertools(tmp_path / "evil.npz", [("train", "clip_0", Evil(), 0.0)])
    with pytest.raises(UnsafeFileError, match="print"):
        load_feature_folders(evil, folders)
    assert "run" not in capsys.readouterr().out
    np.savez(tmp_path / "numbers.npz", train_corpus=np.eye(3))
    outside = mertools(tmp_path / "outside.npz", [("train", "../clip_0", "happy", 0.0)])
    (tmp_path / "b.csv").write_text("clip,emotion\n1,2\n")
    (tmp_path / "other.pkl").write_bytes(pickle.dumps({"a": 1}))
    (tmp_path / "empty").mkdir()
    fine = mertools(
        tmp_path / "fine.npz", [("train", n, w, 0.0) for n, w in zip(NAMES, WORDS)]
    )
    wrong = tmp_path / "wrong"
    wrong.mkdir()
    np.save(wrong / "clip_0.npy", np.zeros((1, 2, 3)))
    objects = tmp_path / "objects"
    objects.mkdir()
    np.save(objects / "clip_0.npy", np.array([Evil()], dtype=object))
    for labels, features, says in [
        (
            tmp_path / "numbers.npz",
            folders,
            r"numbers.npz: 'train_corpus.npy' holds numbers",
        ),
        (outside, folders, r"'../clip_0' is no name of a file"),
        (
            tmp_path / "b.csv",
            folders,
            r"b.csv: it lacks a column 'name'; it has clip, emotion",
        ),
        (tmp_path / "other.pkl", folders, "no pickle of GCNet"),
        (tmp_path / "empty", folders, "it has no trn_label.npy"),
        (
            fine,
            {"audio": tmp_path / "empty"},
            "no utterance of the labels, such as 'clip_0'",
        ),
        (fine, {"audio": wrong}, r"values of shape \(1, 2, 3\); expected \(n_features,\)"),
        (fine, {"audio": objects}, "clip_0.npy is no whole array of numbers"),
        (tmp_path / "wrong" / "clip_0.npy", folders, "labels of this kind are not known"),
    ]:
        with pytest.raises(ValueError, match=says):
            load_feature_folders(labels, features)
    with pytest.raises(FileNotFoundError, match="There are no features at"):
        load_feature_folders(fine, {"audio": tmp_path / "gone"})
    with pytest.raises(FileNotFoundError, match="There are no labels at"):
        load_feature_folders(tmp_path / "gone.npz", folders)
    with pytest.raises(TypeError, match="expected a folder for each modality"):
        load_feature_folders(fine, str(folders["audio"]))


# Damaged files.


def damaged_header(path):
    """An array whose header is a bracket that is never closed."""
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"{'descr'", b"[{'desc'"))


def without_local_header(path):
    """An archive whose list of entries is right, and their places are not."""
    path.write_bytes(b"\0\0\0\0" + path.read_bytes()[4:])


def npz(folder, emotion="happy", valence=0.0, name="clip_0"):
    return mertools(folder / "a.npz", [("train", name, emotion, valence)])


def csv(folder, text):
    (folder / "a.csv").write_bytes(text)
    return folder / "a.csv"


def fold(folder, codes):
    np.save(folder / "trn_int2name.npy", np.array([[n.encode()] for n in NAMES]))
    np.save(folder / "trn_label.npy", np.array(codes))
    return folder


DAMAGED = {
    "a hole in the archive": (npz, without_local_header, "is damaged"),
    "a valence of words": (lambda d: npz(d, valence="low"), None, "has 'low' where a number"),
    "a name of two lines": (lambda d: npz(d, name="a\nb"), None, r"'a\\nb' is no name of"),
    "a name without end": (lambda d: npz(d, name="a" * 300), None, "is no name of a file"),
    "no text": (lambda d: csv(d, b"\xff\xfe\xff"), None, "is no table of text"),
    "nothing": (lambda d: csv(d, b""), None, "is no table of text"),
    "lines of two lengths": (lambda d: csv(d, b"name\na,b\na,b,c,d"), None, "no table"),
    "a word among columns": (lambda d: csv(d, b"name,sad\nx,yes"), None, "has 'yes' where"),
    "a number of no emotion": (lambda d: fold(d, [0, 1, 2, 3, 4, 10**12]), None, "from 0 to"),
    "one below 0": (lambda d: fold(d, [0, 1, 2, 3, 4, -1]), None, "from -1 to 4"),
    "one that is none": (lambda d: fold(d, [0, 1, 2, 3, 4, np.nan]), None, r"has .*nan"),
    "a header": (
        lambda d: fold(d, range(6)),
        lambda d: damaged_header(d / "trn_label.npy"),
        "trn_label.npy is no whole array",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGED)
def test_one_sentence_about_a_damaged_file(tmp_path, folders, name):
    write, damage, message = DAMAGED[name]
    path = write(tmp_path)
    if damage is not None:
        damage(path)
    with pytest.raises(ValueError, match=message) as error:
        load_feature_folders(path, folders)
    places = (path.name, folders["audio"].name)
    assert str(error.value).startswith(places)
    assert "\n" not in str(error.value)
