"""Read a configuration file, and refuse what YAML itself lets pass."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from saeflow.errors import ConfigError, first_line


class _Loader(yaml.SafeLoader):
    """A safe loader to which a key that stands twice is an error: YAML takes the last one."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        if key_node.tag == "tag:yaml.org,2002:merge":
            continue  # what "<<" brings in may be overridden
        key = loader.construct_object(key_node, deep=True)
        if isinstance(key, Hashable) and key in seen:
            mark = key_node.start_mark
            raise ConfigError(
                f"the key '{key}' stands twice",
                where=f"{mark.name}, line {mark.line + 1}",
                remedy="Keep one of the two.",
            )
        if isinstance(key, Hashable):
            seen.add(key)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_config(path: Path) -> Any:
    """Return the content of a configuration file.

    Raises
    ------
    ConfigError
        If it cannot be read, is not YAML, or has a key twice.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            "the configuration cannot be read",
            where=path,
            got=error.strerror,
            remedy="Change to the directory of your study, or name the file with --configfile.",
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            "the configuration is not text in UTF-8",
            where=path,
            remedy="Convert it: iconv -f <its encoding> -t utf-8.",
        ) from error
    loader = _Loader(text)
    loader.name = str(path)
    try:
        return loader.get_single_data()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise ConfigError(
            "this is not YAML",
            where=f"{path}, line {line}",
            got=error.problem,
            remedy="Look for an indentation, a bracket or a quote there, or in the line before.",
        ) from error
    except yaml.YAMLError as error:
        raise ConfigError(
            "this is not YAML",
            where=path,
            got=first_line(error),
            remedy="Write it again as plain text.",
        ) from error
    finally:
        loader.dispose()
