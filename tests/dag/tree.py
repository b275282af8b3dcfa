"""A copy of the workflow in which a test can change anything and ask what would run."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
PARTS = ("Snakefile", "rules", "scripts", "workflow", "envs")

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

    def copy(self, path: Path, *, preserve: bool = True, snakemake: bool = True) -> Tree:
        """Copy everything, with the files' times or with new ones."""
        ignored = None if snakemake else shutil.ignore_patterns(".snakemake")
        function = shutil.copy2 if preserve else shutil.copy
        shutil.copytree(self.path, path, copy_function=function, ignore=ignored)
        return Tree(path)

    def pretend(self, *targets: str) -> None:
        """Put a record, bulk and files in place for every wanted job, without computing."""
        self.python(Path(__file__).with_name("pretend.py"), *targets)

    def python(self, script: Path, *arguments: str) -> str:
        """Run a Python script that imports this tree's saeflow."""
        return self._run([sys.executable, str(script), *arguments])

    def snakemake(self, *arguments: str) -> str:
        """Run snakemake here and return what it printed."""
        return self._run([sys.executable, "-m", "snakemake", *arguments])

    def _run(self, command: list[str]) -> str:
        done = subprocess.run(
            command,
            cwd=self.path,
            env={
                "PYTHONPATH": str(self.path / "workflow"),
                "PATH": "/usr/bin:/bin",
                "HOME": "/tmp",
            },
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise AssertionError(done.stdout + done.stderr)
        return done.stdout + done.stderr

    def planned(self, *arguments: str) -> set[str]:
        """Return the jobs that ``snakemake -n`` plans: rule and first output, shortened.

        "train_sae resid_post.1/topk/seed-0/sae" for the default study's paths.
        """
        text = self.snakemake("-n", *arguments)
        jobs = set()
        for block in re.split(r"^(?=(?:local)?rule )", text, flags=re.M)[1:]:
            rule = re.match(r"(?:local)?rule (\w+):", block).group(1)
            output = re.search(r"^    output: (\S+?),?(?: .*)?$", block, flags=re.M)
            if rule not in ("all", "suppression"):
                jobs.add(f"{rule} {shorten(output.group(1))}")
        return jobs

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


def shorten(path: str) -> str:
    """Drop what all paths of the small configuration have in common."""
    path = path.removeprefix("results/").removesuffix(".json")
    for prefix in ("saes/small/texts/ctx-64/", "activations/small/texts/ctx-64/"):
        path = path.removeprefix(prefix)
    for stem in ("tables/suppression/", "figures/suppression/"):
        path = path.removeprefix(stem)
    return path.replace("/on/texts/ctx-64/", "/").replace("/seed-0/", "/")
