"""Files with the published counts give the published figures of trivial answers."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

from sk_mer.datasets._layouts import IEMOCAP_FOUR, IEMOCAP_NINE, MTE_ORDER
from sk_mer.paper.commands import main
from sk_mer.paper.published import COUNTS

PARTS = ("train", "valid", "test")
APPENDED = {"excited": 141, "surprised": 25, "frustrated": 278}
ROWS = {"train": 15290, "valid": 2291, "test": 4832}


def one_step(n, n_steps=1):
    return {m: np.ones((n, n_steps, 1), np.float32) for m in ("text", "audio", "vision")}


def words(folder, names):
    lines = [f"{name} {k} 1.0" for k, name in enumerate(names)]
    (folder / "glove.txt").write_text("\n".join(lines) + "\n")


def dump(path, value):
    path.write_bytes(pickle.dumps(value, protocol=2))


@pytest.fixture(scope="module")
def iemocap(tmp_path_factory):
    """2717, 798 and 938 rows of one emotion each, and the test rows of the nine."""
    folder = tmp_path_factory.mktemp("iemocap")
    (folder / "nine").mkdir()
    data = {}
    for k, part in enumerate(PARTS):
        which = np.repeat(range(4), [COUNTS["iemocap"][name][k] for name in IEMOCAP_FOUR])
        yes = np.eye(4, dtype=np.float32)[which]
        data[part] = {**one_step(len(which)), "labels": np.stack([1 - yes, yes], axis=2)}
    dump(folder / "iemocap_data.pkl", data)
    which = np.repeat([IEMOCAP_NINE.index(name) for name in APPENDED], [*APPENDED.values()])
    for key, modality in (("text", "text"), ("covarep", "audio"), ("facet", "vision")):
        dump(folder / "nine" / f"{key}_test.p", one_step(len(which), 2)[modality])
    y = np.zeros((len(which), len(IEMOCAP_NINE) + 2))
    y[np.arange(len(which)), which + 1] = 1
    dump(folder / "nine" / "y_test.p", y)
    words(folder, [*IEMOCAP_FOUR, "exciting", "surprising", "frustrating"])
    return folder


def trivial(name, data, output):
    main([name, "--data", str(data), "--output", str(output), "--systems", "none"])
    return pd.read_csv(output / f"{name}.csv", index_col=0, dtype=str)


def test_all_no_on_iemocap(iemocap, tmp_path):
    """The eight "reproduced" figures of a public port of MulT."""
    found = trivial("table2", iemocap, tmp_path).loc["all-no"]
    accuracy = {"happy": "85.6", "sad": "79.4", "angry": "75.8", "neutral": "59.2"}
    weighted = {"happy": "79.0", "sad": "70.3", "angry": "65.4", "neutral": "44.0"}
    for label, expected in accuracy.items():
        assert found[label] == f"{expected} / 50.0 / {weighted[label]}"
    assert "cannot be compared" not in (tmp_path / "table2.txt").read_text()


def test_all_yes_on_unseen_emotions(iemocap, tmp_path):
    """The figures of EF-LSTM in table 5, but for one."""
    found = trivial("table5", iemocap, tmp_path).loc["all-yes"]
    assert found["excited"] == "13.1 / 23.1"
    assert found["surprised"] == "2.6 / 5.1"
    assert found["frustrated"] == "22.9 / 37.2"


def mosei(folder, changed=0):
    """Features of one step, with so many positives of each emotion."""
    data = {}
    for k, part in enumerate(PARTS):
        y = np.zeros((ROWS[part], 6), np.int64)
        for column, name in enumerate(MTE_ORDER):
            y[: COUNTS["mosei"][name][k] - changed, column] = 1
        data[part] = {**one_step(len(y)), "labels": y}
    dump(folder / "x.pkl", data)
    words(folder, MTE_ORDER)


@pytest.mark.parametrize("changed", [0, 3])
def test_counts_of_table_7(changed, tmp_path, monkeypatch):
    from sk_mer.paper import reading

    names = {"label_names": list(MTE_ORDER)}
    load = reading.load_multimodal
    monkeypatch.setattr(
        reading, "load_multimodal", lambda p, **how: load(p, **names, **how)
    )
    mosei(tmp_path, changed)
    main(["table7", "--data", str(tmp_path), "--output", str(tmp_path / "out")])
    found = pd.read_csv(tmp_path / "out" / "table7.csv", index_col=0, dtype=str)
    assert found.loc["fear", "test, paper"] == "332"
    apart = found.filter(like="difference").drop(index="rows")
    assert set(apart.to_numpy().ravel()) == {f"-{changed}" if changed else "+0"}
    assert found.loc["rows", list(PARTS)].tolist() == [str(n) for n in ROWS.values()]


def test_counts_of_the_most_intense_emotion(real_data, tmp_path, capsys):
    folder = real_data / "mosei_labels"
    main(["table7", "--data", str(folder), "--output", str(tmp_path)])
    found = pd.read_csv(tmp_path / "table7.csv", index_col=0, dtype=str)
    assert found.loc["rows", list(PARTS)].tolist() == ["16327", "1871", "4662"]
    assert found.loc["anger", "train, paper"] == "3443"
    assert "its counts cannot be those of the paper" in capsys.readouterr().out
