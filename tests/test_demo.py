"""The commands of README, as a new user types them."""

import runpy
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import sk_mer
from sk_mer import demo

DEMO = Path(__file__).parents[1] / "examples" / "demo"


def test_demo(tmp_path, capsys):
    demo.main(["--output", str(tmp_path / "new")])
    table = pd.read_csv(tmp_path / "new" / "demo.csv", index_col=0)
    assert (tmp_path / "new" / "demo.png").stat().st_size > 10_000
    assert "never seen: excited, frustrated" in capsys.readouterr().out
    unseen = ["excited AUC", "frustrated AUC"]
    assert (table.loc["MTE", unseen] > 0.8).all()
    assert (table.loc["MTE", unseen] > table.loc["EF-LSTM", unseen]).all()
    assert table.loc["EF-LSTM", unseen].mean() == pytest.approx(0.5, abs=0.15)
    assert table.loc["LF-LSTM", "seen AUC"] > 0.9
    assert (table.loc["pooled linear", ["seen AUC", *unseen]] > 0.8).all()
    assert set(table.loc["all-no"].dropna()) == {0.5}


@pytest.mark.parametrize("command", [["-m", "sk_mer.demo"], [str(DEMO)]])
def test_commands(command, tmp_path):
    done = subprocess.run(
        [sys.executable, *command, "--help"],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(sk_mer.__file__).parents[1],
    )
    assert "--output" in done.stdout


def test_without_matplotlib(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    demo._draw_auc(pd.DataFrame(), [], None, tmp_path / "demo.png")
    assert "pip install 'sk-mer[plot]'" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_demo_on_your_own_recordings(tmp_path, monkeypatch):
    """The folder that README describes, with clips that are synthesised here."""
    from .feature_extraction.test_recordings import VECTORS, recordings

    folder = tmp_path / "mine"
    folder.mkdir()
    table = recordings(folder)
    for path, sentence in zip(table["file"], table["sentence"]):
        Path(path).with_suffix(".txt").write_text(sentence)
    table["file"] = [Path(path).name for path in table["file"]]
    table["speaker"] = [f"s{i % 6}" for i in range(len(table))]
    table.drop(columns="sentence").to_csv(folder / "recordings.csv", index=False)
    lines = [" ".join([word, *map(str, row)]) for word, row in VECTORS.items()]
    (folder / "glove.txt").write_text("\n".join(lines) + "\n")
    command = [
        sys.executable,
        DEMO,
        "--output",
        tmp_path,
        "--data",
        folder,
        "--ask",
        "calm",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "speakers who were not trained on" in done.stdout
    scores = pd.read_csv(tmp_path / "recordings_scores.csv", index_col=0)
    assert (scores["AUC"] > 0.9).all()
    asked = pd.read_csv(tmp_path / "recordings_zero_shot.csv", index_col=0)
    assert asked.columns.tolist() == ["calm"]
    low = (table["sad"] == 1).to_numpy()
    assert asked["calm"].to_numpy()[low].mean() > asked["calm"].to_numpy()[~low].mean()
    (folder / "glove.txt").unlink()
    monkeypatch.setattr(sys, "argv", [str(part) for part in command[1:]])
    with pytest.raises(SystemExit, match="Word vectors are needed"):
        runpy.run_path(str(DEMO), run_name="__main__")
