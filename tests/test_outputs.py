"""Tables and embeddings: what people ask a fitted model for beside its answers."""

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_mer import MultimodalArray

from .systems import CLASSES, DATA, EVERY, LABELS, X, answers, close, fitted, make


class TestEmbeddings:
    @EVERY
    def test_the_last_layer_reads_them(self, name):
        model = fitted(name)
        module, states = model.net_.module_, model.transform(X)
        assert states.dtype == np.float32
        assert len(states) == len(X)
        if name == "MTEClassifier":
            rows = np.concatenate(list(model.label_embeddings_.values()), axis=1)
            close(states @ rows.T, model.decision_function(X))
            return
        weight, bias = (v.detach().numpy() for v in (module.head.weight, module.head.bias))
        if name == "TAILORClassifier":  # one output for what each label has read
            states = states.reshape(len(X), -1, weight.shape[1])
            close((states @ weight.T + bias)[:, :, 0], answers(model))
            return
        read = X
        if name.startswith("EmoBed"):  # of several it is the mean of what each says
            read = X.select("text")
            states = model.transform(read)[:, : weight.shape[1]]
        outputs = states @ weight.T + bias
        if hasattr(model, "target_scale_"):
            outputs = outputs * model.target_scale_ + model.target_mean_
        close(outputs, answers(model, read))

    @EVERY
    def test_the_model_is_left_as_it_is(self, name):
        model = fitted(name)
        before = answers(model)
        alone = model.transform(X[:1])
        close(alone, model.transform(X)[:1])
        np.testing.assert_array_equal(answers(model), before)

    def test_modalities_that_are_absent_are_zeros(self):
        model = fitted("MTEClassifier")
        whole, part = model.transform(X), model.transform(X.drop("audio"))
        place = [6, 10]  # behind the six states of text
        np.testing.assert_array_equal(part[:, slice(*place)], 0)
        close(part[:, :6], whole[:, :6])

    def test_another_model_behind_it(self):
        pipeline = make_pipeline(
            make("LFLSTMClassifier"), StandardScaler(), LogisticRegression()
        ).fit(X, CLASSES)
        assert set(pipeline.predict(X)) <= set(CLASSES)
        model = make("LFLSTMClassifier")
        found = model.fit_transform(X, CLASSES)
        np.testing.assert_array_equal(found, model.transform(X))

    def test_errors(self):
        with pytest.raises(NotFittedError):
            make("LFLSTMClassifier").transform(X)
        for name, other in (
            ("LFLSTMClassifier", "MTEClassifier does w"),
            ("LFLSTMRegressor", "give it"),
        ):
            with pytest.raises(ValueError, match=f"^{name} needs .* lacks 'text'; {other}"):
                fitted(name).transform(X.drop("text"))

    def test_utterances_without_a_step(self):
        model = make("LFLSTMClassifier").fit(X, LABELS)
        none = {name: [None, *[u[name] for u in X[1:6]]] for name in X.modalities}
        rest = model.transform(X[1:6])
        with pytest.warns(UserWarning, match="1 of 6 utterances have no step .* zeros"):
            found = model.transform(none)
        close(found[1:], rest)
        assert not found[0].any()
        assert np.isnan(model.set_params(on_empty="nan").transform(none)[0]).all()
        assert model.most_probable(none, 1)["emotion_1"].isna().tolist()[0]
        close(model.set_params(on_empty="skip").transform(none), rest)
        with pytest.raises(ValueError, match="no steps in any of the modalities"):
            model.set_params(on_empty="error").transform(none)
        model.set_params(on_empty="prior")
        nothing = MultimodalArray(none)[:1]
        with pytest.raises(ValueError, match=r"^X has no utterance with a step"):
            model.transform(nothing)

    def test_in_lower_precision(self):
        model = make("LFLSTMClassifier", precision="bf16").fit(X, LABELS)
        assert model.transform(X).dtype == np.float32


class TestTables:
    def test_probabilities_with_names(self):
        model = fitted("MTEClassifier")
        table = model.predict_proba(X, as_frame=True)
        assert list(table.columns) == list(LABELS.columns)
        np.testing.assert_array_equal(table, model.predict_proba(X))
        try:
            model.set_labels([*DATA.unseen, LABELS.columns[0]])
            assert list(model.predict_proba(X, as_frame=True)) == [
                *DATA.unseen,
                LABELS.columns[0],
            ]
        finally:
            model.reset_labels()

    def test_names_of_rows(self, rng):
        matrix = pd.DataFrame(
            rng.normal(size=(20, 2)), index=[f"clip {i}" for i in range(20)]
        )
        matrix.columns = ["a", "b"]
        y = np.where(np.arange(20) % 2, "calm", "angry")
        model = make("LFLSTMClassifier").fit(matrix, y)
        for table in (
            model.predict_proba(matrix, as_frame=True),
            model.most_probable(matrix),
        ):
            assert list(table.index) == list(matrix.index)

    def test_most_probable(self):
        model = fitted("LFLSTMClassifier")
        table, scores = model.most_probable(X, 2), model.predict_proba(X)
        assert list(table) == ["emotion_1", "probability_1", "emotion_2", "probability_2"]
        best = LABELS.columns.to_numpy()[scores.argsort(axis=1)[:, ::-1]]
        np.testing.assert_array_equal(table["emotion_1"], best[:, 0])
        np.testing.assert_array_equal(table["emotion_2"], best[:, 1])
        np.testing.assert_array_equal(table["probability_2"], np.sort(scores)[:, -2])
        assert model.most_probable(X, 99).shape == (96, 2 * LABELS.shape[1])

    def test_most_probable_classes(self):
        model = fitted("LFLSTMClassifier", "classes")
        table = model.most_probable(X, 1)
        np.testing.assert_array_equal(table["emotion_1"], model.predict(X))

    def test_errors(self):
        with pytest.raises(NotFittedError):
            make("LFLSTMClassifier").most_probable(X)
        with pytest.raises(ValueError, match="n_labels=0 was given; expected 1 or more"):
            fitted("LFLSTMClassifier").most_probable(X, 0)
