"""Sound and frames out of video files, and faces out of frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._optional import import_optional
from ._files import NothingThere

__all__ = ["face_in", "sound_blocks", "video_frames"]

Image = NDArray[np.uint8]
# Longest side of the image that faces are looked for in, and of a face that is kept.
_SEARCHED, _KEPT = 640, 256
# A face fills this share of the shorter side at least; what is added around it.
_SMALLEST, _MARGIN = 0.12, 0.2


def _opened(path: Path) -> Any:
    av = import_optional("av", "Reading video", "video")
    try:
        return av.open(str(path))
    except av.FFmpegError as error:
        raise ValueError(f"it is no sound or video file ({error.strerror})") from error


def sound_blocks(path: Path) -> tuple[Iterator[NDArray[np.float32]], int]:
    """The sound of a video, block by block, and its rate.

    Parameters
    ----------
    path : Path
        Of any form that ffmpeg reads.

    Returns
    -------
    blocks : iterator of ndarray of shape (n_samples,)
        The mean of the channels.
    rate : int
        Samples a second.

    Raises
    ------
    NothingThere
        If it has no sound.
    ValueError
        If it cannot be read.
    """
    container = _opened(path)
    if not container.streams.audio:
        container.close()
        raise NothingThere
    stream = container.streams.audio[0]
    return _blocks(container, stream), int(stream.rate)


def _blocks(container: Any, stream: Any) -> Iterator[NDArray[np.float32]]:
    av = import_optional("av", "Reading video", "video")
    # Channels in turn: PyAV ends the process on a plane for each of eight.
    packed = av.AudioResampler(format="flt", layout=stream.layout, rate=stream.rate)
    n_channels = stream.layout.nb_channels
    with container:
        try:
            for frame in chain(container.decode(stream), [None]):
                for part in packed.resample(frame):
                    yield part.to_ndarray().reshape(-1, n_channels).mean(axis=1)
        except av.FFmpegError as error:
            raise ValueError(f"its sound is damaged ({error.strerror})") from error


def video_frames(path: Path, rate: float | None) -> Iterator[tuple[float, Image]]:
    """Frames of a video, so many a second, each with its time.

    Parameters
    ----------
    path : Path
        Of any form that ffmpeg reads.
    rate : float or None
        Frames a second; all of them where the video has fewer, and for None.

    Yields
    ------
    time : float
        In seconds from the beginning.
    image : ndarray of shape (height, width, 3)
        Red, green and blue, as it is meant to be seen.

    Raises
    ------
    NothingThere
        If there are no pictures in it.
    ValueError
        If it cannot be read.
    """
    av = import_optional("av", "Reading video", "video")
    with _opened(path) as container:
        if not container.streams.video:
            raise NothingThere
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        begin, wanted = None, 0
        try:
            for frame in container.decode(stream):
                time = 0.0 if frame.time is None else float(frame.time)
                begin = time if begin is None else begin
                if rate is not None:
                    if time - begin < wanted / rate - 1e-6:
                        continue
                    wanted = int((time - begin) * rate + 1e-6) + 1
                yield time - begin, _upright(frame)
        except av.FFmpegError as error:
            raise ValueError(f"its pictures are damaged ({error.strerror})") from error


def _upright(frame: Any) -> Image:
    """A picture turned as phones say that it was held."""
    image = frame.to_ndarray(format="rgb24")
    quarters = round(getattr(frame, "rotation", 0) / 90)
    return np.ascontiguousarray(np.rot90(image, quarters))


@lru_cache(maxsize=1)
def _detector() -> Any:
    cv2 = import_optional("cv2", "faces=True", "video")
    if not hasattr(cv2, "CascadeClassifier"):
        raise ImportError(
            "faces=True needs the cascades of opencv-python-headless 4, which 5 left out, "
            f"and {cv2.__version__} is installed; run: pip install 'sk-mer[video]'."
        )
    name = "haarcascade_frontalface_default.xml"
    return cv2.CascadeClassifier(str(Path(cv2.data.haarcascades) / name))


def face_in(image: Image) -> Image | None:
    """The largest face of an image, with some room around it; None where there is none.

    Parameters
    ----------
    image : ndarray of shape (height, width, 3)
        Red, green and blue.

    Returns
    -------
    ndarray of shape (size, size, 3) or None
    """
    cv2, detector = import_optional("cv2", "faces=True", "video"), _detector()
    scale = min(1.0, _SEARCHED / max(image.shape[:2]))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    grey = cv2.equalizeHist(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY))
    least = max(24, int(_SMALLEST * min(grey.shape)))
    faces = detector.detectMultiScale(grey, 1.1, 6, minSize=(least, least))
    if not len(faces):
        return None
    x, y, width, height = max(faces, key=lambda box: int(box[2]) * int(box[3])) / scale
    half = (1 + _MARGIN) * max(width, height) / 2
    rows = _inside(y + height / 2, half, image.shape[0])
    columns = _inside(x + width / 2, half, image.shape[1])
    return fitted(image[rows, columns])


def _inside(middle: float, half: float, size: int) -> slice:
    return slice(max(0, round(middle - half)), min(size, round(middle + half)))


def fitted(image: Image) -> Image:
    """An image no larger than encoders need, so that long clips fit into memory."""
    scale = _KEPT / max(image.shape[:2])
    if scale >= 1:
        return image
    pillow = import_optional("PIL.Image", "Reading images", "pretrained")
    size = [max(1, round(side * scale)) for side in (image.shape[1], image.shape[0])]
    return np.asarray(pillow.fromarray(image).resize(size, pillow.Resampling.BICUBIC))


def faces_of(timed: Iterable[tuple[float, Image]]) -> Iterator[tuple[float, Image]]:
    """The face of each frame that has one, with the time of the frame.

    Parameters
    ----------
    timed : iterable of (float, ndarray)
        Frames.

    Yields
    ------
    (float, ndarray)
    """
    for time, image in timed:
        face = face_in(image)
        if face is not None:
            yield time, face
