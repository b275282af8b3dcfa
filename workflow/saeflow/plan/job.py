"""One job of the workflow: what it makes, from what, under which identity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from saeflow.identity import code_digests, identity_of

SOURCE_ROOT = Path(__file__).parents[2]
"""The directory that holds the package ("workflow")."""

SCRIPTS = SOURCE_ROOT.parent / "scripts"


_CODE: dict[tuple[Path, tuple[str, ...]], dict[str, str]] = {}


def forget_code() -> None:
    """Look at the source anew: a plan is made for the code as it is when it begins."""
    _CODE.clear()


@dataclass(frozen=True, eq=False)
class Job:
    """A job, known before anything runs.

    Attributes
    ----------
    rule : str
        Name of the rule, which is the stem of its script.
    output : Path
        The record: a small JSON file that the job writes last and that holds its identity.
    settings : Mapping
        What can change the result's bytes, and nothing else.
    inputs : Mapping
        The jobs whose records are read, by argument name.
    modules : tuple of str
        Modules of saeflow that the script loads by name.
    arguments : Mapping
        What the script needs besides, such as where a local file lies; not in the identity.
    files : tuple of Path
        Declared outputs besides the record.
    suffix : str
        Suffix of the bulk directory; None for a job without bulk.
    shared_pass : tuple
        Jobs of one rule with the same key can be done together in one pass.
    after : tuple of Job
        Jobs that must be done before, though nothing of theirs is read: not in the identity.
    """

    rule: str
    output: Path
    settings: Mapping[str, Any]
    inputs: Mapping[str, Job | tuple[Job, ...]] = field(default_factory=dict)
    modules: tuple[str, ...] = ()
    arguments: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    suffix: str | None = None
    shared_pass: tuple[str, ...] | None = None
    after: tuple[Job, ...] = ()

    @cached_property
    def code(self) -> dict[str, str]:
        """Digest of the code that the job uses, by module."""
        script = SCRIPTS / f"{self.rule}.py"
        key = (script, self.modules)
        if key not in _CODE:  # hundreds of jobs use the same few sets of modules
            _CODE[key] = code_digests(SOURCE_ROOT, script, self.modules)
        return _CODE[key]

    @cached_property
    def input_identities(self) -> dict[str, Any]:
        """Identity, or list of identities, by input name."""
        return {
            name: [job.identity for job in jobs] if isinstance(jobs, tuple) else jobs.identity
            for name, jobs in self.inputs.items()
        }

    @cached_property
    def identity(self) -> str:
        """The job's identity."""
        return identity_of(
            rule=self.rule,
            settings=self.settings,
            code=self.code,
            inputs=self.input_identities,
        )

    def upstream(self) -> Iterator[Job]:
        """Yield the jobs whose records this one reads, then those that it waits for."""
        for jobs in self.inputs.values():
            yield from jobs if isinstance(jobs, tuple) else (jobs,)
        yield from self.after
