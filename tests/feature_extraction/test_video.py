"""Clips in: sound and faces out of video, missing ones counted; words with their times."""

from __future__ import annotations

import importlib
import importlib.util
import json
import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sk_mer.feature_extraction import (
    AcousticSequences,
    PretrainedFrames,
    PretrainedSpeech,
    align_to_words,
    read_transcript,
)
from sk_mer.feature_extraction import _media as media
from sk_mer.feature_extraction._files import NothingThere
from sk_mer.feature_extraction._sound import mono_samples

from . import clips

EXAMPLE = Path(__file__).parents[2] / "examples" / "clips_to_emotions.py"


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".webm"])
def test_sound_and_faces_of_any_form(tmp_path, suffix):
    path = clips.write(tmp_path / f"clip{suffix}")
    sound = mono_samples(path, 16000)
    assert len(sound) == pytest.approx(16000, abs=1500)
    spectrum = np.abs(np.fft.rfft(sound))
    assert np.argmax(spectrum) / len(sound) * 16000 == pytest.approx(220, abs=5)
    timed = list(media.video_frames(path, 5))
    np.testing.assert_allclose([time for time, _ in timed], np.arange(5) / 5, atol=0.05)
    assert timed[0][1].shape == (240, 320, 3)
    ((_, face), *others) = media.faces_of(timed)
    assert len(others) == 4
    assert 50 < len(face) < 180
    # The face, and not what stands around it.
    assert np.abs(face.astype(int) - 110).mean() > 25


def test_channels_and_rates(tmp_path):
    path = clips.write(tmp_path / "a.avi", channels=8, rate=192000, faces=None, seconds=0.3)
    sound = mono_samples(path, 16000)
    assert len(sound) == pytest.approx(4800, abs=5)
    assert np.abs(sound).max() == pytest.approx(0.3, abs=0.03)


def test_frames_that_are_there_are_all_that_are_read(tmp_path):
    path = clips.write(tmp_path / "a.avi", sound=False, seconds=0.4)
    assert len(list(media.video_frames(path, 1000))) == 10
    assert len(list(media.video_frames(path, None))) == 10
    assert len(list(media.video_frames(path, 1))) == 1


def test_held_upright():
    class Frame:
        rotation = 90

        def to_ndarray(self, format):
            return np.arange(12).reshape(2, 2, 3).astype(np.uint8)

    turned = media._upright(Frame())
    np.testing.assert_array_equal(turned, np.rot90(Frame().to_ndarray("rgb24")))


def test_the_largest_face():
    scene = np.full((300, 400, 3), 110, dtype=np.uint8)
    face = clips.photograph()
    scene[60:240, 20:173] = face
    scene[20:110, 250:326] = face[::2, ::2][:90, :76]
    found = media.face_in(scene)
    alone = media.face_in(
        np.where(np.arange(400)[None, :, None] < 200, scene, 110).astype(np.uint8)
    )
    assert 75 < len(found) == pytest.approx(len(alone), abs=3)
    assert media.face_in(np.full((300, 400, 3), 110, dtype=np.uint8)) is None
    assert max(media.fitted(np.zeros((900, 500, 3), np.uint8)).shape) == 256


def test_missing_modalities_are_counted(tmp_path, encoder_folder):
    names = ["whole.mp4", "mute.mp4", "quiet.avi", "empty_room.avi", "sound_only.avi"]
    settings = [
        {},
        {"sound": False},
        {"sound": "silent"},
        {"faces": False},
        {"faces": None},
    ]
    paths = [
        clips.write(tmp_path / name, seconds=0.5, **how)
        for name, how in zip(names, settings, strict=True)
    ]
    (tmp_path / "none.mp4").touch()
    whole = paths[0].read_bytes()
    (tmp_path / "damaged.mp4").write_bytes(whole[: len(whole) // 3])
    paths += [tmp_path / "none.mp4", tmp_path / "damaged.mp4"]
    speech = PretrainedSpeech(encoder_folder("wav2vec2"), on_error="skip").fit(paths)
    with pytest.warns(UserWarning, match="missing") as told:
        X = speech.transform(paths)
    # Sound of AAC begins a little early.
    assert (X.lengths("audio") > 0).tolist() == [
        True,
        False,
        False,
        True,
        True,
        False,
        False,
    ]
    assert "2 of 7 files cannot be read" in str(told[0].message)
    assert "2 of 7 recordings count as missing" in str(told[1].message)
    assert "mute.mp4: it has no sound." in str(told[1].message)
    frames = PretrainedFrames(encoder_folder("clip"), on_error="skip", steps_per_second=4)
    with pytest.warns(UserWarning, match="missing") as told:
        X = frames.fit_transform(paths)
    assert X.lengths("vision").tolist() == [2, 2, 2, 0, 0, 0, 0]
    assert "2 of 7 recordings count as missing" in str(told[1].message)
    assert "empty_room.avi: it shows no face" in str(told[1].message)
    assert X.provenance["vision"]["faces"] is True
    frames.set_params(on_error="raise")
    with pytest.raises(
        ValueError, match=r"none.mp4: it is no sound or video file .*2 of 7"
    ):
        frames.transform(paths)


def test_acoustic_features_of_video(tmp_path):
    paths = [clips.write(tmp_path / "a.mp4"), clips.write(tmp_path / "b.avi", sound=False)]
    with pytest.warns(UserWarning, match=r"1 of 2 recordings .*b.avi: it has no sound"):
        X = AcousticSequences().fit_transform(paths)
    assert X.lengths("audio").tolist() == [pytest.approx(52, abs=3), 0]


def test_a_folder_of_clips_to_a_table(tmp_path, encoder_folder, monkeypatch, capsys):
    """The example, with tiny models in the place of Whisper and CLIP."""
    rows = []
    for k in range(6):
        clips.write(tmp_path / f"{k}.avi", seconds=0.4, sound=k != 1, faces=k != 2)
        rows.append({"file": f"{k}.avi", "happy": k % 2, "sad": k // 3})
    pd.DataFrame(rows).to_csv(tmp_path / "clips.csv", index=False)
    names = [str(encoder_folder(name)) for name in ("wav2vec2", "clip")]
    monkeypatch.setattr("sys.argv", ["clips_to_emotions.py", str(tmp_path), *names])
    with pytest.warns(UserWarning, match="count as missing") as told:
        runpy.run_path(str(EXAMPLE))
    assert {"1 of 6", "0 of 6"} >= {
        str(w.message)[:6] for w in told if "missing" in str(w.message)
    }
    table = pd.read_csv(tmp_path / "emotions.csv", index_col=0)
    assert table.shape == (6, 2)
    assert list(table) == ["happy", "sad"]
    assert "happy" in capsys.readouterr().out


def test_faces_with_their_times(tmp_path, encoder_folder):
    """Frames without a face are left out, and the others keep their time."""
    seen = [False] * 10 + [True] * 10 + [False] * 5
    path = clips.write(tmp_path / "a.avi", faces=seen, seconds=1)
    frames = PretrainedFrames(encoder_folder("clip"), steps_per_second=5)
    X = frames.fit_transform([path, None])
    times = frames.times([path, None])
    assert X.lengths("vision").tolist() == [2, 0]
    np.testing.assert_allclose(times[0], [0.4, 0.6], atol=0.05)
    assert not len(times[1])
    X = X[:1]
    words = type(X)(text=[np.eye(2)], vision=[X[0]["vision"]])
    aligned = align_to_words(words, [[(0.3, 0.5), (0.5, 0.9)]], {"vision": times[:1]})
    np.testing.assert_allclose(aligned[0]["vision"], X[0]["vision"], atol=1e-6)
    all_of_it = PretrainedFrames(encoder_folder("clip"), faces=False, steps_per_second=5)
    assert all_of_it.fit_transform([path]).lengths("vision").tolist() == [5]


@pytest.mark.parametrize(("module", "extra"), [("av", "video"), ("cv2", "video")])
def test_a_package_is_missing(tmp_path, encoder_folder, monkeypatch, module, extra):
    path = clips.write(tmp_path / "a.avi", seconds=0.2)
    frames = PretrainedFrames(encoder_folder("clip")).fit([path])
    real, spec = importlib.import_module, importlib.util.find_spec

    def refuse(name, *args):
        if name == module:
            raise ImportError(name)
        return real(name, *args)

    monkeypatch.setattr("importlib.import_module", refuse)
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *a: None if name == module else spec(name, *a),
    )
    media._detector.cache_clear()
    with pytest.raises(ImportError, match=rf"pip install 'sk-mer\[{extra}\]'"):
        frames.transform([path])
    if module == "av":
        with pytest.raises(
            ValueError, match=r"and for video run: pip install 'sk-mer\[video\]'"
        ):
            mono_samples(path, 16000)


def test_a_later_opencv(monkeypatch):
    import cv2

    monkeypatch.delattr(cv2, "CascadeClassifier")
    media._detector.cache_clear()
    with pytest.raises(ImportError, match="cascades of opencv-python-headless 4"):
        media.face_in(clips.picture(True))


def test_nothing_to_hear_or_see(tmp_path):
    path = clips.write(tmp_path / "a.avi", sound=False, seconds=0.2)
    with pytest.raises(NothingThere):
        mono_samples(path, 16000)


# Words

SRT = "1\r\n00:00:00,100 --> 00:00:01,200\r\n<i>So</i> happy\r\ntoday!\r\n\r\n2\r\n00:00:01,500 --> 00:00:02,600 align:left\r\nThis &amp; that.\r\n"
VTT = "WEBVTT\n\n00:00.100 --> 00:01.200\n<v Ann>So happy\ntoday!\n\nNOTE nothing\n\n01:00:01.500 --> 01:00:02.600\nThis\n"
TEXTGRID = '''File type = "ooTextFile"
Object class = "TextGrid"
item []:
    item [1]:
        class = "IntervalTier"
        name = "words"
        xmin = 0
        xmax = 2.6
        intervals: size = 3
        intervals [1]:
            xmin = 0
            xmax = 1.5
            text = ""
        intervals [2]:
            xmin = 1.5
            xmax = 1.8
            text = "say ""this"""
        intervals [3]:
            xmin = 1.8
            xmax = 2.1
            text = "is"
    item [2]:
        class = "IntervalTier"
        name = "phones"
        intervals [1]:
            xmin = 0
            xmax = 2.6
            text = "spn"
'''
WHISPERX = {"segments": [
    {"start": 0.1, "end": 0.8, "text": "So happy", "words": [
        {"word": " So", "start": 0.1, "end": 0.4}, {"word": "happy", "start": 0.4, "end": 0.8}]},
    {"start": 1.0, "end": 2.0, "text": "it is", "words": [
        {"word": "it"}, {"word": "is", "start": 1.2, "end": 2.0}]},
]}  # fmt: skip


def words(table):
    return list(zip(table["word"], table["start"].round(3), table["end"].round(3)))


def test_subtitles(tmp_path):
    (tmp_path / "a.srt").write_text(SRT, encoding="utf-8", newline="")
    table = read_transcript(tmp_path / "a.srt")
    assert table["segment"].tolist() == [0, 0, 0, 1, 1, 1]
    assert words(table)[:3] == [
        ("So", 0.1, 0.269),
        ("happy", 0.269, 0.692),
        ("today!", 0.692, 1.2),
    ]
    assert table["word"].tolist()[3:] == ["This", "&", "that."]
    (tmp_path / "a.vtt").write_text(VTT, encoding="utf-8")
    table = read_transcript(str(tmp_path / "a.vtt"))
    assert words(table)[:3] == words(read_transcript(tmp_path / "a.srt"))[:3]
    assert words(table)[3:] == [("This", 3601.5, 3602.6)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_textgrid(tmp_path, encoding):
    (tmp_path / "a.TextGrid").write_text(TEXTGRID, encoding=encoding)
    table = read_transcript(tmp_path / "a.TextGrid")
    assert words(table) == [('say "this"', 1.5, 1.8), ("is", 1.8, 2.1)]
    assert read_transcript(tmp_path / "a.TextGrid", tier="phones")["word"].tolist() == [
        "spn"
    ]
    with pytest.raises(ValueError, match="no tier 'word'; it has 'words', 'phones'"):
        read_transcript(tmp_path / "a.TextGrid", tier="word")


def test_whisper(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(WHISPERX))
    with pytest.warns(UserWarning, match="1 of 4 words of a.json have no time"):
        table = read_transcript(path)
    assert words(table) == [("So", 0.1, 0.4), ("happy", 0.4, 0.8), ("is", 1.2, 2.0)]
    assert table["segment"].tolist() == [0, 0, 1]
    plain = [{k: s[k] for k in ("start", "end", "text")} for s in WHISPERX["segments"]]
    path.write_text(json.dumps({"segments": plain}))
    assert words(read_transcript(path))[2:] == [("it", 1.0, 1.5), ("is", 1.5, 2.0)]
    path.write_text('{"segments": []}')
    assert len(read_transcript(path)) == 0
    pd.testing.assert_index_equal(read_transcript(path).columns, table.columns)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [("a.json", "nothing", "no transcript of the kind that its name says"),
     ("a.json", "[]", "no transcript of the kind"), ("a.json", '{"segments": 3}', "no transcript"),
     ("a.doc", "", "a.doc is no transcript that can be read; expected .srt, .vtt")],
)  # fmt: skip
def test_what_is_no_transcript(tmp_path, name, text, says):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=says):
        read_transcript(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="There is no transcript at"):
        read_transcript(tmp_path / "gone.srt")
