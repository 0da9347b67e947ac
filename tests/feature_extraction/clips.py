"""Clips of video made by the tests."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import matplotlib
import numpy as np
from PIL import Image

CODECS = {
    ".mp4": ("mpeg4", "aac"),
    ".avi": ("mpeg4", "pcm_s16le"),
    ".webm": ("vp8", "libopus"),
}


def photograph():
    """A portrait that matplotlib brings along, at 153 x 180."""
    path = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB").resize((153, 180)))


def picture(face):
    """A grey scene, with a face in it or without."""
    scene = np.full((240, 320, 3), 110, dtype=np.uint8)
    if face:
        scene[30:210, 80:233] = photograph()
    return scene


def write(path, *, seconds=1.0, faces=True, sound=True, fps=25, rate=48000, channels=2):
    """A clip; `faces` says of each frame, or of all, whether a face is in it."""
    n_frames, seen = int(seconds * fps), faces
    if isinstance(faces, (bool, type(None))):
        seen = [faces] * n_frames
    pictures = {shown: picture(shown) for shown in {*seen} - {None}}
    names = CODECS[path.suffix]
    with av.open(str(path), "w") as clip:
        film = tape = None
        if faces is not None:
            film = clip.add_stream(names[0], rate=fps)
            film.width, film.height, film.pix_fmt = 320, 240, "yuv420p"
            film.bit_rate = 2_000_000
        if sound:
            layout = {1: "mono", 2: "stereo", 8: "7.1"}[channels]
            tape = clip.add_stream(names[1], rate=rate, layout=layout)
        for number in range(n_frames if film else 0):
            frame = av.VideoFrame.from_ndarray(pictures[seen[number]], format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            clip.mux(film.encode(frame))
        if film:
            clip.mux(film.encode(None))
        if tape:
            clip.mux(tape.encode(_sound(seconds, rate, channels, layout, sound)))
            clip.mux(tape.encode(None))
    return path


def _sound(seconds, rate, channels, layout, sound):
    time = np.arange(int(rate * seconds)) / rate
    wave = np.sin(2 * np.pi * 220 * time) * 0.3 * (sound != "silent")
    samples = np.repeat((wave * 32767).astype(np.int16)[:, None], channels, axis=1)
    frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout=layout)
    frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
    return frame
