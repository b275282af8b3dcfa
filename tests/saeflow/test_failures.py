"""Notes of what could not be made."""

import pytest

from saeflow import failures, paths
from saeflow.errors import DataError, DiskFullError, NetworkError, may_pass
from saeflow.failures import Cause

A, B = "results/saes/a/sae.json", "results/saes/b/sae.json"


def test_causes_with_one_error_are_told_in_one_line():
    causes = [Cause(A, "it diverged."), Cause(B, "it diverged."), Cause(A, f"{A}: too few.")]
    assert failures.told([*causes, causes[0]]) == [
        f"{A} and 1 more: it diverged.",
        f"{A}: too few.",
    ]


def test_a_note_that_cannot_be_read_says_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert failures.noted(A, "1" * 64) == ()
    failures.forget(A, "1" * 64)
    failures.note(A, "1" * 64, [Cause(B, "no")])
    assert failures.noted(A, "1" * 64) == (Cause(B, "no"),)
    assert failures.noted(A, "2" * 64) == ()
    paths.failure_file(A, "1" * 64).write_text("[1]")
    assert failures.noted(A, "1" * 64) == ()


@pytest.mark.parametrize(
    ("error", "may"),
    [
        (DataError("x"), False),
        (KeyError("x"), False),
        (RuntimeError("x"), False),
        (NetworkError("x"), True),
        (DiskFullError("x"), True),
        (PermissionError("x"), True),
        (MemoryError(), True),
    ],
)
def test_what_lies_in_the_moment_may_pass(error, may):
    assert may_pass(error) is may
