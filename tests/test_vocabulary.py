"""Code, flags and texts use the words of the field, not those of this project."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[1]
FOLDERS = "osmn_recurrent checkpoints_tools experiments examples docs notebooks tests"
SUFFIXES = {".py", ".md", ".flags", ".ipynb", ".js", ".css", ".toml", ".yml", ".json"}

WORDS = {
    r"laborator\w*|(?<![a-z])labs?(?![a-z])": "small-scale study, study",
    r"yard_?sticks?": "baselines",
    r"\blooks\b(?!\s+(like|alike|for|up|into|at)\b)": "visual guides",
    r"\w_looks?\b(?! (like|alike))|\blooks?_\w+": "visual guide",
    r"\bstills\b|_a_still_|\bstill_\w+|\w+_stills?\b|\bstill = ": "images",
    r"own_guides?\b": "scheduled sampling",
    r"\bstart_from|\binit_only": "transfer_weights, SOURCE:PATTERN",
    r"\bWatchers?\b": "callback",
    r"\bBehind\(|\bahead\(|import (ahead|Behind)\b": "async writer, prefetch",
    r"def test_(ahead|behind)_": "async writer, prefetch",
    r"\buseless\b": "reason_not_trainable",
    r"(?<!ground )(?<!ground_)(?<!ground-)(?<![a-z])truth(?![a-z])": "ground truth",
    r"\bmeasures (import|=)|\.measures\b|/measures\b|(?-i:\bMEASURES\b)": "metrics",
    r"\.figures\(\)|def figures\(self": "summary",
    r"\bgo(es)? on (where|from|after it)|\bgoes on[.,;]|_goes_on_": "resumes",
    r"(?<![a-z])brok(e|en)[ -_]off(?![a-z])|\bbreaks off\b": "interrupted",
    r"\bmend(s|ed|ing)?\b": "fix",
    r"\b(is|are) no (finite )?numbers?\b": "non-finite, not a number",
    r"\bcut(ting \w+ \w+)? at 0\b": "thresholded",
    # A piece is one of a validation clip's, and nothing else.
    r"\b(in|into|by) pieces (?!of|at\b|fell)|\bpieces = ": "parts, slices",
    r"\blet_pass\b|\.kept\b|\bkept=": "allowed_missing, unchanged",
}
"""Words that were given up, as regular expressions, and what is said instead."""

ALLOWED = {
    # Renamings are told by their old names.
    "CHANGELOG.md": (
        "own_guides",
        "start_from",
        "init_only",
        "Watcher",
        "stills",
        "lab",
        "look_at",
        ".measures",
    ),
    "tests/test_vocabulary.py": None,
}
"""What may stand where; None: everything."""


def texts():
    files = [p for name in FOLDERS.split() for p in (ROOT / name).rglob("*")]
    files += [p for p in ROOT.iterdir() if p.name != "LICENSE"]
    for path in sorted(files):
        place = path.relative_to(ROOT).as_posix()
        named = path.suffix in SUFFIXES or path.name in ("Makefile", "Dockerfile")
        recorded = "results" in place and path.suffix == ".json"
        released = place.startswith("tests/golden/released")
        if path.is_file() and named and not recorded and not released:
            yield place, path.read_text(encoding="utf-8")


TEXTS = dict(texts())


@pytest.mark.parametrize("pattern", WORDS)
def test_no_file_is_called_by_a_word(pattern):
    # Only names: their folders are named by the same rule.
    found = [p for p in TEXTS if re.search(pattern, pathlib.Path(p).stem, re.I)]
    assert not found, f"say {WORDS[pattern]} instead: {found}"


@pytest.mark.parametrize("pattern", WORDS)
def test_a_word_is_not_used(pattern):
    found = []
    for place, text in TEXTS.items():
        allowed = ALLOWED.get(place, ())
        if allowed is None:
            continue
        for match in re.finditer(pattern, text, re.IGNORECASE):
            if match[0] not in allowed:
                line = text.count("\n", 0, match.start()) + 1
                found.append(f"{place}:{line}: {match[0]!r}")
    assert not found, f"say {WORDS[pattern]} instead: {found[:20]}"


def test_everything_is_searched():
    assert len(TEXTS) > 300
    for place in ("README.md", "osmn_recurrent/cli/train.py", "docs/study.md"):
        assert place in TEXTS


@pytest.mark.parametrize(
    "line",
    [
        "from osmn_recurrent.measures import x",
        "if truth.any():",
        "a run that broke off",
        "the loss is no number",
        "the experiments' laboratory",
        "--start_from=x",
        "report.kept",
        "--split=val_lab",
        "segmenter.look_at(1, frame, mask)",
        "convolutions are made in pieces whose kernels",
    ],
)
def test_the_search_finds_what_it_should(line):
    assert any(re.search(pattern, line, re.IGNORECASE) for pattern in WORDS)
