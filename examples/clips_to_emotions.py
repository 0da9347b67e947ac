"""From a folder of clips to a table of emotions, by pretrained encoders.

``python examples/clips_to_emotions.py FOLDER`` reads ``FOLDER/clips.csv``: a column
``file`` of videos, a column of 0 and 1 for each emotion, empty where it is not known, and
``speaker`` if you have it. It writes ``FOLDER/emotions.csv``. Further arguments name other
encoders, of speech and of frames.
"""

import sys
from pathlib import Path

import pandas as pd
from sklearn.pipeline import make_pipeline

from sk_mer import PooledLinearClassifier
from sk_mer.feature_extraction import ModalityColumns, PretrainedFrames, PretrainedSpeech

folder = Path(sys.argv[1])
models = [*sys.argv[2:], "openai/whisper-base", "openai/clip-vit-base-patch32"][:2]
table = pd.read_csv(folder / "clips.csv")
files = pd.DataFrame({"clip": [str(folder / name) for name in table["file"]]})
y = table.drop(columns=["file", "speaker"], errors="ignore")

kept = {"memory": folder / "features", "on_error": "skip"}
columns = ModalityColumns(
    [
        ("audio", PretrainedSpeech(models[0], **kept), "clip"),
        ("vision", PretrainedFrames(models[1], **kept), "clip"),
    ]
)
model = make_pipeline(columns, PooledLinearClassifier()).fit(files, y)
answers = pd.DataFrame(model.predict_proba(files), columns=y.columns, index=table["file"])
answers.to_csv(folder / "emotions.csv")
print(answers.round(2))
