"""The commands of the paper on generated files of its corpora."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

import sk_mer
from sk_mer.paper import sample
from sk_mer.paper.commands import main

COUNTS = {"train": 60, "valid": 30, "test": 40}
COSTS = ["seconds", "core-seconds", "peak MB"]
TINY = ["--small", "--rows", "60"]


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpora")
    sample.write_mosei(folder / "mosei", COUNTS)
    sample.write_iemocap(folder / "iemocap", {name: 2 * n for name, n in COUNTS.items()})
    return folder


def table(folder, name="table1"):
    return pd.read_csv(folder / f"{name}.csv", index_col=0, dtype=str)


def of(what, data, output, *more):
    return [what, "--data", str(data), "--output", str(output), *TINY, *more]


def test_killed_and_started_again(corpora, tmp_path):
    """Not a digit differs from a run that nothing stopped, and no fit is made twice."""
    how = ["--systems", "mctn,emobed", "--seeds", "2"]
    command = of("table1", corpora / "mosei", tmp_path / "killed", *how)
    root = Path(sk_mer.__file__).parents[1]
    running = subprocess.Popen(
        [sys.executable, "-m", "sk_mer.paper", *command],
        cwd=root,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    cells = tmp_path / "killed" / "cells"
    while not list(cells.glob("*.json")):
        assert running.poll() is None, "it ended before a fit was kept"
        time.sleep(0.01)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    kept = {path: path.stat().st_mtime_ns for path in cells.glob("*.json")}
    assert 1 <= len(kept) < 5
    main(command)
    main(of("table1", corpora / "mosei", tmp_path / "whole", *how))
    assert len(list(cells.glob("*.json"))) == 5
    assert all(path.stat().st_mtime_ns == time_ for path, time_ in kept.items())
    found, expected = table(tmp_path / "killed"), table(tmp_path / "whole")
    pd.testing.assert_frame_equal(found.drop(columns=COSTS), expected.drop(columns=COSTS))
    values = [
        (tmp_path / run / "table1_values.csv").read_bytes() for run in ("killed", "whole")
    ]
    assert values[0] == values[1]
    assert " ± " in found.loc["EmoBed", "mean"]
    told = (tmp_path / "whole" / "table1.txt").read_text()
    assert "per cent: mean ± standard deviation over 2 seeds." in told


def test_table1_beside_the_paper(corpora, tmp_path, capsys):
    """Labels are joined to features with sentiment; all forms are written."""
    main(of("table1", corpora / "mosei", tmp_path, "--systems", "mte"))
    told, beside = capsys.readouterr()
    assert "60 training, 30 validation and 40 test rows, 6 labels; 2 fits" in beside
    assert "A trial: few rows and two epochs" in told
    assert "W-Acc / AUC, per cent." in told  # of one seed there is no spread
    assert "Wrote table1.csv, table1_values.csv, table1.md" in told
    assert "cannot be compared" in told
    assert "Published, one seed: MTE." in told
    found = table(tmp_path)
    assert found.index.tolist() == [
        "MTE", "published: MTE", "pooled linear", "all-no", "all-yes", "shares of the labels",
    ]  # fmt: skip
    assert found.loc["published: MTE", ["anger", "mean"]].tolist() == [
        "67.0 / 71.7", "66.2 / 71.4",
    ]  # fmt: skip
    assert set(found.loc["all-no"].dropna()) == {"50.0 / 50.0"}
    costs = found.loc["MTE", COSTS].astype(str).str.replace(",", "")
    assert (costs.astype(float) > 0).all()
    assert (tmp_path / "table1.svg").stat().st_size > 5000
    tex = (tmp_path / "table1.tex").read_text()
    assert tex.count(r" \\") == 7
    assert r"published: MTE & 67.0 / 71.7 &" in tex
    assert "| published: MTE | 67.0 / 71.7 |" in (tmp_path / "table1.md").read_text()


def test_table4_zero_and_few_shots(corpora, tmp_path):
    how = ["--systems", "mte", "--targets", "fear"]
    main(of("table4", corpora / "mosei", tmp_path, *how))
    found = table(tmp_path, "table4")
    few = ["zero-shot", "1 % fine-tuned (FT)", "1 % continual (CL)", "1 % joint (JT)"]
    ours = [name for name in found.index if "published" not in name]
    again = ["zero-shot", "1 % and all other rows"]
    others = [f"{name}, {part}" for name in ("ESZSL", "pooled linear") for part in again]
    assert ours[:8] == [*(f"MTE, {name}" for name in few), *others]
    assert found.loc["published: MTE, zero-shot"].tolist()[:2] == [
        "41.8 / 40.6",
        "65.9 / 70.9",
    ]
    assert found.columns.tolist()[:2] == ["fear", "mean without fear"]
    values = pd.read_csv(tmp_path / "table4_values.csv")
    assert values["value"].between(0, 1).all()


def test_table5_with_the_nine_emotions(corpora, tmp_path):
    main(of("table5", corpora / "iemocap", tmp_path, "--systems", "mte,ef_lstm,mult"))
    found = table(tmp_path, "table5")
    assert found.columns.tolist()[:3] == ["excited", "surprised", "frustrated"]
    parts = ["text + audio + vision", "text + audio", "vision"]
    assert {f"MTE, {part}" for part in parts} < set(found.index)
    assert found.loc["published: MTE, vision", "excited"] == "82.1 / 35.0"
    assert found.loc["published: EF-LSTM", "excited"] == "13.1 / 23.1"
    told = (tmp_path / "table5.txt").read_text()
    assert (
        "Published, equals all-yes: EF-LSTM (excited accuracy, excited positive f1" in told
    )
    assert "No score for labels never trained on: MulT." in told


def test_table6_by_modalities(corpora, tmp_path):
    main(of("table6", corpora / "mosei", tmp_path, "--systems", "raven"))
    found = table(tmp_path, "table6")
    for name in ("RAVEN", "pooled linear"):
        rows = found[found.index.str.startswith(f"{name}, ")]
        assert len(rows) == rows["weights"].nunique() == 7


@pytest.mark.parametrize("name", ["figure3", "figure4"])
def test_figures(name, corpora, tmp_path):
    more = ["--targets", "Fears", "--systems", "mult,mte"] if name == "figure3" else []
    main(of(name, corpora / "mosei", tmp_path, *more))
    found = table(tmp_path, name)
    assert (tmp_path / f"{name}_drawn.svg").stat().st_size > 5000
    if name == "figure3":
        assert found.columns.tolist() == ["text", "audio", "vision"]
        assert len(found) == 21  # pairs of six labels and an unseen one
        told = (tmp_path / "figure3.txt").read_text()
        assert "Not in it, as they do not read the vectors of labels: MulT." in told
    else:
        assert found.loc["W-Acc, all-no"].tolist() == ["50.0"] * 5
        assert "W-F1, pooled linear" in found.index


def test_word_forms_are_chosen_on_validation_rows(corpora, tmp_path):
    main(of("word_forms", corpora / "mosei", tmp_path))
    values = pd.read_csv(tmp_path / "word_forms_values.csv")
    mte = values[values["system"] == "MTE"]
    usual = mte.set_index("words")["valid"].filter(like="the usual words").iloc[0]
    single = mte[~mte["words"].str.contains(",|usual")]
    better = single[single["valid"] > usual]["words"].str.removesuffix(" (chosen)")
    chosen = mte[mte["words"].str.endswith("(chosen)")]["words"]
    assert len(chosen) == 1
    told = chosen.iloc[0].removesuffix(" (chosen)")
    assert set(told.split(", ")) == set(better) or (told, len(better)) == (
        "the usual words", 0,
    )  # fmt: skip


REFUSED = {
    "There is no system 'mte2' (near: mte)": ["table1", "--systems", "mte2"],
    "There is no file or folder at 'nowhere'": ["table1", "--data", "nowhere"],
    "--targets names joy, but the labels are anger": ["table4", "--targets", "joy"],
    "--targets names angry, but the labels are anger": ["table5", "--targets", "angry"],
    "None of these systems reads the vectors of labels": ["figure3", "--systems", "mult"],
    "--jobs 0 was given; expected 1 or more": ["table1", "--jobs", "0"],
    "--seeds 0 was given; expected 1 or more": ["table1", "--seeds", "0"],
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_one_sentence_for_what_does_not_fit(sentence, corpora, tmp_path):
    what, *more = REFUSED[sentence]
    with pytest.raises(SystemExit) as stopped:
        main(of(what, corpora / "mosei", tmp_path, *more))
    assert sentence in str(stopped.value)


def test_what_must_lie_beside_the_features(corpora, tmp_path):
    folder = tmp_path / "alone"
    folder.mkdir()
    features = folder / "mosei_senti_data.pkl"
    features.write_bytes((corpora / "mosei" / features.name).read_bytes())
    with pytest.raises(SystemExit, match=r"There are no word vectors in .* --vectors"):
        main(of("table1", folder, tmp_path))
    vectors = ["--vectors", str(corpora / "mosei" / "glove.generated.txt")]
    with pytest.raises(SystemExit, match="has no emotions; put CMU_MOSEI_Labels"):
        main(of("table1", folder, tmp_path, *vectors))
    labels = ["--labels", str(corpora / "mosei" / "CMU_MOSEI_Labels.csd")]
    main(of("table1", folder, tmp_path, *vectors, *labels, "--systems", "none"))
    assert table(tmp_path).index.tolist() == ["all-no", "all-yes", "shares of the labels"]
