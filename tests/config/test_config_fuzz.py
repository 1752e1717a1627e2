"""Whatever is written, the outcome is a configuration or a `ConfigError`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grinder.config import Config, Grid, check_config, config_as_dict, load_config
from grinder.config.setting import Form, Shape, settings_of
from grinder.errors import ConfigError

MODEST: Final = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])

JUNK: Final = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["NaN", "-0", "1e9", "1_000", "0x10", "9" * 40, "quote", "off"]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=4), st.integers(), max_size=2),
)
SOUND_DATA: Final = """\
account: {balance: 1000}
instruments: {BTCUSDT: {kind: linear}, ETHUSDT: {kind: linear}}
grids:
  - {symbol: BTCUSDT, mode: long, spacing: geometric, lower_price: 20, upper_price: 150, grid_number: 9,
     quantity: 1, post_only: false}
  - {symbol: ETHUSDT, mode: neutral, spacing: uniform, center_price: 1000, spacing_bps: 20,
     levels_per_side: 9, quote_investment: 1}
"""
NAMES: Final = st.sampled_from(["BTCUSDT", "ETHUSDT", "BTC", "USDT", "BNB", "quote", "base"])
NUMBERS: Final = st.sampled_from(["0", "1", "2", "20", "0.5", "-1", "60000", "63000", "150", "1000"])


def of_shape(shape: Shape) -> st.SearchStrategy[Any]:
    """Mostly values the shape takes, sometimes anything."""
    return st.one_of(*[_good(shape)] * 9, JUNK)


def _good(shape: Shape) -> st.SearchStrategy[Any]:
    match shape.form:
        case Form.DECIMAL:
            return NUMBERS
        case Form.INTEGER:
            return st.integers(0, 250)
        case Form.FLAG:
            return st.booleans()
        case Form.TEXT:
            return NAMES
        case Form.CHOICE:
            return st.sampled_from([str(choice) for choice in shape.choices])
        case Form.SECTION:
            assert shape.section is not None
            return of_section(shape.section)
        case Form.TABLE:
            assert shape.item is not None
            return st.dictionaries(NAMES, of_shape(shape.item), max_size=3)
        case Form.ROWS:
            assert shape.item is not None
            return st.lists(of_shape(shape.item), max_size=3)


def of_section(section: type[Any]) -> st.SearchStrategy[dict[str, Any]]:
    known = settings_of(section)
    required = {key: of_shape(setting.shape) for key, setting in known.items() if setting.required}
    optional = {key: of_shape(setting.shape) for key, setting in known.items() if not setting.required}
    return st.fixed_dictionaries(required, optional=optional)


def outcome(attempt: Callable[[], Config]) -> Config | ConfigError:
    try:
        return attempt()
    except ConfigError as error:
        assert error.code.startswith("config.")
        assert error.place
        assert error.fix
        return error


def from_text(text: str, env: Mapping[str, str] | None = None) -> Config | ConfigError:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "grinder.yaml"
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        result = outcome(lambda: load_config([path], env or {}))
        problems = check_config([path], env or {})
    assert bool(problems) is isinstance(result, ConfigError)
    return result


@MODEST
@given(of_section(Config))
def test_any_mapping_given_as_overrides_loads_or_is_refused(data: dict[str, Any]) -> None:
    result = outcome(lambda: load_config([], {}, data))
    if isinstance(result, Config):
        assert load_config([], {}, config_as_dict(result)) == result


GRID_SETTINGS: Final = {key: setting.shape for key, setting in settings_of(Grid).items()}


@MODEST
@given(
    st.sampled_from(sorted(GRID_SETTINGS)).flatmap(
        lambda key: st.tuples(st.just(key), of_shape(GRID_SETTINGS[key]))
    ),
    st.integers(0, 1),
)
def test_a_sound_configuration_with_one_setting_changed_loads_or_is_refused(
    change: tuple[str, Any], index: int
) -> None:
    data = yaml.safe_load(SOUND_DATA)
    data["grids"][index][change[0]] = change[1]
    result = outcome(lambda: load_config([], {}, data))
    if isinstance(result, Config):
        assert load_config([], {}, config_as_dict(result)) == result


@MODEST
@given(of_section(Config))
def test_any_mapping_written_as_yaml_loads_or_is_refused(data: dict[str, Any]) -> None:
    from_text(yaml.safe_dump(data, allow_unicode=True))


@MODEST
@given(st.text())
def test_any_text_loads_or_is_refused(text: str) -> None:
    from_text(text)


@MODEST
@given(st.text(alphabet=":-{}[]&*!|>'\"#%@`,? \t\nab01.<", max_size=60))
def test_any_yaml_like_text_loads_or_is_refused(text: str) -> None:
    from_text(f"account: {text}")


@MODEST
@given(st.text(alphabet="_ABCGRIDS0189.", max_size=20), st.text(max_size=10))
def test_any_variable_loads_or_is_refused(name: str, value: str) -> None:
    from_text("grids: [{symbol: BTCUSDT}]", {f"GRINDER__{name}": value})


@MODEST
@given(st.dictionaries(st.text(max_size=12), JUNK, max_size=3))
def test_any_override_loads_or_is_refused(overrides: dict[str, Any]) -> None:
    outcome(lambda: load_config([], {}, overrides))
