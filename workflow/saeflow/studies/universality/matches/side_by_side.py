"""Features of two SAEs side by side, with the texts on which they are most active."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from saeflow.figures.drawing import Drawing
from saeflow.figures.panels import MAX_WIDTH
from saeflow.figures.places import spread
from saeflow.figures.style import INK, MUTED, SERIES, use_style
from saeflow.figures.texts import beginning, ending, in_one_line, inches, shortened
from saeflow.studies.universality.matches.shown import ALONE, BEST, KINDS, RANDOM
from saeflow.studies.universality.reading import OF_SAE, SIDES

_LINE, _TITLE, _GAP, _SPACE = 0.145, 0.24, 0.1, 0.04  # inches; a space is between two features
_SIZE, _TITLE_SIZE = 6.5, 8.0  # points
_MOST_LINES, _MOST_PAIRS = 90, 8
_WANTED = ((2, 3), (2, 2), (1, 3), (1, 2))  # features of each kind, at least, with so many contexts
_COLOURS = dict(zip(KINDS, (SERIES[2], SERIES[0], SERIES[1]), strict=True))
_WORDS = {BEST: "best match", RANDOM: "random match", ALONE: "no match, nearest is"}
_HALF = MAX_WIDTH / 2
_TOKEN = 2.55  # inches from the left end of a half: where tokens begin
_MARGIN, _AROUND = 0.1, 0.04
_HIDDEN = {"site", "block", "baseline", "architecture", "expansion", "order", "part", "step"}
_SAID = [name for name in OF_SAE if name not in _HIDDEN]


class _Sizes(NamedTuple):
    """How much of each pair is shown: features of each kind, and contexts of each feature."""

    features: int
    contexts: int

    @classmethod
    def that_fit(cls, n_pairs: int) -> _Sizes:
        """Return sizes with which the figure has no more than `_MOST_LINES`."""
        for least, contexts in _WANTED:
            features = (_MOST_LINES // n_pairs - 2) // (len(KINDS) * (1 + contexts))
            if features >= least:
                break
        return cls(features, contexts)


def side_by_side(table: pd.DataFrame) -> Drawing:
    """Draw a block per pair of SAEs: features to the left, their matches to the right."""
    texts = ["before", "token", "after"]
    table = table.assign(**table[texts].fillna("").astype(str))  # a file has no empty texts
    names = [f"{side}_{name}" for side in SIDES for name in OF_SAE]
    groups = [own for _, own in table.groupby(["comparison", *names], sort=False, dropna=False)]
    blocks = spread(groups, _MOST_PAIRS)
    sizes = _Sizes.that_fit(len(blocks))
    shown = [
        own[(own["place"] <= sizes.features) & (own["rank"] <= sizes.contexts)] for own in blocks
    ]
    with use_style():
        features = [list(_features(rows)) for rows in shown]
        height = sum(map(_height, features))
        figure = Figure(figsize=(MAX_WIDTH, height), layout="none")
        ax = figure.add_axes((0, 0, 1, 1))
        ax.set_axis_off()
        ax.set_xlim(0, MAX_WIDTH)
        ax.set_ylim(height, 0)
        top = 0.0
        for own in features:
            _block(ax, own, top)
            top += _height(own)
    n = "one feature" if sizes.features == 1 else f"{sizes.features} features"
    notes = [f"Shown are at most {n} of each kind with {sizes.contexts} texts each."]
    if len(blocks) < len(groups):
        notes.append(f"Shown are {len(blocks)} of {len(groups)} pairs; the table has all.")
    return Drawing(figure, pd.concat(shown), tuple(notes))


def _features(rows: pd.DataFrame) -> Iterator[pd.DataFrame]:
    for kind in KINDS:
        of_kind = rows[rows["kind"] == kind]
        yield from (own for _, own in of_kind.groupby("place"))


def _lines(feature: pd.DataFrame) -> int:
    return 1 + int(feature["rank"].max())


def _height(features: Sequence[pd.DataFrame]) -> float:
    return _TITLE + sum(_LINE * _lines(own) + _SPACE for own in features) + _GAP


def _block(ax: Axes, features: Sequence[pd.DataFrame], top: float) -> None:
    row = features[0].iloc[0]
    look: dict[str, Any] = {"fontsize": _TITLE_SIZE, "va": "center", "color": INK}
    middle, room = top + 0.55 * _TITLE, _HALF - 2 * _MARGIN
    differ = [name for name in _SAID if row[f"first_{name}"] != row[f"second_{name}"]]
    for at, side in enumerate(SIDES):
        names = [_named(name, row[f"{side}_{name}"]) for name in differ]
        title = ", ".join(names) or "the same"
        if side == "first":
            title = f"{row['comparison']}: {title}"
        text = shortened(in_one_line(title), _TITLE_SIZE, room if not at else room / 2)
        ax.text(at * _HALF + _MARGIN, middle, text, **look)
    shared = [str(row[f"first_{name}"]) for name in ("model", "hook", "sae") if name not in differ]
    if shared:
        text = beginning(in_one_line(", ".join(shared)), room / 2, _SIZE)
        look |= {"fontsize": _SIZE, "color": MUTED, "ha": "right"}
        ax.text(MAX_WIDTH - _MARGIN, middle, text, **look)
    y = top + _TITLE
    for feature in features:
        _feature(ax, feature, y)
        y += _LINE * _lines(feature) + _SPACE


def _named(name: str, value: object) -> str:
    return f"{name} {value}" if name == "seed" else str(value)


def _feature(ax: Axes, feature: pd.DataFrame, top: float) -> None:
    row, kind = feature.iloc[0], feature["kind"].iloc[0]
    look: dict[str, Any] = {"fontsize": _SIZE, "va": "center"}
    for at, side in enumerate(SIDES):
        own = feature[feature["side"] == side].sort_values("rank")
        left, y = at * _HALF, top + _LINE / 2
        latent = row["latent"] if side == "first" else row["match"]
        head = f"feature {latent}"
        if len(own):
            head += f", on {own['frequency'].iloc[0]:.2%} of tokens"
        ax.text(left + _MARGIN, y, head, color=_COLOURS[kind], **look)
        if side == "first":
            said = f"{_WORDS[kind]}: {_similar(row)}"
            ax.text(_HALF - _MARGIN, y, said, ha="right", color=_COLOURS[kind], **look)
        for context in own.itertuples():
            y += _LINE
            _context(ax, context, left, y, _COLOURS[kind])


def _similar(row: pd.Series) -> str:
    cosine = "" if pd.isna(row["cosine"]) else f", cos {row['cosine']:.2f}"
    return f"r {row['correlation']:.2f}{cosine}".replace("-", "−")


def _context(ax: Axes, context: Any, left: float, y: float, colour: str) -> None:
    look: dict[str, Any] = {"fontsize": _SIZE, "va": "center"}
    at, end = left + _TOKEN, left + _HALF - _MARGIN
    before = ending(in_one_line(context.before), _TOKEN - 2 * _MARGIN, _SIZE)
    ax.text(at, y, before, ha="right", color=MUTED, **look)
    at += _AROUND
    token = beginning(_seen(context.token), end - at, _SIZE)
    ax.text(at, y, token, weight="bold", color=colour, **look)
    at += inches(token, _SIZE, "bold") + (_AROUND if context.after[:1].isspace() else 0.0)
    after = in_one_line(context.after)
    if after and end - at > 0.2:
        ax.text(at, y, beginning(after, end - at, _SIZE), color=MUTED, **look)


def _seen(token: str) -> str:
    """Return a token so that one sees it, also one that is nothing but space."""
    return in_one_line(token) or ("↵" if "\n" in token else "␣")
