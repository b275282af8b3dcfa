"""The `saeflow` command: find the subcommand, run it, and say in one line what is wrong.

Nothing here, nor below `saeflow.cli`, is part of what a result is made from.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from saeflow.errors import SaeflowError, explained
from saeflow.registry import load, names

_COMMANDS = "cli.commands"
_EXIT_ERROR = 1
_EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was typed after ``saeflow``, by default `sys.argv`, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="saeflow", description="Ask about a workflow; `snakemake` runs it."
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in names(_COMMANDS):
        command = load(_COMMANDS, name)
        about = command.__doc__.strip()
        command.add_arguments(
            commands.add_parser(
                name,
                help=command.HELP,
                description=about,
                formatter_class=argparse.RawDescriptionHelpFormatter,
            )
        )
    options = parser.parse_args(arguments)
    try:
        code = load(_COMMANDS, options.command).run(options)
        sys.stdout.flush()
        return code
    except SaeflowError as error:
        print(f"error in {error}", file=sys.stderr)
        return _EXIT_ERROR
    except BrokenPipeError:  # `saeflow clean | head`: what is left to say is not wanted
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if (told := explained(error)) is error:
            raise
        print(f"error in {told}", file=sys.stderr)
        return _EXIT_ERROR
    except KeyboardInterrupt:
        return _EXIT_INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
