"""The log: JSON lines with their correlation, a file that is rotated, and never a secret."""

from __future__ import annotations

import logging
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import pykka
import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grinder import log
from grinder.observation.redaction import HIDDEN, REDACTOR, Redactor, is_sensitive, register_secret
from grinder.secrets import Credentials

REPO = Path(__file__).resolve().parents[2]


@pytest.fixture
def logged(tmp_path: Path) -> Iterator[Path]:
    """A log file; afterwards the log of this process is as it was."""
    root = logging.getLogger()
    handlers, level, hook = root.handlers[:], root.level, sys.excepthook
    known = (set(REDACTOR._spellings), REDACTOR._known)
    structlog.reset_defaults()
    log.configure(False, True, tmp_path / "grinder.log")
    yield tmp_path / "grinder.log"
    for handler in root.handlers:
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    sys.excepthook = hook
    REDACTOR._spellings, REDACTOR._known = known
    structlog.reset_defaults()


def lines(path: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


# --- lines ---------------------------------------------------------------------------------------------


def test_a_line_is_json_with_time_level_event_correlation_and_actor_first(logged: Path) -> None:
    log.logger().info("order sent", order="abc", lots=3)
    with log.correlated(4711, "session"):
        log.logger().warning("late")
    log.logger().info("again")
    first, second, third = lines(logged)
    assert list(first) == ["ts", "level", "event", "correlation_id", "actor", "order", "lots"]
    assert (first["level"], first["event"], first["correlation_id"], first["actor"]) == (
        "info",
        "order sent",
        0,
        "main",
    )
    assert first["ts"].endswith("Z")
    assert (second["correlation_id"], second["actor"]) == (4711, "session")
    assert (third["correlation_id"], third["actor"]) == (0, "main")


def test_lines_of_other_libraries_come_through_the_same_door(logged: Path) -> None:
    register_secret("hunter2hunter2")
    logging.getLogger("aiohttp.client").warning("GET /?signature=%s %s", "cafe00", "hunter2hunter2")
    try:
        raise RuntimeError("with hunter2hunter2 inside")
    except RuntimeError:
        logging.getLogger("pykka").exception("an actor failed")
    text = logged.read_text()
    assert "hunter2" not in text
    assert "cafe00" not in text
    first, second = lines(logged)
    assert first["event"] == f"GET /?signature={HIDDEN} {HIDDEN}"
    assert second["level"] == "error"
    assert "RuntimeError" in str(second["exception"])


def test_an_actor_of_pykka_that_fails_is_logged_with_its_name(logged: Path) -> None:
    class Failing(pykka.ThreadingActor):
        def on_receive(self, message: object) -> None:
            log.logger().info("at work")
            raise ValueError("no")

    actor = Failing.start()
    actor.tell("x")
    actor.actor_stopped.wait(3)
    actor.stop()
    found = lines(logged)
    assert found[0]["actor"].startswith("Failing")
    assert any("ValueError" in str(line.get("exception")) for line in found)


def test_tracebacks_show_no_local_variables(logged: Path) -> None:
    def fails() -> None:
        unregistered = "a value nobody registered"
        raise KeyError(len(unregistered))

    try:
        fails()
    except KeyError:
        log.logger().exception("failed")
    (line,) = lines(logged)
    assert line["exception"][0]["exc_type"] == "KeyError"
    assert "nobody registered" not in str([frame.get("locals") for frame in line["exception"][0]["frames"]])


def test_a_file_that_is_full_is_set_aside_and_ten_are_kept(
    logged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (log.FILE_BYTES, log.FILE_COUNT) == (100_000_000, 10)
    monkeypatch.setattr(log, "FILE_BYTES", 2_000)
    log.configure(False, True, logged)
    for number in range(300):
        log.logger().info("line", number=number)
    kept = sorted(logged.parent.glob("grinder.log*"))
    assert len(kept) == 11
    assert all(path.stat().st_size <= 2_000 for path in kept)
    assert all(lines(path) for path in kept)
    assert lines(logged)[-1]["number"] == 299


def test_the_file_has_what_is_going_on_and_the_screen_only_warnings(
    tmp_path: Path, logged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log.configure(False, True, logged)
    log.logger().info("quiet")
    log.logger().warning("loud")
    assert [line["event"] for line in lines(logged)] == ["quiet", "loud"]
    assert '"loud"' in capsys.readouterr().err


# --- secrets -------------------------------------------------------------------------------------------

SECRETS = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_categories=["Cs", "Cc"]),
    min_size=8,
    max_size=48,
).filter(lambda text: len(set(text)) > 4 and "*" not in text)

PLACES = st.recursive(
    st.sampled_from(["text", "around", "bytes", "error", "object", "url", "repr"]),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3),
        st.dictionaries(st.sampled_from(["a", "note", "secret", "url"]), inner, min_size=1, max_size=3),
        inner.map(lambda one: ("key", one)),
    ),
    max_leaves=6,
)


class Holder:
    def __init__(self, secret: str) -> None:
        self.secret = secret

    def __repr__(self) -> str:
        return f"Holder({self.secret!r})"


def put(place: Any, secret: str) -> Any:
    """A value with the secret somewhere inside."""
    if isinstance(place, list):
        return [put(one, secret) for one in place]
    if isinstance(place, tuple):
        return {f"key {secret}": put(place[1], secret)}
    if isinstance(place, dict):
        return {key: put(one, secret) for key, one in place.items()}
    return {
        "text": secret,
        "around": f"<{secret}>{secret}",
        "bytes": secret.encode(),
        "error": RuntimeError(f"refused {secret}", [secret]),
        "object": Holder(secret),
        "url": f"https://user:{quote(secret, safe='')}@example.org/?q={quote(secret)}",
        "repr": repr({"s": secret}),
    }[place]


def leaks(text: str, secret: str) -> bool:
    """Whether the secret is there in any spelling, in the line itself or in what it says."""
    spellings = {secret, repr(secret)[1:-1], ascii(secret)[1:-1], quote(secret, safe=""), quote(secret)}
    spellings |= {orjson.dumps(one).decode()[1:-1] for one in list(spellings)}
    return any(one in text for one in spellings)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(secret=SECRETS, place=PLACES)
def test_a_secret_leaks_from_nowhere(logged: Path, secret: str, place: Any) -> None:
    register_secret(secret)
    with logged.open("r+") as file:
        file.truncate(0)
    inside = put(place, secret)
    try:
        try:
            raise ValueError(f"inner {secret}", inside)
        except ValueError as error:
            raise RuntimeError(f"outer {secret!r}") from error
    except RuntimeError:
        log.logger().exception(f"event {secret}", field=inside, plain="kept", api_key="anything")
    logging.getLogger("other").warning("said %s and %r", secret, inside)
    raw = logged.read_text(encoding="utf-8").replace("\x00", "")
    assert not leaks(raw, secret)
    for line in raw.splitlines():
        assert not leaks(str(orjson.loads(line)), secret)
    first = orjson.loads(raw.splitlines()[0])
    assert (first["plain"], first["api_key"]) == ("kept", HIDDEN)


@pytest.mark.parametrize(
    "key",
    ["secret", "API_KEY", "apiKey", "X-MBX-APIKEY", "OK-ACCESS-SIGN", "X-BAPI-SIGN", "signature", "listenKey",
     "passphrase", "Authorization", "private_key", "webhook_url", "routing_key", "token", "db_password"],
)  # fmt: skip
def test_a_key_that_names_a_secret_is_known(key: str) -> None:
    assert is_sensitive(key)
    assert Redactor().value({key: "x"}) == {key: HIDDEN}


@pytest.mark.parametrize("key", ["symbol", "kind", "key", "keys", "signal", "position", "design", "spinning"])
def test_a_key_that_names_none_is_left_alone(key: str) -> None:
    assert Redactor().value({key: "x"}) == {key: "x"}


def test_a_secret_in_a_text_is_found_by_its_name() -> None:
    text = REDACTOR.text(
        "GET /api?symbol=BTC&signature=0badc0de&timestamp=1 {'secret': 'abc', \"token\":\"x-y\"}"
    )
    assert text.startswith(f"GET /api?symbol=BTC&signature={HIDDEN}&timestamp=1 ")
    assert text.endswith(f"{{'secret': '{HIDDEN}', \"token\":\"{HIDDEN}\"}}")


def test_a_secret_that_contains_another_leaves_no_rest() -> None:
    redactor = Redactor()
    redactor.register(["abcdefgh", "abcdefghij"])
    assert redactor.text("x abcdefghij y abcdefgh z") == f"x {HIDDEN} y {HIDDEN} z"


def test_a_value_without_end_or_bottom_is_shown_all_the_same() -> None:
    loop: list[Any] = ["bottom-secret"]
    loop.append(loop)
    register_secret("bottom-secret")
    assert "bottom-secret" not in str(REDACTOR.value(loop))


def test_credentials_are_secret_from_their_making_on(logged: Path) -> None:
    credentials = Credentials("AKIAKEYKEYKEY", "very-secret-indeed", "pass-phrase-it-is")
    assert repr(credentials) == f"Credentials(key=AKIA{HIDDEN}, purpose='')"
    log.logger().warning("x", one="very-secret-indeed", two=["pass-phrase-it-is"], three=credentials)
    assert "very-secret" not in logged.read_text()
    assert "pass-phrase" not in logged.read_text()
    assert "KEYKEYKEY" not in logged.read_text()


def test_a_traceback_that_python_prints_by_itself_hides_secrets(tmp_path: Path) -> None:
    program = textwrap.dedent(
        """
        import threading
        from grinder import log
        from grinder.secrets import Credentials
        log.configure(False, True)
        credentials = Credentials("k" * 12, "very-secret-indeed")
        def fails():
            raise RuntimeError("the request with " + credentials.secret + " was refused")
        thread = threading.Thread(target=fails, name="worker")
        thread.start(); thread.join()
        fails()
        """
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(REPO)},
        timeout=30,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr.count(f"the request with {HIDDEN} was refused") == 2
    assert "Exception in thread worker" in ended.stderr
    assert "very-secret" not in ended.stderr + ended.stdout
