"""A copy of the workflow in which a test can change anything and ask what would run."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import subprocess
import sys
import traceback
from pathlib import Path

import yaml

from dag import inside

ROOT = Path(__file__).parents[2]
PARTS = ("Snakefile", "rules", "scripts", "workflow", "envs", "profiles")

CONFIG = {
    "models": {"small": {"train": {"dataset": "texts", "packing": "ctx-64", "tokenizer": "words"}}},
    "tokenizers": {"words": {"train": "texts"}},
    "datasets": {"texts": {"path": "texts.txt"}},
    "packings": {"ctx-64": {"context_length": 64}},
    "saes": {
        "relu": {"architecture": "relu", "l1": 0.1},
        "topk": {"architecture": "topk", "k": 4},
    },
    "methods": {"scale": {"method": "scale"}},
    "measures": {"probes": {}},
    "studies": {
        "suppression": {
            "models": ["small"],
            "train_on": {"dataset": "texts", "packing": "ctx-64"},
            "evaluate_on": {"dataset": "texts", "packing": "ctx-64"},
            "hooks": ["resid_post.1", "resid_post.2"],
            "saes": ["relu", "topk"],
            "seeds": [0],
            "methods": ["scale"],
        }
    },
}


class Tree:
    """A workflow in a directory of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def make(cls, path: Path) -> Tree:
        """Copy the sources and write the small configuration."""
        path.mkdir(parents=True)
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
        for part in PARTS:
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, path / part, ignore=ignored)
            else:
                shutil.copy(source, path / part)
        (path / "config.yaml").write_text(yaml.safe_dump(CONFIG))
        (path / "texts.txt").write_text("one two three\n")
        return cls(path)

    def copy(self, path: Path, *, preserve: bool = True) -> Tree:
        """Copy everything, with the files' times or with new ones."""
        shutil.copytree(self.path, path, copy_function=shutil.copy2 if preserve else shutil.copy)
        return Tree(path)

    def ask(self, name: str, *arguments: object):
        """Return what a function of `dag.inside` gives, with this tree's saeflow, in its place."""
        context = multiprocessing.get_context("fork")
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_answer, args=(self.path, name, arguments, theirs))
        process.start()
        theirs.close()
        try:
            answer, error = ours.recv()
        except EOFError:
            raise AssertionError(f"{name} ended without an answer") from None
        finally:
            process.join()
        assert not error, error
        return answer

    def pretend(self, *rules: str) -> None:
        """Put every wanted result in place, or those of some rules, without computing."""
        self.ask("pretend", *rules)

    def stale(self) -> set[str]:
        """Return the results that are not there: rule and record, shortened.

        "train_saes resid_post.1/topk/sae" for the paths of the small configuration.
        """
        return {f"{rule} {shorten(record)}" for rule, record in self.ask("stale")}

    def snakemake(
        self, *arguments: str, check: bool = True, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run snakemake here."""
        done = subprocess.run(
            [sys.executable, "-m", "snakemake", "--cores", "2", *arguments],
            cwd=self.path,
            env={
                "PYTHONPATH": str(self.path / "workflow"),
                "PATH": "/usr/bin:/bin",
                "HOME": "/tmp",
                **environment,
            },
            capture_output=True,
            text=True,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def configure(self, change) -> None:
        """Change the configuration with a function that edits it in place."""
        path = self.path / "config.yaml"
        config = yaml.safe_load(path.read_text())
        change(config)
        path.write_text(yaml.safe_dump(config))

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace a piece of text in a file; it must be there."""
        path = self.path / name
        text = path.read_text()
        assert old in text, f"{old!r} is not in {name}"
        path.write_text(text.replace(old, new, 1))

    def append(self, name: str, text: str) -> None:
        """Add text at the end of a file."""
        with (self.path / name).open("a") as file:
            file.write(text)


def _answer(directory: Path, name: str, arguments: tuple, pipe) -> None:
    """Call a function with the tree's library in place of this one's; runs in a fork."""
    try:
        os.chdir(directory)
        for module in [m for m in sys.modules if m.partition(".")[0] == "saeflow"]:
            del sys.modules[module]
        sys.path.insert(0, str(directory / "workflow"))
        pipe.send((getattr(inside, name)(*arguments), None))
    except BaseException:
        pipe.send((None, traceback.format_exc()))
    finally:
        pipe.close()
        os._exit(0)


def shorten(path: str) -> str:
    """Drop what all paths of the small configuration have in common."""
    path = path.removeprefix("results/").removesuffix(".json").removeprefix("studies/config/")
    for prefix in ("saes/small/texts/ctx-64/", "activations/small/texts/ctx-64/"):
        path = path.removeprefix(prefix)
    for stem in ("tables/suppression/", "figures/suppression/"):
        path = path.removeprefix(stem)
    return path.replace("/on/texts/ctx-64/", "/").replace("/seed-0/", "/")
