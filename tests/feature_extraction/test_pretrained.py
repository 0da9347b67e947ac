"""Pretrained encoders: what transformers gives, whatever stands beside it in a batch."""

from __future__ import annotations

import importlib
import json
import pickle
import shutil

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image
from sklearn.base import clone

from sk_mer.feature_extraction import PretrainedFrames, PretrainedSpeech, PretrainedText
from sk_mer.feature_extraction import _encoders as encoders
from sk_mer.feature_extraction._speech_encoder import SpeechEncoder
from sk_mer.feature_extraction._stitch import StepMeans, pieces_of

TEXT = ["bert", "roberta"]
SPEECH = ["whisper", "wav2vec2", "wav2vec2-large", "hubert", "wavlm"]
IMAGES = ["clip", "siglip", "dinov2"]
SENTENCES = [
    "so happy today",
    "it is a sad thing and i am not at all well",
    "",
    None,
    "sad",
]


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """Noise of several lengths, all of them below a second."""
    folder, rng = tmp_path_factory.mktemp("sounds"), np.random.default_rng(0)
    paths = [folder / f"{k}.wav" for k in range(4)]
    for path, n in zip(paths, (15000, 4000, 9700, 300), strict=True):
        soundfile.write(path, 0.1 * rng.normal(size=n), 16000, subtype="FLOAT")
    return paths


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Folders of one, two and three images."""
    folder, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for item in range(3):
        (folder / str(item)).mkdir()
        for k in range(item + 1):
            pixels = rng.integers(0, 255, (40, 50, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / str(item) / f"{k}.png")
    return [folder / str(item) for item in range(3)]


@pytest.fixture
def made(encoder_folder, sounds, images):
    """A function from an architecture to a transformer and what it is given."""

    def make(name, **settings):
        folder = encoder_folder(name)
        if name in TEXT:
            return PretrainedText(folder, **settings), SENTENCES
        if name in IMAGES:
            return PretrainedFrames(folder, faces=False, **settings), images
        settings = {"steps_per_second": None, **settings}
        return PretrainedSpeech(folder, **settings), sounds

    return make


def plain(name, folder, item):
    """Hidden states of one item by transformers alone, without its frame and padding."""
    import transformers as t

    model = t.AutoModel.from_pretrained(folder).eval()
    if name in TEXT:
        inputs = t.AutoTokenizer.from_pretrained(folder)(item, return_tensors="pt")
        states = model(**inputs, output_hidden_states=True).hidden_states
        return [s[0, 1:-1] for s in states]
    if name in IMAGES:
        with Image.open(item / "0.png") as image:
            inputs = t.AutoImageProcessor.from_pretrained(folder)(
                images=image.convert("RGB"), return_tensors="pt"
            )
        model = getattr(model, "vision_model", model)
        states = model(**inputs, output_hidden_states=True).hidden_states
        return [s[:, -16:].mean(dim=1) for s in states]
    sound, rate = soundfile.read(item, dtype="float32")
    prepare = t.AutoFeatureExtractor.from_pretrained(folder)
    inputs = prepare(sound, sampling_rate=rate, return_tensors="pt")
    model = model.encoder if name == "whisper" else model
    states = model(**inputs, output_hidden_states=True).hidden_states
    return [s[0, : -(-len(sound) // 320)] if name == "whisper" else s[0] for s in states]


@pytest.mark.parametrize("name", [*TEXT, *SPEECH, *IMAGES])
def test_as_by_transformers_alone(made, encoder_folder, name):
    _, items = made(name)
    with torch.no_grad():
        states = torch.stack(plain(name, encoder_folder(name), items[0]))
    wanted = {
        "mean": states[1:].mean(0), "last4": states[1:].mean(0), -1: states[3],
        0: states[0], (1, 2): states[1:3].mean(0),
    }  # fmt: skip
    for layers, expected in wanted.items():
        step, _ = made(name, layers=list(layers) if isinstance(layers, tuple) else layers)
        found = step.fit_transform(items[:1])[0][step.modality]
        np.testing.assert_allclose(found, expected, atol=1e-5)
    assert states.std(0).mean() > 0.05  # layers differ, so that the choice was seen


@pytest.mark.parametrize("name", [*TEXT, *SPEECH, *IMAGES])
def test_padding_changes_nothing(made, name):
    step, items = made(name)
    together = step.fit_transform(items)
    (modality,) = together.modalities
    for row, item in enumerate(items):
        if not item:
            assert together.lengths(modality)[row] == 0
            continue
        alone = step.transform([item])
        np.testing.assert_allclose(
            alone.values(modality), together[row][modality], atol=1e-4
        )
    pooled = clone(step).set_params(pooling="mean").fit_transform(items)
    assert set(pooled.lengths(modality)) <= {0, 1}
    expected = together[0][modality].mean(axis=0)
    np.testing.assert_allclose(pooled[0][modality][0], expected, atol=1e-4)
    assert step.get_feature_names_out()[3] == f"{modality}_3"


def test_large_models_have_more_layers_than_four(encoder_folder):
    from sk_mer.feature_extraction._checkpoints import chosen_layers

    assert chosen_layers("last4", 12, "x") == [9, 10, 11, 12]
    assert chosen_layers("mean", 3, "x") == [1, 2, 3]
    assert chosen_layers([-1, 0, -13], 12, "x") == [12, 0, 0]
    assert chosen_layers(np.int64(2), 12, "x") == [2]  # as a search over an array gives it


# Long items


def test_pieces_keep_each_frame_once():
    for n, longest, context in [
        (7, 10, 3),
        (10, 10, 3),
        (11, 10, 3),
        (95, 10, 2),
        (33, 5, 1),
    ]:
        pieces = pieces_of(4, n, longest, context)
        kept = [k for p in pieces for k in range(p.first, p.last)]
        assert kept == list(range(n))
        for piece in pieces:
            assert piece.item == 4
            assert piece.stop - piece.start == min(n, longest)
            assert piece.first - piece.start >= (context if piece.first else 0)
            assert piece.stop - piece.last >= (context if piece.last < n else 0)


def test_steps_are_means_of_their_frames():
    frames = np.arange(11.0, dtype=np.float32)[:, None]
    for rate, expected in [
        (1.0, frames.ravel()),
        (0.0, [5.0]),
        (0.3, [1.5, 5.0, 8.0, 10.0]),
    ]:
        means = StepMeans(11, 1, rate)
        means.add(5, frames[5:])
        means.add(0, frames[:5])
        np.testing.assert_allclose(means.result().ravel(), expected)


def long_sound(folder, seconds=3):
    path, rng = folder / "long.wav", np.random.default_rng(1)
    soundfile.write(path, 0.1 * rng.normal(size=16000 * seconds), 16000, subtype="FLOAT")
    return path


def test_long_sound_without_seams(encoder_folder, tmp_path, monkeypatch):
    """What goes into the first layer sees its neighbours only, so that pieces are exact."""
    path = long_sound(tmp_path)
    local = {"layers": 0, "steps_per_second": None}
    step = PretrainedSpeech(encoder_folder("wav2vec2-large"), **local).fit([path])
    whole = step.transform([path]).values("audio")
    assert len(whole) == (48000 - 106) // 160 + 1
    monkeypatch.setattr(SpeechEncoder, "_SECONDS", 0.7)
    pieces = clone(step).fit_transform([path]).values("audio")
    np.testing.assert_allclose(pieces, whole, atol=1e-4)
    # Attention sees a piece only: near a cut no worse than elsewhere.
    deep = clone(step).set_params(layers="mean").fit_transform([path]).values("audio")
    monkeypatch.setattr(SpeechEncoder, "_SECONDS", 30.0)
    expected = clone(step).set_params(layers="mean").fit_transform([path]).values("audio")
    errors = np.abs(deep - expected).mean(axis=1)
    assert errors.max() < 0.35 * np.abs(expected).mean()
    jumps = np.abs(np.diff(deep, axis=0)).mean(axis=1)
    assert jumps.max() < 1.5 * np.abs(np.diff(expected, axis=0)).mean(axis=1).max()


def test_steps_per_second_across_pieces(encoder_folder, tmp_path):
    path = long_sound(tmp_path)
    fine = PretrainedSpeech(encoder_folder("whisper"), steps_per_second=None)
    coarse = PretrainedSpeech(encoder_folder("whisper"), steps_per_second=4)
    frames = fine.fit_transform([path]).values("audio")
    assert len(frames) == 150
    expected = [frames[(np.arange(150) * 4 // 50) == k].mean(axis=0) for k in range(12)]
    found = coarse.fit_transform([path]).values("audio")
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_long_text_in_pieces(encoder_folder):
    step = PretrainedText(encoder_folder("bert"), layers=0)
    short, long = "so happy today it", "so happy today it is a sad thing and i am not " * 4
    X = step.fit_transform([short, long])
    assert X.lengths("text").tolist() == [4, 48]
    # The first piece starts as the short text does; later ones have positions of their own.
    np.testing.assert_allclose(X[1]["text"][:4], X[0]["text"], atol=1e-5)


@pytest.mark.parametrize("mode", ["cls_token", "mean_tokens"])
@pytest.mark.parametrize("normalize", [True, False])
def test_what_makers_of_sentence_encoders_mean(encoder_folder, tmp_path, mode, normalize):
    import transformers as t

    folder = tmp_path / "sentences"
    shutil.copytree(encoder_folder("bert"), folder)
    kinds = [("", "Transformer"), ("1_Pooling", "Pooling")]
    kinds += [("2_Normalize", "Normalize")] if normalize else []
    modules = [{"path": p, "type": f"sentence_transformers.models.{k}"} for p, k in kinds]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    modes = {
        f"pooling_mode_{m}": m == mode for m in ("cls_token", "mean_tokens", "max_tokens")
    }
    about = {"word_embedding_dimension": 16, **modes, "include_prompt": True}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(about))
    step = PretrainedText(folder, layers=-1, pooling="sentence")
    X = step.fit_transform(SENTENCES)
    assert X.lengths("text").tolist() == [1, 1, 0, 0, 1]
    tokens = t.AutoTokenizer.from_pretrained(folder)(SENTENCES[0], return_tensors="pt")
    with torch.no_grad():
        states = t.AutoModel.from_pretrained(folder).eval()(**tokens).last_hidden_state[0]
    expected = states[0] if mode == "cls_token" else states.mean(dim=0)
    expected = expected / expected.norm() if normalize else expected
    np.testing.assert_allclose(X[0]["text"][0], expected, atol=1e-5)
    with pytest.raises(ValueError, match="layers='mean' was given; set layers=-1"):
        PretrainedText(folder, pooling="sentence").fit(SENTENCES)
    with pytest.raises(ValueError, match=r"has no modules.json.* set pooling='mean'"):
        PretrainedText(encoder_folder("bert"), layers=-1, pooling="sentence").fit(SENTENCES)
    about["pooling_mode_max_tokens"] = True
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(about))
    with pytest.raises(ValueError, match="does something else; set pooling='mean'"):
        step.fit(SENTENCES)


# One load, no weights in files


def test_loaded_when_needed_and_never_pickled(encoder_folder, monkeypatch):
    loads = []
    real = encoders.Encoder._checked_module
    monkeypatch.setattr(
        encoders.Encoder, "_checked_module",
        lambda self, *args: loads.append(args[1]) or real(self, *args),
    )  # fmt: skip
    encoders._LOADED.clear()
    step = PretrainedText(encoder_folder("bert"))
    copied = clone(step)
    copied.fit(["so"])
    assert not loads
    X = copied.transform(["so happy", "so happy"])
    copied.transform(["sad"])
    other = clone(step).fit(["so"])
    other.transform(["sad"])
    assert len(loads) == 1  # one network for both
    data = pickle.dumps(copied)
    assert len(data) < 5000
    again = pickle.loads(data).transform(["so happy"])
    np.testing.assert_array_equal(again[0]["text"], X[1]["text"])


def test_each_text_once(encoder_folder, monkeypatch):
    seen = []
    real = PretrainedText._encode
    monkeypatch.setattr(
        PretrainedText, "_encode", lambda self, c: seen.extend(c) or real(self, c)
    )
    X = PretrainedText(encoder_folder("bert")).fit_transform(["sad", "so", "sad", "so "])
    assert sorted(seen) == ["sad", "so"]
    np.testing.assert_array_equal(X[0]["text"], X[2]["text"])


def test_precision_and_device(encoder_folder):
    step = PretrainedText(encoder_folder("bert"), dtype="bfloat16", device="cpu")
    found = step.fit_transform(["so happy"]).values("text")
    exact = (
        PretrainedText(encoder_folder("bert")).fit_transform(["so happy"]).values("text")
    )
    assert found.dtype == np.float32
    assert 0 < np.abs(found - exact).max() < 0.1


# What cannot be


def test_wrong_parameters(encoder_folder, tmp_path, sounds):
    bert, speech = encoder_folder("bert"), encoder_folder("wav2vec2")

    def says(pattern, step, X=("so",)):
        with pytest.raises(ValueError, match=pattern) as told:
            step.fit(list(X))
        assert str(told.value).count("; ") <= 1
        assert "\n" not in str(told.value)

    says(r"layers=7 asks for layer 7, but '.*bert' has 3: give 1 to 3, -1 for the last",
         PretrainedText(bert, layers=7))  # fmt: skip
    says("asks for layer -5", PretrainedText(bert, layers=[1, -5]))
    says(
        "layers='first' was given; expected 'mean', 'last4'",
        PretrainedText(bert, layers="first"),
    )
    says("layers=True was given", PretrainedText(bert, layers=True))
    says(
        "pooling='max' was given; expected None, 'mean' or 'sentence'",
        PretrainedText(bert, pooling="max"),
    )
    says("batch_size=0 was given; expected 1 or more", PretrainedText(bert, batch_size=0))
    says("dtype='int8' was given; expected one of", PretrainedText(bert, dtype="int8"))
    says(
        "memory_limit='much' was given; .* memory_limit='10G'",
        PretrainedText(bert, memory_limit="much"),
    )
    says("model=None was given; expected a folder", PretrainedText(None))
    says("there is no such folder", PretrainedText(str(tmp_path / "none")))
    says("holds no config.json with weights", PretrainedText(tmp_path))
    says(
        "revision='main' was given, but .* is a folder",
        PretrainedText(bert, revision="main"),
    )
    says(
        "'.*bert' is a model of type 'bert'; expected Whisper",
        PretrainedSpeech(bert),
        sounds,
    )
    says("is a model of type 'wav2vec2'; expected CLIP", PretrainedFrames(speech), sounds)
    says(
        "is a model of type 'clip'; expected a model of text",
        PretrainedText(encoder_folder("clip")),
    )
    says(
        "steps_per_second=0 was given", PretrainedSpeech(speech, steps_per_second=0), sounds
    )
    says(r"steps_per_second=200 was given, but '.*' has 100 frames a second",
         PretrainedSpeech(speech, steps_per_second=200), sounds)  # fmt: skip
    with pytest.raises(TypeError, match="One string was given; expected a list"):
        PretrainedText(bert).fit("so")
    with pytest.raises(TypeError, match="A float was given in place of a sentence"):
        PretrainedText(bert).fit(["so", 3.5])


def test_transformers_is_missing(encoder_folder, monkeypatch):
    real = importlib.import_module

    def hidden(name, *args):
        if name == "transformers":
            raise ImportError(name)
        return real(name, *args)

    monkeypatch.setattr("importlib.import_module", hidden)
    with pytest.raises(
        ImportError,
        match=r"PretrainedText needs the package 'transformers', which is not installed; "
        r"run: pip install 'sk-mer\[pretrained\]'",
    ):
        PretrainedText(encoder_folder("bert")).fit(["so"])


def test_weights_of_another_model(encoder_folder, tmp_path):
    """A file of weights beside a configuration that it does not belong to."""
    folder = tmp_path / "mixed"
    shutil.copytree(encoder_folder("bert"), folder)
    shutil.copy(encoder_folder("wav2vec2") / "model.safetensors", folder)
    step = PretrainedText(folder).fit(["so"])
    with pytest.raises(ValueError, match=r"\d+ of \d+ weights of .* do not belong to its"):
        step.transform(["so"])
    (folder / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"The weights of .* cannot be read"):
        PretrainedText(folder).fit(["so"]).transform(["so"])


def test_bad_sounds(encoder_folder, sounds, tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "broken.wav").write_bytes(b"RIFF nothing of the kind")
    soundfile.write(tmp_path / "none.wav", np.zeros((0, 1)), 16000)
    soundfile.write(tmp_path / "silent.wav", np.zeros(8000), 16000)
    sound = 0.1 * rng.normal(size=(9600, 1))
    soundfile.write(tmp_path / "eight.wav", np.repeat(sound, 8, axis=1), 16000)
    soundfile.write(tmp_path / "fast.wav", np.repeat(sound, 12), 192000)
    names = ["broken", "none", "gone", "silent", "eight", "fast"]
    paths = [*(tmp_path / f"{name}.wav" for name in names), None]
    step = PretrainedSpeech(encoder_folder("wav2vec2"), steps_per_second=10).fit(paths)
    with pytest.raises(ValueError, match=r"broken.wav: .* 3 of 6 files .* on_error='skip'"):
        step.transform(paths)
    step.set_params(on_error="skip")
    with pytest.warns(UserWarning, match="count as missing") as told:
        X = step.transform(paths)
    assert X.lengths("audio").tolist() == [0, 0, 0, 0, 6, 6, 0]
    assert "3 of 6 files cannot be read and count as missing" in str(told[0].message)
    assert "1 of 6 recordings count as missing; the first is" in str(told[1].message)
    assert str(told[1].message).endswith("silent.wav: it has no sound.")
    mean = [X[row]["audio"].mean(axis=0) for row in (4, 5)]
    assert np.corrcoef(mean)[0, 1] > 0.9


def test_bad_images(encoder_folder, images, tmp_path):
    (tmp_path / "none").mkdir()
    (tmp_path / "bad.png").write_bytes(b"nothing")
    paths = [images[0], tmp_path / "none", tmp_path / "bad.png", images[2] / "1.png"]
    step = PretrainedFrames(encoder_folder("clip"), faces=False, on_error="skip").fit(paths)
    with pytest.warns(UserWarning, match="2 of 4 files .*a folder without images"):
        X = step.transform(paths)
    assert X.lengths("vision").tolist() == [1, 0, 0, 1]
