"""The passes of a run: what each makes, after which others, and the files by which jobs know it.

A pass is one job of Snakemake. It makes every result of its rule and place that is wanted and not
there, and leaves a receipt. A receipt's name follows from what its pass makes, so that a receipt
that exists says that this was done, and Snakemake need not compare times: what is there already is
not in its graph at all. Plans are named alike and never change, so that planning anew, dryly or
with another configuration, changes nothing for jobs that run. Read `Schedule`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from saeflow import paths
from saeflow.cost.speeds import foreseen
from saeflow.files import canonical_json, sha256_text, write_atomic
from saeflow.plan.current import HARVEST, Current
from saeflow.plan.made import keep_code
from saeflow.plan.result import Result, source

_PLAN_CHARACTERS = 16
_NOUNS = {
    "fetch_model": "model",
    "train_lm": "model",
    "select_checkpoint": "model",
    "shuffle_model": "model",
    "train_tokenizer": "tokenizer",
    "copy_tokenizer": "tokenizer",
    "fetch_dataset": "dataset",
    "generate_dataset": "dataset",
    "sample_dataset": "dataset",
    "fetch_prompts": "prompt set",
    "fetch_labelled": "set of labelled texts",
    "tokenize_dataset": "token store",
    "harvest": "store",
    "release_activations": "store",
    "train_saes": "SAE",
    "import_saes": "SAE",
    "finetune_saes": "SAE",
    "measure": "measurement",
    "simulate": "simulation",
    "tabulate": "table",
    "plot": "figure",
    "build_report": "report",
}
"""What a rule makes, as a person who follows a run would call it."""


@dataclass(frozen=True, eq=False)
class Pass:
    """One job: the results that it makes, or a part of the work on them.

    Attributes
    ----------
    rule : str
        Name of the rule.
    place : Mapping
        The wildcards of its receipt, but for ``plan``.
    results : tuple of Result
        In a fixed order.
    before : tuple of Pass
        Those that must be done before.
    part : tuple or None
        (i, n) where several jobs share the work on the same results; i counts from 1.
    """

    rule: str
    place: Mapping[str, str]
    results: tuple[Result, ...]
    before: tuple[Pass, ...] = ()
    part: tuple[int, int] | None = None
    _again: int = field(default=0)

    @cached_property
    def plan(self) -> str:
        """The name of its plan and receipt: a hash of what it makes."""
        content = [
            [self.rule, dict(self.place), self.part, self._again],
            [[str(result.output), result.identity] for result in self.results],
            *([parts] if (parts := [one.plan for one in self.divided]) else []),
        ]
        return sha256_text(canonical_json(content))[:_PLAN_CHARACTERS]

    @property
    def divided(self) -> tuple[Pass, ...]:
        """Those among which its results were divided: what they cannot make is not tried again."""
        same = (one for one in self.before if (one.rule, one.place) == (self.rule, self.place))
        return tuple(one for one in same if one.part is None)

    @property
    def receipt(self) -> Path:
        """What the job leaves when it is done."""
        return paths.fill(paths.receipt(self.rule), **self.place, plan=self.plan)

    def described(self) -> dict[str, Any]:
        """Return the plan: everything that the job has to know."""
        roots = {root for result in self.results for root in result.roots}
        return {
            "rule": self.rule,
            "place": dict(self.place),
            "part": self.part,
            "parts": [str(one.receipt) for one in self.divided],
            "results": [describe(result) for result in self.results],
            "sources": source().files(roots),
            **foreseen(self),
        }


def describe(result: Result) -> dict[str, Any]:
    """Return what a job has to know of one result."""
    return {
        "noun": _NOUNS[result.rule],
        "record": str(result.output),
        "identity": result.identity,
        "suffix": result.suffix,
        "files": [str(file) for file in result.files],
        "settings": json.loads(canonical_json(result.settings)),
        "arguments": dict(result.arguments),
        "inputs": {
            name: [_named(one) for one in given] if isinstance(given, tuple) else _named(given)
            for name, given in result.inputs.items()
        },
        "after": [_named(other) for other in result.after],
        "code": result.code,
        "roots": list(result.roots),
    }


def _named(result: Result) -> dict[str, Any]:
    return {"record": str(result.output), "identity": result.identity, "suffix": result.suffix}


class Schedule:
    """The passes that make what is wanted and not there.

    Parameters
    ----------
    wanted
        Results, with everything that they are made from.
    current
        Says which of them are there.
    jobs
        Into how many jobs a pass of a rule is divided; one where it does not say.
    """

    def __init__(
        self, wanted: Iterable[Result], current: Current, jobs: Mapping[str, int] | None = None
    ) -> None:
        self._jobs = jobs or {}
        groups: dict[tuple, list[Result]] = defaultdict(list)
        for result in sorted(wanted, key=lambda result: result.output):
            if not current(result):
                groups[_key(result)].append(result)
        self._groups = groups
        self._whole: dict[tuple, Pass] = {}

    def __iter__(self) -> Iterator[Pass]:
        """Yield every pass, each after those that it waits for."""
        seen: set[str] = set()
        for key in self._groups:
            yield from self._in_order(self._pass(key), seen)

    def _in_order(self, one: Pass, seen: set[str]) -> Iterator[Pass]:
        if one.plan not in seen:
            seen.add(one.plan)
            for other in one.before:
                yield from self._in_order(other, seen)
            yield one

    def _pass(self, key: tuple) -> Pass:
        if key not in self._whole:
            results = tuple(self._groups[key])
            above = {_key(other) for one in results for other in one.upstream()} & set(self._groups)
            before = tuple(self._pass(other) for other in sorted(above, key=str) if other != key)
            rule, place = results[0].rule, results[0].place
            parts = tuple(self._parts(rule, place, results, before))
            self._whole[key] = _unmade(rule, place, results, (*before, *parts))
        return self._whole[key]

    def _parts(
        self,
        rule: str,
        place: Mapping[str, str],
        results: tuple[Result, ...],
        before: tuple[Pass, ...],
    ) -> Iterator[Pass]:
        """Yield the jobs among which a pass is divided, before the one that completes it.

        Stores are divided by their shards, all else by results.
        """
        n = self._jobs.get(rule, 1)
        if n > 1 and rule == HARVEST:
            stored = tuple(one for one in results if not one.settings.get("live"))
            if stored:
                yield from (_unmade(rule, place, stored, before, (i + 1, n)) for i in range(n))
        elif n > 1 and len(results) > 1:
            for i in range(min(n, len(results))):
                yield _unmade(rule, place, results[i::n], before)


def _key(result: Result) -> tuple:
    return (result.rule, *result.place.values(), *result.apart)


def _unmade(
    rule: str,
    place: Mapping[str, str],
    results: tuple[Result, ...],
    before: tuple[Pass, ...],
    part: tuple[int, int] | None = None,
) -> Pass:
    """Return a pass whose receipt does not exist: one that does is of data that were lost since."""
    again = 0
    while (one := Pass(rule, place, results, before, part, again)).receipt.exists():
        again += 1
    return one


def write_plan(one: Pass) -> None:
    """Write what a job needs to know; a plan that is there already is the same one."""
    path = paths.plan_file(one.plan)
    if not path.exists():
        for result in one.results:
            keep_code(result.code, source().closure(result.roots))
        text = json.dumps(one.described(), sort_keys=True, indent=1, ensure_ascii=False)
        write_atomic(path, text.encode(), flush=False)
