import subprocess
import sys

import pytest

from saeflow.cli.main import main
from saeflow.registry import load, names

COMMANDS = names("cli.commands")


def test_the_help_lists_every_command(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    printed = capsys.readouterr().out
    assert {"clean", "doctor", "hooks", "why"} <= set(COMMANDS)
    assert all(command in printed for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    assert load("cli.commands", command).__doc__.splitlines()[0] in capsys.readouterr().out


def test_a_problem_is_one_line_without_a_traceback(tmp_path, monkeypatch, refused):
    monkeypatch.chdir(tmp_path)
    printed = refused("clean")
    assert printed.startswith("error in config.yaml: the configuration cannot be read")
    assert printed.count("\n") == 1


def test_the_command_line_starts_without_torch():
    """`saeflow why` is asked often; torch alone takes seconds."""
    script = (
        "import sys; from saeflow.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'transformers', 'pandas', 'zarr'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.DEVNULL)


def test_a_closed_pipe_is_no_error():
    command = f"{sys.executable} -m saeflow.cli.main --help | head -c 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert "Traceback" not in done.stderr
