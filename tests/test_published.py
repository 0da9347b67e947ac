"""Published scores: where they are from, and which of them a trivial answer has too."""

from __future__ import annotations

import numpy as np
import pytest

import sk_mer
from sk_mer import published_results
from sk_mer.metrics import trivial_baselines

# Positives among the test rows, as the MTE paper counts them (table 8 and section 5.1).
SEEN = {"happy": (135, 938), "sad": (193, 938), "angry": (227, 938), "neutral": (383, 938)}
UNSEEN = {"excited": (141, 1079), "surprised": (25, 963), "frustrated": (278, 1216)}
COUNTS = {"iemocap-4": SEEN, "iemocap-unseen": UNSEEN}
TRIVIAL = ("all-no", "all-yes")
NAMES = published_results()


def trivial_scores(counts):
    """By answer, emotion and metric, rounded as the papers round."""
    found = {}
    for emotion, (positives, n) in counts.items():
        column = (np.arange(n) < positives).astype(int)[:, None]
        for answer in TRIVIAL:
            for metric, values in trivial_baselines(column)[answer].items():
                found[answer, emotion, metric] = round(float(np.ravel(values)[0]), 3)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_every_number_says_where_it_is_from(name):
    rows = published_results(name)
    assert rows.columns.tolist() == [
        "system", "setting", "emotion", "metric", "value", "split", "source", "caveat",
    ]  # fmt: skip
    assert len(rows) > 0
    assert rows.notna().all(axis=None)
    assert not rows.duplicated(["system", "setting", "emotion", "metric"]).any()
    assert (rows[["system", "emotion", "metric", "split", "source"]] != "").all(axis=None)
    assert rows["split"].nunique() == 1
    assert rows["value"].between(0, 1).all()
    metrics = {"weighted_accuracy", "auc", "accuracy", "positive_f1", "weighted_f1"}
    assert set(rows["metric"]) <= metrics | {"micro_f1", "jaccard", "hamming_loss"}


def test_systems_have_the_names_of_the_table_of_systems():
    known = {*sk_mer.systems().index, *TRIVIAL}
    others = {"FE2E", "MESM", "LF-Transformer", "UniVA", "ComP", "concatenation"}
    told = {system for name in NAMES for system in published_results(name)["system"]}
    assert told - known == others


@pytest.mark.parametrize("name", COUNTS)
def test_trivial_rows_are_computed_from_the_counts(name):
    rows, scores = published_results(name), trivial_scores(COUNTS[name])
    trivial = rows[rows["system"].isin(TRIVIAL)]
    assert len(trivial) >= 12
    for row in trivial.itertuples():
        assert row.value == scores[row.system, row.emotion, row.metric]


@pytest.mark.parametrize("name", COUNTS)
def test_rows_that_a_trivial_answer_equals_or_beats_say_so(name):
    scores = trivial_scores(COUNTS[name])
    rows = published_results(name)
    for row in rows[~rows["system"].isin(TRIVIAL)].itertuples():
        flags = {part for part in row.caveat.split("; ") if part.endswith(TRIVIAL)}
        if row.metric == "auc":
            assert not flags
            continue
        known = {answer: scores[answer, row.emotion, row.metric] for answer in TRIVIAL}
        expected = {f"equals {a}" for a, value in known.items() if value == row.value}
        best = max(known, key=known.get)
        if row.value < known[best]:
            expected.add(f"below {best}")
        assert flags == expected, row


def test_the_port_of_mult_learned_nothing():
    rows = published_results("iemocap-4")
    port = rows[(rows["system"] == "MulT") & (rows["setting"] == "public port")]
    assert len(port) == 8
    assert (port["caveat"] == "equals all-no").all()
    table = published_results("iemocap-unseen")
    same = table["caveat"].str.contains("equals all-yes")
    assert set(table["system"][same]) == {"EF-LSTM", "LF-LSTM"}


def test_below_chance():
    for name in NAMES:
        rows = published_results(name)
        ranked = rows["metric"].isin(["weighted_accuracy", "auc"])
        expected = ranked & (rows["value"] < 0.5)
        told = rows["caveat"].str.contains("below chance")
        assert told.tolist() == expected.tolist(), name


@pytest.mark.parametrize("name", ["mosei-aligned", "mosei-mesm"])
def test_means_are_means_of_the_rows(name):
    for metric in published_results(name)["metric"].unique():
        table = published_results(name, metric=metric).dropna()
        assert len(table) > 2
        expected = table.drop(columns="mean").mean(axis=1)
        # MTL's 62.88 is printed as 62.8.
        np.testing.assert_allclose(table["mean"], expected, rtol=0, atol=0.00084)


def test_the_same_model_in_two_tables():
    whole = published_results("mosei-aligned", metric="weighted_accuracy").loc["MTE"]
    parts = published_results("mosei-modalities", metric="weighted_accuracy")
    every = parts.loc["MTE, text + audio + vision"]
    assert every.to_dict() == whole.drop("mean").to_dict()


def test_wide_tables():
    wide = published_results("mosei-unseen", metric="auc")
    assert wide.columns.tolist()[:4] == ["anger", "disgust", "fear", "surprise"]
    assert wide.loc["MTE, zero-shot", "disgust"] == 0.727
    assert wide.loc["MTE, 1 % joint (JT)", "mean without anger"] == 0.693
    assert np.isnan(wide.loc["EF-LSTM, zero-shot", "mean without anger"])
    six = published_results("mosei-mesm", metric="positive_f1")
    assert six.loc["MulT"].tolist() == [0.475, 0.493, 0.253, 0.754, 0.483, 0.256, 0.452]
    assert six.index.tolist()[:2] == ["LF-LSTM", "LF-Transformer"]
    multi = published_results("mosei-multilabel", metric="hamming_loss")
    assert multi["all"].to_dict() == {"UniVA, GloVe": 0.205, "UniVA, RoBERTa": 0.182}


def test_tables_of_two_splits_are_not_joined():
    with pytest.raises(ValueError, match="tables of different splits cannot be ranked"):
        published_results(["mosei-aligned", "mosei-mesm"])
    splits = [published_results(name)["split"][0] for name in NAMES]
    assert len(set(splits)) == len(NAMES) - 1
    with pytest.raises(ValueError, match="expected one name"):
        published_results(metric="auc")


def test_unknown_names():
    with pytest.raises(ValueError, match="no published results 'mosei'; expected one of"):
        published_results("mosei")
    with pytest.raises(ValueError, match="this table has 'accuracy', 'auc'"):
        published_results("iemocap-4", metric="f1")
