"""Files, environment and command line laid over each other, and what comes out."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import attrs
import pytest

from grinder.config import (
    Config,
    GridMode,
    InitialInventory,
    OnStop,
    PartialFills,
    Risk,
    check_config,
    config_as_dict,
    config_warnings,
    load_config,
)

Write = Callable[..., Path]


def test_defaults_complete_what_is_not_written(sound: str, written: Write) -> None:
    config = load_config([written(sound)], {})
    long, neutral = config.grids
    assert (long.mode, long.initial_inventory, long.on_stop) == (
        GridMode.LONG,
        InitialInventory.BUY,
        OnStop.CANCEL,
    )
    assert neutral.initial_inventory is None
    assert config.instruments["BTCUSDT"].base == "BTC"
    assert config.instruments["ETHUSDT"].quote == "USDT"
    assert config.instruments["ETHUSDT"].tick is None
    assert config.risk == Risk(orders_per_minute=60)
    assert config.risk is not None
    assert config.risk.session_drawdown_pct == Decimal(3)


def test_a_configuration_is_frozen(sound: str, written: Write) -> None:
    config = load_config([written(sound)], {})
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        config.version = 2  # type: ignore[misc]


@pytest.mark.parametrize("risk", ["", "risk: null\n"])
def test_without_a_risk_section_there_are_no_limits(risk: str, sound: str, written: Write) -> None:
    assert load_config([written(sound.replace("risk: {orders_per_minute: 60}\n", risk))], {}).risk is None


def test_a_null_limit_is_switched_off_and_the_others_stay(sound: str, written: Write) -> None:
    text = sound.replace("orders_per_minute: 60", "daily_drawdown_pct: null")
    assert load_config([written(text)], {}).risk == Risk(daily_drawdown_pct=None)


def test_off_is_a_word_even_without_quotes(sound: str, written: Write) -> None:
    config = load_config([written(sound.replace("model: touch", "partial: off"))], {})
    assert config.fills.partial is PartialFills.OFF


def test_aliases_repeat_a_value(sound: str, written: Write) -> None:
    text = sound.replace('"10000"', "&all 9000").replace('"5000"', "*all")
    assert load_config([written(text)], {}).grids[0].quote_investment == 9000


@pytest.mark.parametrize("symbol", ["SOL-USDT", "SOL_USDT", "SOL.USDT"])
def test_the_base_is_the_symbol_without_quote_and_separator(symbol: str, sound: str, written: Write) -> None:
    config = load_config([written(sound.replace("ETHUSDT", symbol))], {})
    assert config.instruments[symbol].base == "SOL"


def test_a_later_file_wins_key_by_key_and_lists_replace(sound: str, written: Write) -> None:
    first = written(sound)
    second = written(
        "risk: {daily_drawdown_pct: '9'}\n"
        "grids:\n  - {symbol: ETHUSDT, mode: long, spacing: uniform, center_price: 3000, spacing_bps: 5,"
        " levels_per_side: 2, quantity: 1}\n",
        "later.yaml",
    )
    config = load_config([first, second], {})
    assert config.risk == Risk(daily_drawdown_pct=Decimal(9), orders_per_minute=60)
    assert [grid.symbol for grid in config.grids] == ["ETHUSDT"]


def test_a_problem_names_the_file_it_came_from(sound: str, written: Write) -> None:
    paths = [written(sound), written("\n\nrisk: {daily_drawdown_pct: much}\n", "later.yaml")]
    (problem,) = check_config(paths, {})
    assert problem.place == f"{paths[1]}:3"


def test_precedence_is_command_line_then_environment_then_files(sound: str, written: Write) -> None:
    path = written(sound)
    name, key = "GRINDER__RISK__ORDERS_PER_MINUTE", "risk.orders_per_minute"
    limits = [
        load_config([path], env, overrides).risk
        for env, overrides in (({}, {}), ({name: "30"}, {}), ({name: "30"}, {key: 15}), ({}, {key: "7"}))
    ]
    assert [limit and limit.orders_per_minute for limit in limits] == [60, 30, 15, 7]


def test_the_environment_reaches_symbols_lists_and_switches(sound: str, written: Write) -> None:
    env = {
        "GRINDER__INSTRUMENTS__BTCUSDT__TICK": "0.5",
        "GRINDER__INSTRUMENTS__SOLUSDT__KIND": "linear",
        "GRINDER__ACCOUNT__ASSETS__BTC": "0.25",
        "GRINDER__GRIDS__0__POST_ONLY": "false",
        "GRINDER__RISK__DAILY_DRAWDOWN_PCT": "null",
        "GRINDER__FILLS__PARTIAL": "off",
        "GRINDER_TOKEN": "not looked at",
        "HOME": "/root",
    }
    config = load_config([written(sound)], env)
    assert config.instruments["BTCUSDT"].tick == Decimal("0.5")
    assert config.instruments["SOLUSDT"].base == "SOL"
    assert config.account.assets == {"BTC": Decimal("0.25")}
    assert not config.grids[0].post_only
    assert config.risk == Risk(daily_drawdown_pct=None, orders_per_minute=60)


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("GRINDER__RISK__ORDERS", "1", "config.unknown_key"),
        ("GRINDER__RISK__ORDERS_PER_MINUTE", "1.5", "config.wrong_type"),
        ("GRINDER__RISK__DAILY_DRAWDOWN_PCT", "inf", "config.not_finite"),
        ("GRINDER__GRIDS", "[]", "config.wrong_type"),
        ("GRINDER__GRIDS__9__MODE", "long", "config.override"),
        ("GRINDER__GRIDS__X__MODE", "long", "config.override"),
        ("GRINDER__VERSION__X", "1", "config.override"),
        ("GRINDER__RISK__", "1", "config.override"),
        ("GRINDER__", "1", "config.override"),
        ("GRINDER__ACCOUNT__API_KEY", "hunter2", "config.secret"),
        ("GRINDER__VERSION", "99", "config.newer_version"),
    ],
)
def test_a_bad_variable_is_refused_by_name(
    name: str, value: str, code: str, sound: str, written: Write
) -> None:
    (problem,) = check_config([written(sound)], {name: value})
    assert (problem.code, problem.place) == (code, f"environment {name}")
    assert problem.fix
    assert "hunter2" not in str(problem)


def test_overrides_may_be_nested_and_take_plain_values(sound: str, written: Write) -> None:
    overrides = {
        "account": {"balance": Decimal("12.5"), "assets": {"BTC": "1"}},
        "grids.0.post_only": False,
        "risk": None,
    }
    config = load_config([written(sound)], {}, overrides)
    assert (config.account.balance, config.account.assets) == (Decimal("12.5"), {"BTC": Decimal(1)})
    assert (config.grids[0].post_only, config.risk) == (False, None)


@pytest.mark.parametrize(
    ("value", "code"),
    [(0.5, "config.unquoted_number"), (b"1", "config.wrong_type"), ({1}, "config.wrong_type")],
)
def test_an_override_of_an_unsafe_type_is_refused(
    value: object, code: str, sound: str, written: Write
) -> None:
    (problem,) = check_config([written(sound)], {}, {"account.balance": value})
    assert (problem.code, problem.place) == (code, "command line account.balance")


def test_without_any_source_the_problems_still_have_a_place() -> None:
    assert {problem.place for problem in check_config([], {})} == {"the configuration"}


def test_the_canonical_form_loads_as_the_same_configuration(sound: str, written: Write) -> None:
    config = load_config([written(sound)], {})
    data = config_as_dict(config)
    again = load_config([written(json.dumps(data), "again.json")], {})
    assert again == config
    assert config_as_dict(again) == data
    assert load_config([], {}, data) == config


def test_equal_configurations_have_one_canonical_form(sound: str, written: Write) -> None:
    other = sound.replace('"0.1"', '"0.100"').replace('"10000"', "10000").replace('"63000"', '"63000.0"')
    forms = [load_config([written(text)], {}) for text in (sound, other)]
    assert forms[0] == forms[1]
    texts = {json.dumps(config_as_dict(form)) for form in forms}
    assert len(texts) == 1
    assert '"tick": "0.1"' in texts.pop()


def test_thirty_six_digits_survive(sound: str, written: Write) -> None:
    text = "123456789012345678.123456789012345678"
    config = load_config([written(sound)], {"GRINDER__ACCOUNT__BALANCE": text})
    assert config_as_dict(config)["account"]["balance"] == text


def _warned(config: Config) -> list[str]:
    return [warning.what for warning in config_warnings(config)]


def test_odd_limits_are_warned_about_and_not_refused(sound: str, written: Write) -> None:
    path = written(sound)
    assert _warned(load_config([path], {})) == []
    odd = {"risk.session_drawdown_pct": "25", "account.fees": {"asset": "BNB", "asset_price": 600}}
    warnings = _warned(load_config([path], {}, odd))
    assert len(warnings) == 3
    assert "above 20 %" in warnings[0]
    assert "never halts first" in warnings[1]
    assert "BNB" in warnings[2]
