"""What a user may change, and exactly which results that makes stale.

The tests apply each change to a finished workflow; docs/staleness.md is made from this list.
"""

from __future__ import annotations

from dag.changes.change import Change
from dag.changes.code import CODE
from dag.changes.configuration import CONFIGURATION
from dag.changes.made import MADE

CHANGES = (Change("nothing", lambda tree: None, set()), *CONFIGURATION, *CODE, *MADE)
