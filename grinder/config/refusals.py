"""Every way a configuration can be refused, by its stable code.

Law: a refusal has a code from this table, and a code in this table has a test.  The sentences here are
what the reference prints; the message a user sees adds the place, the value and the fix.
"""

from __future__ import annotations

from typing import Final

from grinder.errors import ConfigError

REFUSALS: Final[dict[str, str]] = {
    "config.file_missing": "The file does not exist.",
    "config.file_unreadable": "The file cannot be read: a folder, a permission, or not UTF-8.",
    "config.too_large": "The file is too large, too deep, or expands to too much through aliases.",
    "config.syntax": "The file is not YAML, uses a tab as indentation, or holds more than one document.",
    "config.unsupported_yaml": "A merge key (`<<`), a custom tag, or an alias that contains itself.",
    "config.duplicate_key": "A key is written twice in one map; both lines are named.",
    "config.secret": "A secret is written where only settings belong.",
    "config.newer_version": "The configuration is of a newer version than the program reads.",
    "config.override": "An environment variable or an override names no place in the configuration.",
    "config.unknown_key": "The key is not known; the nearest known key is named.",
    "config.missing_key": "A required key or section is absent or empty.",
    "config.wrong_type": "The value has another type than the key takes.",
    "config.unquoted_number": "A number with a fraction is not quoted; YAML makes it binary floating point.",
    "config.not_finite": "The number is NaN or infinite.",
    "config.out_of_range": "The number is outside the range the key takes.",
    "config.unknown_choice": "The value is none of the choices; the nearest is named.",
    "config.bad_name": "A symbol or asset is not written the way exchanges write them.",
    "config.unknown_symbol": "A grid's symbol is not listed in `instruments`; the nearest are named.",
    "config.duplicate_symbol": "Two grids trade one symbol on one account.",
    "config.bounds_order": "`lower_price` is not below `upper_price`.",
    "config.grid_form": "A grid mixes or leaves incomplete the two ways to place its levels.",
    "config.grid_size": "A grid gives both or neither of `quantity` and `quote_investment`.",
    "config.stop_price": "A stop loss or take profit lies inside the grid.",
    "config.initial_inventory": "`initial_inventory` does not fit the grid or the account.",
    "config.needs_linear": "The setting needs an instrument of kind `linear`.",
    "config.quote_mismatch": "An instrument's quote currency is not the account's.",
    "config.base_unknown": "An instrument's base asset cannot be derived from its symbol.",
    "config.fee_asset": "The fee asset and its price do not fit together.",
    "config.connector": "`account.connector` is given for an exchange that is built in.",
    "config.endpoint": "`account.endpoint` is given where there is no address to choose.",
    "config.balance_twice": "The quote balance is also given among the other assets.",
}

_VALUE_LENGTH_MAX: Final = 80


def refusal(code: str, what: str, *, place: str, fix: str, value: str = "") -> ConfigError:
    """Build the error for one refusal.  A code missing from `REFUSALS` is a bug (KeyError)."""
    REFUSALS[code]
    return ConfigError(code, what, place=place, value=shown(value), fix=fix)


def shown(text: str) -> str:
    """A user's text made safe for one line of a terminal: escaped, and cut after 80 characters."""
    text = text.encode("unicode_escape").decode("ascii") if not text.isprintable() else text
    return text if len(text) <= _VALUE_LENGTH_MAX else text[: _VALUE_LENGTH_MAX - 1] + "…"
