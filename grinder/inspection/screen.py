"""The stepper in a terminal: single keys in, a full screen out.

Law: presentation and keys only; everything that is shown comes from the stepper.  The terminal is given back
as it was, whatever happens.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import termios
import textwrap
import tty
from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from grinder.errors import UserError
from grinder.inspection.inside_decide import stop_in_decide
from grinder.inspection.stepper import ASKING, KEYS, OPTIONAL, EnterDecide, Leave, Stepper
from grinder.inspection.telling import told

ARROWS = {
    b"\x1b[C": "next",
    b"\x1b[D": "back",
    b"\x1b[B": "input",
    b"\x1b[A": "input-back",
    b"\x1b[6~": "fill",
    b"\x1b[5~": "fill-back",
    b"\x1b[H": "start",
    b"\x1b[F": "end",
    b"\x1b[1~": "start",
    b"\x1b[4~": "end",
    b" ": "next",
    b"\x7f": "back",
}
"""Keys that send more than a letter; space goes on, backspace back."""

PROMPTS = {
    "find": "find (such as type=OrderFilled, price<60000): ",
    "find-back": "find back: ",
    "goto": "position or time: ",
    "break": "stop at (condition or position): ",
    "clear": "breakpoint to remove (nothing: all): ",
    "actor": "actor (nothing: that of each record): ",
}

FOOTER = (
    "n/p record  i/I input  f/F fill  / find  m again  g goto  0 start  $ end  u cause  d effect  "
    "b break  c run  a actor  s state  t turn  o follow  D pdb  h help  q quit"
)
REFRESH_S = 0.25
PLAIN_PAGES = frozenset({"help", "state", "then", "why", "breaks"})


class Terminal:
    """The terminal in single-key mode; a context manager."""

    def __init__(self) -> None:
        self._fd = sys.stdin.fileno()
        self._before = termios.tcgetattr(self._fd)

    def __enter__(self) -> Terminal:
        tty.setcbreak(self._fd)
        return self

    def __exit__(self, *_: object) -> None:
        termios.tcsetattr(self._fd, termios.TCSADRAIN, self._before)

    def key(self, timeout_s: float) -> bytes:
        """The next key, with all its bytes; empty when none came in time."""
        ready, _, _ = select.select([self._fd], [], [], timeout_s)
        if not ready:
            return b""
        found = os.read(self._fd, 1)
        if found == b"\x1b":
            while select.select([self._fd], [], [], 0.02)[0]:
                found += os.read(self._fd, 1)
                if found[-1:].isalpha() or found[-1:] == b"~":
                    break
        return found

    @contextlib.contextmanager
    def lines(self) -> Iterator[None]:
        """The terminal as it was, for typing a line or for pdb."""
        termios.tcsetattr(self._fd, termios.TCSADRAIN, self._before)
        try:
            yield
        finally:
            tty.setcbreak(self._fd)


class Screen:
    """Runs a stepper in a terminal until its person leaves."""

    def __init__(self, stepper: Stepper, title: str) -> None:
        self.stepper = stepper
        self.title = title
        self.console = Console(highlight=False)
        self.said: list[str] = []
        self.page: list[str] = []
        self.error = False

    def run(self) -> None:
        """Show, wait for a key, do what it says."""
        with Terminal() as terminal, self.console.screen(hide_cursor=True):
            self._draw()
            while True:
                key = terminal.key(REFRESH_S)
                if not key:
                    if self.stepper.came() or self._resized():
                        self._draw()
                    continue
                try:
                    self._press(terminal, key)
                except Leave:
                    return
                self._draw()

    def _press(self, terminal: Terminal, key: bytes) -> None:
        if key == b"\x1b" or (self.page and key in (b"q", b"h", b" ", b"\n")):
            self.page, self.said = [], []
            return
        self.page, self.said, self.error = [], [], False
        word = ARROWS.get(key) or KEYS.get(key.decode("utf-8", "replace"), "")
        if key == b":":
            line = self._typed(terminal, ": ")
        elif word in ASKING or word in OPTIONAL - {"state"}:
            line = f"{word} {self._typed(terminal, PROMPTS[word])}"
            if word in ASKING and not line.partition(" ")[2].strip():
                return
        else:
            line = word
        if line.strip():
            self._do(terminal, line)
        elif key != b":":
            self.said = [f"no command on this key; h shows all ({key.decode('utf-8', 'replace')!r})"]

    def _do(self, terminal: Terminal, line: str) -> None:
        word = line.split()[0]
        try:
            said = self.stepper.do(line)
            if word in PLAIN_PAGES or KEYS.get(word) in PLAIN_PAGES:
                self.page = said
            elif word in ("break", "clear", "actor", "follow"):
                self.said = said
        except UserError as error:
            self.said, self.error = error.render().splitlines(), True
        except EnterDecide as asked:
            self._pdb(terminal, asked.position)

    def _typed(self, terminal: Terminal, prompt: str) -> str:
        with terminal.lines():
            self.console.show_cursor(True)
            sys.stdout.write(f"\x1b[{self.console.size.height};1H\x1b[K")
            sys.stdout.flush()
            try:
                return input(prompt)
            except EOFError:
                return ""
            finally:
                self.console.show_cursor(False)

    def _pdb(self, terminal: Terminal, position: int) -> None:
        with terminal.lines():
            self.console.show_cursor(True)
            self.console.set_alt_screen(False)
            try:
                sys.stdout.write(f"pdb in the decide that made record {position:,}: s steps in, c goes on\n")
                sys.stdout.flush()
                same = stop_in_decide(self.stepper.records, position, told=told("replaying", quiet=False))
                self.said = [f"decided {'the same as' if same else 'NOT what'} the ledger holds"]
            except UserError as error:
                self.said, self.error = error.render().splitlines(), True
            finally:
                self.console.set_alt_screen(True)
                self.console.show_cursor(False)

    # --- drawing ---------------------------------------------------------------------------------------

    def _resized(self) -> bool:
        return self.console.size != getattr(self, "_size", None)

    def _draw(self) -> None:
        self._size = self.console.size
        width, height = self._size
        footer = textwrap.wrap(FOOTER, width)
        room = max(height - 1 - len(footer), 1)
        lines = (self._page(room) if self.page else self._view(width, room))[:room]
        lines += [Text("")] * (room - len(lines))
        lines.append(Text("  ".join(self.said), style="bold red" if self.error else "bold green"))
        lines += [Text(line, style="dim") for line in footer]
        for line in lines:
            line.truncate(width, overflow="ellipsis")
            line.no_wrap = True
        sys.stdout.write("\x1b[H\x1b[2J")
        sys.stdout.flush()
        self.console.print(Text("\n").join(lines), end="", no_wrap=True, overflow="ellipsis")

    def _page(self, height: int) -> list[Text]:
        more = len(self.page) - (height - 1)
        lines = [Text(line) for line in self.page[: height - 1]]
        return [*lines, Text(f"{max(more, 0)} more lines; " * (more > 0) + "space goes back", style="dim")]

    def _view(self, width: int, height: int) -> list[Text]:
        step = self.stepper
        live = "  FOLLOWING" if step.following else ""
        stops = f"  {len(step.breaks)} breakpoints" if step.breaks else ""
        lines = [Text(f" {step.heading()}{live}{stops}  {self.title}".ljust(width), style="reverse")]
        first, *rest = step.about()
        lines.append(Text(first, style="bold cyan"))
        for line in rest:
            lines += _wrapped(line, width)
        path = step.why()
        if len(path) > 1:
            lines.append(Text("because of", style="bold"))
            lines += [Text(line) for line in path[:-1]]
        effects = step.do_then("") if len(path) == 1 else [step._line(row, "  ") for row in step.effects()]
        if effects:
            lines.append(Text("led to", style="bold"))
            lines += [Text(line) for line in effects[len(path) == 1 :][:6]]
        changed = step.changed()
        lines.append(Text(f"state of {step.actor()}", style="bold"))
        for one in changed[:10]:
            change = Text(f"  {one.path}: ")
            change.append(one.before, style="red")
            change.append(" -> ")
            change.append(one.after, style="bold green")
            lines.append(change)
        if not changed:
            lines.append(Text("  not changed by this record", style="dim"))
        touched = {one.path for one in changed}
        for line_text in step.state_lines(max(height + 1 - len(lines), 0))[1:]:
            name = line_text.partition(":")[0]
            hit = any(path == name or path.startswith((name + ".", name + "[")) for path in touched)
            lines.append(Text(f"  {line_text}", style="yellow" if hit else ""))
        return lines


def _wrapped(text: str, width: int) -> list[Text]:
    """A long line on at most three."""
    indent = "  "
    found: list[Text] = []
    rest = text
    while rest and len(found) < 3:
        found.append(Text(rest[:width]))
        rest = indent + rest[width:] if len(rest) > width else ""
    return found
