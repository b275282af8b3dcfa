"""Another process that holds the lock of a place."""

import subprocess
import sys
from contextlib import contextmanager

_CODE = """
import sys
from pathlib import Path
from saeflow.locks import try_lock
with try_lock(Path(sys.argv[1])) as free:
    assert free
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held(record):
    """Hold the lock of a record in another process until the block ends."""
    command, pipe = [sys.executable, "-c", _CODE, str(record)], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        try:
            yield
        finally:
            holder.stdin.close()
