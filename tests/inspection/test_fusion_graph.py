"""The picture of Graph-MFN's graph."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from sk_mer import GraphMFNClassifier
from sk_mer.inspection import FusionGraphDisplay


@pytest.fixture(scope="module")
def model(aligned):
    settings = {"hidden_sizes": 4, "graph_size": 6, "memory_units": 4, "max_epochs": 1}
    model = GraphMFNClassifier(**settings, random_state=0)
    return model.fit(aligned.X[:60], aligned.y[aligned.seen][:60])


def test_an_utterance_is_drawn(model, aligned):
    row = int(aligned.X.lengths("text").argmin())
    display = FusionGraphDisplay.from_estimator(model, aligned.X[row : row + 1])
    graph, image = display.axes_
    efficacies = model.fusion_efficacies(aligned.X[row : row + 1])[0]
    np.testing.assert_array_equal(image.images[0].get_array(), efficacies.T)
    assert [t.get_text() for t in image.get_yticklabels()] == model.efficacy_names_
    assert len(graph.lines) == 19
    assert {text.get_text().replace("\n", "") for text in graph.texts} == {
        *("text", "audio", "vision", "text+audio", "text+vision", "audio+vision"),
        *("text+audio+vision", "output"),
    }
    widths = np.array([line.get_linewidth() for line in graph.lines])
    means = efficacies.mean(axis=0)
    assert widths.argmax() == np.abs(means).argmax()
    blue = [line.get_color() == "#2f6db3" for line in graph.lines]
    np.testing.assert_array_equal(blue, means >= 0)
    display.figure_.canvas.draw()


def test_steps_beyond_the_utterance_are_left_out():
    values = np.array([[0.2, 0.9], [0.4, -0.1], [np.nan, np.nan]])
    axes = Figure().subplots(1, 2)
    display = FusionGraphDisplay(values, ["a -> output", "b -> output"]).plot(axes)
    assert display.axes_[1].images[0].get_array().shape == (2, 2)
    assert display.figure_ is axes[0].figure


def test_what_cannot_be_drawn(model, aligned):
    with pytest.raises(ValueError, match=r"X has 2 utterances; .* such as X\[:1\]"):
        FusionGraphDisplay.from_estimator(model, aligned.X[:2])
    FusionGraphDisplay.from_estimator(model, aligned.X[:1])  # the advice
    with pytest.raises(ValueError, match=r"shape \(3,\); expected \(n_steps, 2\)"):
        FusionGraphDisplay([0.1, 0.2, 0.3], ["a -> output", "b -> output"])
