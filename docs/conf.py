"""Sphinx configuration."""

import os
import sys
from pathlib import Path

from sk_mer import __version__

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import links  # noqa: E402
import markdown_pages  # noqa: E402
import pictures  # noqa: E402
import speed_table  # noqa: E402
import system_diagrams  # noqa: E402
import systems_table  # noqa: E402

# One thread keeps the gallery's models the same from build to build.
os.environ.setdefault("OMP_NUM_THREADS", "1")

project = "sk_mer"
author = "The sk_mer developers"
copyright = "2026, The sk_mer developers"
release = version = __version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.viewcode",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
html_theme = "pydata_sphinx_theme"
html_title = f"sk_mer {release}"
html_static_path = ["_static"]
html_css_files = ["layout.css"]
html_js_files = ["copy.js", "filter.js"]
html_show_sourcelink = False
html_theme_options = {
    "show_prev_next": True,
    "navigation_with_keys": False,
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version", "theme-version"],
}
intersphinx_mapping = links.mapping(HERE / "generated")
intersphinx_timeout = 5

autosummary_generate = True
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
default_role = "code"

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"/demo/|real_data|clips_to_emotions",
    "abort_on_example_error": True,
    "plot_gallery": True,
    "show_memory": False,
    "download_all_examples": False,
    "reference_url": {"sk_mer": None},
}
# What cannot be pickled between builds is no concern here.
suppress_warnings = ["config.cache"]


def write_pages(app):
    """What is made from the package and from files beside it."""
    pictures.draw(HERE / "generated" / "pictures")
    system_diagrams.draw(HERE / "generated" / "pictures")
    systems_table.write(HERE / "generated")
    speed_table.write(HERE / "results" / "engine.csv", HERE / "generated" / "speed.csv")
    speed_table.write(
        HERE / "results" / "engines.csv", HERE / "generated" / "speed_of_systems.csv", True
    )
    for name in ("changelog", "contributing"):
        source = HERE.parent / f"{name.upper()}.md"
        markdown_pages.write(source, HERE / "generated" / f"{name}.inc")


def setup(app):
    """Called by Sphinx."""
    app.connect("builder-inited", write_pages)
