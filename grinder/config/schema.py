"""The JSON Schema of the configuration, for editors and other programs.

Law: derived from the settings' metadata, nothing is written twice.  The schema is what can be said about one
value at a time; it admits every file the program accepts, and the program refuses more.
"""

from __future__ import annotations

from typing import Any

from grinder.config.converting import plain
from grinder.config.model import Config
from grinder.config.reading import DECIMAL_PATTERN
from grinder.config.setting import About, Form, Setting, Shape, settings_of

# null stands for an empty section or a key that takes its default, which the program accepts too.
_OMISSIBLE = (Form.SECTION, Form.TABLE)


def config_schema() -> dict[str, object]:
    """The configuration's JSON Schema (draft 2020-12)."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "grinder configuration",
        **_section(Config),
    }


def _section(section: type[Any]) -> dict[str, Any]:
    settings = settings_of(section)
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {key: _setting(setting) for key, setting in settings.items()},
        "additionalProperties": False,
    }
    if required := [key for key, setting in settings.items() if setting.required]:
        schema["required"] = required
    return schema


def _setting(setting: Setting) -> dict[str, Any]:
    about = setting.about
    schema = _value(setting.shape, about)
    if setting.shape.nullable or (setting.shape.form in _OMISSIBLE and not setting.required):
        schema = {"anyOf": [schema, {"type": "null"}]}
    schema["description"] = _description(about, setting.shape)
    if not setting.required and not about.default_text and setting.shape.form is not Form.SECTION:
        schema["default"] = plain(setting.default)
    schema["examples"] = [about.example]
    return schema


def _description(about: About, shape: Shape) -> str:
    extra = [f"Unit: {about.unit}."] if about.unit else []
    extra += [f"Range: {about.range_text()}."] if about.range_text() else []
    extra += [f"Default: {about.default_text}."] if about.default_text else []
    extra += [f"{choice}: {choice.about}." for choice in shape.choices]
    return " ".join([about.sentence, *extra])


def _value(shape: Shape, about: About) -> dict[str, Any]:
    match shape.form:
        case Form.DECIMAL:
            return {"anyOf": [{"type": "string", "pattern": f"^{DECIMAL_PATTERN}$"}, _integer(about)]}
        case Form.INTEGER:
            return _integer(about)
        case Form.FLAG:
            return {"type": "boolean"}
        case Form.TEXT:
            return {"type": "string", **({"pattern": f"^{about.pattern}$"} if about.pattern else {})}
        case Form.CHOICE:
            return {"type": "string", "enum": [str(choice) for choice in shape.choices]}
        case Form.SECTION:
            assert shape.section is not None
            return _section(shape.section)
        case Form.TABLE:
            assert shape.item is not None
            item = _value(shape.item, about)
            names = {"type": "string", "pattern": f"^{about.names}$"}
            return {"type": "object", "propertyNames": names, "additionalProperties": item}
        case Form.ROWS:
            assert shape.item is not None
            return {"type": "array", "minItems": 1, "items": _value(shape.item, about)}


def _integer(about: About) -> dict[str, Any]:
    bounds = {
        "exclusiveMinimum": about.above,
        "minimum": about.at_least,
        "exclusiveMaximum": about.below,
        "maximum": about.at_most,
    }
    return {"type": "integer", **{word: bound for word, bound in bounds.items() if bound is not None}}
