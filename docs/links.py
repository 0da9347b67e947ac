"""Links into the pages of other packages, also where these cannot be reached.

intersphinx reads the site's own inventory, or else the few names below, so that pages can
be built without a network. A name that is not below is then plain text.
"""

from __future__ import annotations

import zlib
from pathlib import Path

# Site, then name, role and page of what our pages refer to; $ stands for the name.
_TORCH = "generated/$.html#$"
_SKLEARN = "modules/generated/$.html#$"
_SITES = {
    "torch": (
        "https://docs.pytorch.org/docs/stable/",
        [
            ("torch.get_num_threads", "function", _TORCH),
            ("torch.nn.LSTM", "class", _TORCH),
            ("torch.nn.Module", "class", _TORCH),
            ("torch.utils.data.DataLoader", "class", "data.html#$"),
        ],
    ),
    "sklearn": (
        "https://scikit-learn.org/stable/",
        [
            ("sklearn.calibration.CalibratedClassifierCV", "class", _SKLEARN),
            ("sklearn.compose.ColumnTransformer", "class", _SKLEARN),
            ("sklearn.model_selection.GridSearchCV", "class", _SKLEARN),
            ("sklearn.model_selection.GroupKFold", "class", _SKLEARN),
            ("sklearn.model_selection.cross_validate", "function", _SKLEARN),
            ("sklearn.model_selection.train_test_split", "function", _SKLEARN),
            ("sklearn.pipeline.Pipeline", "class", _SKLEARN),
        ],
    ),
    "skorch": (
        "https://skorch.readthedocs.io/en/stable/",
        [("skorch.NeuralNet", "class", "net.html#skorch.net.NeuralNet")],
    ),
    "pandas": (
        "https://pandas.pydata.org/docs/",
        [("pandas.concat", "function", "reference/api/$.html#$")],
    ),
}


def mapping(folder: Path) -> dict[str, tuple[str, tuple[str | None, str]]]:
    """What intersphinx is told; writes an inventory of the names above for each site."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    for site, (address, names) in _SITES.items():
        path = folder / f"{site}.inv"
        path.write_bytes(_inventory(site, names))
        found[site] = (address, (None, str(path)))
    return found


def _inventory(site: str, names: list[tuple[str, str, str]]) -> bytes:
    head = f"# Sphinx inventory version 2\n# Project: {site}\n# Version: \n"
    head += "# The remainder of this file is compressed using zlib.\n"
    lines = [
        f"{name} py:{role} 1 {page.replace('$', name)} -\n" for name, role, page in names
    ]
    return head.encode() + zlib.compress("".join(lines).encode())
