"""Words that stand for emotions whose own word the vector file lacks."""

from __future__ import annotations

from pathlib import Path

from sk_mer.labels.space import look_up

SYNONYMS = {
    "admiration": ["respect", "praise"],
    "anger": ["angry", "mad"],
    "approval": ["agree", "support"],
    "calm": ["peaceful", "relaxed"],
    "caring": ["care", "comfort"],
    "curiosity": ["curious", "wonder"],
    "desire": ["want", "wish"],
    "disgust": ["awful", "sick"],
    "gratitude": ["thankful", "grateful"],
    "grief": ["death", "loss"],
    "nervousness": ["nervous", "worried"],
    "neutral": ["normal", "plain"],
    "optimism": ["hopeful", "hope"],
    "pride": ["achievement", "respect"],
    "realization": ["realized", "understand"],
    "relief": ["relieved", "comfort"],
    "remorse": ["sorry", "regret"],
}


def words_for(labels: list[str], vectors: Path) -> dict[str, object]:
    """Each label with the words that stand for it; prints those that differ."""
    present = look_up(vectors, labels)
    words = {label: label if label in present else SYNONYMS[label] for label in labels}
    print(f"Word vectors: {vectors.name}; labels whose word is absent are spelled as")
    for label, stands_for in words.items():
        if stands_for != label:
            print(f"  {label} -> average of {' and '.join(stands_for)}")
    return words
