"""Words that stand for emotions whose own word the vector file lacks."""

from __future__ import annotations

from pathlib import Path

from sk_mer.labels import suggest_words


def words_for(labels: list[str], vectors: Path) -> dict[str, object]:
    """Each label with the words that stand for it; prints those that differ."""
    words = suggest_words(labels, vectors)
    print(f"Word vectors: {vectors.name}; labels whose word is absent are spelled as")
    for label, stands_for in words.items():
        if isinstance(stands_for, list):
            print(f"  {label} -> average of {' and '.join(stands_for)}")
        elif stands_for != label:
            print(f"  {label} -> {stands_for}")
    return words
