"""Calling what a study names: its builders of tables, its drawing, its simulation."""

from __future__ import annotations

import logging
from typing import Any

from saeflow.errors import DataError, SaeflowError
from saeflow.registry import function

logger = logging.getLogger(__name__)


def call(name: str, *arguments: Any, **options: Any) -> Any:
    """Call the function "module:function" of a study.

    Raises
    ------
    SaeflowError
        What it raises, and a `DataError` that names it for any other exception: a mistake in one
        table or figure is no reason to lose the others.
    """
    try:
        return function(name)(*arguments, **options)
    except SaeflowError:
        raise
    except Exception as error:
        logger.exception("%s failed", name)
        raise DataError(
            "a study's function failed",
            where=name,
            got=f"{type(error).__name__}: {error}",
            remedy="The log has the traceback.",
        ) from error
