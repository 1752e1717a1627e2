"""The schema, the reference and the sample agree with what is read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from grinder.config import (
    Config,
    check_config,
    config_as_dict,
    config_reference,
    config_schema,
    load_config,
    sample_config,
)
from grinder.config.reading import DECIMAL_PATTERN
from grinder.config.sample import NEUTRAL_GRID
from grinder.config.setting import Setting, settings_of

Write = Callable[..., Path]
DOCS: Final = Path(__file__).parents[2] / "docs"
WRITE_DOCS: Final = (
    "python -c 'import json, pathlib, grinder.config as c; "
    'pathlib.Path("docs/config.md").write_text(c.config_reference()); '
    'pathlib.Path("docs/config.schema.json").write_text(json.dumps(c.config_schema(), indent=2) + "\\n")\''
)


def every_setting(section: type[Any] = Config, path: str = "") -> Iterator[tuple[str, Setting]]:
    for key, setting in settings_of(section).items():
        yield f"{path}{key}", setting
        inner = setting.shape.item.section if setting.shape.item else setting.shape.section
        if inner is not None:
            yield from every_setting(inner, f"{path}{key}.")


SETTINGS: Final = dict(every_setting())


def test_the_reference_in_the_documentation_is_current() -> None:
    assert (DOCS / "config.md").read_text(encoding="utf-8") == config_reference(), f"run: {WRITE_DOCS}"


def test_the_schema_in_the_documentation_is_current() -> None:
    stored = json.loads((DOCS / "config.schema.json").read_text(encoding="utf-8"))
    assert stored == config_schema(), f"run: {WRITE_DOCS}"


@pytest.mark.parametrize("path", SETTINGS)
def test_every_setting_is_described_in_one_sentence(path: str) -> None:
    about = SETTINGS[path].about
    assert about.sentence.endswith(".")
    assert about.sentence[0].isupper()
    assert ". " not in about.sentence
    assert about.example is not None
    assert f"| `{SETTINGS[path].key}` |" in config_reference()


def test_the_sample_validates_as_it_stands(written: Write) -> None:
    config = load_config([written(sample_config())], {})
    assert [grid.symbol for grid in config.grids] == ["BTCUSDT"]


def test_the_sample_validates_with_its_second_grid_in_use(written: Write) -> None:
    head, _, commented = sample_config().rpartition("\n\n")
    active = "\n".join(line.removeprefix("  # ") for line in commented.splitlines()[1:])
    assert [line.strip() for line in active.splitlines()] == [
        line.strip() for line in NEUTRAL_GRID.splitlines()[1:]
    ]
    config = load_config([written(f"{head}\n{NEUTRAL_GRID}")], {})
    assert [grid.symbol for grid in config.grids] == ["BTCUSDT", "ETHUSDT"]


@pytest.mark.parametrize("path", SETTINGS)
def test_the_sample_shows_every_setting(path: str) -> None:
    assert f"{SETTINGS[path].key}:" in sample_config()


def test_the_sample_is_not_changed_by_defaults(written: Write) -> None:
    """What the sample writes is what comes out, so nobody has to guess which line took effect."""
    data = config_as_dict(load_config([written(sample_config())], {}))
    assert data["grids"][0]["lower_price"] == "60000"
    assert data["risk"]["orders_per_minute"] == 60


def objects(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield schema
        for value in schema.values():
            yield from objects(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from objects(value)


def test_the_schema_admits_no_unknown_key() -> None:
    for schema in objects(config_schema()):
        closed = schema["additionalProperties"] is False
        assert closed or "propertyNames" in schema


def test_the_schema_says_what_is_required() -> None:
    schema: Any = config_schema()
    assert schema["required"] == ["account", "instruments", "grids"]
    grid = schema["properties"]["grids"]["items"]
    assert grid["required"] == ["symbol", "mode", "spacing"]
    assert grid["properties"]["mode"]["enum"] == ["long", "neutral"]
    assert grid["properties"]["grid_number"]["anyOf"][0] == {"type": "integer", "minimum": 2, "maximum": 200}


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("1", True),
        ("-0.5", True),
        ("0.1", True),
        (".5", False),
        ("1.", False),
        ("1e3", False),
        ("NaN", False),
    ],
)
def test_the_schema_pattern_is_the_one_that_is_read(text: str, good: bool) -> None:
    pattern = config_schema()["properties"]["account"]["properties"]["balance"]["anyOf"][0]["pattern"]  # type: ignore[index]
    assert pattern == f"^{DECIMAL_PATTERN}$"
    assert bool(re.search(pattern, text)) is good


@pytest.mark.parametrize("path", [path for path, setting in SETTINGS.items() if not setting.shape.item])
def test_every_example_is_readable_as_its_setting(path: str, sound: str, written: Write) -> None:
    """The example may clash with other settings; of itself it must be sound."""
    names = {
        "instruments.": "instruments.BTCUSDT.",
        "grids.": "grids.0.",
        "observe.alerts.": "observe.alerts.ops.",
    }
    for plain, item in names.items():
        path = item + path.removeprefix(plain) if path.startswith(plain) else path
    example = SETTINGS_EXAMPLES[path]
    problems = check_config([written(sound)], {}, {path: example})
    shapes = {"unknown_key", "wrong_type", "unknown_choice", "out_of_range", "bad_name", "override"}
    assert not [problem for problem in problems if problem.code.removeprefix("config.") in shapes]


SETTINGS_EXAMPLES: Final = {
    path.replace("instruments.", "instruments.BTCUSDT.", 1)
    .replace("grids.", "grids.0.", 1)
    .replace("observe.alerts.", "observe.alerts.ops.", 1): (setting.about.example)
    for path, setting in SETTINGS.items()
}
