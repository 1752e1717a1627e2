"""Who may ask: OKX's signatures.

Law: a request is judged in OKX's order and refused in OKX's words; nothing here knows what is asked.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime

from grinder.secrets import Credentials

WINDOW_MS = 30_000
"""How far a timestamp may be from OKX's clock."""

LOGIN_PATH = "/users/self/verify"

Refusal = tuple[str, str]
"""(code, words)"""


def signature(secret: str, timestamp: str, method: str, path: str, body: str = "") -> str:
    """Base64 of HMAC-SHA256 over what is signed."""
    text = f"{timestamp}{method}{path}{body}"
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()).decode()


def refuse_request(
    headers: Mapping[str, str], method: str, path: str, body: str, keys: Credentials, now_ms: int
) -> Refusal | None:
    """Why a REST request is not answered, or None.

    Args:
        path: as it was requested, with its query.
    """
    told = {name: headers.get(f"OK-ACCESS-{name}", "") for name in ("KEY", "PASSPHRASE", "TIMESTAMP", "SIGN")}
    for number, name in (
        ("50103", "KEY"),
        ("50104", "PASSPHRASE"),
        ("50106", "SIGN"),
        ("50107", "TIMESTAMP"),
    ):
        if not told[name]:
            return number, f'Request header "OK-ACCESS-{name}" can\'t be empty.'
    if told["KEY"] != keys.key:
        return "50111", "Invalid OK-ACCESS-KEY"
    try:
        sent_ms = int(datetime.fromisoformat(told["TIMESTAMP"]).timestamp() * 1000)
    except (ValueError, OverflowError):
        return "50112", "Invalid OK-ACCESS-TIMESTAMP"
    if abs(sent_ms - now_ms) > WINDOW_MS:
        return "50102", "Timestamp request expired"
    if told["PASSPHRASE"] != keys.passphrase:
        return "50105", "Request header OK-ACCESS-PASSPHRASE incorrect."
    right = signature(keys.secret, told["TIMESTAMP"], method, path, body)
    if not hmac.compare_digest(right, told["SIGN"]):
        return "50113", "Invalid Sign"
    return None


def refuse_login(login: Mapping[str, object], keys: Credentials, now_ms: int) -> Refusal | None:
    """Why a login on a WebSocket is refused, or None."""
    timestamp = str(login.get("timestamp"))
    if login.get("apiKey") != keys.key:
        return "60005", "Invalid apiKey"
    try:
        sent_ms = int(timestamp) * 1000
    except ValueError:
        return "60004", "Invalid timestamp"
    if abs(sent_ms - now_ms) > WINDOW_MS:
        return "60006", "Timestamp request expired"
    if login.get("passphrase") != keys.passphrase:
        return "60024", "Wrong passphrase"
    right = signature(keys.secret, timestamp, "GET", LOGIN_PATH)
    if not hmac.compare_digest(right, str(login.get("sign"))):
        return "60007", "Invalid sign"
    return None
