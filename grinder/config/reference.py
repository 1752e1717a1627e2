"""The configuration's reference, as Markdown.

Law: tables come from the settings' metadata and the refusals from their table; prose here explains only what
no single setting can.  The file in the documentation is this text, and a test compares them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from grinder.config.converting import plain
from grinder.config.model import CONFIG_VERSION, Config
from grinder.config.refusals import REFUSALS
from grinder.config.sample import sample_config
from grinder.config.setting import Form, Setting, Shape, settings_of

_INTRODUCTION: Final = f"""\
# Configuration

A configuration is one or more YAML files of version {CONFIG_VERSION}. `grinder config validate` checks it and
lists every problem with its place and its fix; `grinder config show` prints what came out of all sources.

- **Sources.** `-c` may be given several times. A later file wins over an earlier one, the environment over
  the files, the command line over everything. Maps merge key by key; lists and single values replace.
- **Environment.** `GRINDER__SECTION__KEY=value`, in any case: `GRINDER__RISK__ORDERS_PER_MINUTE=30`. An item
  of a list is named by its index, from 0: `GRINDER__GRIDS__0__ON_STOP=keep`. `null` switches off what can be
  switched off.
- **Numbers** that may have a fraction are written in quotes, `"0.1"`, so that they are read digit for digit;
  whole numbers may go without. At most 18 digits before and 18 after the point; no exponent.
- **Words** are never read as truth values: `off` is the word *off*. Quote it all the same, for other tools.
- **YAML.** Anchors and aliases are allowed; merge keys (`<<`), custom tags and a key written twice are not.
- **Secrets** (API keys, passwords, tokens) are refused here. They come from the environment, a keyring or a
  file with mode 0600.
- **Editors** complete and check against [config.schema.json](config.schema.json).
"""

_GRID_FORMS: Final = """\
Levels are placed in one of two ways, and exactly one is given:

| Way | Keys | Spacing |
|---|---|---|
| bounded | `lower_price`, `upper_price`, `grid_number` | arithmetic, geometric |
| centered | `center_price`, `spacing_bps`, `levels_per_side` | geometric, uniform |

Exactly one of `quantity` and `quote_investment` is given. Each symbol is traded by at most one grid. Mode
`neutral` needs an instrument of kind `linear`.
"""

_REFUSALS: Final = """\
## Refusals

Each message has a place, the value as written, a fix and one of these codes. They are stable.

| Code | Meaning |
|---|---|
"""

_HEAD: Final = "| Key | Type | Unit | Default | Range | Meaning | Example |\n|---|---|---|---|---|---|---|\n"
_WORDS: Final = {
    Form.DECIMAL: "decimal",
    Form.INTEGER: "integer",
    Form.FLAG: "true, false",
    Form.TEXT: "text",
    Form.CHOICE: "choice",
    Form.SECTION: "section",
    Form.TABLE: "map",
    Form.ROWS: "list",
}


def config_reference() -> str:
    """The reference: sources, every setting of every section, the refusals, a sample."""
    parts = [_INTRODUCTION, *_sections(Config, ""), _REFUSALS.rstrip("\n")]
    rows = "\n".join(f"| `{code}` | {meaning} |" for code, meaning in REFUSALS.items())
    sample = f"## Sample\n\nWhat `grinder init` writes:\n\n```yaml\n{sample_config()}```\n"
    return "\n".join([*parts, rows, "", sample])


def _sections(section: type[Any], path: str) -> Iterator[str]:
    settings = settings_of(section)
    title = f"`{path}`" if path else "The whole"
    rows = "".join(_row(setting) for setting in settings.values())
    choices = "".join(_choices(setting) for setting in settings.values())
    forms = f"\n{_GRID_FORMS}" if path == "grids[]" else ""
    about = _law(section)
    yield f"## {title}\n\n{about}\n\n{_HEAD}{rows}{forms}{choices}"
    for setting in settings.values():
        inner, below = _inner(setting.shape, f"{path}.{setting.key}" if path else setting.key)
        if inner is not None:
            yield from _sections(inner, below)


def _law(section: type[Any]) -> str:
    return (section.__doc__ or "").strip().split("\n\n")[0]


def _inner(shape: Shape, path: str) -> tuple[type[Any] | None, str]:
    if shape.item is not None:
        return shape.item.section, path + (".NAME" if shape.form is Form.TABLE else "[]")
    return shape.section, path


def _row(setting: Setting) -> str:
    about = setting.about
    kind = _WORDS[setting.shape.form] + (" or null" if _null_means_off(setting) else "")
    simple = setting.shape.form not in (Form.SECTION, Form.TABLE, Form.ROWS)
    example = f"`{_yaml(plain(about.example), setting.shape.form)}`" if simple else ""
    cells = [
        f"`{setting.key}`",
        kind,
        about.unit,
        _default(setting),
        about.range_text(),
        about.sentence,
        example,
    ]
    return "| " + " | ".join(cells) + " |\n"


def _null_means_off(setting: Setting) -> bool:
    return setting.shape.nullable and setting.default is not None


def _default(setting: Setting) -> str:
    if setting.about.default_text:
        return setting.about.default_text
    if setting.required:
        return "**required**"
    if setting.shape.form is Form.SECTION:
        return "none" if setting.default is None else "its defaults"
    if setting.default is None:
        return "none"
    if setting.shape.form is Form.TABLE:
        return "empty"
    return f"`{_yaml(plain(setting.default), setting.shape.form)}`"


def _yaml(value: object, form: Form) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if form is Form.DECIMAL else str(value)


def _choices(setting: Setting) -> str:
    if not setting.shape.choices:
        return ""
    lines = "".join(f"- `{choice}`: {choice.about}\n" for choice in setting.shape.choices)
    return f"\n`{setting.key}`:\n\n{lines}"
