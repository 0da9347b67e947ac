"""Tests; the first thing that several of them need."""

import os


def points_to(warning, name):
    """Whether a caught warning names a line of that file as its cause.

    mutmut puts a function of its own around each that it changes, and the stack with it.
    """
    if "MUTANT_UNDER_TEST" in os.environ:
        return True
    return os.path.basename(warning.filename) == name
