"""Folders of tiny pretrained models, made once."""

from __future__ import annotations

import pytest

from . import tiny_encoders


@pytest.fixture(scope="session")
def encoder_folder(tmp_path_factory):
    """A function from the name of an architecture to the folder of a checkpoint."""
    root, made = tmp_path_factory.mktemp("encoders"), {}

    def folder(name):
        if name not in made:
            made[name] = tiny_encoders.save(name, root / name)
        return made[name]

    return folder
