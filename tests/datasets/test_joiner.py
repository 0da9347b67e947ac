"""Emotion labels for the ids of MulT, MMSA and the SDK."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from sk_mer.datasets import (
    add_emotion_labels,
    load_cmu_mosei,
    load_emotion_labels,
    load_multimodal,
)
from sk_mer.datasets._layouts import MTE_ORDER, SDK_ORDER

from .. import layouts
from ..layouts import content

NAN = float("nan")


def truth(splits):
    return np.concatenate([s.emotions for s in splits.values()])


def test_mult_by_interval(tmp_path):
    splits = content()
    labels = layouts.write_labels_csd(tmp_path / "labels.csd", splits)
    data = load_multimodal(layouts.write_mult(tmp_path / "x", splits))
    joined = add_emotion_labels(data, labels)
    assert tuple(joined.y.columns) == SDK_ORDER
    np.testing.assert_array_equal(joined.y, truth(splits))
    np.testing.assert_array_equal(joined.sentiment, data.sentiment)
    assert set(joined.matched_by) == {"interval"}
    assert len(joined.unmatched) == 0
    assert "happy" not in data.y  # what was given stays as it was
    mosei = load_cmu_mosei(tmp_path / "x", labels)
    assert tuple(mosei.y.columns) == MTE_ORDER


def test_mmsa_by_number(tmp_path):
    splits = content()
    labels = layouts.write_labels_csd(tmp_path / "labels.csd", splits)
    joined = add_emotion_labels(
        load_multimodal(layouts.write_mmsa(tmp_path / "x", splits)), labels
    )
    np.testing.assert_array_equal(joined.y, truth(splits))
    assert set(joined.matched_by) == {"index"}


def test_sdk_ids(tmp_path):
    splits = content()
    labels = layouts.write_labels_csd(tmp_path / "labels.csd", splits)
    named = {
        k: {
            **{m: s.dense(m, 20) for m in layouts.SIZES},
            "labels": s.sentiment,
            "id": [f"{v}[{i}]" for v, i in zip(s.videos, s.index)],
        }
        for k, s in splits.items()
    }
    data = load_multimodal(layouts._dump(tmp_path / "x", named))
    np.testing.assert_array_equal(add_emotion_labels(data, labels).y, truth(splits))


def test_rounded_times_and_strangers(tmp_path):
    splits = content()
    labels = layouts.write_labels_csd(tmp_path / "labels.csd", splits)
    splits["train"].intervals[0] += 0.004
    splits["train"].intervals[1] += 3
    splits["test"].videos[0] = "another"
    data = load_multimodal(layouts.write_mult(tmp_path / "x", splits))
    with pytest.warns(UserWarning, match=r"2 of 13 utterances were left out: 1 of other"):
        joined = add_emotion_labels(data, labels)
    assert joined.unmatched["row"].tolist() == [1, 9]
    assert joined.unmatched["why"].tolist() == [
        "without that segment in the label file",
        "of other videos",
    ]
    kept = np.delete(np.arange(13), [1, 9])
    np.testing.assert_array_equal(joined.y, truth(splits)[kept])
    np.testing.assert_array_equal(joined.X[1]["text"], data.X[2]["text"])
    assert joined.summary().loc["utterances", "all"] == 11


def test_duplicates_are_refused(tmp_path):
    splits = content()
    labels = layouts.write_labels_csd(tmp_path / "labels.csd", splits)
    table = load_emotion_labels(labels)
    data = load_multimodal(layouts.write_mult(tmp_path / "x", splits))
    twice = pd.concat([table, table.iloc[[0]]])
    with pytest.raises(
        ValueError, match=r"2 segments occur more than once in the label file"
    ):
        add_emotion_labels(data, twice)
    with pytest.warns(UserWarning, match="1 twice in the label file"):
        assert len(add_emotion_labels(data, twice, duplicates="drop").X) == 12
    doubled = data.take([0, 0, 1, 2])
    with pytest.raises(ValueError, match=r"2 segments occur more than once in the data"):
        add_emotion_labels(doubled, table)
    with pytest.warns(UserWarning, match="2 twice in the data"):
        assert len(add_emotion_labels(doubled, table, duplicates="drop").X) == 2


def test_what_cannot_be_joined(tmp_path):
    splits = content()
    labels = layouts.write_labels_csd(tmp_path / "labels.csd", splits)
    nameless = load_multimodal(layouts.write_iemocap_four(tmp_path / "x", splits))
    with pytest.raises(ValueError, match="have no ids"):
        add_emotion_labels(nameless, labels)
    data = load_multimodal(layouts.write_mult(tmp_path / "y", splits))
    with pytest.raises(ValueError, match="expected 'raise' or 'drop'"):
        add_emotion_labels(data, labels, duplicates="keep")
    other = load_emotion_labels(labels).assign(video="a", start=np.arange(13))
    with pytest.raises(
        ValueError, match=r"None of the 13 utterances .* different data sets"
    ):
        add_emotion_labels(data, other)
    with pytest.raises(ValueError, match="no emotions, only sentiment"):
        add_emotion_labels(data, load_emotion_labels(labels).iloc[:, :5])
    with pytest.raises(FileNotFoundError, match="No label file at"):
        add_emotion_labels(data, tmp_path / "absent.csd")
    audio = {"v": (np.ones((2, 74)), np.ones((2, 2)))}
    audio = layouts.write_csd(tmp_path / "audio.csd", "COVAREP", audio)
    with pytest.raises(ValueError, match=r"audio.csd has 74 columns and no names for them"):
        load_emotion_labels(audio)


def test_the_older_file_of_six_columns(tmp_path):
    splits = content()
    sequences = {v: (a[:, 1:], t) for v, (a, t) in layouts.label_sequences(splits).items()}
    path = layouts.write_csd(tmp_path / "labels.csd", "Emotion Labels", sequences)
    assert tuple(load_emotion_labels(path).columns[4:]) == SDK_ORDER


# Few rows, given as tables.


def segments(*rows):
    """Rows of (video, index, start, end); all but the first are happy."""
    table = pd.DataFrame(rows, columns=["video", "index", "start", "end"])
    table["sentiment"], table["happy"] = -1.0, np.arange(len(table), dtype=float)
    return table


def joined_rows(data, labels, **how):
    """Why rows were left out, the other rows, and the corpus of these."""
    corpus = layouts.corpus_of(data, keep_index=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        joined = add_emotion_labels(corpus, labels, **how)
    found = joined.unmatched.set_index("row")["why"].to_dict()
    return found, [int(i) for i in joined.ids], joined


def test_no_more_than_ten_milliseconds():
    """Rounded times are matched; those of a neighbour are not."""
    labels = segments(("v", 0, 0.0, 5.0), ("v", 1, 5.0, 9.0), ("w", 0, 5.3, 9.3))
    labels["happy"] = [0, 1, 0]
    same = segments(("v", -1, 0.01, 5.0), ("v", -1, 5.0, 9.008), ("w", -1, 5.29, 9.31))
    _, rest, joined = joined_rows(same, labels)
    assert rest == [0, 1, 2]
    assert joined.y["happy"].tolist() == [0, 1, 0]
    assert joined.matched_by.tolist() == ["interval"] * 3
    late = segments(("v", -1, 0.0, 5.0104), ("v", -1, 5.3, 9.3), ("v", -1, 5.0, 9.0))
    found, rest, joined = joined_rows(late, labels)
    assert found == dict.fromkeys([0, 1], "without that segment in the label file")
    assert joined.y["happy"].tolist() == [1]


def test_between_two_neighbours_is_ambiguous():
    labels = segments(("v", 0, 1.0, 4.0), ("v", 1, 1.012, 4.0), ("v", 2, 6.0, 7.0))
    between = segments(("v", -1, 1.006, 4.0), ("v", -1, 6.0, 7.0))
    found, rest, _ = joined_rows(between, labels)
    assert found == {0: "without that segment in the label file"}
    assert rest == [1]


def test_an_interval_counts_more_than_a_number():
    """Numbers are counted anew by some authors, so they are for rows without times."""
    labels = segments(("v", 0, 0.0, 5.0), ("v", 1, 5.0, 9.0))
    data = segments(("v", 2, 0.0, 5.0), ("v", 0, 20.0, 25.0), ("v", 1, NAN, NAN))
    found, _, joined = joined_rows(data, labels)
    assert found == {1: "without that segment in the label file"}
    assert joined.y["happy"].tolist() == [0, 1]
    assert joined.matched_by.tolist() == ["interval", "index"]
    assert joined.matched_by.name == "matched_by"


def test_half_an_interval_is_none():
    labels = segments(("v", 0, 0.0, 5.0), ("v", 1, 5.0, 9.0))
    data = segments(("v", 1, 0.0, NAN), ("v", 0, NAN, 9.0))
    _, _, joined = joined_rows(data, labels)
    assert joined.y["happy"].tolist() == [1, 0]
    assert joined.matched_by.tolist() == ["index", "index"]


def test_why_rows_are_left_out():
    labels = segments(("v", 0, 0.0, 5.0), ("v", 1, 5.0, 9.0))
    data = segments(
        ("v", 1, NAN, NAN), ("v", -1, NAN, NAN), ("v", 2, NAN, NAN), ("x", 0, NAN, NAN),
        ("x", -1, 0.0, 5.0), ("v", 0, NAN, NAN),
    )  # fmt: skip
    corpus = layouts.corpus_of(data, keep_index=True)
    with pytest.warns(
        UserWarning,
        match="4 of 6 utterances were left out: 2 of other videos, "
        "1 without interval or number, 1 without that segment in the label file; "
        "see the field 'unmatched'",
    ):
        joined = add_emotion_labels(corpus, labels)
    assert list(joined.unmatched.columns) == ["row", "id", "why"]
    assert joined.unmatched["row"].tolist() == [1, 2, 3, 4]
    assert joined.unmatched["id"].tolist() == ["1", "2", "3", "4"]
    assert joined.unmatched["why"].tolist() == [
        "without interval or number",
        "without that segment in the label file",
        "of other videos",
        "of other videos",
    ]
    assert joined.y["happy"].tolist() == [1, 0]


def test_numbers_that_occur_twice():
    labels = segments(("v", 0, 0.0, 5.0), ("v", 1, 5.0, 9.0))
    data = segments(
        ("v", 0, NAN, NAN), ("v", 0, NAN, NAN), ("v", 1, NAN, NAN),
        ("w", -1, NAN, NAN), ("w", -1, NAN, NAN),
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"2 segments occur .* in the data \(0, 1, ...\)"):
        joined_rows(data, labels)
    found, rest, joined = joined_rows(data, labels, duplicates="drop")
    assert found[0] == found[1] == "twice in the data"
    assert found[3] == found[4] == "without interval or number"
    assert rest == [2]
    assert joined.y["happy"].tolist() == [1]


def test_numbers_that_the_label_file_gives_twice():
    labels = segments(("v", 7, 0.0, 5.0), ("v", 7, 5.0, 9.0), ("v", 8, 9.0, 10.0))
    data = segments(("v", 7, NAN, NAN), ("v", 8, NAN, NAN), ("v", -1, 5.0, 9.0))
    with pytest.raises(ValueError, match=r"1 segments occur .* in the label file"):
        joined_rows(data, labels)
    found, rest, joined = joined_rows(data, labels, duplicates="drop")
    assert found == {0: "twice in the label file"}
    assert rest == [1, 2]
    assert joined.matched_by.tolist() == ["index", "interval"]
    # Where no row is matched by that number, the number does not matter.
    assert joined_rows(data.iloc[1:], labels)[1] == [0, 1]


def test_labels_without_times():
    labels = segments(("v", 0, NAN, NAN), ("v", 1, NAN, NAN))
    data = segments(("v", 1, NAN, NAN), ("v", 0, NAN, NAN))
    _, _, joined = joined_rows(data, labels)
    assert joined.y["happy"].tolist() == [1, 0]
    assert set(joined.matched_by) == {"index"}


def test_some_labels_without_times():
    """They are no segments from the start of the video, nor twice the same."""
    timeless = [("v", k, NAN, 5.0) for k in range(2)]
    labels = segments(*timeless, ("w", 0, 0.0, 5.0), ("w", 1, 5.0, 9.0))
    data = segments(("v", -1, 0.0, 5.0), ("v", -1, 1.0, 5.0), ("w", -1, 0.0, 5.0))
    found, rest, _ = joined_rows(data, labels)
    assert found == dict.fromkeys([0, 1], "without that segment in the label file")
    assert rest == [2]
    twice = segments(*timeless, ("w", 0, 0.0, 5.0), ("w", 1, 0.0, 5.0))
    with pytest.raises(ValueError, match=r"2 segments occur .* in the label file"):
        joined_rows(data, twice)


def test_any_table_of_labels():
    """Its index, and the type that its times have, do not matter."""
    labels = segments(("v", 0, 0.0, 5.0), ("w", 0, 5, 9))
    labels = labels.astype({"start": object, "end": object})
    labels = labels.set_index("video", drop=False)
    data = segments(("w", -1, 5.0, 9.0), ("v", -1, 0.004, 5.0))
    corpus = layouts.corpus_of(data)
    corpus["sentiment"] = pd.Series([3.0, 3.0])
    joined = add_emotion_labels(corpus, labels)
    assert joined.y["happy"].tolist() == [1, 0]
    assert joined.sentiment.tolist() == [-1.0, -1.0]  # the label file is the authority
    assert joined.y.index.tolist() == joined.sentiment.index.tolist() == [0, 1]
    joined = add_emotion_labels(corpus, labels.drop(columns="sentiment"))
    assert joined.sentiment.tolist() == [3.0, 3.0]


def test_the_first_three_that_occur_twice_are_shown():
    rows = [("v", k, float(k), k + 1.0) for k in range(5)]
    data = segments(*rows)
    corpus = layouts.corpus_of(pd.concat([data, data]))
    with pytest.raises(ValueError, match=r"10 segments .* data \(0, 1, 2, \.\.\.\)"):
        add_emotion_labels(corpus, data)
    shown = r"\('v', 0, 1000\), \('v', 1000, 2000\), \('v', 2000, 3000\), \.\.\."
    with pytest.raises(ValueError, match=rf"10 segments .* label file \({shown}\)"):
        add_emotion_labels(layouts.corpus_of(data), pd.concat([data, data]))


def test_names_that_the_label_file_states(tmp_path):
    """Their order differs from file to file; without names it is the SDK's."""
    names = ["sentiment", *MTE_ORDER]
    values = np.arange(14.0).reshape(2, 7)
    times = np.array([[0.0, 1.0], [1.0, 2.0]])
    path = layouts.write_csd(tmp_path / "a.csd", "Labels", {"v": (values, times)}, names)
    table = load_emotion_labels(path)
    assert list(table.columns) == ["video", "index", "start", "end", *names]
    np.testing.assert_array_equal(table[names], values)
    # Names that are not one a column tell nothing.
    path = layouts.write_csd(
        tmp_path / "b.csd", "Labels", {"v": (values, times)}, names[:3]
    )
    assert tuple(load_emotion_labels(path).columns[4:]) == ("sentiment", *SDK_ORDER)


def mosei_sized(seed=0):
    """23,259 segments of 3,293 videos with their labels, as a table."""
    rng = np.random.default_rng(seed)
    video = np.sort(np.concatenate([np.arange(3293), rng.integers(0, 3293, 23259 - 3293)]))
    index = np.arange(23259) - np.searchsorted(video, video)
    start = np.round(index * 9 + rng.random(23259) * 3, 3)
    table = pd.DataFrame({"video": [f"v{k:05d}_x" for k in video], "index": index})
    table["start"], table["end"] = start, np.round(start + 1 + rng.random(23259) * 4, 3)
    intensities = rng.integers(0, 4, (23259, 7)) * (rng.random((23259, 7)) < 0.4)
    return pd.concat(
        [table, pd.DataFrame(intensities, columns=["sentiment", *SDK_ORDER])], axis=1
    )


def test_mosei_sized_and_exact(tmp_path):
    table = mosei_sized()
    rng = np.random.default_rng(1)
    order = rng.permutation(len(table))
    shuffled = table.iloc[order].reset_index(drop=True)
    sequences = {
        video: (rows.iloc[:, 4:].to_numpy(float), rows[["start", "end"]].to_numpy())
        for video, rows in table.groupby("video", sort=False)
    }
    path = layouts.write_csd(tmp_path / "l.csd", "All Labels", sequences)
    n, gone, twice = len(table), 500, 40
    data = layouts.corpus_of(pd.concat([shuffled, shuffled[:twice]]))
    data["groups"][-gone - twice : -twice] = "missing"
    with pytest.warns(UserWarning, match=r"580 of 23299 .*: 500 of other videos, 80 twice"):
        joined = add_emotion_labels(data, path, duplicates="drop")
    expected = shuffled.iloc[twice : n - gone][list(SDK_ORDER)].to_numpy() > 0
    np.testing.assert_array_equal(joined.y, expected)


def test_real_segments(real_data, tmp_path):
    """Times and videos of CMU-MOSEI itself; its labels are one a segment there."""
    rows = pd.read_csv(real_data / "mosei_labels" / "CMU_MOSEI_Labels.csv")
    rows = rows[rows["split"] < 3]
    labels = np.eye(6)[rows["label6"]]
    sequences = {}
    for video, place in rows.groupby("file").indices.items():
        part = rows.iloc[place]
        values = np.column_stack([np.zeros(len(part)), labels[place]])
        sequences[video] = values, part[["start", "end"]].to_numpy()
    path = layouts.write_csd(tmp_path / "l.csd", "All Labels", sequences)
    table = load_emotion_labels(path)
    assert len(table) == len(rows) == 22_860
    data = layouts.corpus_of(rows.rename(columns={"file": "video"}))
    joined = add_emotion_labels(data, path, duplicates="drop")
    np.testing.assert_array_equal(joined.y.to_numpy(), labels[: len(joined.y)])
