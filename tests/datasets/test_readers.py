"""Every layout of data_formats is written, read back and compared with what went in."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from sk_mer import MultimodalArray
from sk_mer.datasets import (
    load_cmu_mosei,
    load_emotion_labels,
    load_iemocap,
    load_multimodal,
)
from sk_mer.datasets._layouts import IEMOCAP_FOUR, IEMOCAP_NINE, MTE_ORDER, SDK_ORDER

from .. import layouts
from ..layouts import content

SPLITS = ["train", "valid", "test"]


def joined(splits, name):
    return [rows for s in splits.values() for rows in s.sequences[name]]


def assert_same_sequences(data, splits, *, but=()):
    """X holds exactly what was written, without its padding."""
    for name in layouts.SIZES:
        found = [utterance[name] for utterance in data.X]
        expected = joined(splits, name)
        assert len(found) == len(expected)
        for i, (a, b) in enumerate(zip(found, expected)):
            if (name, i) in but:
                continue
            assert a.dtype == np.float32
            np.testing.assert_array_equal(a, b, err_msg=f"{name}, row {i}")
    assert data.split.tolist() == [k for k, s in splits.items() for _ in range(len(s))]


def all_emotions(splits, order=SDK_ORDER):
    return np.concatenate([s.named(order) for s in splits.values()])


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_mult(tmp_path, side, dtype, protocol):
    splits = content()
    path = layouts.write_mult(
        tmp_path / "x", splits, side=side, dtype=dtype, inf=False, protocol=protocol
    )
    data = load_multimodal(path)
    assert data.layout == "MulT, aligned"
    assert_same_sequences(data, splits)
    assert data.y.columns.tolist() == ["sentiment"]
    np.testing.assert_array_equal(
        data.sentiment, np.concatenate([s.sentiment for s in splits.values()])
    )
    np.testing.assert_array_equal(
        data.intervals, np.concatenate([s.intervals for s in splits.values()])
    )
    assert data.groups.tolist() == [v for s in splits.values() for v in s.videos]
    assert len(set(data.ids)) == len(data.X)
    table = data.summary()
    assert table.loc["text: padding", "all"] == side
    assert table.loc["utterances"].tolist() == [6, 3, 4, 13]
    assert table.loc["videos", "train"] == 3
    assert table.loc["vision: features", "all"] == 35
    steps = [len(rows) for rows in joined(splits, "text")]
    said = f"{min(steps)}-{max(steps)} (mean {np.mean(steps):.1f})"
    assert table.loc["text: steps", "all"] == said


def test_mult_unaligned(tmp_path):
    splits = content(aligned=False)
    path = layouts.write_mult(
        tmp_path / "x", splits, windows=(50, 500, 500), byte_ids=False, audio_as_list=True,
        inf=False,
    )  # fmt: skip
    data = load_multimodal(path)
    assert data.layout == "MulT, unaligned"
    assert_same_sequences(data, splits)


def test_infinite_values_are_counted_and_read_as_zero(tmp_path):
    splits = content()
    data = load_multimodal(layouts.write_mult(tmp_path / "x", splits, inf=True))
    row = data.summary().loc["audio: not finite, read as 0"]
    assert row.tolist() == [1, 1, 1, 3]
    assert data.summary().loc["text: not finite, read as 0", "all"] == 0
    last = data.X[1]["audio"][-1]
    assert last[3] == 0
    np.testing.assert_array_equal(last[:3], splits["train"].sequences["audio"][1][-1, :3])


def test_one_split(tmp_path):
    splits = content()
    data = load_multimodal(layouts.write_mult(tmp_path / "x", splits), "valid")
    assert len(data.X) == 3
    assert set(data.split) == {"valid"}
    whole = load_multimodal(tmp_path / "x")
    part = whole.part("valid")
    np.testing.assert_array_equal(part.X[0]["text"], data.X[0]["text"])
    assert part.summary()["all"].tolist() == data.summary()["all"].tolist()
    with pytest.raises(ValueError, match="no split 'dev'; it has 'train', 'valid', 'test'"):
        load_multimodal(tmp_path / "x", "dev")
    with pytest.raises(ValueError, match=r"no split 'dev'; this corpus has 'train'"):
        whole.part("dev")


def test_iemocap_pairs(tmp_path):
    splits = content()
    data = load_iemocap(layouts.write_iemocap_four(tmp_path / "x", splits))
    assert_same_sequences(data, splits)
    assert tuple(data.y.columns) == IEMOCAP_FOUR
    expected = np.concatenate([s.emotions[:, :4] for s in splits.values()])
    np.testing.assert_array_equal(data.y, expected)
    assert data.groups is None
    assert data.X.groups is None
    assert data.ids[0] == "train-0"


def test_aligned_60(tmp_path):
    splits = content()
    data = load_cmu_mosei(layouts.write_aligned_60(tmp_path / "x", splits))
    assert_same_sequences(data, splits)
    assert tuple(data.y.columns) == MTE_ORDER
    np.testing.assert_array_equal(data.y, all_emotions(splits, MTE_ORDER))
    # Rows without any emotion stay, as negatives of all.
    assert data.summary().loc["no emotion", "all"] >= 3


def test_label_columns_without_names_are_not_guessed(tmp_path):
    splits = content()
    named = {
        k: {**{m: s.dense(m, 20) for m in layouts.SIZES}, "labels": s.emotions}
        for k, s in splits.items()
    }
    path = layouts._dump(tmp_path / "x", named)
    with pytest.raises(ValueError, match=r"6 label columns whose names .* label_names="):
        load_multimodal(path)
    data = load_multimodal(path, label_names=MTE_ORDER)
    assert tuple(data.y.columns) == MTE_ORDER
    with pytest.raises(ValueError, match="2 label names were given for 6"):
        load_multimodal(path, label_names=["a", "b"])


@pytest.mark.parametrize("shape", [(-1, 1), (-1, 1, 1), (-1,)])
def test_one_label_column_with_a_name(tmp_path, shape):
    """A number a row is sentiment; under a name that was given it is an emotion."""
    splits = content()
    named = {
        k: {
            **{m: s.dense(m, 20) for m in layouts.SIZES},
            "labels": s.emotions[:, 0].reshape(shape) * (2 / 3),
        }
        for k, s in splits.items()
    }
    path = layouts._dump(tmp_path / "x", named)
    data = load_multimodal(path, label_names=["happy"])
    assert data.y.columns.tolist() == ["happy"]
    expected = np.concatenate([s.emotions[:, 0] for s in splits.values()])
    assert data.y["happy"].tolist() == expected.tolist()
    with pytest.raises(ValueError, match="2 label names were given for 1 label columns"):
        load_multimodal(path, label_names=["happy", "sad"])
    assert load_multimodal(path).y.columns.tolist() == ["sentiment"]


@pytest.mark.parametrize(
    ("texts", "held"),
    [
        (["a"] * 5, "5 sentences"),
        (np.array(["a"] * 7, dtype=object), "7 sentences"),
        ("sixsix", "a str"),
        (np.array("six"), "a str"),
    ],
)
def test_mmsa_sentences_of_another_number(tmp_path, texts, held):
    path = layouts.write_mmsa(tmp_path / "x", content(longest=50))
    data = pickle.loads(path.read_bytes())
    data["train"]["raw_text"] = texts
    with pytest.raises(
        ValueError,
        match=rf"^x: split 'train', 'raw_text' holds {held}; expected 6 sentences, one for "
        r"each row of the modalities\.$",
    ):
        load_multimodal(layouts._dump(path, data))
    data["train"]["raw_text"] = [b"six"] * 6
    found = load_multimodal(layouts._dump(path, data))
    assert found.part("train").sentences == ["six"] * 6


@pytest.mark.parametrize("aligned", [True, False])
def test_mmsa(tmp_path, aligned):
    splits = content(aligned=aligned, longest=50)
    data = load_multimodal(layouts.write_mmsa(tmp_path / "x", splits, aligned=aligned))
    assert data.layout == "MMSA"
    assert_same_sequences(data, splits)
    assert data.groups.tolist() == [v for s in splits.values() for v in s.videos]
    assert data.index.tolist() == [k for s in splits.values() for k in s.index]
    assert data.ids[1] == "vid-train_0[1]"
    assert data.sentences[2] == "sentence 2"
    assert np.isnan(data.intervals).all()


def test_a_full_mask_is_a_full_row(tmp_path):
    splits = content(longest=50)
    for rows in splits["train"].sequences.values():
        rows[0] = np.ones((50, rows[0].shape[1]), np.float32)
    data = load_multimodal(layouts.write_mmsa(tmp_path / "x", splits))
    assert data.X.lengths("text")[0] == 50


@pytest.mark.parametrize("tensors", [True, False])
def test_tailor(tmp_path, tensors):
    splits = content()
    data = load_multimodal(layouts.write_tailor(tmp_path / "x", splits, tensors=tensors))
    assert data.layout == "TAILOR"
    assert_same_sequences(data, splits)
    assert tuple(data.y.columns) == SDK_ORDER
    np.testing.assert_array_equal(data.y, all_emotions(splits))


@pytest.mark.parametrize("side", ["left", "right"])
def test_mte_folder(tmp_path, side):
    splits = content()
    folder = layouts.write_mte_folder(tmp_path / "x", splits, side=side, inf=side == "left")
    data = load_cmu_mosei(folder)
    assert tuple(data.y.columns) == MTE_ORDER
    np.testing.assert_array_equal(data.y, all_emotions(splits, MTE_ORDER))
    if side == "right":
        assert_same_sequences(data, splits)
    else:
        assert data.summary().loc["audio: not finite, read as 0", "train"] == 1
    assert data.summary().loc["audio: padding", "all"] == side
    only = load_multimodal(folder, "test")
    np.testing.assert_array_equal(only.X[0]["text"], data.part("test").X[0]["text"])


def test_mosi_in_one_array(tmp_path):
    sizes = {"text": 300, "audio": 5, "vision": 20}
    splits = content(sizes=sizes)
    data = load_multimodal(layouts.write_mosi_folder(tmp_path / "x", splits))
    assert data.X.n_features == sizes
    assert_same_sequences(data, splits)


def test_iemocap_nine(tmp_path):
    splits = content()
    data = load_iemocap(layouts.write_iemocap_nine(tmp_path / "x", splits))
    assert_same_sequences(data, splits)
    assert tuple(data.y.columns) == IEMOCAP_NINE
    emotions = np.concatenate([s.emotions for s in splits.values()])
    np.testing.assert_array_equal(data.y.to_numpy()[:, :6], emotions)
    assert data.y.to_numpy()[:, 6:].sum() == 0


def test_mtl(tmp_path):
    splits = content()
    data = load_multimodal(layouts.write_mtl(tmp_path / "x", splits))
    assert len(data.X) == 13
    means = [rows.mean(axis=0) for rows in joined(splits, "audio")]
    np.testing.assert_array_equal(data.X.values("audio"), means)
    np.testing.assert_array_equal(data.y, all_emotions(splits, MTE_ORDER))
    assert data.groups[:4].tolist() == ["train-0", "train-0", "train-1", "train-1"]
    assert data.X.groups.tolist() == data.groups.tolist()
    part = data.take(np.arange(len(data.X))[::-2])
    assert part.X.groups.tolist() == part.groups.tolist()


def test_sdk_folder(tmp_path):
    import h5py

    splits = content()
    folder = layouts.write_sdk_folder(tmp_path / "x", splits)
    videos = {name: list(dict.fromkeys(s.videos)) for name, s in splits.items()}
    data = load_multimodal(folder, splits=videos)
    assert data.X.n_features == {"audio": 74, "vision": 35, "text": 300}
    assert dict(zip(*np.unique(data.split, return_counts=True))) == layouts.COUNTS
    train = data.part("train")
    by_id = dict(zip(train.ids, range(len(train.X))))
    video, (start, end) = splits["train"].videos[1], splits["train"].intervals[1]
    row = by_id[f"{video}[{start:g},{end:g}]"]
    with h5py.File(folder / "CMU_MOSEI_COVAREP.csd") as file:
        group = file[f"COVAREP/data/{video}"]
        seconds, steps = group["intervals"][:], group["features"][:]
    inside = (seconds[:, 1] > start) & (seconds[:, 0] < end)
    np.testing.assert_array_equal(train.X[row]["audio"], steps[inside])
    np.testing.assert_array_equal(train.y.to_numpy()[row], splits["train"].emotions[1])
    assert set(data.sentences) == {"so happy", ""}
    without = load_multimodal(folder)
    assert set(without.split) == {"all"}


def test_sdk_keys_that_are_aligned_already(tmp_path):
    splits = content()
    layouts.write_labels_csd(tmp_path / "labels.csd", splits)
    sequences = {
        f"{v}[{k}]": (rows, np.arange(2 * len(rows)).reshape(-1, 2) / 10)
        for s in splits.values()
        for v, k, rows in zip(s.videos, s.index, s.sequences["audio"])
    }
    layouts.write_csd(tmp_path / "a.csd", "opensmile", sequences)
    data = load_multimodal(tmp_path)
    found = dict(zip(zip(data.groups, data.index), data.X))
    for s in splits.values():
        for v, k, rows in zip(s.videos, s.index, s.sequences["audio"]):
            np.testing.assert_array_equal(found[v, k]["audio"], rows)


def test_facet_emotions_can_be_left_out(tmp_path):
    splits = content()
    path = layouts.write_mult(tmp_path / "x", splits, inf=False)
    data = load_multimodal(path, drop_facet_emotions=True)
    assert data.X.n_features["vision"] == 25
    expected = splits["train"].sequences["vision"][0][:, 10:]
    np.testing.assert_array_equal(data.X[0]["vision"], expected)
    other = content(sizes={"text": 300, "audio": 5, "vision": 20})
    path = layouts.write_mult(tmp_path / "y", other, inf=False)
    with pytest.raises(
        ValueError, match="needs the 35 columns of FACET, but vision has 20"
    ):
        load_multimodal(path, drop_facet_emotions=True)


@pytest.mark.parametrize("keep_empty", [True, False])
def test_a_face_that_was_not_found(tmp_path, keep_empty):
    splits = content()
    splits["train"].sequences["vision"][2][:] = 0
    path = layouts.write_mult(tmp_path / "x", splits, inf=False)
    data = load_multimodal(path, keep_empty=keep_empty)
    steps = len(splits["train"].sequences["text"][2])
    assert data.X.lengths("vision")[2] == (steps if keep_empty else 0)
    assert data.X.lengths("text")[2] == steps
    assert data.summary().loc["vision: zero throughout"].tolist() == [1, 0, 0, 1]


def test_it_goes_into_a_model(tmp_path):
    from sk_mer import MTEClassifier

    splits = content(counts={"train": 24, "valid": 6, "test": 8})
    data = load_cmu_mosei(layouts.write_aligned_60(tmp_path / "x", splits))
    vectors = {name: np.eye(6)[k] for k, name in enumerate(MTE_ORDER)}
    train, test = data.part("train"), data.part("test")
    model = MTEClassifier(label_vectors=vectors, max_epochs=1, random_state=0)
    model.fit(train.X, train.y, groups=train.groups)
    assert model.predict_proba(test.X).shape == (8, 6)


# Bad files: one sentence with the file, the split and the key.


def broken(tmp_path, change):
    path = layouts.write_mult(tmp_path / "x", content())
    data = pickle.loads(path.read_bytes())
    change(data)
    return layouts._dump(path, data)


FAULTS = {
    "key": (lambda d: d["valid"].pop("audio"), r"^x: split 'valid' lacks 'audio'; it has"),
    "labels": (lambda d: d["test"].pop("labels"), r"split 'test' lacks 'labels'"),
    "rank": (
        lambda d: d["train"].update(text=np.zeros((6, 300), np.float32)),
        r"split 'train', 'text' holds float32 of shape \(6, 300\); expected numbers",
    ),
    "rows": (
        lambda d: d["train"].update(audio=d["train"]["audio"][:-1]),
        r"split 'train' has different numbers of rows \('text' has 6, 'audio' has 5",
    ),
    "features": (
        lambda d: d["valid"].update(audio=d["valid"]["audio"][..., :5]),
        r"modality 'audio' has \[5, 74\] features in different splits",
    ),
    "label rows": (
        lambda d: d["train"].update(labels=np.zeros((5, 1, 1))),
        r"'labels' has shape \(5, 1, 1\); expected 6 rows",
    ),
    "text labels": (
        lambda d: d["train"].update(labels=["happy"] * 6),
        r"'labels' holds no numbers",
    ),
    "ids": (lambda d: d["train"].update(id=["a"]), r"there are 1 ids for 6 rows"),
    "strings": (
        lambda d: d["train"].update(vision=np.full((6, 2, 2), "a")),
        r"'vision' holds <U1 of shape",
    ),
    "splits": (
        lambda d: [d.pop(k) for k in SPLITS],
        r"expected 'train', 'valid' and 'test'",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_one_sentence_says_what_is_wrong(tmp_path, fault):
    change, message = FAULTS[fault]
    with pytest.raises(ValueError, match=message):
        load_multimodal(broken(tmp_path, change))


def test_nothing_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file or folder at"):
        load_multimodal(tmp_path / "absent.pkl")
    with pytest.raises(ValueError, match="0 files and no layout that is known"):
        load_multimodal(tmp_path)
    (tmp_path / "notes").write_text("hello")
    with pytest.raises(ValueError, match=r"notes is none of the files that are known"):
        load_multimodal(tmp_path)


def test_half_of_a_folder(tmp_path):
    folder = layouts.write_mtl(tmp_path / "x", content())
    with pytest.raises(ValueError, match=r"it is one archive .* folder with all three"):
        load_multimodal(folder / "text.npz")
    (folder / "audio.npz").unlink()
    with pytest.raises(ValueError, match=r"x: it lacks audio.npz"):
        load_multimodal(folder)
    folder = layouts.write_mte_folder(tmp_path / "y", content())
    with pytest.raises(ValueError, match="one HDF5 file of several; give the folder"):
        load_multimodal(folder / "audio_train.h5")


def test_labels_alone(tmp_path):
    layouts.write_labels_csd(tmp_path / "labels.csd", content())
    with pytest.raises(ValueError, match=r"only labels are there .* add_emotion_labels"):
        load_multimodal(tmp_path / "labels.csd")


def test_a_wrapper_for_other_data(tmp_path):
    path = layouts.write_mult(tmp_path / "x", content())
    with pytest.raises(
        ValueError, match=r"no column 'anger', .* labels='CMU_MOSEI_Labels.csd"
    ):
        load_cmu_mosei(path)
    with pytest.raises(ValueError, match="does not hold the emotions of IEMOCAP"):
        load_iemocap(path)


def test_h5py_missing(tmp_path, monkeypatch):
    folder = layouts.write_mte_folder(tmp_path / "x", content())

    def refuse(name):
        raise ImportError(name)

    monkeypatch.setattr("importlib.import_module", refuse)
    with pytest.raises(ImportError, match=r"pip install 'sk-mer\[hdf5\]'"):
        load_multimodal(folder)


def test_real_hdf5_files(real_data):
    """ICT-MMMO and YouTube, as MFN's authors published them."""
    mmmo = load_multimodal(real_data / "mfn" / "mmmo")
    assert mmmo.X.n_features == {"audio": 74, "text": 300, "vision": 36}
    assert set(mmmo.split) == {"valid", "test"}  # of the training set only labels are here
    assert mmmo.summary().loc["text: padding", "all"].startswith("left in")
    assert mmmo.y.columns.tolist() == ["sentiment"]
    assert len(mmmo.part("test").X) == 80
    youtube = load_multimodal(real_data / "mfn" / "youtube")
    assert youtube.summary().loc["text: padding", "all"] == "right"
    assert youtube.y.shape[1] == 3
    assert isinstance(youtube.X, MultimodalArray)
    assert np.isfinite(youtube.X.values("text")).all()


def write_h5(path, **arrays):
    import h5py

    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file[name] = values


def folder_fault(folder, what):
    """Break one file of a folder; returns the folder to read."""
    if what in ("two", "rank", "rows", "labels", "columns", "mixed"):
        folder = layouts.write_mte_folder(folder, content())
    elif what in ("eleven", "no y", "no array"):
        folder = layouts.write_iemocap_nine(folder, content())
    else:
        folder = layouts.write_mtl(folder, content())
    if what == "two":
        write_h5(folder / "audio_valid.h5", d1=np.zeros(3), d2=np.zeros(3))
    elif what == "rank":
        write_h5(folder / "audio_valid.h5", d1=np.zeros((3, 74)))
    elif what == "rows":
        write_h5(folder / "audio_valid.h5", d1=np.zeros((4, 20, 74)))
    elif what == "labels":
        write_h5(folder / "ey_valid.h5", d1=np.zeros((4, 6)))
    elif what == "columns":
        write_h5(folder / "ey_valid.h5", d1=np.zeros((3, 5)))
    elif what == "mixed":
        (folder / "text_train.p").write_bytes(b"")
    elif what == "eleven":
        layouts.write_python2_pickle(folder / "y_valid.p", np.zeros((3, 9)))
    elif what == "no y":
        (folder / "y_valid.p").unlink()
    elif what == "no array":
        layouts._dump(folder / "text_valid.p", {"a": 1}, 2)
    else:
        with np.load(folder / "video.npz") as held:
            arrays = dict(held)
        if what == "no length":
            del arrays["train_length"]
        else:
            arrays["train_length"] = arrays["train_length"] + 9
        np.savez(folder / "video.npz", **arrays)
    return folder


FOLDER_FAULTS = {
    "two": r"audio_valid.h5 holds 2 datasets; expected one",
    "rank": r"audio of split 'valid' has 2 dimensions; expected 3",
    "rows": r"split 'valid' has different numbers of rows",
    "labels": r"ey_valid has 4 rows for 3 utterances",
    "columns": r"6 label names were given for 5 label columns",
    "mixed": r"it mixes HDF5 files and pickles",
    "eleven": r"y_valid has shape \(3, 9\); expected 11 columns",
    "no y": r"split 'valid' lacks y",
    "no array": r"text_valid.p holds a dict; expected one array",
    "no length": r"video.npz lacks 'train_length'; it has",
    "length": r"train_length does not fit trainEmoLabel",
}


@pytest.mark.parametrize("what", FOLDER_FAULTS)
def test_one_sentence_about_folders(tmp_path, what):
    folder = folder_fault(tmp_path / "x", what)
    with pytest.raises(ValueError, match=FOLDER_FAULTS[what]) as error:
        load_multimodal(folder)
    assert str(error.value).startswith("x: ")
    assert str(error.value).endswith(".")


def test_csd_faults(tmp_path):
    labels = layouts.label_sequences(content())
    layouts.write_csd(tmp_path / "labels.csd", "All Labels", labels)
    layouts.write_csd(tmp_path / "more labels.csd", "Labels", labels)
    with pytest.raises(ValueError, match=r"two label files are there"):
        load_multimodal(tmp_path)
    (tmp_path / "more labels.csd").unlink()
    steps = {"vid-train_0": (np.ones((2, 3)), np.ones((2, 2)))}
    layouts.write_csd(tmp_path / "strange.csd", "x", steps)
    with pytest.raises(ValueError, match=r"does not tell its modality; give modalities="):
        load_multimodal(tmp_path)
    data = load_multimodal(tmp_path, modalities={"strange.csd": "vision"})
    assert data.X.n_features == {"vision": 3}
    (tmp_path / "labels.csd").unlink()
    with pytest.raises(ValueError, match=r"no label file is among them"):
        load_multimodal(tmp_path, modalities={"strange.csd": "vision"})
    bad = {"v": (np.ones((2, 3)), np.ones((3, 2)))}
    layouts.write_csd(tmp_path / "strange.csd", "All Labels", bad)
    with pytest.raises(
        ValueError, match=r"features of shape \(2, 3\) and intervals of shape"
    ):
        load_emotion_labels(tmp_path / "strange.csd")


def test_a_corpus_is_shown_as_a_short_table(tmp_path):
    splits = content()
    data = load_multimodal(
        layouts.write_mult(tmp_path / "x", splits, side="left", dtype="f4", protocol=4)
    )
    head, *modalities, labels = repr(data).splitlines()
    assert head == (
        "EmotionCorpus (MulT, aligned) of 13 utterances in 7 groups: 6 train, 3 valid, "
        "4 test"
    )
    assert modalities == repr(data.X).splitlines()[1:]
    assert labels == "  y: sentiment"
    assert "of 3 utterances in 2 groups: 3 valid" in repr(data.part("valid"))
    html = data._repr_html_()
    assert html.startswith("<table")
    assert "<td>13</td>" in html
    data["y"] = None
    assert repr(data).endswith("\n  y: None")


def test_emotions_of_a_corpus_are_counted(tmp_path):
    data = load_iemocap(layouts.write_iemocap_four(tmp_path / "x", content()))
    counts = (data.y == 1).sum()
    told = repr(data).splitlines()[-1]
    assert told == "  y: " + ", ".join(f"{name} in {counts[name]}" for name in counts.index)
