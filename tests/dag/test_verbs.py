"""Whatever can be asked of Snakemake works as it is typed, also after a kill."""

import os
import signal
import subprocess
import sys

import pytest

from dag.test_run import begin, counted, pretending, text_of, wait_for

SAE = "results/saes/small/texts/ctx-64/resid_post.1/topk/seed-0/sae.json"
WORK = (
    *(["-n"], ["--summary"], ["--detailed-summary"], ["--unlock"], ["--list"], ["--list-rules"]),
    *(["--rulegraph"], ["--filegraph"], ["--dag"], ["--d3dag"], ["--lint"], ["--cleanup-shadow"]),
    *(["--list-changes", "code"], ["--list-input-changes"], ["--list-params-changes"]),
    *(
        ["--print-compilation"],
        ["--touch", "-n"],
        ["--delete-all-output", "-n"],
        ["-n", "-q", "all"],
    ),
    ["-n", "suppression"],
)


@pytest.fixture
def tree(tmp_path):
    """A fresh tree whose scripts do no work."""
    return pretending(tmp_path / "tree")


def typed(tree, *arguments):
    """Run ``snakemake`` with nothing but these arguments."""
    return subprocess.run(
        [sys.executable, "-m", "snakemake", *arguments],
        cwd=tree.path,
        env={"PYTHONPATH": str(tree.path / "workflow"), "PATH": "/usr/bin:/bin", "HOME": "/tmp"},
        capture_output=True,
        text=True,
    )


def killed(tree):
    """Run until something is being trained, and kill the run and its jobs."""
    running = begin(tree, SLOW="60")
    wait_for(lambda: "fetch_dataset" in text_of(tree.path / "counted.txt"))
    os.killpg(running.pid, signal.SIGKILL)
    running.communicate()
    counted(tree)


def test_after_a_kill_one_may_unlock_and_just_run_again(tree):
    killed(tree)
    assert typed(tree, "--unlock").returncode == 0
    done = typed(tree, "--until", "train_tokenizer")
    assert done.returncode == 0, done.stderr
    assert [rule for rule, _, _ in counted(tree)] == ["fetch_dataset", "train_tokenizer"]


@pytest.mark.slow
def test_every_verb_works_after_a_kill_without_a_number_of_cores(tree):
    killed(tree)
    summary = typed(tree, "--summary").stdout.splitlines()
    begun = next(line.split("\t")[0] for line in summary if "fetch_dataset" in line)
    # metadata is kept of what ended, so that has to come before it is removed
    for arguments in (*WORK, ["--until", "fetch_dataset"], ["--cleanup-metadata", begun]):
        done = typed(tree, *arguments)
        assert done.returncode == 0, (arguments, done.stdout + done.stderr)
    for arguments in (["--unlock"], ["--summary"]):
        done = typed(tree, *arguments, "--workflow-profile", "none")
        assert done.returncode == 0, (arguments, done.stdout + done.stderr)


def test_what_snakemake_cannot_do_here_says_who_can(tree):
    refused = typed(tree, "--report", "r.html")
    assert refused.returncode == 1 and "results/studies/config/report.html" in refused.stderr
    assert not (tree.path / "r.html").exists()
    named = typed(tree, SAE, "-n")
    assert named.returncode == 1 and f"`saeflow make {SAE}` makes it" in named.stderr


def test_forcing_what_is_current_says_how_it_is_made_anew_and_that_works(tree):
    tree.pretend()
    done = typed(tree, "-R", "train_saes")
    assert done.returncode == 0 and "Nothing to do" in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("Forcing")]
    assert "(4 of train_saes)" in line
    remedy = line.partition("anew: ")[2]
    saeflow = f"{sys.executable} -c 'import saeflow.cli.main as m; exit(m.main())'"
    subprocess.run(
        remedy.replace("&& saeflow", f"&& {saeflow}"),
        shell=True,
        check=True,
        cwd=tree.path,
        env={"PYTHONPATH": str(tree.path / "workflow"), "PATH": "/usr/bin:/bin", "HOME": "/tmp"},
        capture_output=True,
    )
    assert [(rule, n) for rule, n, _ in counted(tree)] == [("train_saes", 1)]
    assert "Nothing to do" in typed(tree).stderr
