"""Free corpora in the files that they come in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sk_mer.paper.cells import Cell
from sk_mer.paper.commands import main
from sk_mer.paper.reading import read
from sk_mer.paper.runs import Runner
from sk_mer.paper.systems import Settings

EMOTIONS = ["angry", "happy", "sad"]


def words(folder, names):
    rng = np.random.default_rng(0)
    rows = [" ".join([name, *map(str, rng.normal(size=8).round(4))]) for name in names]
    (folder / "glove.txt").write_text("\n".join(rows) + "\n")


@pytest.fixture
def ravdess(tmp_path):
    """Eight actors who say two sentences in three emotions; of one clip there is no sound."""
    rng = np.random.default_rng(0)
    clips = [(actor, k) for actor in range(1, 9) for k in range(12)]
    about = pd.DataFrame(
        {
            "emotion": [EMOTIONS[k // 4] for _, k in clips],
            "statement_text": [f"sentence {k % 2}" for _, k in clips],
            "actor": [actor for actor, _ in clips],
        }
    )
    about.to_csv(tmp_path / "metadata.csv")
    row = np.arange(1, len(clips))[::-1]
    length = rng.integers(20, 40, len(row))
    loud = np.repeat([EMOTIONS.index(e) for e in about["emotion"].iloc[row]], length)
    frames = rng.normal(size=(length.sum(), 4)) + 5 + 3 * loud[:, None]
    np.savez(
        tmp_path / "audio_mfcc40_seq.npz",
        frames=frames.astype(np.float16), length=length, row=row,
    )  # fmt: skip
    faces = np.repeat(np.arange(len(clips))[:, None], 3, axis=1).astype(np.float32)
    np.savez(tmp_path / "ravdess_features.npz", video_au=faces)
    words(tmp_path, EMOTIONS)
    return tmp_path, about


def test_ravdess(ravdess, tmp_path):
    folder, about = ravdess
    corpus = read(folder)
    assert corpus.X.modalities == ("vision", "audio")
    assert len(corpus.X) == len(about) - 1
    assert all((corpus.X.lengths(m) == 3).all() for m in corpus.X.modalities)
    rows = corpus.X.values("vision")[::3, 0].astype(int)  # the number of the clip
    assert sorted(rows) == list(range(1, len(about)))
    assert (corpus.y.idxmax(axis=1) == about["emotion"].iloc[rows].to_numpy()).all()
    actors = about["actor"].to_numpy()[rows]
    assert (corpus.X.groups == actors).all()
    parts = {part: set(actors[corpus.split == part]) for part in ("train", "valid", "test")}
    assert [len(some) for some in parts.values()] == [2, 3, 3]
    assert len(set.union(*parts.values())) == 8
    emotions = about["emotion"].to_numpy()[rows[corpus.split == "test"]]
    assert (emotions[1:] != emotions[:-1]).mean() > 0.4  # the file has them in order
    main(
        ["table1", "--data", str(folder), "--output", str(tmp_path), "--systems", "linear"]
    )
    found = pd.read_csv(tmp_path / "table1.csv", index_col=0, dtype=str)
    loudest = found.loc["pooled linear", ["angry", "sad"]].str.split(" / ").str[1]
    assert (loudest.astype(float) > 90).all()
    assert "its figures are of other data" in (tmp_path / "table1.txt").read_text()


def test_goemotions(tmp_path):
    names = ["joy", "anger", "neutral"]
    (tmp_path / "labels.txt").write_text("\n".join(names))
    said = {"0": "so joy", "1": "such anger", "0,1": "anger joy", "2": "so such"}
    lines = [f"{text}\t{ids}\tid" for ids, text in said.items()]
    for part, n in {"train": 8, "dev": 3, "test": 4}.items():
        text = "\n".join([*lines * n, "qqq\t2\tid"])
        (tmp_path / f"{part}.tsv").write_text(text + "\n")
    words(tmp_path, ["so", "such", "joy", "anger"])
    corpus = read(tmp_path)
    assert corpus.notes == ("3 comments without a known word are left out",)
    assert corpus.y.columns.tolist() == ["joy", "anger"]
    counts = pd.Series(corpus.split).value_counts()
    assert counts.to_dict() == {"train": 32, "test": 16, "valid": 12}
    main(
        [
            "table5",
            "--data",
            str(tmp_path),
            "--output",
            str(tmp_path),
            "--systems",
            "mte",
            "--small",
        ]
    )
    found = pd.read_csv(tmp_path / "table5.csv", index_col=0, dtype=str)
    assert "anger" in found
    rows = ["MTE, text", "ESZSL, text", "lexical score, text", "pooled linear, text"]
    assert found.index.tolist()[:4] == rows
    assert found.loc["lexical score, text", "anger"] == "100.0 / 100.0"
    assert found.loc["lexical score, text", "weights"] == "0"
    runner = Runner(corpus, Settings())
    raw, scaled = (
        runner._fitted(Cell("seen", name, 0), runner._whole())[1].values("text")
        for name in ("lexical", "linear")
    )
    assert (raw == corpus.X.values("text")).all()  # they are compared with the labels
    assert not (scaled == raw).all()


def test_real_ones(real_data):
    corpus = read(Path(real_data) / "ravdess")
    assert corpus.X.shape == (1064,)
    assert corpus.y.sum().sum() == 1064
    assert corpus.words["calm"] == ["peaceful", "relaxed"]
