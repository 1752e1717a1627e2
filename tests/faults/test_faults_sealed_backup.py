"""A sealed backup: nobody reads it without its key, a wrong key is not damage, and damage is found."""

from __future__ import annotations

import random
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner
from fault_runs import records_of
from hypothesis import given, settings
from hypothesis import strategies as st

from grinder.cli import main
from grinder.commands.backup import backup_run, restore_run
from grinder.errors import EnvironmentFault, ExitStatus, LedgerError, UserError
from grinder.ledger import sealing
from grinder.ledger.sealing import ENDING, KEY_BYTES, PIECE, key_id, new_key, read_key, seal, unseal
from grinder.live.rebuild import rebuild

KEY, OTHER = bytes(range(KEY_BYTES)), bytes(KEY_BYTES)


def silent(stage: str, done: int, total: int) -> None:
    """Progress nobody watches."""


def run_cli(*arguments: str) -> tuple[int, str, str]:
    ended = CliRunner().invoke(main, list(arguments))
    return ended.exit_code, ended.stdout, ended.stderr


def test_a_sealed_backup_is_restored_with_its_key_and_is_the_same_ledger(
    paper_run: Path, tmp_path: Path
) -> None:
    key, copy, back = tmp_path / "key", tmp_path / "copy", tmp_path / "back"
    status, said, _ = run_cli("backup", str(paper_run), str(copy), "--new-key", str(key), "--json")
    assert status == 0
    made = orjson.loads(said)
    assert made["key"] == key_id(read_key(key))
    assert sorted(one.name for one in copy.iterdir()) == [
        name + ENDING for name in ("head.json", "ledger.db", "manifest.json")
    ]
    status, said, _ = run_cli("restore", str(copy), str(back), "--key", str(key), "--json")
    assert status == 0
    assert orjson.loads(said)["head"] == made["head"]
    assert records_of(back / "ledger.db") == records_of(paper_run / "ledger.db")
    assert rebuild(back / "ledger.db").records == made["records"]
    assert (back / "manifest.json").read_bytes() == (paper_run / "manifest.json").read_bytes()


def test_nothing_that_can_be_read_is_in_a_sealed_backup_and_nothing_is_left_beside_the_run(
    paper_run: Path, tmp_path: Path
) -> None:
    before = set(paper_run.parent.iterdir())
    backup_run(paper_run, tmp_path / "copy", silent, KEY)
    for file in (tmp_path / "copy").iterdir():
        content = file.read_bytes()
        assert not any(
            word in content for word in (b"SQLite format", b"BTCUSDT", b"client_order_id", b"chain")
        )
    assert set(paper_run.parent.iterdir()) == before


def test_two_copies_of_one_run_with_one_key_have_nothing_in_common(paper_run: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        backup_run(paper_run, tmp_path / name, silent, KEY)
    one, two = ((tmp_path / name / f"ledger.db{ENDING}").read_bytes() for name in ("one", "two"))
    assert one[:25] == two[:25], "magic and id of the key"
    same = sum(a == b for a, b in zip(one[40:], two[40:], strict=False))
    assert same < len(one) / 64


def test_a_wrong_key_is_called_one_and_not_damage_and_nothing_is_written(
    paper_run: Path, tmp_path: Path
) -> None:
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    new_key(right)
    new_key(wrong)
    backup_run(paper_run, tmp_path / "copy", silent, read_key(right))
    status, _, said = run_cli("restore", str(tmp_path / "copy"), str(tmp_path / "back"), "--key", str(wrong))
    assert status == ExitStatus.USAGE
    assert "key is not the one" in said
    assert "backup.wrong_key" in said
    assert key_id(read_key(right)) in said
    assert key_id(read_key(wrong)) in said
    assert sorted(one.name for one in tmp_path.iterdir()) == ["copy", "right", "wrong"]


def test_a_sealed_backup_without_a_key_says_which_option_is_missing(paper_run: Path, tmp_path: Path) -> None:
    backup_run(paper_run, tmp_path / "copy", silent, KEY)
    status, _, said = run_cli("restore", str(tmp_path / "copy"), str(tmp_path / "back"))
    assert status == ExitStatus.USAGE
    assert "--key" in said


def test_a_plain_backup_is_restored_without_a_key(paper_run: Path, tmp_path: Path) -> None:
    made = backup_run(paper_run, tmp_path / "copy", silent)
    assert restore_run(tmp_path / "copy", tmp_path / "back", silent)["head"] == made["head"]
    with pytest.raises(UserError, match="holds something"):
        restore_run(tmp_path / "copy", tmp_path / "back", silent)
    with pytest.raises(LedgerError, match="no run here"):
        restore_run(tmp_path / "nothing", tmp_path / "other", silent)


def test_a_changed_cut_or_lengthened_copy_is_damage_and_leaves_no_run(
    paper_run: Path, tmp_path: Path
) -> None:
    backup_run(paper_run, tmp_path / "copy", silent, KEY)
    file = tmp_path / "copy" / f"ledger.db{ENDING}"
    whole = file.read_bytes()
    chance = random.Random(5)
    flipped = []
    for _ in range(40):
        changed = bytearray(whole)
        changed[chance.randrange(25, len(whole))] ^= 1 << chance.randrange(8)
        flipped.append(bytes(changed))
    cut = [whole[: chance.randrange(len(whole))] for _ in range(20)]
    for content in (*flipped, *cut, whole + b"x", b"", whole[:33]):
        file.write_bytes(content)
        with pytest.raises(LedgerError) as refused:
            restore_run(tmp_path / "copy", tmp_path / "back", silent, KEY)
        assert refused.value.status is ExitStatus.DAMAGED
        assert str(file) in refused.value.place
        assert sorted(one.name for one in tmp_path.iterdir()) == ["copy"]


@settings(max_examples=25, deadline=None)
@given(size=st.one_of(st.integers(0, 300), st.integers(0, 4).map(lambda n: n * 64)), seed=st.integers(0, 99))
def test_every_file_comes_back_as_it_was_whatever_its_size(
    size: int, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("sealed")
    plain = random.Random(seed).randbytes(size)
    (folder / "plain").write_bytes(plain)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sealing, "PIECE", 64)
        seal(folder / "plain", folder / "sealed", KEY)
        unseal(folder / "sealed", folder / "back", KEY)
    assert (folder / "back").read_bytes() == plain


def test_pieces_cannot_change_places_or_be_left_out(tmp_path: Path) -> None:
    plain = random.Random(1).randbytes(3 * PIECE)
    (tmp_path / "plain").write_bytes(plain)
    seal(tmp_path / "plain", tmp_path / "sealed", KEY)
    whole = (tmp_path / "sealed").read_bytes()
    header, each = whole[:33], 4 + PIECE + 16
    first, second, third = (whole[33 + n * each : 33 + (n + 1) * each] for n in range(3))
    for content in ((second, first, third), (first, third), (first, second), (first, first, third)):
        (tmp_path / "sealed").write_bytes(header + b"".join(content))
        with pytest.raises(LedgerError, match="damaged"):
            unseal(tmp_path / "sealed", tmp_path / "back", KEY)
        (tmp_path / "back").unlink()


def test_a_key_is_the_owners_alone_is_never_overwritten_and_is_a_key(tmp_path: Path) -> None:
    path = tmp_path / "key"
    made = new_key(path)
    assert read_key(path) == made
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(EnvironmentFault, match="never overwritten"):
        new_key(path)
    path.chmod(0o644)
    with pytest.raises(EnvironmentFault, match="read or changed by others"):
        read_key(path)
    path.write_text("not a key")
    path.chmod(0o600)
    with pytest.raises(UserError, match="holds no key"):
        read_key(path)
    with pytest.raises(EnvironmentFault, match="cannot be read"):
        read_key(tmp_path / "nothing")
    assert key_id(KEY) != key_id(OTHER)
