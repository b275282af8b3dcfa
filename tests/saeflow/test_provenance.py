import platform
import subprocess
from importlib.metadata import version

from saeflow.provenance import commit, versions


def git(directory, *arguments):
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", "-C", str(directory)]
    return subprocess.run([*command, *arguments], check=True, capture_output=True, text=True).stdout


def test_the_versions_are_those_that_are_installed():
    found = versions()
    assert found["python"] == platform.python_version()
    assert found["torch"] == version("torch") and "saeflow" in found


def test_the_commit_is_that_of_the_checkout_with_a_word_on_what_was_changed(tmp_path):
    assert commit(tmp_path) == commit(tmp_path / "none") == ""
    git(tmp_path, "init", "--quiet")
    (tmp_path / "Snakefile").write_text("rule all:\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "x")
    git(tmp_path, "tag", "v1")
    sha = git(tmp_path, "rev-parse", "HEAD").strip()
    assert commit(tmp_path) == sha and len(sha) == 40
    (tmp_path / "Snakefile").write_text("rule other:\n")
    assert commit(tmp_path) == f"{sha} with uncommitted changes"
