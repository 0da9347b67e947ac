"""From files of sound and faces to sequences, and from those to zero-shot answers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import soundfile
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from sk_mer import MTEClassifier, MultimodalArray
from sk_mer.feature_extraction import (
    AcousticSequences,
    ActionUnitSequences,
    ModalityColumns,
    WordVectorSequences,
    align_to_words,
    frames_by_word,
)


def tone(hertz, rate=16000, seconds=0.5, channels=1, seed=0):
    """A voice-like sound: a few harmonics, an envelope and noise."""
    time = np.arange(int(rate * seconds)) / rate
    rng = np.random.default_rng(seed)
    sound = sum(np.sin(2 * np.pi * hertz * k * time) / k for k in (1, 2, 3))
    sound = 0.2 * sound * np.hanning(len(time)) + 0.01 * rng.normal(size=len(time))
    return np.repeat(sound[:, None], channels, axis=1)


@pytest.fixture
def sounds(tmp_path):
    """The same tone at several rates, forms and numbers of channels."""
    made = {
        "a.wav": (16000, 1), "b.flac": (44100, 2), "c.wav": (8000, 1), "d.flac": (16000, 6),
    }  # fmt: skip
    for name, (rate, channels) in made.items():
        soundfile.write(tmp_path / name, tone(220, rate, channels=channels), rate)
    return [tmp_path / name for name in made]


def test_any_rate_form_and_number_of_channels(sounds):
    X = AcousticSequences().fit_transform(sounds)
    assert X.lengths("audio").tolist() == [26, 26, 26, 26]
    assert X.n_features == {"audio": 44}
    same = X[3]["audio"]
    np.testing.assert_allclose(X[0]["audio"][5:20, 1:5], same[5:20, 1:5], atol=3)
    # Another rate has other noise, and about the same voice.
    means = [X[i]["audio"][5:20, :20].mean(axis=0) for i in (1, 3)]
    assert np.corrcoef(means)[0, 1] > 0.95


def test_mfcc_is_librosas(sounds):
    import librosa

    step = AcousticSequences(hop=0.01).fit(sounds)
    assert step.frame_rate_ == 100
    assert step.get_feature_names_out()[0] == "mfcc_0"
    samples, rate = soundfile.read(sounds[0], dtype="float32")
    expected = librosa.feature.mfcc(
        y=samples, sr=rate, n_mfcc=20, n_fft=512, hop_length=160, n_mels=64
    )
    found = step.transform(sounds[:1])[0]["audio"]
    np.testing.assert_allclose(found[:, :20], expected.T, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("name", "width"), [("egemaps", 25), ("gemaps", 18), ("compare", 65)]
)
def test_opensmile(sounds, name, width):
    step = AcousticSequences(name).fit(sounds)
    X = step.transform(sounds[:2])
    assert X.n_features == {"audio": width} == {"audio": len(step.columns_)}
    assert step.frame_rate_ == 100
    pitch = next(k for k, column in enumerate(step.columns_) if column.startswith("F0"))
    voiced = X[0]["audio"][:, pitch]
    if name != "compare":  # semitones over 27.5 Hz; 220 Hz are three octaves up
        assert np.median(voiced[voiced > 0]) == pytest.approx(36, abs=1)


def test_bad_files(sounds, tmp_path):
    (tmp_path / "broken.wav").write_bytes(b"RIFF nothing of the kind")
    soundfile.write(tmp_path / "silent.wav", np.zeros((0, 1)), 16000)
    paths = [sounds[0], tmp_path / "broken.wav", None, tmp_path / "gone.wav", np.nan]
    paths += [tmp_path / "silent.wav", ""]
    step = AcousticSequences().fit(paths)
    with pytest.raises(ValueError, match=r"broken.wav: .* 3 of 4 files .* on_error='skip'"):
        step.transform(paths)
    step.set_params(on_error="skip")
    with pytest.warns(
        UserWarning, match=r"3 of 4 files cannot be read and count as missing"
    ):
        X = step.transform(paths)
    assert X.lengths("audio").tolist() == [26, 0, 0, 0, 0, 0, 0]
    with pytest.raises(ValueError, match="expected 'raise' or 'skip'"):
        AcousticSequences(on_error="ignore").fit(sounds)
    with pytest.raises(ValueError, match="no file at all"):
        AcousticSequences().fit([None])
    with pytest.raises(ValueError, match="expected 'mfcc', 'egemaps'"):
        AcousticSequences("magic").fit(sounds)
    with pytest.raises(TypeError, match="One path was given"):
        AcousticSequences().fit("a.wav")


def test_a_click_is_long_enough(tmp_path):
    soundfile.write(tmp_path / "x.wav", np.ones((20, 1)) * 0.1, 16000)
    assert AcousticSequences().fit_transform([tmp_path / "x.wav"]).lengths("audio")[0] >= 1


def test_workers_memory_and_a_bar(sounds, tmp_path, monkeypatch, capsys):
    from sk_mer.feature_extraction import audio

    plain = AcousticSequences().fit_transform(sounds)
    step = AcousticSequences(n_jobs=2, memory=tmp_path / "kept", progress=True)
    found = step.fit_transform(sounds)
    np.testing.assert_array_equal(found.values("audio"), plain.values("audio"))
    assert "audio: 100%" in capsys.readouterr().err
    calls = []
    monkeypatch.setattr(audio, "_samples", lambda *a: calls.append(a))
    again = step.set_params(n_jobs=1, progress=False).transform(sounds)
    np.testing.assert_array_equal(again.values("audio"), plain.values("audio"))
    assert not calls
    soundfile.write(sounds[0], tone(330), 16000)  # a changed file is read anew
    with pytest.raises(ValueError, match=r"1 of 4 files"):
        step.transform(sounds)
    assert len(calls) == 1


def test_no_bar_without_tqdm(sounds, monkeypatch):
    import importlib

    step, real = AcousticSequences(progress=True).fit(sounds), importlib.import_module
    hidden = lambda name, *args: real("no_such_module" if name == "tqdm" else name, *args)  # noqa: E731
    monkeypatch.setattr("importlib.import_module", hidden)
    with pytest.raises(ImportError, match=r"pip install 'sk-mer\[progress\]'"):
        step.transform(sounds)


@pytest.mark.parametrize(
    ("module", "set_name", "extra"),
    [("librosa", "mfcc", "audio"), ("opensmile", "egemaps", "opensmile")],
)
def test_a_package_is_missing(sounds, monkeypatch, module, set_name, extra):
    import importlib

    real = importlib.import_module

    def refuse(name, *args):
        if name.partition(".")[0] == module:
            raise ImportError(name)
        return real(name, *args)

    monkeypatch.setattr("importlib.import_module", refuse)
    with pytest.raises(ImportError, match=rf"pip install 'sk-mer\[{extra}\]'"):
        AcousticSequences(set_name).fit(sounds)


# Faces


def openface(path, n=5, faces=(0,), fail=(), blank=" "):
    """OpenFace 2's table: blanks before names, many other columns."""
    rows = []
    for face in faces:
        for frame in range(n):
            ok = (face, frame) not in fail
            rows.append([frame + 1, face, frame / 25, 0.97 if ok else 0.1, int(ok), 0.1,
                         face + frame / 10, 2.0, 1])  # fmt: skip
    names = ["frame", "face_id", "timestamp", "confidence", "success", "gaze_0_x",
             "AU01_r", "AU12_r", "AU12_c"]  # fmt: skip
    names = [names[0], *(blank + name for name in names[1:])]
    pd.DataFrame(rows, columns=names).to_csv(path, index=False)
    return path


def pyfeat(path):
    """py-feat's table: several faces a frame, areas, emotions beside the units."""
    pd.DataFrame(
        {
            "frame": [0, 0, 1, 2, 3],
            "FaceRectWidth": [10, 90, 80, 80, 70],
            "FaceRectHeight": [10, 90, 80, 80, 70],
            "FaceScore": [0.9, 0.99, 0.99, 0.2, 0.99],
            "AU01": [0.9, 0.1, 0.2, 0.3, np.nan],
            "AU12": [0.9, 0.5, 0.6, 0.7, 0.8],
            "anger": [0.1] * 5,
        }
    ).to_csv(path, index=False)
    return path


def test_openface(tmp_path):
    paths = [openface(tmp_path / "a.csv"), openface(tmp_path / "b.csv", blank="")]
    step = ActionUnitSequences().fit(paths)
    assert step.columns_ == ["AU01_r", "AU12_r", "AU12_c"]
    X = step.transform(paths)
    np.testing.assert_allclose(X[0]["vision"][:, 0], np.arange(5) / 10)
    np.testing.assert_array_equal(X[0]["vision"], X[1]["vision"])
    np.testing.assert_allclose(step.times(paths)[0], np.arange(5) / 25)
    only = ActionUnitSequences(["AU12_r"]).fit_transform(paths)
    assert only.n_features == {"vision": 1}


def test_frames_without_a_face_and_other_faces(tmp_path):
    fail = {(0, 1), (1, 0), (1, 1), (1, 2)}
    path = openface(tmp_path / "a.csv", faces=(1, 0), fail=fail)
    X = ActionUnitSequences().fit_transform([path])
    np.testing.assert_allclose(X[0]["vision"][:, 0], [0, 0.2, 0.3, 0.4])  # face 0
    assert (
        len(ActionUnitSequences(min_confidence=0.99).fit_transform([path])[0]["vision"])
        == 0
    )


def test_pyfeat(tmp_path):
    step = ActionUnitSequences().fit([pyfeat(tmp_path / "a.csv")])
    X = step.transform([tmp_path / "a.csv"])
    np.testing.assert_allclose(X[0]["vision"], [[0.1, 0.5], [0.2, 0.6]])
    with pytest.raises(ValueError, match="has no column 'timestamp'"):
        step.times([tmp_path / "a.csv"])


def test_bad_tables(tmp_path):
    good = openface(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_text("frame,gaze\n1,2\n")
    (tmp_path / "c.csv").write_bytes(b"\xff\xfe\x00")
    paths = [tmp_path / "b.csv", good, tmp_path / "c.csv", pyfeat(tmp_path / "d.csv")]
    step = ActionUnitSequences(on_error="skip").fit(paths)
    with pytest.warns(
        UserWarning, match=r"3 of 4 files .*b.csv: it lacks the columns AU01_r"
    ):
        assert step.transform(paths).lengths("vision").tolist() == [0, 5, 0, 0]
    with pytest.raises(ValueError, match=r"None of the 2 files has action units .*AU01_r"):
        ActionUnitSequences().fit([paths[0], paths[2]])


# Words


def test_align_to_words():
    frames = np.arange(10.0)[:, None]
    X = MultimodalArray(
        text=[np.eye(3), np.eye(3)[:1]],
        audio=[frames, None],
        vision=[frames[:4], frames[:2]],
    )
    words = [[(0.0, 0.2), (0.2, 0.5), (2, 3)], [(0.0, 1.0)]]
    vision_times = [np.array([0.05, 0.1, 0.3, 0.4]), np.array([0.0, 5.0])]
    with pytest.warns(
        UserWarning, match=r"1 of \d words have no frame of '(audio|vision)'"
    ):
        found = align_to_words(X, words, {"audio": 10, "vision": vision_times})
    assert found.modalities == ("text", "audio", "vision")
    assert found[0]["audio"].ravel().tolist() == [0.5, 3.0, 0.0]
    assert found[0]["vision"].ravel().tolist() == [0.5, 2.5, 0.0]
    assert found.lengths("audio").tolist() == [3, 0]
    assert found[1]["vision"].ravel().tolist() == [0.0]
    with pytest.raises(ValueError, match=r"Row 0 has 2 word intervals but 3 steps"):
        align_to_words(X, [words[0][:2], words[1]], {"audio": 10})
    with pytest.raises(ValueError, match=r"times were given for 'smell'"):
        align_to_words(X, words, {"smell": 10})
    with pytest.raises(ValueError, match=r"word_intervals has 1 entries for 2"):
        align_to_words(X, words[:1], {"audio": 10})
    with pytest.raises(ValueError, match=r"Row 0 has 3 times for 4 steps of 'vision'"):
        align_to_words(X, words, {"vision": [np.zeros(3), np.zeros(2)]})


def by_word(frames, seconds, words, room):
    """Frames of each word one after the other, word by word."""
    rows = np.zeros((len(words), room, frames.shape[1]))
    for word, (begin, end) in enumerate(words):
        found = [f for f, s in zip(frames, seconds) if begin <= s < end]
        if len(found) > room:
            found = [np.mean(part, axis=0) for part in np.array_split(found, room)]
        for place, frame in enumerate(found):
            rows[word, place] = frame
    return rows.reshape(len(words), -1)


def test_frames_by_word():
    rng = np.random.default_rng(0)
    audio, vision = rng.normal(size=(12, 2)), rng.normal(size=(5, 3))
    X = MultimodalArray(
        text=[np.eye(3), np.eye(3)[:1]], audio=[audio, None], vision=[vision[:4], vision]
    )
    words = [[(0.0, 0.2), (0.2, 0.95), (2, 3)], [(0.0, 1.0)]]
    vision_times = [np.array([0.05, 0.1, 0.3, 0.4]), np.array([0.0, 0.1, 0.2, 0.3, 5.0])]
    with pytest.warns(UserWarning, match="words have") as told:
        found = frames_by_word(X, words, {"audio": 10, "vision": vision_times}, 3)
    assert found.n_features == {"text": 3, "audio": 6, "vision": 9}
    assert found.lengths("audio").tolist() == [3, 0]
    expected = by_word(audio, np.arange(12) / 10, words[0], 3)
    np.testing.assert_allclose(found[0]["audio"], expected, atol=1e-6)
    for row in range(2):
        expected = by_word(X[row]["vision"], vision_times[row], words[row], 3)
        np.testing.assert_allclose(found[row]["vision"], expected, atol=1e-6)
    assert [str(w.message) for w in told] == [
        "1 of 3 words have no frame of 'audio'; they are zeros.",
        "1 of 3 words have more than 3 frames of 'audio'; neighbours of them are averaged.",
        "1 of 4 words have no frame of 'vision'; they are zeros.",
        "1 of 4 words have more than 3 frames of 'vision'; neighbours of them are averaged.",
    ]
    with pytest.raises(ValueError, match=r"Row 0 has 2 word intervals but 3 steps"):
        frames_by_word(X, [words[0][:2], words[1]], {"audio": 10})
    with pytest.raises(ValueError, match="frames_per_word is 0; expected 1 or more"):
        frames_by_word(X, words, {"audio": 10}, 0)


# From files to answers

VECTORS = {
    "angry": [1.0, 0.2, 0.0, 0.1], "sad": [-1.0, 0.3, 0.1, 0.0], "calm": [-0.9, 0.1, 0.0, 0.2],
    "so": [0.1, 0.0, 0.2, 0.1], "it": [0.0, 0.1, 0.1, 0.0], "goes": [0.1, 0.1, 0.0, 0.1],
}  # fmt: skip


def recordings(folder, n=24):
    """High voices are angry, low ones sad; the sentence tells nothing."""
    rows = []
    for i in range(n):
        angry = i % 2
        path = folder / f"{i}.wav"
        pitch = (400 if angry else 120) + 5 * (i % 5)
        soundfile.write(path, tone(pitch, seconds=0.3, seed=i), 16000)
        rows.append({"file": str(path), "sentence": "so it goes", "angry": angry})
    frame = pd.DataFrame(rows)
    return frame.assign(sad=1 - frame["angry"])


def pipeline():
    columns = ModalityColumns(
        [
            ("text", WordVectorSequences(VECTORS), "sentence"),
            ("audio", AcousticSequences(), "file"),
        ]
    )
    from sk_mer.preprocessing import MultimodalScaler

    model = MTEClassifier(
        label_vectors=VECTORS, hidden_sizes=(4, 8), num_layers=1, lr=0.02, max_epochs=15,
        batch_size=8, validation_fraction=None, random_state=0,
    )  # fmt: skip
    return make_pipeline(columns, MultimodalScaler(), model)


def test_from_files_to_zero_shot(tmp_path):
    frame = recordings(tmp_path)
    y = frame[["angry", "sad"]]
    model = pipeline().fit(frame[:16], y[:16])
    assert (model.predict(frame[16:]) == y[16:]).all(axis=None)
    model[-1].set_labels(["calm", "angry"])
    proba = model.predict_proba(frame[16:])
    low = frame["sad"][16:] == 1
    assert proba[low, 0].min() > proba[~low, 0].max()  # calm was never trained on


def test_columns_are_one_estimator(tmp_path):
    frame = recordings(tmp_path, 4)
    step = pipeline()[0]
    assert step.get_params()["audio__hop"] == 0.02
    other = clone(step).set_params(audio__hop=0.01)
    assert other.fit_transform(frame).lengths("audio")[0] > 20
    assert step.get_params()["audio"].hop == 0.02
    with pytest.raises(ValueError, match="X lacks the column 'file'; it has sentence"):
        step.fit(frame[["sentence"]])
    with pytest.raises(TypeError, match="expected a DataFrame"):
        step.fit([1, 2])
    with pytest.raises(ValueError, match="list of"):
        ModalityColumns([("text", WordVectorSequences(VECTORS))]).fit(frame)
    with pytest.raises(ValueError, match="not unique"):
        ModalityColumns([step.transformers[0]] * 2).fit(frame)


def test_real_clips(real_data):
    """FLAC clips of RAVDESS with their sentences, from files to zero-shot answers."""
    frame = pd.read_csv(real_data / "ravdess" / "metadata.csv").dropna(subset=["flac"])
    frame = frame.assign(file=[real_data / "ravdess" / name for name in frame["flac"]])
    glove = real_data / "glove" / "glove.840B.300d.subset.txt"
    step = ModalityColumns(
        [
            ("text", WordVectorSequences(glove), "statement_text"),
            ("audio", AcousticSequences(n_jobs=2), "file"),
        ]
    )
    X = step.fit_transform(frame)
    assert len(X) == 56
    assert X.lengths("text").min() >= 5
    assert X.lengths("audio").min() > 100
    y = pd.get_dummies(frame["emotion"])[["angry", "sad", "happy"]].astype(int)
    model = MTEClassifier(
        label_vectors=glove,
        hidden_sizes=(300, 16),
        num_layers=1,
        max_epochs=2,
        random_state=0,
    ).fit(X, y, groups=frame["actor"])
    proba = model.set_labels(["fearful", "angry"]).predict_proba(X)
    assert proba.shape == (56, 2)
    assert np.isfinite(proba).all()
