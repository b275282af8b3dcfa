"""A working directory with one script, run as the process that Snakemake starts."""

import subprocess
import sys

from saeflow.files import read_json, write_json
from saeflow.work import hold

IDENTITY = "a1" * 32
OTHER = "b2" * 32
PLAN = "0123456789abcdef"
RECEIPT = f"results/.receipts/train_saes/hook/{PLAN}.json"
HEAD = '"""A script."""\nfrom saeflow.script import run\n\n'
FOOT = '\nif __name__ == "__main__":\n    run(main)\n'


class Place:
    """A working directory with one script and the plan that a test asks for."""

    def __init__(self, path):
        self.path = path
        self.script = path / "script.py"

    def write(self, body, signature="tasks"):
        self.script.write_text(f"{HEAD}def main(*, {signature}):\n    {body.strip()}\n{FOOT}")

    def plan(self, *results, part=None, sources=None):
        """Write a plan, as planning would."""
        content = {
            "rule": "train_saes",
            "place": {"hook": "hook"},
            "part": part,
            "results": list(results) or [result()],
            "sources": sources or {},
            "work": {},
        }
        write_json(self.path / f"results/.plans/{PLAN}.json", content)
        return content

    def command(self, *, log=True):
        logs = ["--log", "results/logs/a.log"] if log else []
        return [sys.executable, str(self.script), PLAN, RECEIPT, *logs]

    def run(self, *, log=True):
        return subprocess.run(self.command(log=log), cwd=self.path, capture_output=True, text=True)

    def log(self):
        return (self.path / "results/logs/a.log").read_text()

    def record(self, name="a"):
        return read_json(self.path / f"results/{name}.json")

    def is_done(self):
        return (self.path / RECEIPT).exists()

    def receipt(self):
        return read_json(self.path / RECEIPT)

    def finish(self, name, identity=IDENTITY):
        """Put a finished result in place."""
        with hold(self.path / f"results/{name}.json", identity) as work:
            work.finish({})


def result(name="a", identity=IDENTITY, **parts):
    return {
        "record": f"results/{name}.json",
        "identity": identity,
        "suffix": "",
        "files": [],
        "settings": {},
        "arguments": {},
        "inputs": {},
        "after": [],
        "code": "c0de",
        "roots": [],
        **parts,
    }


def named(name, identity, suffix=""):
    return {"record": f"results/{name}.json", "identity": identity, "suffix": suffix}
