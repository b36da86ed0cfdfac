"""Reads the YAML files of a folder that may be anybody's: what we never write is refused before it costs anything."""

from pathlib import Path
from typing import Any

import yaml

from gradpath.errors import ConfigError
from gradpath.files import read_regular

LARGEST = 2**20  # bytes
DEEPEST = 50  # lists and mappings within each other
SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(SafeLoader):  # type: ignore[misc]
    """A safe loader that takes each key once."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if len(set(keys)) < len(node.value):
            raise ConfigError("damaged (a key stands there twice, or is no word).")
        content: dict[Any, Any] = super().construct_mapping(node, deep)
        return content


def read_yaml(path: Path, largest: int = LARGEST) -> Any:
    """The content of `config.yaml`, `overrides.yaml` or `sweep.yaml`: plain dicts, lists and values.

    Args:
        largest: bytes.

    Raises:
        ConfigError: it is no regular file, or too large, or no YAML, or has what we never write: anchors, aliases, tags.
            The text does not name the file.
    """
    try:
        text = read_regular(path, largest).decode()
        # An alias is a few bytes that may stand for gigabytes. The events of the parser have nothing expanded yet.
        depth = 0
        for event in yaml.parse(text, Loader=SafeLoader):
            if getattr(event, "anchor", None) or getattr(event, "tag", None):
                raise ConfigError("damaged (it has an anchor, an alias or a tag).")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > DEEPEST:
                raise ConfigError("damaged (lists within lists).")
        return yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"damaged ({type(error).__name__}).") from None
