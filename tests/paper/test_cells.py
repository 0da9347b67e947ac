"""Finished fits that are kept."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import sk_mer
from sk_mer.datasets import make_multimodal_emotions
from sk_mer.emotion_predictor import EmotionPredictor
from sk_mer.linear_model._base import PooledLinearBase
from sk_mer.paper import cells, figures, pages, systems
from sk_mer.paper.cells import Cell, Store, computed
from sk_mer.paper.reading import Corpus, hash_of, judged_labels, limited, with_unseen
from sk_mer.paper.runs import Runner
from sk_mer.paper.systems import Settings, chosen
from sk_mer.paper.tables import Table, put_together
from sk_mer.paper.words import forms_of, word_table

CELL = Cell("seen", "mte", 0)
CHANGED = {
    "task": "unseen", "system": "lf_lstm", "seed": 1, "target": "sad",
    "modalities": ("text",), "words": (("sad", "Sad"),),
}  # fmt: skip


@pytest.fixture(scope="module")
def corpus():
    data = make_multimodal_emotions(60, n_unseen=0, aligned=True, random_state=0)
    split = np.array(["train", "valid", "test"])[np.arange(60) % 3]
    words = {name: name for name in data.y}
    source = data.label_vectors
    return Corpus("made", data.X, data.y, split, source, words, source)


def test_every_field_of_a_cell_is_in_its_key(tmp_path):
    store = Store(tmp_path, "data")
    assert {field.name for field in dataclasses.fields(Cell)} == set(CHANGED)
    others = [replace(CELL, **{name: value}) for name, value in CHANGED.items()]
    paths = [store.path(cell, "lr=1") for cell in [CELL, *others]]
    paths += [store.path(CELL, "lr=2"), Store(tmp_path, "other").path(CELL, "lr=1")]
    assert len(set(paths)) == len(CHANGED) + 3
    assert store.path(CELL, "lr=1") == paths[0]


def test_the_key_knows_data_settings_and_version(corpus, tmp_path, monkeypatch):
    y = corpus.y.copy()
    y.iloc[0, 0] = 1 - y.iloc[0, 0]
    split = corpus.split.copy()
    split[0] = "test"
    changed = [
        replace(corpus, y=y),
        replace(corpus, split=split),
        corpus.take(np.arange(59)),
        replace(corpus, vectors={**corpus.vectors, "sad": np.zeros(16)}),
        replace(corpus, source={**corpus.source, "Sad": np.zeros(16)}),
        replace(corpus, X=corpus.X.with_groups(np.arange(60))),
    ]
    assert len({hash_of(other) for other in [corpus, *changed]}) == 7
    told = {
        Runner(corpus, settings).describe(CELL)
        for settings in (
            Settings(),
            Settings(published=True),
            Settings(small=True),
            Settings(scale=False),
        )
    }
    assert len(told) == 4
    before = Store(tmp_path, "data").path(CELL, "")
    monkeypatch.setattr(cells, "__version__", "99")
    assert Store(tmp_path, "data").path(CELL, "") != before


def test_what_is_kept_is_not_computed_again(tmp_path):
    made, store = [], Store(tmp_path, "data")

    def run(cell):
        made.append(cell.seed)
        if cell.seed == 2:
            raise ValueError("not with 2")
        return {"scores": {"": {"sad": {"auc": float("nan") if cell.seed else 0.1 + 0.2}}}}

    wanted = [Cell("seen", "mte", seed) for seed in (0, 1, 2, 0)]
    first = computed(wanted, run, str, store, 1)
    assert made == [0, 1, 2]  # the last is the first
    assert first[0] == first[3]
    assert first[0]["scores"][""]["sad"]["auc"] == 0.1 + 0.2
    assert set(first[0]["cost"]) == {"seconds", "core-seconds", "peak MB"}
    assert first[2]["refused"] == "not with 2"
    again = computed(wanted, run, str, store, 1)
    assert made == [0, 1, 2, 2]  # what was refused is tried again
    assert again[0] == first[0]
    assert np.isnan(again[1]["scores"][""]["sad"]["auc"])
    for damage in ("", '{"scores": ', "[1]"):
        store.path(wanted[0], str(wanted[0])).write_text(damage)
        computed(wanted[:1], run, str, store, 1)
        assert made[-1] == 0
    assert not list(tmp_path.glob(".*"))


def test_nothing_half_written_is_left(tmp_path):
    store = Store(tmp_path, "data")
    with pytest.raises(TypeError):
        store.put(tmp_path / "x.json", {"cost": object()})
    assert not list(tmp_path.iterdir())


def test_progress_without_tqdm(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    assert list(cells.progress(iter("ab"), 2, 3)) == ["a", "b"]
    told = capsys.readouterr().err
    assert "3 fits are kept from before; 2 are left" in told
    assert "2 of 2 fits, about 0 min left" in told


def test_every_system_of_the_registry_has_a_name():
    from sk_mer import models

    names = chosen("all")
    assert len(names) == 1 + sum(n.endswith("Classifier") for n in models.__all__)
    assert {"mte", "lf_lstm", "graph_mfn", "attention_fusion"} < set(names)
    assert names[-1] == systems.LINEAR
    assert chosen("LF-LSTM, mte") == ["lf_lstm", "mte", "linear"]
    assert chosen("none") == []
    beside = tuple(systems.BASELINES)
    assert chosen("all", beside=beside) == [*names[:-1], "eszsl", "lexical", "linear"]
    assert chosen("eszsl,mte") == ["mte", "eszsl", "linear"]
    assert chosen("linear") == ["linear"]
    assert chosen("", ("mte",)) == ["mte", "linear"]


def test_every_zero_shot_model_without_a_network_is_a_baseline():
    kinds = [getattr(sk_mer, name) for name in sk_mer.__all__]
    reads = {
        kind
        for kind in kinds
        if isinstance(kind, type)
        and issubclass(kind, PooledLinearBase)
        and issubclass(kind, EmotionPredictor)
    }
    assert {kind for _, kind in systems.BASELINES.values()} == reads
    assert all(systems.scores_unseen(name) for name in systems.BASELINES)


def test_published_settings_are_those_of_the_corpus(corpus):
    published = Settings(published=True)
    made = {
        name: systems.build("mte", replace(corpus, published=name), published)
        for name in ("", "iemocap")
    }
    assert made[""].batch_size == 512
    assert made["iemocap"].batch_size == 32
    assert made["iemocap"].pos_weight == "balanced"


def test_the_lexical_score_reads_words_alone(corpus):
    """Where there are none its own sentence says so."""
    without = replace(corpus, X=corpus.X.drop("text"))
    for some in (corpus, without):
        assert systems.build("lexical", some, Settings()).modalities == ["text"]
    assert systems.build("eszsl", without, Settings()).modalities == ["audio", "vision"]


def test_few_rows_of_each_part_and_labels_that_are_shown(corpus):
    few = limited(corpus, 10)
    assert [(few.split == part).sum() for part in ("train", "valid", "test")] == [10, 5, 10]
    pd.testing.assert_frame_equal(few.y, limited(corpus, 10).y)
    rare = replace(corpus, y=corpus.y.assign(sad=np.arange(60) == 0))
    kept = judged_labels(rare)
    others = set(corpus.y) - {"sad"}
    assert set(kept.words) == set(kept.vectors) == set(kept.y) == others
    assert kept.notes[-1] == "left out, as a split shows them too rarely: sad"


def test_labels_of_one_corpus_taken_for_unseen(corpus):
    found = with_unseen(corpus, None, ["sad", "fear"])
    assert list(found.y)[-2:] == ["sad", "fear"]
    shown = (found.y[["sad", "fear"]] == 1).any(axis=1).to_numpy()
    assert not shown[found.split != "test"].any()
    assert ((found.appended != "") == shown).all()
    assert (found.split == "test").sum() == 20


def test_a_system_that_cannot_read_the_data_says_why(corpus):
    """The others are in the table."""
    score = {"weighted_accuracy": 0.5}
    scores = {"text": dict.fromkeys(corpus.y, score)}
    cost = {"cost": dict.fromkeys(["seconds", "core-seconds", "peak MB"], 1.0)}
    wanted = [
        Cell("seen", "mctn", 0, modalities=("text",)),
        Cell("seen", "mctn", 0, modalities=("audio",)),
        Cell("seen", "linear", 0, modalities=("text",)),
    ]
    found = [
        {"refused": "No.", **cost},
        {"refused": "No.", **cost},
        {"scores": scores, **cost},
    ]
    table = put_together("table6", corpus, ["mctn", "linear"], [], wanted, found)
    assert table.shown.index[0] == "pooled linear, text"
    assert "Left out: MCTN with text; audio: No." in table.notes


def test_figures_say_what_they_leave_out(corpus):
    refused, curve = {"refused": "No."}, dict.fromkeys(corpus.y, [0.5] * 51)
    made = {"curve": dict.fromkeys(figures.FIGURES["figure4"], curve)}
    wanted = [Cell("curve", "mctn", 0), Cell("curve", "linear", 0)]
    table = figures.curve_table("figure4", corpus, wanted, [refused, made])
    assert table.notes[-1] == "Left out: MCTN: No."
    assert "W-Acc, pooled linear" in table.shown.index
    with pytest.raises(ValueError, match="Left out: MTE: No"):
        figures.space_table(corpus, [Cell("space", "mte", 0)], [refused])
    made = {"spaces": {"audio": np.eye(2)}, "labels": ["sad", "fear"]}
    table = figures.space_table(corpus, [Cell("space", "mte", 0)], [made])
    assert table.shown.loc["MTE, sad - fear", "audio"] == "0.00"
    assert not table.notes  # there is no space of text


def test_forms_of_a_short_word(corpus):
    words = ["fear", "feature", "Fears", "fearful", "sad", "sadly"]
    source = {word: [1.0] for word in words}
    some = replace(corpus, words={"fear": "fear", "sad": "sad"}, source=source)
    found = {"fear": ["fear", "Fears", "fearful"], "sad": ["sad", "sadly"]}
    assert forms_of(some, small=False) == found


def test_words_of_several_parts_are_spelled_out(corpus):
    usual = replace(corpus, words={"calm": ["peaceful", "relaxed"], "sad": "sad"})
    told = word_table(usual, ["linear"], {}, [], []).notes[1]
    assert told == "Usual words: calm: peaceful and relaxed, sad: sad."


def test_many_labels_are_not_printed_one_by_one():
    names = [f"label {k}" for k in range(11)]
    frame = pd.DataFrame([["1"] * 12], columns=[*names, "mean"], index=["MTE"])
    few = pages.text(Table("Title", frame[[*names[:10], "mean"]], pd.DataFrame()))
    assert "label 9" in few
    many = pages.text(Table("Title", frame, pd.DataFrame()))
    assert "label 9" not in many
    assert many.endswith("The 11 labels one by one are in the files.")
    assert "label 9" in pages.markdown(Table("Title", frame, pd.DataFrame()))


def test_latex_of_any_names():
    frame = pd.DataFrame([["1 ± 2", "a_b"]], columns=["50 %", "R&D"], index=["x#"])
    found = pages.latex(Table("Title", frame.rename_axis("s"), pd.DataFrame())).splitlines()
    assert r"s & 50 \% & R\&D \\" in found
    assert r"x\# & 1 $\pm$ 2 & a\_b \\" in found
