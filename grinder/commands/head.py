"""`grinder head` and `grinder verify`: a ledger's place and chain, to be kept elsewhere, and their check.

Law: reads a run and writes none of it; a key is read, never shown.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import click

from grinder.command_line import JSON, RUN, guarded, main, print_json
from grinder.errors import ExitStatus, LedgerError, UserError


@main.command()
@click.argument("run", type=click.Path(path_type=Path), required=False)
@click.option("--sign", type=click.Path(path_type=Path), help="Sign it with the Ed25519 key in this file.")
@click.option(
    "--new-key", type=click.Path(path_type=Path), help="Make a key in this file (and FILE.pub) first."
)
@JSON
@guarded
def head(run: Path | None, sign: Path | None, new_key: Path | None, as_json: bool) -> None:
    """Print a ledger's position and chain head, to be kept elsewhere.

    Only the public half of a new key is to be given to others.
    """
    told: dict[str, Any] = {}
    if new_key is not None:
        from grinder.inspection.signing import fingerprint, public_key_in
        from grinder.inspection.signing import new_key as make_key

        public = make_key(new_key)
        told = {
            "key": str(new_key),
            "public_key_file": str(public),
            "fingerprint": fingerprint(public_key_in(public)),
        }
        click.echo(f"made {new_key} (keep it) and {public} (give it away), {told['fingerprint']}", err=True)
    if run is None:
        if new_key is None:
            raise UserError("usage.run", "name the folder of a run", fix="grinder head RUN")
        if as_json:
            print_json(told)
        return
    result = head_of(run, sign)
    if as_json:
        print_json(result)
        return
    click.echo(f"position {result['position']}\nhead {result['head']}")
    if sign is not None:
        click.echo(f"public key {result['public_key']}\nsignature {result['signature']}")
        click.echo("with --json this is a file for `grinder verify --signature`", err=True)


@main.command()
@RUN
@click.option(
    "--head",
    metavar="[POSITION:]HEX",
    help="Chain head kept elsewhere, of the last record or of the one at POSITION; proves that nothing was "
    "cut off or rewritten.",
)
@click.option("--signature", type=click.Path(path_type=Path), help="A head signed by `grinder head --sign`.")
@click.option("--public-key", type=click.Path(path_type=Path), help="Whose signature it has to be.")
@JSON
@guarded
def verify(
    run: Path, head: str | None, signature: Path | None, public_key: Path | None, as_json: bool
) -> None:
    """Check that a run's ledger is whole and unchanged."""
    from grinder import show
    from grinder.commands.inspect import verify_run

    if head is not None and not re.fullmatch(r"([1-9][0-9]{0,17}:)?[0-9a-fA-F]{64}", head):
        raise UserError(
            "usage.head",
            "--head takes a chain head: 64 hexadecimal digits, perhaps after a position and a colon",
            value=head,
            fix="copy it whole",
        )
    signed = check_signature(run, signature, public_key)
    with show.progress_bar(as_json) as progress:
        result = {**verify_run(run, head, progress), **signed}
    if as_json:
        print_json(result)
    elif result["ok"]:
        click.echo(f"ledger whole: {result['records']:,} records, head {result['head']}")
        if signed:
            click.echo(f"signed up to record {signed['signed_position']} by {signed['signed_by']}")
    else:
        at = f" at record {result['first_bad']:,}" if result["first_bad"] else ""
        click.echo(f"ledger damaged{at}: {result['reason']}", err=True)
    sys.exit(int(ExitStatus.DONE if result["ok"] else ExitStatus.DAMAGED))


def head_of(run: Path, key_file: Path | None = None) -> dict[str, Any]:
    """Position, chain and ledger of a run's last record, with a signature when there is a key.

    Raises:
        LedgerError: there is no ledger, or it is empty.
        UserError: the key cannot be used.
    """
    from grinder.inspection.records import Records, reading_faults

    with Records(run) as records, reading_faults(records.folder):
        row = next(records.before(records.head()), None)
        if row is None:
            raise LedgerError(
                "ledger.empty", "the ledger holds no record yet", place=str(run), fix="start the run first"
            )
        found = {"ledger_id": _ledger_id(records), "position": row.position, "head": row.chain.hex()}
    if key_file is None:
        return found
    from grinder.inspection.signing import SignedHead, sign

    return sign(SignedHead(str(found["ledger_id"]), row.position, row.chain.hex()), key_file).as_dict()


def _ledger_id(records: Any) -> str:
    """The ledger's own id; empty before its books are opened."""
    found = records.connection.execute(
        "SELECT state ->> '$.ledger_id' FROM stored_events WHERE originator_id = 'input/operator'"
        " AND topic LIKE 'OpenAccount/%' ORDER BY originator_version LIMIT 1"
    ).fetchone()
    return str(found[0]) if found else ""


def check_signature(run: Path, signature: Path | None, public_key: Path | None) -> dict[str, str]:
    """Hold a signed head against its key and against the record of the ledger it names; nothing without one.

    The ledger may have grown since; it must hold the very record that was signed.  That its chain is right up
    to there is for `verify` to say.

    Raises:
        LedgerError: the signature does not hold, or is of another ledger.
        UserError: a file cannot be read.
    """
    if signature is None:
        if public_key is not None:
            raise UserError(
                "usage.signature", "--public-key needs --signature", fix="name the signed head as well"
            )
        return {}
    from grinder.inspection.records import Records, reading_faults
    from grinder.inspection.signing import (
        SignatureRefused,
        check,
        fingerprint,
        public_key_in,
        read_signature,
    )

    signed = read_signature(signature)
    check(signed, public_key_in(public_key) if public_key else None)
    with Records(run) as records, reading_faults(records.folder):
        row = records.row(signed.position)
        last = records.head()
        if row is None or row.chain.hex() != signed.head or _ledger_id(records) != signed.ledger_id:
            missing = (
                f"ends at record {last:,}"
                if row is None
                else f"has another chain at record {signed.position:,}"
            )
            raise SignatureRefused(
                "head.other_ledger",
                f"the signed head is not of this ledger: it {missing}",
                place=str(run),
                value=signed.head,
                fix="something was cut off or rewritten since it was signed, or it is another run's",
            )
    if public_key is None:
        click.echo("warning: the key came with the signature; --public-key says whose it has to be", err=True)
    return {
        "signed_position": str(signed.position),
        "signed_by": fingerprint(signed.public_key),
        "key_checked": "yes" if public_key else "no",
    }
