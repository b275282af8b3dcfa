"""Captions: reStructuredText under ``workflow/report``, the one source for both reports.

``{study}.rst`` introduces a study and ``{study}/{figure}.rst`` describes a figure: what was
measured and how to read it. On how much, and with which interval, comes from the figure's record,
because it is known only after the run. Snakemake's own report reads the same files.
"""

from __future__ import annotations

from pathlib import Path

from docutils.core import publish_parts
from docutils.utils import SystemMessage

from saeflow.errors import DamagedError

_SETTINGS = {
    # A caption is text: it reads no other file and brings no HTML of its own.
    "file_insertion_enabled": False,
    "raw_enabled": False,
    "report_level": 2,
    "halt_level": 2,
    "_disable_config": True,
    "initial_header_level": 4,
}


def caption_html(text: str, *, where: object) -> str:
    """Return reStructuredText as HTML; a mistake in it is an error that names the line.

    Parameters
    ----------
    text
        reStructuredText.
    where
        The file, for messages.
    """
    try:
        settings = {**_SETTINGS, "warning_stream": False}
        return publish_parts(text, writer="html5", settings_overrides=settings)["body"].strip()
    except SystemMessage as error:
        raise DamagedError(
            "this caption is not valid reStructuredText",
            where=where,
            got=str(error),
            remedy="Correct the file.",
        ) from error


def read_caption(directory: Path, *names: str) -> str:
    """Return the caption ``directory/names....rst`` as HTML.

    Raises
    ------
    DamagedError
        If there is no such file: a figure without words is not finished.
    """
    path = directory.joinpath(*names)
    path = path.with_name(f"{path.name}.rst")
    if not path.is_file():
        raise DamagedError(
            "a figure or study has no caption",
            where=path,
            remedy="Write what was measured and how to read it, in reStructuredText.",
        )
    return caption_html(path.read_text(encoding="utf-8"), where=path)
