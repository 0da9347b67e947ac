"""Every system on generated and real utterances, beside what costs next to nothing.

Each system has the settings that it has when nothing is given, behind a scaler, and
validation groups (speakers, videos) of the training rows. Nothing is chosen on test rows.
All are judged by weighted accuracy, so that all have balanced losses, thresholds of 0.5.

    python benchmarks/systems.py                    # the generator
    python benchmarks/systems.py --data FOLDER      # real sets; or SK_MER_DATA
    python benchmarks/systems.py --studies goemotions --only MTE LFLSTM
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from judging import LINEAR, parser, results, table
from sklearn.pipeline import make_pipeline
from studies import STUDIES, Study, generated

import sk_mer
from sk_mer import PooledLinearClassifier, models
from sk_mer.preprocessing import MultimodalScaler

# Of comments there is text alone, which some systems cannot read: name those with --only.
FOR_ALL = ("ravdess", "mosi")


def estimators(study: Study) -> dict[str, Any]:
    """All that can read this study, by name; nothing of it is fitted."""
    used = list(study.modalities)
    found: dict[str, Any] = {LINEAR: PooledLinearClassifier(modalities=used)}
    for name in models.__all__:
        kind = getattr(models, name)
        if not name.endswith("Classifier"):
            continue
        settings: dict[str, Any] = {"modalities": _those(kind, study)}
        settings |= {"pos_weight": "balanced", "threshold": 0.5}
        if kind._uses_label_vectors:
            settings["label_vectors"] = study.vectors
        if "source" in kind().get_params():
            settings["source"] = study.modalities[0]
        found[name.removesuffix("Classifier")] = make_pipeline(
            MultimodalScaler(), kind(**settings)
        )
    vote = sk_mer.recommended(study.X.select(*used), study.y)
    names = [name for name in vote.get_params() if name.endswith("__modalities")]
    found["recommended"] = vote.set_params(**dict.fromkeys(names, used))
    return found


def _those(kind: Any, study: Study) -> list[str]:
    """The modalities that say something, and those that the system cannot do without."""
    used = list(study.modalities)
    needed = kind()._required(used, fitting=True)
    return used + [name for name in needed if name not in used]


def main() -> None:
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--studies", nargs="+", choices=["generated", *STUDIES])
    options.add_argument("--only", nargs="+", help="names of systems, such as MTE")
    arguments = options.parse_args()
    names = FOR_ALL if arguments.data else ["generated"]
    for name in arguments.studies or names:
        read = STUDIES.get(name, generated)
        study = read(arguments.data and Path(arguments.data))
        chosen = estimators(study)
        if arguments.only:
            chosen = {key: chosen[key] for key in (*arguments.only, LINEAR)}
        found = results(study, chosen, arguments.seeds, arguments.jobs, arguments.cache)
        shown = table(found, study)
        print(f"\n{name}, {arguments.seeds} seeds\n{shown.to_string()}")
        if arguments.output:
            arguments.output.mkdir(parents=True, exist_ok=True)
            shown.to_csv(arguments.output / f"systems_{name}.csv")


if __name__ == "__main__":
    main()
