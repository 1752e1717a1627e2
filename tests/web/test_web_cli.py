"""`grinder ui` as it is used: a process of its own, that reads, says where it is, and ends when told."""

from __future__ import annotations

import http.client
import signal
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

import orjson
import pytest
from click.testing import CliRunner
from live_runs import Running

from grinder.cli import main
from grinder.errors import ExitStatus


def got(address: str, path: str, method: str = "GET") -> tuple[int, dict[str, object]]:
    place = urlsplit(address)
    connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=10)
    connection.request(method, path)
    answer = connection.getresponse()
    found = orjson.loads(answer.read())
    connection.close()
    return answer.status, found


@pytest.fixture
def ui(finished: Path, tmp_path: Path) -> Iterator[tuple[Running, dict[str, object]]]:
    environment = {"GRINDER_ACCESS_FILE": str(tmp_path / "access.db")}
    options = ("--port", "0", "--model", str(tmp_path / "nowhere"), "--json")
    with Running("ui", str(finished), *options, cwd=tmp_path, env=environment) as running:
        assert running.process.stdout is not None
        text = b""
        while not text.endswith(b"}\n"):
            line = running.process.stdout.readline()
            assert line, running.process.stderr.read() if running.process.stderr else ""
            text += line
        yield running, orjson.loads(text)


def test_the_process_serves_reads_only_and_ends_when_told(
    finished: Path, ui: tuple[Running, dict[str, object]]
) -> None:
    running, told = ui
    before = sha256((finished / "ledger.db").read_bytes()).digest()
    address = str(told["address"])
    assert address.startswith("http://127.0.0.1:")
    notes = str(told["notes"])
    assert "no user yet" in notes
    assert "The rules decide" in notes, "in place of a model that is not there"
    assert got(address, "/api/grids")[0] == 200
    assert got(address, "/api/pause", "POST")[0] == 403
    assert got(address, "/api/trades?at=200")[0] == 200
    running.process.send_signal(signal.SIGTERM)
    code, _, err = running.ended(10)
    assert code == 0, err.decode()[-2000:]
    assert b"Traceback" not in err
    assert sha256((finished / "ledger.db").read_bytes()).digest() == before


def test_a_folder_without_a_run_or_a_careless_address_is_refused_before_anything_is_served(
    finished: Path, tmp_path: Path
) -> None:
    environment = {"GRINDER_ACCESS_FILE": str(tmp_path / "access.db")}
    for arguments, status, code in (
        ([], ExitStatus.USAGE, "usage.ui"),
        ([str(tmp_path)], ExitStatus.DAMAGED, "ledger.missing"),
        ([str(finished), "--host", "0.0.0.0"], ExitStatus.USAGE, "ui.exposed"),
        ([str(finished), "--alerts-from", "everywhere"], ExitStatus.USAGE, "ui.address"),
        ([str(finished), str(finished)], ExitStatus.USAGE, "ui.runs"),
    ):
        found = CliRunner().invoke(main, ["ui", *arguments, "--json"], env=environment)
        assert found.exit_code == status, (arguments, found.output, found.exception)
        assert orjson.loads(found.stdout)["error"]["code"] == code
