"""The command of README, as a new user types it."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

DEMO = Path(__file__).parents[1] / "examples" / "demo"


def test_demo(tmp_path):
    done = subprocess.run(
        [sys.executable, DEMO, "--output", tmp_path],
        capture_output=True,
        text=True,
        check=True,
    )
    table = pd.read_csv(tmp_path / "demo.csv", index_col=0)
    assert (tmp_path / "demo.png").stat().st_size > 10_000
    assert "never seen: excited, frustrated" in done.stdout
    unseen = ["excited AUC", "frustrated AUC"]
    assert (table.loc["MTE", unseen] > 0.8).all()
    assert (table.loc["MTE", unseen] > table.loc["EF-LSTM", unseen]).all()
    assert table.loc["EF-LSTM", unseen].mean() == pytest.approx(0.5, abs=0.15)
    assert table.loc["LF-LSTM", "seen AUC"] > 0.9
    assert set(table.loc["all-no"].dropna()) == {0.5}
