"""Files that are whole or not there, and files that are nobody else's."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from grinder.errors import EnvironmentFault
from grinder.files import OWNER_ONLY, refuse_careless, replace_file, user_file, write_new


@pytest.mark.parametrize("alone", [True, False])
def test_a_file_that_cannot_be_written_leaves_the_old_one_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alone: bool
) -> None:
    path = tmp_path / "head.json"
    replace_file(path, b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            replace_file(path, b"new", alone=alone)
    assert [one.name for one in tmp_path.iterdir()] == ["head.json"]
    assert path.read_bytes() == b"old"


def test_what_a_killed_process_left_beside_a_file_is_written_over_with_the_mode_that_is_asked_for(
    tmp_path: Path,
) -> None:
    path = tmp_path / "control.json"
    left = tmp_path / ".control.json.tmp"
    left.write_bytes(b"half of a much longer cont")
    left.chmod(0o644)
    replace_file(path, b"whole", OWNER_ONLY)
    assert path.read_bytes() == b"whole"
    assert stat.S_IMODE(path.stat().st_mode) == OWNER_ONLY
    assert not left.exists()


def test_two_who_write_one_file_do_not_share_what_is_not_whole_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.html"
    seen: list[set[str]] = []
    sync = os.fsync

    def looked(descriptor: int) -> None:
        seen.append({one.name for one in tmp_path.iterdir()})
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", looked)
    replace_file(path, b"one", alone=False)
    monkeypatch.setattr(os, "getpid", lambda: 4242)
    replace_file(path, b"two", alone=False)
    first, second = (names - {"report.html"} for names in seen)
    assert len(first) == len(second) == 1
    assert first != second


def test_a_new_file_never_takes_the_place_of_another(tmp_path: Path) -> None:
    path = tmp_path / "key"
    write_new(path, b"first")
    with pytest.raises(FileExistsError):
        write_new(path, b"second")
    assert path.read_bytes() == b"first"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_file_that_others_can_read_or_change_is_refused_with_the_fix(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"")
    path.chmod(mode)
    with pytest.raises(EnvironmentFault) as caught:
        refuse_careless(path.stat(), path, "head.key", "the key")
    assert caught.value.code == "head.key_mode"
    assert caught.value.fix == f"chmod 600 {path}"
    path.chmod(OWNER_ONLY)
    refuse_careless(path.stat(), path, "head.key", "the key")


def test_a_file_of_the_user_is_where_a_variable_says_or_in_the_configuration_folder() -> None:
    assert user_file({"HERE": "/a/b"}, "HERE", "name") == Path("/a/b")
    assert user_file({"XDG_CONFIG_HOME": "/c"}, "HERE", "name") == Path("/c/grinder/name")
    assert user_file({"HOME": "/h"}, "HERE", "name") == Path("/h/.config/grinder/name")
