"""Fetching from the Hugging Face hub: pinned revisions, retries, errors that say what to do.

Only the jobs that fetch use this; all others run from local files.
"""

from __future__ import annotations

import errno
import logging
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from saeflow.errors import ConfigError, NetworkError, SaeflowError, first_line

logger = logging.getLogger(__name__)

_COMMIT = re.compile(r"[0-9a-f]{40}")
_WAITS_S = (1.0, 4.0)
_TIMEOUT_S = 15.0
# A full disk or a missing permission is not the network's fault.
_LOCAL_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS})
_RETRIED_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})


def require_commit(name: str, revision: str, *, kind: str) -> None:
    """Raise a `ConfigError` unless ``revision`` is a commit: a branch may be another tomorrow.

    It says which commit a branch or tag stands for now, if the hub can be asked.

    Parameters
    ----------
    name, revision
        The repository ("EleutherAI/pythia-70m"), and what the configuration says.
    kind
        "model" or "dataset".
    """
    if _COMMIT.fullmatch(revision):
        return
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HTTPError

    try:
        commit = HfApi().repo_info(name, revision=revision, repo_type=kind).sha
        remedy = f"Today it stands for {commit}: write `revision: {commit}`."
    except (OSError, HTTPError):
        remedy = f"Its page on the hub lists commits under 'Files' ({_page(name, kind)}/commits)."
    raise ConfigError(
        "the revision is not a commit",
        where=name,
        expected="40 hexadecimal digits, which always mean the same files",
        got=repr(revision),
        remedy=remedy,
    )


def unreachable(name: str, revision: str, *, kind: str, needed: str) -> NetworkError | None:
    """Ask the hub for a repository; return the error to raise if it does not answer.

    The hub's client repeats each request of a transfer for half a minute: without this short
    question first, a machine without a network would wait for minutes.

    Parameters are those of `require_commit`, and what is ``needed``, for the message. That there is
    no such repository or revision is a `ConfigError`.
    """
    from huggingface_hub import HfApi

    for wait_s in (*_WAITS_S, None):
        try:
            with clear_errors(name, revision, kind=kind, needed=needed):
                HfApi().repo_info(name, revision=revision, repo_type=kind, timeout=_TIMEOUT_S)
            return None
        except NetworkError as error:
            if wait_s is None or not _may_pass(error):
                return error
            logger.warning("%s; trying again in %g s", error.got, wait_s)
            time.sleep(wait_s)
    raise AssertionError("the loop ends by returning")


def snapshot(name: str, revision: str, *, kind: str) -> Path:
    """Return where the hub's cache has a revision, or would have it."""
    from huggingface_hub.constants import HF_HUB_CACHE
    from huggingface_hub.file_download import repo_folder_name

    folder = repo_folder_name(repo_id=name, repo_type=kind)
    return Path(HF_HUB_CACHE) / folder / "snapshots" / revision


@contextmanager
def offline() -> Iterator[None]:
    """Let the hub's client answer from its cache alone, as HF_HUB_OFFLINE=1 does."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


@contextmanager
def clear_errors(name: str, revision: str, *, kind: str, needed: str) -> Iterator[None]:
    """Turn what goes wrong in a transfer into errors that say what to do.

    A hub that does not answer is a `NetworkError`; for the rest see `unreachable`.
    """
    from huggingface_hub.errors import HTTPError

    try:
        yield
    except (OSError, HTTPError) as error:
        if any(getattr(cause, "errno", None) in _LOCAL_ERRORS for cause in _causes(error)):
            raise
        raise _explained(error, name, revision, kind, needed) from error


def _causes(error: BaseException | None) -> list[BaseException]:
    causes: list[BaseException] = []
    while error is not None and error not in causes:
        causes.append(error)
        error = error.__cause__ or error.__context__
    return causes


def _may_pass(error: BaseException) -> bool:
    """Return whether the same request may succeed a little later."""
    from huggingface_hub.errors import HTTPError, OfflineModeIsEnabled

    causes = _causes(error)
    if any(isinstance(cause, OfflineModeIsEnabled) for cause in causes):
        return False
    for cause in causes:
        status = getattr(getattr(cause, "response", None), "status_code", None)
        if status is not None:
            return status in _RETRIED_STATUS
    return any(isinstance(cause, (ConnectionError, TimeoutError, HTTPError)) for cause in causes)


def _explained(
    error: BaseException, name: str, revision: str, kind: str, needed: str
) -> SaeflowError:
    from huggingface_hub.errors import (
        GatedRepoError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    where = f"{kind} {name}"
    for cause in _causes(error):
        if isinstance(cause, GatedRepoError):
            return ConfigError(
                "the hub gives this repository only to those who accepted its terms",
                where=where,
                remedy=f"Accept them at {_page(name, kind)}, then run `hf auth login`.",
            )
        if isinstance(cause, RepositoryNotFoundError):
            return ConfigError(
                "the hub has no such repository, or it is private",
                where=where,
                remedy="Check the spelling, or run `hf auth login`.",
            )
        if isinstance(cause, RevisionNotFoundError):
            return ConfigError(
                "the repository has no such commit",
                where=where,
                got=revision,
                remedy=f"Take one from {_page(name, kind)}/commits.",
            )
    return NetworkError(
        f"{needed} cannot be fetched: the Hugging Face hub does not answer",
        where=where,
        got=first_line(error),
        remedy=(
            "Connect to the network (and unset HF_HUB_OFFLINE), or copy the hub's cache ($HF_HOME)"
            " from a machine that has fetched it; `path:` takes a local copy."
        ),
    )


def _page(name: str, kind: str) -> str:
    return f"https://huggingface.co/{'' if kind == 'model' else 'datasets/'}{name}"
