"""A prompt and its answer, and prompt sets as jobs write and read them.

Read `Prompt`; `read_prompts` gives those of a record.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from saeflow.errors import DamagedError
from saeflow.files import read_json
from saeflow.inventory import DISCARD
from saeflow.work import bulk_of

FILE = "prompts.parquet"
LAST_WORD, CLOZE, CHOICE = "last_word", "cloze", "choice"
"""Kinds: any word may follow; a blank in a sentence, with candidates; candidates alone."""


class Prompt(NamedTuple):
    """A question to a language model.

    Attributes
    ----------
    text : str
        What the model reads. It ends right before the answer: the space between them is part of
        what the model has to predict.
    answer : str
        Without that space.
    candidates : list of str or None
        Among which the answer is, each once.
    after : str
        What follows the answer in its sentence, from its first space on; "" for nothing.
    distractor : str or None
        The candidate that a model takes which did not understand: in a question for the indirect
        object, the subject.
    group : str or None
        What part of the set it belongs to, such as ABBA.
    """

    text: str
    answer: str
    candidates: list[str] | None = None
    after: str = ""
    distractor: str | None = None
    group: str | None = None

    @property
    def space(self) -> str:
        """What stands between text and answer."""
        return "" if not self.text or self.text[-1].isspace() else " "


class PromptSet(NamedTuple):
    """Prompts of one kind.

    Attributes
    ----------
    kind : str
        `LAST_WORD`, `CLOZE` or `CHOICE`.
    window : int
        So many of the last tokens of a prompt count where it is asked which latents are active.
    prompts : list of Prompt
    """

    kind: str
    window: int
    prompts: list[Prompt]


def write_prompts(directory: Path, prompts: Sequence[Prompt]) -> None:
    """Write ``prompts.parquet``: the attributes of each prompt, and ``prompt``, its number."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = dict.fromkeys(Prompt._fields, pa.string()) | {"candidates": pa.list_(pa.string())}
    columns = {"prompt": pa.array(range(len(prompts)), pa.int64())}
    for name, kind in kinds.items():
        columns[name] = pa.array([getattr(prompt, name) for prompt in prompts], kind)
    pq.write_table(pa.table(columns), Path(directory) / FILE)


def read_prompts(record: Path) -> PromptSet:
    """Return the prompts of a ``prompts.json``.

    Raises
    ------
    DamagedError
        If its data are missing, or are not as many as it says.
    """
    import pyarrow.parquet as pq

    facts, file = read_json(record), bulk_of(record) / FILE
    columns = pq.read_table(file, columns=list(Prompt._fields)).to_pydict()
    prompts = [Prompt(*values) for values in zip(*columns.values(), strict=True)]
    if len(prompts) != facts["n_prompts"]:
        raise DamagedError(
            "the prompt set is not complete",
            where=file,
            expected=f"{facts['n_prompts']} prompts",
            got=len(prompts),
            remedy=DISCARD,
        )
    return PromptSet(facts["kind"], facts["window"], prompts)
