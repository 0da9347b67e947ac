import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import StandardScaler

from sk_mer import MultimodalArray
from sk_mer.preprocessing import MultimodalScaler, SegmentStatistics, SilenceTrimmer

ALL = pytest.mark.parametrize(
    "step", [MultimodalScaler(), SilenceTrimmer(), SegmentStatistics(n_segments=2)]
)


@pytest.fixture
def ragged(rng):
    return MultimodalArray(
        text=[rng.normal(3, 2, size=(n, 3)) for n in (4, 2, 5)],
        audio=[rng.normal(size=(9, 2)), None, rng.normal(size=(7, 2))],
    )


def test_scaler_is_the_standard_scaler(ragged, monkeypatch):
    monkeypatch.setattr("sk_mer.multimodal.ragged._CHUNK_STEPS", 5)  # several chunks
    scaled = MultimodalScaler().fit_transform(ragged)
    for name in ragged.modalities:
        expected = StandardScaler().fit_transform(ragged.values(name).astype(float))
        np.testing.assert_allclose(scaled.values(name), expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(scaled.lengths(name), ragged.lengths(name))


def test_scaler_options(ragged):
    only = MultimodalScaler(modalities=["audio"], with_std=False).fit(ragged)
    out = only.transform(ragged)
    assert np.shares_memory(out.values("text"), ragged.values("text"))
    np.testing.assert_allclose(out.values("audio").mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(
        out.values("audio").std(axis=0), ragged.values("audio").std(axis=0), rtol=1e-5
    )
    kept = MultimodalScaler(with_mean=False).fit(ragged)
    assert not kept.mean_["text"].any()


def test_scaler_leaves_padding_out():
    dense = np.zeros((2, 4, 1))
    dense[0, :2, 0], dense[1, :1, 0] = [1, 3], 5
    scaled = MultimodalScaler().fit_transform({"audio": dense})
    np.testing.assert_allclose(scaled.values("audio").mean(), 0, atol=1e-6)
    assert scaled.lengths("audio").tolist() == [2, 1]


def test_scaler_with_constant_and_nonfinite_features():
    rows = [np.array([[1.0, 7.0], [np.nan, 7.0]]), np.array([[3.0, 7.0], [-np.inf, 7.0]])]
    with pytest.raises(ValueError, match="'audio' has 2 values that are NaN or infinite"):
        MultimodalScaler().fit({"audio": rows})
    step = MultimodalScaler(handle_nonfinite="zero")
    scaled = step.fit_transform({"audio": rows}).values("audio")
    np.testing.assert_allclose(scaled, [[-1, 0], [0, 0], [1, 0], [0, 0]])
    assert step.n_nonfinite_ == {"audio": 2}
    with pytest.raises(ValueError, match="handle_nonfinite='keep'"):
        MultimodalScaler(handle_nonfinite="keep").fit({"audio": rows})


def test_scaler_keeps_float16():
    half = np.arange(6, dtype=np.float16).reshape(3, 1, 2)
    assert (
        MultimodalScaler().fit_transform({"audio": half}).values("audio").dtype
        == np.float16
    )


def test_silence():
    audio = [
        np.array([[0.0, 1], [0.1, 2], [5, 3], [1, 4], [4, 5], [0, 6]]),
        None,
        [[2.0, 1.0]],
    ]
    X = MultimodalArray(audio=audio, text=np.eye(3))
    trimmed = SilenceTrimmer().fit_transform(X)
    np.testing.assert_array_equal(trimmed[0]["audio"][:, 1], [3, 4, 5])
    assert trimmed.lengths("audio").tolist() == [3, 0, 1]
    assert np.shares_memory(trimmed[0]["audio"], X.values("audio"))
    strict = SilenceTrimmer(threshold=0.9, column=0).fit_transform(X)
    assert strict.lengths("audio").tolist() == [1, 0, 1]


def test_segments(rng):
    frames = rng.normal(size=(7, 2)).astype(np.float32)
    X = MultimodalArray(audio=[frames, frames[:1], None])
    out = SegmentStatistics(n_segments=2).fit_transform(X)
    assert out.lengths("audio").tolist() == [2, 1, 0]
    assert out.n_features == {"audio": 10}
    part = frames[:4]
    expected = [
        part.mean(0), part.std(0), part.min(0), part.max(0), np.diff(part, axis=0).std(0)
    ]  # fmt: skip
    np.testing.assert_allclose(out[0]["audio"][0], np.concatenate(expected), rtol=1e-5)
    np.testing.assert_array_equal(out[1]["audio"][0, 2:4], 0)  # one frame: no deviation


@pytest.mark.parametrize(
    ("params", "message"),
    [({"statistics": ("median",)}, "median"), ({"statistics": ()}, "expected some of"),
     ({"n_segments": 0}, "n_segments=0")],
)  # fmt: skip
def test_bad_segments(ragged, params, message):
    with pytest.raises(ValueError, match=message):
        SegmentStatistics(**params).fit(ragged)


@ALL
def test_held_to_fit(step, ragged):
    with pytest.raises(NotFittedError):
        clone(step).transform(ragged)
    fitted = clone(step).fit(ragged)
    assert fitted.transform(ragged.select("audio")).modalities == ("audio",)
    with pytest.raises(ValueError, match="'vision' was not in fit"):
        fitted.transform({"vision": np.eye(3)})
    with pytest.raises(ValueError, match="'audio' has 5 features, but 2 in fit"):
        fitted.transform({"audio": np.eye(5)})
    with pytest.raises(ValueError, match="asks for 'smell'"):
        clone(step).set_params(modalities=["smell"]).fit(ragged)


@ALL
def test_input_is_not_changed(step, ragged):
    before = ragged.copy()
    for name in ragged.modalities:
        ragged._block(name).values.flags.writeable = False
    clone(step).fit_transform(ragged)
    np.testing.assert_array_equal(ragged.values("audio"), before.values("audio"))


@ALL
def test_no_dataframes_are_made(step, ragged):
    import sklearn

    with sklearn.config_context(transform_output="pandas"):
        assert isinstance(clone(step).fit_transform(ragged), MultimodalArray)
    assert not hasattr(step, "set_output")


@ALL
def test_nonfinite_values_are_refused(step, ragged):
    rows = [u["audio"].copy() for u in ragged]
    rows[2][3, 1] = np.inf
    with pytest.raises(
        ValueError, match=r"'audio' has 1 values .* row 2.*MultimodalScaler"
    ):
        clone(step).fit({"audio": rows})
    with pytest.raises(ValueError, match="'audio' has 1 values"):
        clone(step).fit(ragged.select("audio")).transform({"audio": rows})


@ALL
@pytest.mark.parametrize("dtype", [np.float32, np.float64, int])
def test_a_matrix_gives_a_matrix(step, rng, dtype):
    X = (10 * rng.normal(size=(6, 3))).astype(dtype)
    out = clone(step).fit_transform(X)
    assert isinstance(out, np.ndarray)
    assert out.shape[0] == 6
    assert out.dtype == (np.float64 if dtype is int else dtype)


def test_a_dense_array_gives_a_container(rng):
    X = rng.normal(size=(4, 5, 2))
    out = MultimodalScaler(modalities=["audio"]).fit_transform(X)
    assert out.modalities == ("audio",)
    np.testing.assert_allclose(out.values("audio").mean(axis=0), 0, atol=1e-6)


class TestByGroups:
    @pytest.fixture
    def speakers(self, rng):
        """Four speakers, whose voices lie elsewhere and vary by other amounts."""
        groups = np.repeat(["a", "b", "c", "d"], [20, 30, 25, 2])
        level = dict(zip("abcd", (5.0, -40.0, 300.0, 7.0), strict=True))
        audio = [
            rng.normal(level[g], 1 + abs(level[g]), size=(rng.integers(1, 5), 3))
            for g in groups
        ]
        audio[3] = None
        return MultimodalArray(audio=audio, groups=groups)

    def test_each_speaker_is_standardised_alone(self, speakers):
        some = speakers[:75]
        step = MultimodalScaler(by_groups=True, prior_utterances=0)
        scaled = step.fit_transform(some)
        assert scaled.groups.tolist() == some.groups.tolist()
        for name in "abc":
            own, raw = (
                part[some.groups == name].values("audio") for part in (scaled, some)
            )
            expected = StandardScaler().fit_transform(raw.astype(float))
            np.testing.assert_allclose(own, expected, rtol=1e-3, atol=1e-4)
        # A speaker alone, and one that fit did not see, need nobody else.
        alone = step.transform(some[some.groups == "b"]).values("audio")
        np.testing.assert_array_equal(alone, scaled[some.groups == "b"].values("audio"))

    def test_few_utterances_lean_on_all(self, speakers):
        step = MultimodalScaler(by_groups=True, prior_utterances=6).fit(speakers[:75])
        with pytest.warns(UserWarning, match=r"^1 of 4 groups have fewer .*=6: they are"):
            found = step.transform(speakers)[75:].values("audio")
        values = speakers[75:].values("audio").astype(float)
        mean = 0.25 * values.mean(axis=0) + 0.75 * step.mean_["audio"]
        variance = 0.25 * values.var(axis=0) + 0.75 * step.scale_["audio"] ** 2
        np.testing.assert_allclose(found, (values - mean) / variance**0.5, rtol=1e-4)

    def test_without_mean_or_deviation(self, speakers):
        some = speakers[:75]
        settings = {"by_groups": True, "prior_utterances": 0}
        whole = MultimodalScaler(**settings).fit_transform(some).values("audio")
        shifted = MultimodalScaler(with_std=False, **settings).fit_transform(some)
        shrunk = MultimodalScaler(with_mean=False, **settings).fit_transform(some)
        here = np.repeat(some.groups == "c", some.lengths("audio"))
        std = some.values("audio")[here].astype(float).std(axis=0)
        np.testing.assert_allclose(
            shifted.values("audio")[here], whole[here] * std, rtol=1e-3, atol=1e-3
        )
        np.testing.assert_allclose(
            shrunk.values("audio")[here], some.values("audio")[here] / std, rtol=1e-4
        )

    def test_constant_features_and_absent_modalities(self):
        X = MultimodalArray(
            audio=[[[3.0, 1.0]], [[3.0, 2.0]], [[5.0, 1.0]], [[7.0, 3.0]], None],
            groups=[0, 0, 1, 1, 2],
        )
        step = MultimodalScaler(by_groups=True, prior_utterances=0)
        found = step.fit_transform(X).values("audio")
        np.testing.assert_allclose(found, [[0, -1], [0, 1], [-1, -1], [1, 1]], atol=1e-6)
        broken = MultimodalArray(audio=[[[np.nan]], [[1.0]], [[3.0]]], groups=[0, 1, 1])
        step = MultimodalScaler(by_groups=True, prior_utterances=0, handle_nonfinite="zero")
        found = step.fit_transform(broken).values("audio")
        np.testing.assert_allclose(found, [[0], [-1], [1]], atol=1e-6)

    def test_groups_that_are_missing(self, speakers):
        step = MultimodalScaler(by_groups=True)
        bare = MultimodalArray(audio=[speakers[k]["audio"] for k in range(20)])
        with pytest.raises(
            ValueError, match=r"X has no groups; give .*with_groups\(sp"
        ) as e:
            step.fit(bare)
        assert step.fit(bare.with_groups(speakers.groups[:20]))
        with pytest.raises(ValueError, match=r"X has no groups"):
            step.transform(bare)
        assert "set by_groups=False" in str(e.value)
        assert step.set_params(by_groups=False).transform(bare)
        for bad in (-1, "few", None):
            with pytest.raises(ValueError, match=r"prior_utterances=.* at least 0"):
                clone(step).set_params(prior_utterances=bad).fit(bare)
