"""How the columns of a file or a dataset become prompts.

`find_form` looks which columns there are, `Form.prompt` makes a prompt of each row. Rows that
cannot be asked are refused with their place; nothing is left out without a word.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from saeflow.datasets.lines import is_whole
from saeflow.errors import DataError
from saeflow.prompts.prompt import CHOICE, CLOZE, LAST_WORD, Prompt

BLANK = "XXXXX"
"""What stands for the missing word in a cloze question, as in the Children's Book Test."""

AUTO = "auto"
KEYS = ("text", "passage", "answer", "candidates", "distractor")
"""What columns may be named for."""

_ANSWER = ("answer", "target")
_COLUMNS: dict[str, dict[str, tuple[str, ...]]] = {
    CLOZE: {
        "text": ("question",),
        "passage": ("sentences",),
        "answer": _ANSWER,
        "candidates": ("options", "candidates"),
    },
    CHOICE: {
        "text": ("text",),
        "answer": _ANSWER,
        "candidates": ("candidates", "options"),
        "distractor": ("distractor",),
    },
    LAST_WORD: {"text": ("text",), "answer": _ANSWER},
}
"""By form, in the order in which they are tried: the names that columns have by default."""

_OPTIONAL = {(CHOICE, "distractor"), (LAST_WORD, "answer")}
_BETWEEN = "|"


class Form(NamedTuple):
    """How rows are read.

    Attributes
    ----------
    kind : str
        `LAST_WORD`, `CLOZE` or `CHOICE`.
    columns : dict
        Key of the configuration ("text", "answer") -> name of the column.
    """

    kind: str
    columns: dict[str, str]

    def prompt(self, row: Mapping[str, Any], where: str) -> tuple[Prompt, int]:
        """Return the prompt of a row, and how many candidates it had twice.

        Raises
        ------
        DataError
            If something is missing, empty or no text; if there is no word or blank to ask for; if
            the answer is not among the candidates.
        """
        return {LAST_WORD: self._last_word, CLOZE: self._cloze, CHOICE: self._choice}[self.kind](
            row, where
        )

    def _last_word(self, row: Mapping[str, Any], where: str) -> tuple[Prompt, int]:
        text = self._text(row, "text", where)
        if "answer" in self.columns:
            return Prompt(text.rstrip(" "), self._text(row, "answer", where).strip()), 0
        before, space, answer = text.rstrip().rpartition(" ")
        if not space or not before.strip():
            raise DataError(
                "the text is a single word, so that nothing is left to tell the last one from",
                where=where,
                expected="words with spaces between them",
                got=text[:40],
                remedy="Remove this row, or give the answers in a column of their own.",
            )
        return Prompt(before.rstrip(" "), answer), 0

    def _cloze(self, row: Mapping[str, Any], where: str) -> tuple[Prompt, int]:
        question = self._text(row, "text", where)
        before, blank, after = question.partition(BLANK)
        if not blank:
            raise DataError(
                f"the question has no {BLANK}",
                where=where,
                got=question[:80],
                remedy=f"Put {BLANK} in the place of the answer, or remove this row.",
            )
        passage = row.get(self.columns["passage"])
        sentences = passage if isinstance(passage, list) else [passage]
        for sentence in sentences:
            self._checked(sentence, "passage", where)
        text = "".join(f"{sentence} " for sentence in sentences) + before
        answer, candidates, n_repeated = self._answers(row, where)
        return Prompt(text.rstrip(" "), answer, candidates, after), n_repeated

    def _choice(self, row: Mapping[str, Any], where: str) -> tuple[Prompt, int]:
        text = self._text(row, "text", where).rstrip(" ")
        answer, candidates, n_repeated = self._answers(row, where)
        distractor = None
        if "distractor" in self.columns and row.get(self.columns["distractor"]) not in (None, ""):
            distractor = self._text(row, "distractor", where).strip()
            others = [word for word in candidates if word != answer]
            self._require_among(distractor, "distractor", others, where)
        return Prompt(text, answer, candidates, distractor=distractor), n_repeated

    def _answers(self, row: Mapping[str, Any], where: str) -> tuple[str, list[str], int]:
        """Return the answer, the candidates without repetitions, and how many these were."""
        answer = self._text(row, "answer", where).strip()
        given = row.get(self.columns["candidates"])
        words = given.split(_BETWEEN) if isinstance(given, str) else given
        if not isinstance(words, list | tuple):
            raise self._no_text(given, "candidates", where, f"a list, or words with {_BETWEEN}")
        words = [self._checked(word, "candidates", where).strip() for word in words]
        distinct = list(dict.fromkeys(words))
        self._require_among(answer, "answer", distinct, where)
        if len(distinct) < 2:
            raise DataError(
                "the answer is the only candidate",
                where=where,
                expected="at least two",
                got=answer,
                remedy="Add others, or remove this row.",
            )
        return answer, distinct, len(words) - len(distinct)

    def _require_among(self, word: str, key: str, candidates: list[str], where: str) -> None:
        if word not in candidates:
            raise DataError(
                f"the {key} is not among the candidates"
                + (" that are wrong" if key == "distractor" else ""),
                where=where,
                expected=" | ".join(candidates),
                got=word,
                remedy="Correct or remove this row.",
            )

    def _text(self, row: Mapping[str, Any], key: str, where: str) -> str:
        return self._checked(row.get(self.columns[key]), key, where)

    def _checked(self, value: Any, key: str, where: str) -> str:
        """Return a value that is text, with more in it than white space."""
        if not isinstance(value, str) or not is_whole(value):
            raise self._no_text(value, key, where, "text")
        if not value.strip():
            raise DataError(
                f"the column '{self.columns[key]}' is empty",
                where=where,
                expected=f"the {key} of a prompt",
                remedy="Fill or remove this row.",
            )
        return value

    def _no_text(self, value: Any, key: str, where: str, expected: str) -> DataError:
        kind = "null" if value is None else type(value).__name__
        return DataError(
            f"the column '{self.columns[key]}' holds no text",
            where=where,
            expected=expected,
            got="what is not UTF-8" if kind == "str" else kind,
            remedy=f"Correct or remove this row, or name another column with `{key}:`.",
        )


def find_form(settings: Mapping[str, Any], names: Collection[str], where: object) -> Form:
    """Return how rows with columns of these names become prompts.

    Parameters
    ----------
    settings
        ``form``; and the names of columns that were given, by the `KEYS` that they are for.

    Raises
    ------
    DataError
        If columns are missing, or one is named that the form has no use for.
    """
    given = {key: settings[key] for key in KEYS if settings.get(key) is not None}
    for key, name in given.items():
        if name not in names:
            raise _no_column(key, name, names, where)
    forms = list(_COLUMNS) if settings["form"] == AUTO else [settings["form"]]
    for form in forms:
        columns, missing = _matched(form, given, names)
        if not missing and columns.keys() >= given.keys():
            return Form(form, columns)
    if missing:  # of the last form, which needs the least
        key = missing[0]
        raise _no_column(key, " or ".join(_COLUMNS[form][key]), names, where)
    raise DataError(
        f"prompts of the form {form} have no use for a column that is named",
        where=where,
        expected=", ".join(_COLUMNS[form]),
        got=", ".join(key for key in given if key not in columns),
        remedy="Remove its key from the entry, or name another `form`.",
    )


def _no_column(key: str, name: str, names: Collection[str], where: object) -> DataError:
    return DataError(
        f"there is no column for the {key} of prompts",
        where=where,
        expected=f"`{key}:` to be one of {', '.join(map(str, names)) or 'none'}",
        got=name,
        remedy="Name it in the entry of the prompt set.",
    )


def _matched(
    form: str, given: Mapping[str, str], names: Collection[str]
) -> tuple[dict[str, str], list[str]]:
    """Return the column for each key of a form, and the keys for which there is none."""
    found, missing = {}, []
    for key, defaults in _COLUMNS[form].items():
        wanted = (given[key],) if key in given else defaults
        there = [name for name in wanted if name in names]
        if there:
            found[key] = there[0]
        elif key in given or (form, key) not in _OPTIONAL:
            missing.append(key)
    return found, missing
