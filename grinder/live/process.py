"""The run process: one run, from its folder to its exit status.

Law: it holds the lock of its ledger and of its key from before the first read to after the last write.  It
ends when it is told to (SIGTERM, SIGINT, the control socket), when its supervisor is gone, and at once when
it must not go on.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import attrs

from actors.ports import ExchangeError
from actors.sequencer import CoreFailure
from domain.inputs import PORTFOLIO
from grinder.collecting import rare_collections
from grinder.config import Config, Exchange
from grinder.connectors import registry
from grinder.errors import EnvironmentFault, ExitStatus, UserError
from grinder.ledger.engine import warn_of_engine
from grinder.ledger.head import require_kept_head
from grinder.ledger.lock import WriterLock
from grinder.ledger.reading import is_begun
from grinder.live.accounts import (
    ExchangeAccount,
    PaperAccount,
    TradingAccount,
    endpoint_of,
    load_playback,
)
from grinder.live.awake import awake
from grinder.live.clock import Clock, FastLoop, LoopClock, RealClock
from grinder.live.deployed import deployed
from grinder.live.failing_over import heir_of
from grinder.live.feeds import parse_feed
from grinder.live.patience import speed_of
from grinder.live.places import MAIN
from grinder.live.rebuild import Rebuilt, rebuild
from grinder.live.run import LiveRun
from grinder.live.spec import LIVE, PAPER, TESTNET, RunSpec, read_spec
from grinder.live.watching import Watching
from grinder.log import configure, keep_in_file, logger
from grinder.run_folder import RunFolder
from grinder.secrets import Credentials, account_name, look_up, refuse_test_key, require
from grinder.standby.lease import GAVE_UP, LeaseLost
from grinder.standby.tenure import Tenure
from grinder.standby.triggers import UNWELL
from grinder.standby.waiting import Asked, RunEnded, take_or_stand_by

ANSWERS_S = 10.0
"""How long the exchange may take to answer a standby."""

OF_RISK = (PORTFOLIO,)
"""Actors after whose failure a run is not started again by itself."""

KEEP_STDIN = "--supervised"
"""Says that standard input is the supervisor's: the run ends when it closes."""


AGAIN = "--again"
"""Says that the supervisor starts the process again."""


class KeyLock(WriterLock):
    """Holds an account's key for one process of this machine: two runs on one account would fight."""

    def __init__(self, exchange: str, key: str) -> None:
        folder = Path(tempfile.gettempdir()) / f"grinder-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        super().__init__(folder)
        self.path = folder / f"key-{sha256(f'{exchange}/{key}'.encode()).hexdigest()[:16]}.lock"


def is_played(spec: RunSpec) -> bool:
    """Whether the market of a run is one that is played, with a time of its own."""
    return spec.mode == PAPER and parse_feed(spec.feed).kind != "exchange"


def credentials_for(config: Config, mode: str) -> Credentials:
    """The key of the account.

    Raises:
        ConfigError: there is none, or it is for testing and the money is real.
    """
    account = config.account
    name = account.connector if account.exchange is Exchange.OTHER else account.exchange.value
    found = require(account_name(name, mode), os.environ)
    if mode == LIVE:
        kept = look_up(account_name(name, TESTNET), os.environ)
        if kept is not None and kept.key == found.key:
            found = attrs.evolve(found, purpose=kept.purpose)  # also kept as the key of the test network
    refuse_test_key(found, mode)
    return found


async def _main(
    folder: RunFolder,
    spec: RunSpec,
    rebuilt: Rebuilt | None,
    credentials: Credentials | None,
    supervised: bool,
    tenure: Tenure | None = None,
) -> ExitStatus:
    loop = asyncio.get_running_loop()
    last_ns = rebuilt.last_ns if rebuilt else 0
    watching = Watching(folder, spec)
    account: TradingAccount
    clock: Clock
    if spec.mode == PAPER:
        playback = load_playback(spec)
        if playback is not None:
            clock = LoopClock(loop.time, max(playback.start_ns, last_ns))
        else:
            clock = RealClock(last_ns)
        account = PaperAccount(spec, playback, clock, last_ns)
    else:
        assert credentials is not None
        clock = RealClock(last_ns)
        account = ExchangeAccount(spec, credentials, clock)
    run = LiveRun(folder, spec, rebuilt, account, clock, watching, tenure)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, run.request_stop, "cancel")
    if supervised:
        _end_with_supervisor(loop, lambda: run.request_stop("cancel", heir_of(run)))
    loop.set_exception_handler(_told_of_failures(run))
    return await run.main()


def _told_of_failures(run: LiveRun) -> Callable[[asyncio.AbstractEventLoop, dict[str, object]], None]:
    """A failure nobody awaited ends the run: something that should have happened did not."""

    def told(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        failure = context.get("exception")
        if isinstance(failure, Exception) and context.get("handle") is not None:
            run.breaks(failure)
        else:
            logger().error("the loop reports", message=str(context.get("message")), failure=repr(failure))

    return told


def _end_with_supervisor(loop: asyncio.AbstractEventLoop, gone: Callable[[], None]) -> None:
    """Watch standard input; its end is the supervisor's."""
    descriptor = sys.stdin.fileno()

    def look() -> None:
        if not os.read(descriptor, 4096):
            loop.remove_reader(descriptor)
            gone()

    loop.add_reader(descriptor, look)


def require_able(folder: RunFolder, reason: str) -> None:
    """Refuse to take a run over that this process could not trade.

    Args:
        reason: why it is to be taken over.  From a process that is unwell it is only taken if the exchange
            answers here: where it answers nobody, the other one is as good.

    Raises:
        UserError: the manifest or the key cannot be read, or the exchange does not answer.
    """
    spec = read_spec(folder)
    credentials = credentials_for(spec.config, spec.mode)
    if UNWELL in reason:
        asyncio.run(_answers(spec, credentials))


async def _answers(spec: RunSpec, credentials: Credentials) -> None:
    name, endpoint = endpoint_of(spec.config, spec.mode)
    connector = registry.find(name).make(endpoint, credentials, RealClock())
    try:
        async with asyncio.timeout(ANSWERS_S):
            await connector.open()
            await connector.server_time_ns()
    except (ExchangeError, OSError, TimeoutError) as error:
        raise EnvironmentFault(
            "standby.exchange",
            f"the exchange does not answer here either: {error or type(error).__name__}",
            fix="wait until it does; the process that trades keeps trying",
        ) from error
    finally:
        await connector.close()


@contextmanager
def _key_held(spec: RunSpec) -> Iterator[Credentials | None]:
    if spec.mode == PAPER:
        yield None
        return
    credentials = credentials_for(spec.config, spec.mode)
    # A key belongs to an account at an address: two exchanges on this machine may know the same one.
    account = spec.config.account
    where = account.endpoint.rest if account.endpoint else ""
    with KeyLock(f"{account.exchange}/{account.connector}/{spec.mode}/{where}", credentials.key):
        yield credentials


def run_process(path: Path, started: Asked, node: str = MAIN) -> ExitStatus:
    """Run what a folder's manifest says until it ends.

    Args:
        node: name of this process among those of the run.

    Raises:
        UserError: it cannot be started, or must not go on.
        CoreFailure: a core actor raised.
    """
    folder = RunFolder(path)
    spec = read_spec(folder)
    if spec.config.observe.log_file:
        log_to(folder.path / spec.config.observe.log_file)
    warn_of_engine()
    if spec.mode == PAPER:  # its exchange dies with its process: nobody could take it over
        with WriterLock(folder.path):
            return _traded(folder, spec, None, started.supervised, rebuilt=None)
    try:
        taken = take_or_stand_by(folder, node, started, lambda reason: require_able(folder, reason))
    except RunEnded as ended:
        return ended.status
    spec = read_spec(folder)  # the one that traded may have been started with other settings since
    with taken.lock:
        try:
            tenure = Tenure(path, taken.lease, taken.failover, finish=taken.finish)
        except LeaseLost:
            return ExitStatus.STOOD_DOWN
        return _held(folder, spec, tenure, started, taken.rebuilt)


def _held(
    folder: RunFolder, spec: RunSpec, tenure: Tenure, started: Asked, rebuilt: Rebuilt | None
) -> ExitStatus:
    """Trade while the lease is ours."""
    tenure.beat_by_thread()
    try:
        return _traded(folder, spec, tenure, started.supervised, rebuilt=rebuilt)
    except LeaseLost:
        return ExitStatus.STOOD_DOWN
    except (CoreFailure, UserError) as failure:
        if _is_final(failure):
            tenure.end(GAVE_UP)
        raise
    finally:
        tenure.beat_by_hand()


def _traded(
    folder: RunFolder, spec: RunSpec, tenure: Tenure | None, supervised: bool, *, rebuilt: Rebuilt | None
) -> ExitStatus:
    """Trade until the end, with the ledger's lock held.

    Args:
        tenure: of the lease; None where the run needs none.
        rebuilt: the core after the ledger's last record, from who has followed it.

    Raises:
        UserError, CoreFailure: as `run_process`.
        LeaseLost: another process has taken over.
    """
    with _key_held(spec) as credentials:
        if rebuilt is None:
            rebuilt = _rebuilt(folder)
        spec = attrs.evolve(spec, config=deployed(spec.config, folder.ledger))
        speed = speed_of(spec)
        fast = is_played(spec)
        with (
            awake(spec.config.live.keep_awake),
            rare_collections(),
            asyncio.Runner(loop_factory=(lambda: FastLoop(speed)) if fast else None) as runner,
        ):
            return runner.run(_main(folder, spec, rebuilt, credentials, supervised, tenure))


def _rebuilt(folder: RunFolder) -> Rebuilt | None:
    """The core as the ledger left it; None when the ledger has not begun."""
    if folder.ledger.exists() and is_begun(folder.ledger):
        return rebuild(folder.ledger)
    require_kept_head(folder.ledger)  # an empty file in place of a ledger is no new ledger
    return None


def _is_final(failure: CoreFailure | UserError) -> bool:
    """Whether no process of the run is to go on after this.

    A program that decides otherwise than the ledger is not: a standby whose program replays it may take over.
    """
    if isinstance(failure, CoreFailure):
        return failure.stream in OF_RISK
    return failure.status is ExitStatus.DAMAGED


def log_to(file: Path) -> None:
    """Let the log go to a file as well.

    Raises:
        EnvironmentFault: it cannot be written.
    """
    try:
        keep_in_file(file)
    except OSError as error:
        raise EnvironmentFault(
            "observe.log_file",
            f"the log cannot be written there: {error.strerror}",
            place=str(file),
            fix="name another observe.log_file, or none",
        ) from error


def asked_by(arguments: list[str]) -> Asked:
    """How a process is to be started."""
    return Asked(
        standby="--standby" in arguments, supervised=KEEP_STDIN in arguments, again=AGAIN in arguments
    )


def node_of(arguments: list[str]) -> str:
    """The node that a process is told to be."""
    return arguments[arguments.index("--node") + 1] if "--node" in arguments else MAIN


def main(arguments: list[str]) -> int:
    """``python -m grinder.live.process FOLDER [--supervised] [--verbose] [--node NAME] [--standby]
    [--again]``.

    Returns:
        The exit status.
    """
    configure("--verbose" in arguments, as_json=False)
    path = Path(arguments[0])
    try:
        status = int(run_process(path, asked_by(arguments), node_of(arguments)))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)  # a late signal must not change the status
        return status
    except CoreFailure as failure:
        if failure.stream not in OF_RISK:
            raise
        # Started again it would have no limits to keep: it stays down, and its orders are cancelled.
        logger().critical("the actor that watches risk failed", failure=str(failure), exc_info=True)
        return int(ExitStatus.GAVE_UP)
    except UserError as error:
        sys.stderr.write(f"error: {error.render()}\n")
        return int(error.status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
