"""MTE: the paper's equations, zero-shot, missing modalities, looking inside."""

import ast
import re

import numpy as np
import pandas as pd
import pytest
import torch

from sk_mer import MTEClassifier, MultimodalArray
from sk_mer.labels.several_words import mean_direction
from sk_mer.metrics import weighted_accuracy_score
from sk_mer.models.mte import MTEModule
from sk_mer.module_spec import ModuleSpec
from sk_mer.validation import resolve_hidden_sizes

from ..conftest import SMALL

MOSEI = {"text": 300, "audio": 74, "vision": 35}


def trainable(module):
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


class TestEquations:
    @pytest.mark.parametrize(("num_layers", "count"), [(2, 5_455_903), (1, 2_086_303)])
    @pytest.mark.parametrize("n_labels", [1, 6])
    def test_parameter_count_of_the_published_model(self, num_layers, count, n_labels):
        vectors = np.zeros((n_labels, 300), dtype=np.float32)
        spec = ModuleSpec(MOSEI, MOSEI, tuple(range(n_labels)), vectors)
        model = MTEClassifier(num_layers=num_layers)
        assert trainable(model._make_module(spec)) == count

    def test_scores_are_the_equation(self, rng):
        """z = sum of w_m (E_t W_m' + b_m) r_m, with torch's own LSTM for r_m."""
        sizes = {"text": 4, "audio": 3}
        module = MTEModule(
            sizes,
            {"text": 5, "audio": 6},
            torch.randn(2, 5),
            num_layers=2,
            bidirectional=True,
        ).eval()
        steps = {name: torch.randn(3, 7, d) for name, d in sizes.items()}
        lengths = {"text": torch.tensor([7, 2, 1]), "audio": torch.tensor([3, 7, 5])}
        expected = torch.zeros(3, 2)
        for k, name in enumerate(sizes):
            lstm = module.encoders[k].lstm
            rows = module.label_vectors
            if name == "audio":
                rows = rows @ module.maps[k].weight.T + module.maps[k].bias
            for i in range(3):
                n = lengths[name][i]
                both = lstm(steps[name][i : i + 1, :n])[0][0, n - 1]
                state = both[: lstm.hidden_size] + both[lstm.hidden_size :]
                expected[i] += module.weights[k] * (rows @ state)
        torch.testing.assert_close(module(steps, lengths), expected, rtol=1e-5, atol=1e-6)

    def test_weights_start_equal_and_are_unconstrained(self):
        module = MTEModule(MOSEI, {"text": 8, "audio": 4, "vision": 4}, torch.zeros(2, 8))
        torch.testing.assert_close(module.weights.data, torch.full((3,), 1 / 3))
        assert module.weights.requires_grad

    def test_one_modality_has_no_weight(self, emotions, mte):
        mte.fit(emotions.X.select("audio"), emotions.y[emotions.seen])
        assert mte.net_.module_.weights is None
        assert mte.modality_weights_ == {}

    def test_logits_are_affine_in_the_label_vectors(self, emotions, fitted_mte):
        happy, sad = (emotions.label_vectors[name] for name in ("happy", "sad"))
        fitted_mte.set_labels({"happy": happy, "sad": sad, "both": (happy + sad) / 2})
        z = fitted_mte.decision_function(emotions.X)
        fitted_mte.reset_labels()
        np.testing.assert_allclose(z[:, 2], (z[:, 0] + z[:, 1]) / 2, rtol=1e-4, atol=1e-5)

    def test_label_vectors_stay_frozen(self, emotions, fitted_mte):
        table = np.stack([emotions.label_vectors[name] for name in emotions.seen])
        np.testing.assert_array_equal(fitted_mte.label_embeddings("text"), table)

    def test_text_size_follows_the_vectors(self, emotions, fitted_mte):
        lstm = fitted_mte.net_.module_.encoders[0].lstm
        assert lstm.hidden_size == 16
        other = MTEClassifier(label_vectors=emotions.label_vectors, hidden_sizes=(99, 5, 5))
        sizes, vectors = emotions.X.n_features, np.ones((1, 16), dtype=np.float32)
        module = other._make_module(ModuleSpec(sizes, sizes, ("happy",), vectors))
        assert [e.lstm.hidden_size for e in module.encoders] == [16, 5, 5]

    def test_hidden_sizes(self):
        names = ["text", "gaze"]
        assert resolve_hidden_sizes({"gaze": 7}, names) == {"text": 100, "gaze": 7}
        assert resolve_hidden_sizes((1, 2, 3), names) == {"text": 1, "gaze": 100}
        assert resolve_hidden_sizes((4, 5), names) == {"text": 4, "gaze": 5}
        others = {"gaze": 1, "hands": 2, "pose": 3}
        assert resolve_hidden_sizes((1, 2, 3), list(others)) == others
        assert resolve_hidden_sizes(9, names) == {"text": 9, "gaze": 9}
        for bad in ((1, 2, 3, 4), {"text": 0}, {"text": 2.5}, (True, 1, 1)):
            with pytest.raises(ValueError, match="hidden_sizes"):
                resolve_hidden_sizes(bad, names)

    @pytest.mark.parametrize(
        ("preset", "settings"),
        [
            ("mosei", (512, 1e-4, 10.0)),
            ("iemocap", (32, 1e-3, 1.0)),
            ("readme", (64, 1e-3, 1.0)),
        ],
    )
    def test_presets(self, preset, settings):
        model = MTEClassifier.from_preset(preset, max_epochs=3)
        assert (model.batch_size, model.lr, model.clip_norm) == settings
        assert (model.num_layers, model.dropout, model.max_epochs) == (2, 0.15, 3)


class TestZeroShot:
    def test_permuted_labels_permute_columns(self, emotions, fitted_mte):
        before = fitted_mte.predict_proba(emotions.X)
        order = [3, 0, 5, 1, 4, 2]
        fitted_mte.set_labels([emotions.seen[k] for k in order])
        after = fitted_mte.predict_proba(emotions.X)
        fitted_mte.reset_labels()
        np.testing.assert_array_equal(after, before[:, order])

    def test_seen_labels_keep_their_columns_exactly(self, emotions, fitted_mte):
        before = fitted_mte.predict_proba(emotions.X)
        names = [*emotions.seen, *emotions.unseen]
        for chosen in (names, [names[1]], names[:2], [*emotions.unseen, names[4]]):
            after = fitted_mte.set_labels(chosen).predict_proba(emotions.X)
            for k, name in enumerate(chosen):
                if name in emotions.seen:
                    np.testing.assert_array_equal(after[:, k], before[:, names.index(name)])
        fitted_mte.reset_labels()

    def test_equal_vectors_give_equal_columns(self, emotions, fitted_mte):
        same = emotions.label_vectors["happy"]
        fitted_mte.set_labels({"glad": same, "merry": "happy", "angry": "anger"})
        proba = fitted_mte.predict_proba(emotions.X)
        fitted_mte.reset_labels()
        np.testing.assert_array_equal(proba[:, 0], proba[:, 1])
        np.testing.assert_array_equal(
            proba[:, 2],
            fitted_mte.predict_proba(emotions.X)[:, emotions.seen.index("anger")],
        )

    def test_words_are_averaged(self, emotions, fitted_mte):
        fitted_mte.set_labels([["happy", "sad"], "excited"])
        assert fitted_mte.labels_ == ["happy+sad", "excited"]
        mean = mean_direction([emotions.label_vectors[w] for w in ("happy", "sad")])
        np.testing.assert_allclose(fitted_mte.label_embeddings("text")[0], mean, rtol=1e-6)
        fitted_mte.reset_labels()

    def test_everything_speaks_of_the_new_labels(self, emotions, fitted_mte):
        fitted_mte.set_labels(emotions.unseen)
        X = emotions.X[:7]
        proba, z = fitted_mte.predict_proba(X), fitted_mte.decision_function(X)
        assert proba.shape == z.shape == fitted_mte.predict(X).shape == (7, 2)
        np.testing.assert_array_equal(fitted_mte.predict(X), (proba > 0.5).astype(int))
        assert len(fitted_mte.classes_) == len(fitted_mte.thresholds_) == 2
        assert fitted_mte.seen_labels_ == emotions.seen
        assert fitted_mte.reset_labels().labels_ == emotions.seen

    def test_seen_words_may_be_redefined(self, emotions, fitted_mte):
        before = fitted_mte.predict_proba(emotions.X)
        after = fitted_mte.set_labels({"happy": "sad"}).predict_proba(emotions.X)
        fitted_mte.reset_labels()
        np.testing.assert_array_equal(after[:, 0], before[:, emotions.seen.index("sad")])

    def test_in_every_modality(self, emotions, fitted_mte):
        fitted_mte.set_labels(emotions.unseen)
        found = [
            fitted_mte.predict_proba(emotions.X.select(m)) for m in emotions.X.modalities
        ]
        fitted_mte.reset_labels()
        assert all(np.isfinite(p).all() and p.std() > 0 for p in found)

    def test_classes(self, emotions, mte):
        """1-D y: the classes are words, and new ones can be asked for."""
        y = emotions.y[emotions.seen].to_numpy().argmax(axis=1)
        names = np.array(emotions.seen)[y]
        mte.fit(emotions.X, names)
        assert list(mte.classes_) == sorted(emotions.seen)
        proba = mte.set_labels(["excited", "happy", "sad"]).predict_proba(emotions.X)
        beside = ["excited", *emotions.seen]  # those of fit are weighed too
        whole = mte.predict_proba(emotions.X, labels=beside)
        np.testing.assert_allclose(whole.sum(axis=1), 1, rtol=1e-5)
        places = [beside.index(name) for name in ("excited", "happy", "sad")]
        np.testing.assert_allclose(proba, whole[:, places], rtol=1e-5)
        assert set(mte.predict(emotions.X)) <= {"excited", "happy", "sad"}

    def test_learned_vectors(self, emotions):
        """Without label vectors the labels are learned; subsets can be asked for."""
        model = MTEClassifier(hidden_sizes=(8, 8, 8), **SMALL)
        y = emotions.y[emotions.seen].to_numpy()
        model.fit(emotions.X, y)
        assert model.labels_ == list(range(6))
        before = model.predict_proba(emotions.X)
        np.testing.assert_array_equal(
            model.set_labels([4, 2]).predict_proba(emotions.X), before[:, [4, 2]]
        )
        with pytest.raises(ValueError, match="label_vectors is None"):
            model.set_labels(["happy"])

    def test_array_of_vectors(self, emotions):
        table = np.stack([emotions.label_vectors[name] for name in emotions.seen])
        model = MTEClassifier(label_vectors=table, hidden_sizes=(8, 8, 8), **SMALL)
        model.fit(emotions.X, emotions.y[emotions.seen])
        with pytest.raises(ValueError, match="label_vectors is an array"):
            model.set_labels(["excited"])
        model.set_labels({"excited": emotions.label_vectors["excited"]})
        with pytest.raises(ValueError, match="have 3 values"):
            model.set_labels({"excited": [1.0, 2.0, 3.0]})

    def test_labels_that_are_their_own_vectors(self, emotions):
        vectors = {name: emotions.label_vectors[name] for name in emotions.seen}
        model = MTEClassifier(labels=vectors, hidden_sizes=(8, 8, 8), **SMALL)
        model.fit(emotions.X, emotions.y[emotions.seen])
        assert model.labels_ == emotions.seen
        model.set_labels({"excited": emotions.label_vectors["excited"]})

    def test_words_that_stand_for_labels(self, emotions):
        y = emotions.y[["happy", "sad"]].rename(columns={"happy": "bliss"})
        model = MTEClassifier(
            labels={"bliss": ["happy", "excited"]},
            label_vectors=emotions.label_vectors,
            hidden_sizes=(8, 8, 8),
            **SMALL,
        )
        with pytest.raises(ValueError, match="No vector for 'bliss'"):
            MTEClassifier(label_vectors=emotions.label_vectors).fit(emotions.X, y)
        model.set_params(labels={"bliss": ["happy", "excited"], "sad": "sad"}).fit(
            emotions.X, y
        )
        mean = mean_direction([emotions.label_vectors[w] for w in ("happy", "excited")])
        np.testing.assert_allclose(model.label_embeddings("text")[0], mean, rtol=1e-6)
        # What is defined for one name leaves the others in.
        model.set_params(labels={"bliss": ["happy", "excited"]}).fit(emotions.X, y)
        assert model.labels_ == ["bliss", "sad"]

    def test_following_the_advice_for_a_missing_word(self, emotions):
        y = emotions.y[emotions.seen].rename(columns={"happy": "HAPPY"})
        model = MTEClassifier(
            label_vectors=emotions.label_vectors, hidden_sizes=(8, 8, 8), **SMALL
        )
        with pytest.raises(
            ValueError, match=r"stand for them: labels=\{'HAPPY': 'happy'\}\."
        ) as said:
            model.fit(emotions.X, y)
        advice = ast.literal_eval(re.search(r"labels=(\{.*?\})", str(said.value))[1])
        model.set_params(labels=advice).fit(emotions.X, y)
        assert model.labels_ == list(y.columns)
        classes = y.idxmax(axis=1).to_numpy()
        assert model.fit(emotions.X, classes).labels_ == sorted(set(classes))

    def test_definitions_of_names_that_are_not_there(self, emotions, mte):
        mte.set_params(labels={"happpy": "happy"})
        y = emotions.y[emotions.seen]
        with pytest.raises(
            ValueError, match=r"labels name 'happpy' \(near: happy\), but the c"
        ):
            mte.fit(emotions.X, y)
        with pytest.raises(ValueError, match=r"labels are \['happpy'\], but the classes"):
            mte.fit(emotions.X, y.idxmax(axis=1).to_numpy())


class TestMissingModalities:
    def test_absent_rows_and_absent_modalities_agree(self, emotions, fitted_mte):
        X = emotions.X[:20]
        audio_only = MultimodalArray(
            text=[np.zeros((0, 30))] * 20,
            audio=[u["audio"] for u in X],
            vision=[None] * 19 + [np.zeros((0, 10))],
        )
        np.testing.assert_allclose(
            fitted_mte.predict_proba(audio_only),
            fitted_mte.predict_proba(X.select("audio")),
            rtol=1e-6,
        )

    def test_contributions_add_up(self, emotions, fitted_mte):
        parts = fitted_mte.modality_scores(emotions.X)
        assert list(parts) == list(emotions.X.modalities)
        total = sum(parts.values())
        z = fitted_mte.decision_function(emotions.X)
        np.testing.assert_allclose(total, z, rtol=1e-4, atol=1e-5)
        some = fitted_mte.modality_scores(emotions.X.select("vision"))
        np.testing.assert_allclose(some["vision"], parts["vision"], rtol=1e-4, atol=1e-5)

    def test_uniform_fusion(self, emotions, fitted_mte):
        weights = fitted_mte.modality_weights_
        learned = fitted_mte.modality_scores(emotions.X)
        try:
            fitted_mte.set_params(fusion_at_predict="uniform")
            uniform = fitted_mte.modality_scores(emotions.X)
            pair = fitted_mte.modality_scores(emotions.X.select("audio", "vision"))
        finally:
            fitted_mte.set_params(fusion_at_predict="learned")
        for name, weight in weights.items():
            np.testing.assert_allclose(
                uniform[name] * 3, learned[name] / weight, rtol=1e-3, atol=1e-4
            )
        np.testing.assert_allclose(
            pair["audio"] * 2, uniform["audio"] * 3, rtol=1e-4, atol=1e-5
        )

    def test_uniform_fusion_is_not_trained_with(self, emotions, mte):
        """The weights learn as ever; validation scores are those of equal ones."""
        y = emotions.y[emotions.seen]
        X, X_val = emotions.X[80:], emotions.X[:80]
        mte.set_params(max_epochs=3, patience=None, lr=0.03)
        uniform = mte.set_params(fusion_at_predict="uniform")
        uniform.fit(X, y[80:], X_val=X_val, y_val=y[:80])
        assert len(set(uniform.modality_weights_.values())) == 3
        scores = [row["valid_weighted_accuracy"] for row in uniform.history_]
        assert weighted_accuracy_score(y[:80], uniform.predict(X_val)) == max(scores)
        losses = [row["train_loss"] for row in uniform.history_]
        mte.set_params(fusion_at_predict="learned")
        mte.fit(X, y[80:], X_val=X_val, y_val=y[:80])
        assert [row["train_loss"] for row in mte.history_] == losses
        assert [row["valid_weighted_accuracy"] for row in mte.history_] != scores

    def test_fusion_may_be_changed_and_changed_back(self, emotions, fitted_mte):
        learned = fitted_mte.predict_proba(emotions.X)
        try:
            uniform = fitted_mte.set_params(fusion_at_predict="uniform")
            assert not np.allclose(uniform.predict_proba(emotions.X), learned)
        finally:
            fitted_mte.set_params(fusion_at_predict="learned")
        np.testing.assert_array_equal(fitted_mte.predict_proba(emotions.X), learned)

    def test_missing_in_training(self, mte):
        from sk_mer.datasets import make_multimodal_emotions

        data = make_multimodal_emotions(200, missing=0.3, random_state=0)
        assert (data.X.lengths("audio") == 0).any()
        mte.set_params(label_vectors=data.label_vectors).fit(data.X, data.y[data.seen])
        assert np.isfinite(mte.predict_proba(data.X)).all()

    @pytest.mark.parametrize("names", [["vision"], ["audio", "text"]])
    def test_trained_on_fewer(self, emotions, mte, names):
        mte.set_params(modalities=names).fit(emotions.X, emotions.y[emotions.seen])
        assert mte.modalities_ == names
        assert mte.predict(emotions.X).shape == (240, 6)

    def test_order_of_modalities_does_not_matter(self, emotions, fitted_mte):
        turned = emotions.X.select("vision", "text", "audio")
        np.testing.assert_array_equal(
            fitted_mte.predict_proba(turned), fitted_mte.predict_proba(emotions.X)
        )

    def test_other_names(self, emotions):
        X = MultimodalArray(
            {"heart.rate": emotions.X.padded("audio"), "type": emotions.X.padded("vision")}
        )
        model = MTEClassifier(
            label_vectors=emotions.label_vectors, hidden_sizes={"type": 5}, **SMALL
        ).fit(X, emotions.y[emotions.seen])
        assert model.label_embeddings("type").shape == (6, 5)
        assert model.label_embeddings("heart.rate").shape == (6, 100)
        with pytest.raises(ValueError, match="no label embeddings for 'text'"):
            model.label_embeddings("text")


class TestPadding:
    def test_side_matters_without(self, emotions, mte):
        y = emotions.y[emotions.seen]
        mte.set_params(padding="none")
        left, right = (
            {m: emotions.X.padded(m, side=side) for m in emotions.X.modalities}
            for side in ("left", "right")
        )
        mte.fit(left, y)
        assert not np.allclose(mte.predict_proba(left), mte.predict_proba(right))

    def test_none_reads_the_last_step_of_the_window(self, emotions, mte):
        """Public code runs over the padding and reads the window's last step."""
        mte.set_params(padding="none", modalities=["audio"])
        mte.fit(emotions.X, emotions.y[emotions.seen])
        steps = torch.from_numpy(emotions.X.padded("audio"))
        module = mte.net_.module_
        both = module.encoders[0].lstm(steps)[0][:, -1].detach()
        state = both[:, :12] + both[:, 12:]
        z = state @ module.label_embeddings()["audio"].T
        np.testing.assert_allclose(
            mte.decision_function(emotions.X), z.detach(), rtol=1e-4, atol=1e-5
        )

    def test_longer_than_the_window(self, emotions, mte):
        mte.set_params(padding="none").fit(emotions.X, emotions.y[emotions.seen])
        long = {
            m: np.ones((2, 60, d), dtype=np.float32)
            for m, d in emotions.X.n_features.items()
        }
        with pytest.warns(UserWarning, match="2 utterances have more than"):
            assert mte.predict(long).shape == (2, 6)


class TestSmallest:
    def test_one_label(self, emotions, mte):
        mte.fit(emotions.X, emotions.y[["happy"]])
        assert mte.predict_proba(emotions.X).shape == (240, 1)
        assert mte.predict(emotions.X[:1]).shape == (1, 1)
        mte.set_params(labels=["happy"]).fit(emotions.X, emotions.y[["happy"]].to_numpy())
        assert mte.labels_ == ["happy"]

    def test_one_label_asked(self, emotions, fitted_mte):
        assert fitted_mte.set_labels(["excited"]).predict(emotions.X[:1]).shape == (1, 1)
        fitted_mte.reset_labels()

    def test_refit_is_the_same(self, emotions, mte):
        y = emotions.y[emotions.seen]
        first = mte.fit(emotions.X, y).predict_proba(emotions.X)
        np.testing.assert_array_equal(
            mte.fit(emotions.X, y).predict_proba(emotions.X), first
        )
        other = mte.set_params(random_state=1).fit(emotions.X, y).predict_proba(emotions.X)
        assert not np.array_equal(other, first)

    def test_global_state_is_untouched(self, emotions, mte):
        torch.manual_seed(5)
        np.random.seed(5)
        expected = (torch.rand(3), np.random.rand(3))
        torch.manual_seed(5)
        np.random.seed(5)
        mte.fit(emotions.X, emotions.y[emotions.seen]).predict(emotions.X)
        assert torch.equal(torch.rand(3), expected[0])
        np.testing.assert_array_equal(np.random.rand(3), expected[1])

    def test_data_are_not_written(self, emotions, mte):
        before = emotions.X.copy()
        for name in emotions.X.modalities:
            emotions.X._block(name).values.flags.writeable = False
        mte.fit(emotions.X, emotions.y[emotions.seen]).predict(emotions.X)
        for name in emotions.X.modalities:
            np.testing.assert_array_equal(emotions.X.values(name), before.values(name))


class TestInputs:
    def test_one_array_with_column_widths(self, aligned, mte):
        names = aligned.X.modalities
        dense = np.concatenate([aligned.X.padded(m) for m in names], axis=2)
        mte.set_params(modalities=aligned.X.n_features, label_vectors=aligned.label_vectors)
        y = aligned.y[aligned.seen]
        joined = mte.fit(dense, y).predict_proba(dense)
        np.testing.assert_allclose(joined, mte.predict_proba(aligned.X), rtol=1e-4)

    def test_matrix(self, rng):
        X = rng.normal(size=(80, 4))
        y = np.where(X[:, 0] > 0, "up", "down")
        model = MTEClassifier(hidden_sizes=8, **SMALL).set_params(max_epochs=15).fit(X, y)
        assert model.n_features_in_ == 4
        assert model.modalities_ == ["features"]
        assert model.score(X, y) > 0.9
        assert model.decision_function(X).shape == (80,)
        named = MTEClassifier(hidden_sizes=8, modalities=["audio"], **SMALL).fit(X, y)
        assert named.modalities_ == ["audio"]

    def test_columns_may_be_reordered_by_labels(self, emotions, mte):
        mte.set_params(labels=["sad", "happy"]).fit(emotions.X, emotions.y)
        assert mte.labels_ == ["sad", "happy"]
        turned = mte.fit(emotions.X, emotions.y[["happy", "sad"]]).predict_proba(emotions.X)
        assert turned.shape == (240, 2)

    def test_float16(self, emotions, fitted_mte):
        half = MultimodalArray(
            {
                m: [u[m].astype(np.float16) for u in emotions.X]
                for m in emotions.X.modalities
            }
        )
        np.testing.assert_allclose(
            fitted_mte.predict_proba(half), fitted_mte.predict_proba(emotions.X), atol=0.02
        )

    def test_nonfinite_as_zero(self, emotions, mte):
        rows = [u["audio"].copy() for u in emotions.X]
        rows[3][0, 0], rows[5][:, 1] = np.nan, -np.inf
        zeroed = [np.where(np.isfinite(r), r, 0) for r in rows]
        y = emotions.y[emotions.seen]
        mte.set_params(handle_nonfinite="zero")
        bad = mte.fit({"audio": rows}, y)
        assert mte.n_nonfinite_ == {"audio": 1 + len(rows[5])}
        proba = bad.predict_proba({"audio": rows})
        np.testing.assert_array_equal(
            proba, mte.fit({"audio": zeroed}, y).predict_proba({"audio": zeroed})
        )
        assert mte.n_nonfinite_ == {"audio": 0}

    def test_y_as_dataframe_of_bool(self, emotions, mte):
        y = emotions.y[emotions.seen].astype(bool)
        assert mte.fit(emotions.X, y).labels_ == emotions.seen
        assert isinstance(y, pd.DataFrame)
