"""The page on the road of one ``fit``, held against a real one."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

import sk_mer
from sk_mer import LFLSTMClassifier
from sk_mer.datasets import make_multimodal_emotions

ROOT = Path(sk_mer.__file__).parent
PAGE = Path(__file__).parents[1] / "docs" / "developers" / "one_fit.rst"
STATION = re.compile(r"^   (?P<branch>[│├└─ ]*)(?P<file>[\w/]+\.py) +(?P<function>\w+)$")


def calls_of(action):
    """Calls of the package's functions: each with those that it was called from."""
    found = []

    def trace(frame, event, argument):
        if event != "call" or not frame.f_code.co_filename.startswith(str(ROOT)):
            return
        chain = []
        while frame is not None:
            path = Path(frame.f_code.co_filename)
            if path.is_relative_to(ROOT):
                name = path.relative_to(ROOT).as_posix()
                chain.append((name, frame.f_code.co_name))
            frame = frame.f_back
        found.append((chain[0], chain[1:]))

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        action()
    finally:
        sys.settrace(before)
    return found


@pytest.fixture(scope="module")
def calls():
    data = make_multimodal_emotions(40, random_state=0)
    model = LFLSTMClassifier(hidden_sizes=4, num_layers=1, max_epochs=1, random_state=0)
    y = data.y[data.seen]
    model.fit(data.X, y)  # what is imported or cached at first does not count
    return calls_of(lambda: model.fit(data.X, y))


def stations():
    """Those of the page, with the place of the one that each hangs on."""
    found, open_branches = [], []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        match = STATION.match(line)
        if match:
            depth = len(match["branch"]) // 3
            parent = open_branches[depth - 1] if depth else None
            found.append(((match["file"], match["function"]), parent))
            open_branches[depth:] = [len(found) - 1]
    return found


def test_stations_are_called_in_their_order(calls):
    road, after = stations(), 0
    assert 10 <= len({file for (file, _), _ in road}) <= 13
    for station, parent in road:
        caller = road[parent][0] if parent is not None else None
        places = [
            k
            for k, (called, chain) in enumerate(calls[after:], after)
            if called == station and (caller is None or caller in chain)
        ]
        assert places, f"{station} is not called from {caller} after the one before it"
        after = places[0] + 1


def test_no_file_is_left_out_or_invented(calls):
    page = PAGE.read_text(encoding="utf-8")
    described = re.findall(r"^   \* - ``([\w/]+\.py)``$", page, re.MULTILINE)
    assert len(described) == len(set(described))
    called = {file for (file, _), _ in calls}
    lacking, gone = sorted(called - set(described)), sorted(set(described) - called)
    assert not lacking, f"{PAGE.name} must tell what these do in a fit: {lacking}"
    assert not gone, f"{PAGE.name} names files that no fit goes through: {gone}"
    on_road = described[: described.index("multimodal/array.py")]
    assert on_road == list(dict.fromkeys(file for (file, _), _ in stations()))
