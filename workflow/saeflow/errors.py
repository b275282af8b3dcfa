"""The errors that saeflow raises on purpose, and the one form of their text.

A message says what is wrong, where, what was expected, what was found and what to do.
"""

from __future__ import annotations

import errno
import os


class SaeflowError(ValueError):
    """A problem that the reader of the message can act on.

    Parameters
    ----------
    what
        One sentence: what is wrong.
    where
        The file, key, hook or step, outermost first ("config.yaml > saes > topk > k").
    expected, got
        What would have been right, and what was there instead.
    remedy
        What to do about it, as an imperative sentence.

    Attributes
    ----------
    passing : bool
        Whether it lies in the moment or the machine, so that trying again may do.
    """

    passing = False

    def __init__(
        self,
        what: str,
        *,
        where: object = None,
        expected: object = None,
        got: object = None,
        remedy: str | None = None,
    ) -> None:
        self.what, self.where = what, where
        self.expected, self.got, self.remedy = expected, got, remedy
        super().__init__(what)

    def __str__(self) -> str:
        """Put the parts on one line."""
        text = self.what.rstrip(".")
        if self.where is not None:
            text = f"{self.where}: {text}"
        facts = [
            f"{name} {value}"
            for name, value in (("expected", self.expected), ("got", self.got))
            if value is not None
        ]
        if facts:
            text += " (" + "; ".join(facts) + ")"
        return f"{text}. {self.remedy}" if self.remedy else f"{text}."


class ConfigError(SaeflowError):
    """The configuration asks for something that cannot be."""


class DataError(SaeflowError):
    """A dataset or text is missing, empty, unreadable or too small."""


class ModelError(SaeflowError):
    """A model does not fit what is asked of it."""


class StoreError(SaeflowError):
    """A store is unfinished, of another kind, or cannot hold what is written to it."""


class DamagedError(SaeflowError):
    """A file that should be complete is missing, truncated or altered."""


class DiskFullError(SaeflowError):
    """The disk, or the share of it that one may use, is full."""

    passing = True


class BusyError(SaeflowError):
    """Another process is doing the same work."""

    passing = True


class AccessError(SaeflowError):
    """A file or directory belongs to somebody else, or nobody may write there."""

    passing = True


class LockError(SaeflowError):
    """A file system does not lock files."""

    passing = True


class NetworkError(SaeflowError):
    """Something has to be fetched and the network does not answer."""

    passing = True


class StaleError(SaeflowError):
    """The code or an input changed between planning a job and running it."""

    passing = True


def may_pass(error: BaseException) -> bool:
    """Whether an error may be gone when the same is tried again.

    True also for what the system refuses (files, memory) and for an accelerator that fails.
    """
    if isinstance(error, SaeflowError):
        return error.passing
    of_torch = type(error).__module__.partition(".")[0] == "torch"
    return of_torch or isinstance(error, OSError | MemoryError)


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message; its kind where it has none."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def explained(error: BaseException) -> BaseException:
    """Return what can be done about what the system refuses: a full disk, files of others."""
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError(
            "the disk is full",
            where=error.filename,
            got=os.strerror(number),
            remedy="Free some space (`saeflow clean` lists what nothing needs) and run again;"
            " finished work is kept.",
        )
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return AccessError(
            "this may not be done here",
            where=error.filename,
            got=os.strerror(number),
            remedy="Where a group shares results, their owner says `chmod -R g+rwX results"
            " .snakemake` once, and all work with `umask 002`. Else take a checkout of your own.",
        )
    return error
