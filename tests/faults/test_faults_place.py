"""Where a ledger may stand, and on which SQLite: refused on a share, warned of a known bug."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner
from fault_runs import paper_spec

from grinder.cli import main
from grinder.commands import doctor
from grinder.errors import EnvironmentFault, ExitStatus
from grinder.ledger import engine, place
from grinder.ledger.engine import has_wal_reset_bug, warn_of_engine
from grinder.ledger.lock import WriterLock
from grinder.ledger.place import is_network, mounted_kind, require_local
from grinder.live import process
from grinder.live.spec import prepare
from grinder.run_folder import RunFolder

MOUNTINFO = """\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 27 0:40 / {home}/share rw,relatime shared:2 - nfs4 server:/export rw,vers=4.2
41 27 0:41 / {home}/with\\040space rw - cifs //server/share rw
42 40 8:2 / {home}/share/disk rw - xfs /dev/sdb1 rw
43 27 0:43 / {home}/over rw - fuse.sshfs user@server:/ rw
44 27 0:44 / {home}/covered rw - nfs4 server:/a rw
45 44 8:3 / {home}/covered rw - ext4 /dev/sdc1 rw
46 27 0:46 / {home}/local rw - fuse.gocryptfs /encrypted rw
short line
"""


@pytest.fixture
def mounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A mount table with shares below a folder; what the product reads in place of the machine's."""
    table = tmp_path / "mountinfo"
    table.write_text(MOUNTINFO.format(home=tmp_path))
    monkeypatch.setattr(mounted_kind, "__defaults__", (table,))
    return tmp_path


@pytest.mark.parametrize(
    ("folder", "kind", "refused"),
    [
        ("share/runs/btc", "nfs4", True),
        ("share", "nfs4", True),
        ("shareholders", "ext4", False),
        ("with space/run", "cifs", True),
        ("share/disk/run", "xfs", False),
        ("over/run", "fuse.sshfs", True),
        ("covered/run", "ext4", False),
        ("local/run", "fuse.gocryptfs", False),
        ("elsewhere", "ext4", False),
    ],
)
def test_the_mount_a_folder_is_on_is_found_and_shares_are_refused(
    mounts: Path, folder: str, kind: str, refused: bool
) -> None:
    where = mounts / folder
    assert mounted_kind(where) == kind
    assert is_network(kind) is refused
    if refused:
        with pytest.raises(EnvironmentFault) as fault:
            require_local(where)
        assert fault.value.code == "ledger.network_file_system"
        assert fault.value.status is ExitStatus.ENVIRONMENT
        assert (fault.value.place, fault.value.value) == (str(where), kind)
        assert "grinder backup" in fault.value.fix
    else:
        require_local(where)


@pytest.mark.parametrize(
    "kind", ["nfs", "nfs4", "cifs", "smb3", "ceph", "lustre", "glusterfs", "fuse.sshfs", "fuse.rclone", "afs"]
)
def test_a_share_is_refused_before_anything_is_written(tmp_path: Path, kind: str) -> None:
    with pytest.raises(EnvironmentFault, match="network file system"):
        require_local(tmp_path, lambda path: kind)


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "tmpfs", "zfs", "apfs", "overlay", "fuseblk", ""])
def test_disks_of_this_machine_are_accepted(tmp_path: Path, kind: str) -> None:
    require_local(tmp_path, lambda path: kind)


def test_a_link_to_a_share_is_seen_through(mounts: Path) -> None:
    (mounts / "link").symlink_to(mounts / "share" / "runs")
    assert mounted_kind(mounts / "link") == "nfs4"


def test_this_machines_own_table_is_read(tmp_path: Path) -> None:
    assert mounted_kind(Path("/proc")) in ("proc", "")
    assert not is_network(mounted_kind(tmp_path))
    assert mounted_kind(tmp_path, tmp_path / "no table") == ""


def test_no_run_starts_on_a_share(mounts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = mounts / "share" / "run"
    with pytest.raises(EnvironmentFault, match="network"):
        prepare(RunFolder(run), paper_spec())
    assert not run.exists(), "nothing was written"
    with pytest.raises(EnvironmentFault, match="network"), WriterLock(run):
        raise AssertionError("it was locked")


def test_a_run_whose_folder_has_become_a_share_is_refused_at_its_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    prepare(RunFolder(run), paper_spec())
    monkeypatch.setattr(place, "mounted_kind", lambda path: "cifs")
    assert process.main([str(run)]) == ExitStatus.ENVIRONMENT == 5
    said = capsys.readouterr().err
    assert "ledger.network_file_system" in said
    assert "cifs" in said
    assert not (run / "ledger.db").exists()


def test_the_doctor_says_what_the_folder_is_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "mounted_kind", lambda path: "nfs4")
    ended = CliRunner().invoke(main, ["doctor", "--json"])
    checks = {one["name"]: one for one in json.loads(ended.stdout)["checks"]}
    assert ended.exit_code == 5
    assert checks["file system"]["ok"] is False
    assert checks["file system"]["fix"]


# --- the engine ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "affected"),
    [
        ((3, 6, 23), False),
        ((3, 7, 0), True),
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 45, 3), True),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 51, 0), True),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 52, 0), False),
        ((4, 0, 0), False),
    ],
)
def test_versions_that_can_lose_a_commit_are_known(version: tuple[int, int, int], affected: bool) -> None:
    assert has_wal_reset_bug(version) is affected


@pytest.mark.parametrize(("version", "warns"), [((3, 51, 2), True), ((3, 51, 3), False)])
def test_the_doctor_warns_of_the_bug_and_does_not_fail(
    monkeypatch: pytest.MonkeyPatch, version: tuple[int, int, int], warns: bool
) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", version)
    monkeypatch.setattr(sqlite3, "sqlite_version", ".".join(map(str, version)))
    (found,) = (one for one in doctor.examine() if one.name == "sqlite")
    assert found.ok
    assert found.warns is warns
    assert bool(found.fix) is warns
    spoken = CliRunner().invoke(main, ["doctor"])
    assert ("warn  sqlite: 3.51.2" in spoken.stdout) is warns
    assert ("3.51.3 or later" in spoken.stdout) is warns


def test_an_engine_that_is_too_old_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 36, 0))
    (found,) = (one for one in doctor.examine() if one.name == "sqlite")
    assert not found.ok
    assert found.fix


@pytest.mark.usefixtures("no_engine_warning")
@pytest.mark.parametrize(("version", "times"), [((3, 51, 2), 1), ((3, 51, 3), 0)])
def test_a_start_warns_of_the_bug_once(
    monkeypatch: pytest.MonkeyPatch, version: tuple[int, int, int], times: int
) -> None:
    monkeypatch.setattr(engine.sqlite3, "sqlite_version_info", version)
    with structlog.testing.capture_logs() as said:
        warn_of_engine()
        warn_of_engine()
    found = [one for one in said if "write-ahead log" in one["event"]]
    assert len(found) == times
    assert all(one["log_level"] == "warning" and one["fix"] for one in found)


@pytest.mark.usefixtures("no_engine_warning")
def test_the_start_of_a_run_looks_at_the_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[bool] = []
    monkeypatch.setattr(process, "warn_of_engine", lambda: looked.append(True))
    monkeypatch.setattr(place, "mounted_kind", lambda path: "cifs")  # ends the start right after it
    monkeypatch.setattr("grinder.run_folder.require_local", lambda path: None)
    prepare(RunFolder(tmp_path / "run"), paper_spec())
    assert process.main([str(tmp_path / "run")]) == 5
    assert looked == [True]
