"""From files, environment and command line to one checked `Config`.

Law: the stages run in one order (read, lay over each other, check shapes, complete defaults, check rules) and
each reports all it finds before the next judges only what is sound.  Nothing is partly applied: there is a
`Config` exactly when there is no problem.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from grinder.config.checking import Check
from grinder.config.layers import merge, with_environment, with_overrides
from grinder.config.model import CONFIG_VERSION, Config
from grinder.config.refusals import refusal
from grinder.config.tree import Scalar, Table, Written
from grinder.errors import ConfigError

_NO_FILES: Final = "the configuration"


def load_config(
    paths: Sequence[Path], env: Mapping[str, str], overrides: Mapping[str, object] | None = None
) -> Config:
    """Read and check a configuration.

    Args:
        paths: YAML files; a later one wins over an earlier one.
        env: the environment; variables named ``GRINDER__SECTION__KEY`` win over the files.
        overrides: values by dotted path, or nested; they win over everything.

    Raises:
        ConfigError: the first problem found.
    """
    config, problems = _checked(paths, env, overrides)
    if config is None:
        raise problems[0]
    return config


def check_config(
    paths: Sequence[Path], env: Mapping[str, str], overrides: Mapping[str, object] | None = None
) -> list[ConfigError]:
    """Every problem `load_config` could raise, in the order found; empty when the configuration is good."""
    return _checked(paths, env, overrides)[1]


def _checked(
    paths: Sequence[Path], env: Mapping[str, str], overrides: Mapping[str, object] | None
) -> tuple[Config | None, list[ConfigError]]:
    problems: list[ConfigError] = []
    tree = _merged(paths, problems)
    if tree is None:
        return None, problems
    tree = with_environment(tree, env, problems)
    tree = with_overrides(tree, overrides or {}, problems)
    if newer := _newer(tree):
        # What a newer layout means is not known here, so its other settings cannot be judged.
        return None, [*problems, newer]
    config = Check(tree, problems).config()
    return (None, problems) if problems else (config, [])


def _merged(paths: Sequence[Path], problems: list[ConfigError]) -> Table | None:
    # Imported here with PyYAML, so that a command that reads no configuration does not wait for it.
    from grinder.config.document import read_document

    tree: Table | None = Table(_NO_FILES, {})
    for path in paths:
        try:
            document = read_document(path, problems)
            if newer := _newer(document):
                raise newer
        except ConfigError as error:
            problems.append(error)
            tree = None
            continue
        if tree is not None:
            merged = merge(tree, document)
            assert isinstance(merged, Table), "two maps merge to a map"
            tree = merged
    return tree


def _newer(tree: Table) -> ConfigError | None:
    entry = tree.entries.get("version")
    if entry is None or not isinstance(entry.node, Scalar):
        return None
    text = entry.node.text
    if entry.node.written not in (Written.INTEGER, Written.LOOSE) or not (text.isascii() and text.isdigit()):
        return None
    if len(text) <= 9 and int(text) <= CONFIG_VERSION:
        return None
    return refusal(
        "config.newer_version",
        f"the configuration is of version {text[:20]}, this program reads up to version {CONFIG_VERSION}",
        place=entry.place,
        value=text,
        fix=f"run a newer grinder, or rewrite it for version {CONFIG_VERSION}",
    )
