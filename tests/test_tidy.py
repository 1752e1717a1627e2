"""The style of the product, kept by a test: what no reviewer should have to look for.

Law: every rule is a function from a parsed module to findings, each finding says what to use instead, and
every rule is itself tested on a snippet that breaks it and one that does not.
"""

from __future__ import annotations

import ast
import csv
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[1]
ROOMS = ("domain", "actors", "projections", "replay", "grinder")
PURE_ROOMS = ("domain", "actors")

LONGEST_FUNCTION = 70
LONGEST_FILE = 900

Finding = tuple[int, str]
"""(line, what is wrong and what to use instead)"""

Rule = Callable[[ast.Module], Iterator[Finding]]


# --- what an expression is -----------------------------------------------------------------------------


def dotted(node: ast.AST) -> str:
    """``a.b.c`` of a chain of attributes, or an empty string."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def imported(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Every dotted name a module imports: ``import a.b`` is ``a.b``, ``from a import b`` is ``a.b``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                yield node.lineno, f"{node.module}.{alias.name}"


def is_set(node: ast.AST | None, named: frozenset[str] = frozenset()) -> bool:
    """Whether an expression is a set as far as its own text says."""
    if isinstance(node, (ast.Set, ast.SetComp)):
        return True
    if isinstance(node, ast.Call):
        return dotted(node.func) in ("set", "frozenset")
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.BitOr, ast.BitAnd, ast.Sub, ast.BitXor)):
        return is_set(node.left, named) or is_set(node.right, named)
    return isinstance(node, ast.Name) and node.id in named


def set_names(tree: ast.Module) -> frozenset[str]:
    """Names that the module binds to a set or annotates as one."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and is_set(node.value):
            names.update(target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, (ast.AnnAssign, ast.arg)) and node.annotation is not None:
            annotated = dotted(getattr(node.annotation, "value", node.annotation))
            name = node.arg if isinstance(node, ast.arg) else dotted(node.target)
            if annotated in ("set", "frozenset") and name:
                names.add(name)
    return frozenset(names)


# --- rules of the pure rooms ---------------------------------------------------------------------------


def no_clock(tree: ast.Module) -> Iterator[Finding]:
    use = "use `now_ns`, which arrives with the message"
    for line, name in imported(tree):
        if name == "time" or name.startswith("time."):
            yield line, f"imports {name}; {use}"
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = dotted(node.func)
        last = called.rsplit(".", 1)[-1]
        if called.startswith("time.") or ("date" in called and last in ("now", "utcnow", "today")):
            yield node.lineno, f"calls {called}(); {use}"


def no_chance(tree: ast.Module) -> Iterator[Finding]:
    use = "derive ids with `domain.orders.client_order_id`; chance enters as a recorded input"
    for line, name in imported(tree):
        if name.split(".")[0] in ("random", "uuid", "secrets"):
            yield line, f"imports {name}; {use}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and dotted(node).startswith(("random.", "uuid.", "os.urandom")):
            yield node.lineno, f"uses {dotted(node)}; {use}"


def no_float(tree: ast.Module) -> Iterator[Finding]:
    use = "use integers in ticks, lots, units or ppm"
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, (float, complex)):
            yield node.lineno, f"float literal {node.value}; {use}"
        elif isinstance(node, ast.Call) and dotted(node.func) == "float":
            yield node.lineno, f"calls float(); {use}"


def no_true_division(tree: ast.Module) -> Iterator[Finding]:
    use = "use `//` or `domain.units.ceil_div`, which name their rounding"
    for node in ast.walk(tree):
        if isinstance(node, (ast.BinOp, ast.AugAssign)) and isinstance(node.op, ast.Div):
            yield node.lineno, f"divides with `/`; {use}"


ORDER_TAKERS = ("list", "tuple", "enumerate", "iter", "next", "zip", "map", "filter", "reversed")


def no_set_iteration(tree: ast.Module) -> Iterator[Finding]:
    use = "iterate over `sorted(...)`, a tuple or a dict: the order of a set changes with the hash seed"
    named = set_names(tree)
    for node in ast.walk(tree):
        iterated: list[ast.AST] = []
        if isinstance(node, (ast.For, ast.comprehension)):
            iterated = [node.iter]
        elif isinstance(node, ast.Starred):
            iterated = [node.value]
        elif isinstance(node, ast.Call):
            called = dotted(node.func)
            joins = isinstance(node.func, ast.Attribute) and node.func.attr == "join"
            if called in ORDER_TAKERS or joins:
                iterated = list(node.args)
            elif isinstance(node.func, ast.Attribute) and node.func.attr == "pop":
                iterated = [node.func.value]
        for one in iterated:
            if is_set(one, named):
                yield one.lineno, f"takes the order of a set; {use}"


def no_decimal(tree: ast.Module) -> Iterator[Finding]:
    use = "convert at the edge with `domain.units.to_units`; rules compute with integers"
    for line, name in imported(tree):
        if name.split(".")[0] == "decimal":
            yield line, f"imports {name}; {use}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == "Decimal":
            yield node.lineno, f"uses Decimal; {use}"


# --- rules of all rooms --------------------------------------------------------------------------------


def _too_wide(kind: ast.expr | None) -> bool:
    kinds = kind.elts if isinstance(kind, ast.Tuple) else [kind]
    return any(one is None or dotted(one) in ("Exception", "BaseException") for one in kinds)


def no_wide_except(tree: ast.Module) -> Iterator[Finding]:
    use = "name the errors that can happen, or end the handler with a bare `raise`"
    for node in ast.walk(tree):
        if not isinstance(node, ast.ExceptHandler) or not _too_wide(node.type):
            continue
        last = node.body[-1]
        if not (isinstance(last, ast.Raise) and last.exc is None):
            yield node.lineno, f"catches everything; {use}"


def no_running_of_data(tree: ast.Module) -> Iterator[Finding]:
    for line, name in imported(tree):
        if name.split(".")[0] in ("pickle", "cPickle", "dill", "shelve", "marshal"):
            yield line, f"imports {name}; use `domain.codec` (canonical JSON)"
        elif name == "yaml.load":
            yield line, "imports yaml.load; use `yaml.safe_load`"
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = dotted(node.func)
        if called in ("eval", "exec"):
            yield node.lineno, f"calls {called}(); use a table of functions"
        elif called == "yaml.load":
            yield node.lineno, "calls yaml.load(); use `yaml.safe_load`"


def no_long_function(tree: ast.Module) -> Iterator[Finding]:
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > LONGEST_FUNCTION:
                yield (
                    node.lineno,
                    f"{node.name} has {lines} lines; split it into steps of at most {LONGEST_FUNCTION}",
                )


def law_first(tree: ast.Module) -> Iterator[Finding]:
    text = ast.get_docstring(tree) or ""
    if not any(line.lstrip().startswith("Law") and ":" in line for line in text.splitlines()):
        yield 1, "no `Law:` in the module's docstring; say what must live here and what it refuses to know"


def seeded_chance_only(tree: ast.Module) -> Iterator[Finding]:
    use = "use an own `random.Random(seed)`: the shared generator cannot be replayed"
    for line, name in imported(tree):
        if (name.startswith("random.") and name != "random.Random") or name.startswith("numpy.random"):
            yield line, f"imports {name}; {use}"
    for node in ast.walk(tree):
        used = dotted(node) if isinstance(node, ast.Attribute) else ""
        if used.startswith(("np.random", "numpy.random")) or (
            used.startswith("random.") and used.split(".")[1] != "Random"
        ):
            yield node.lineno, f"uses {used}; {use}"
        if isinstance(node, ast.Call) and dotted(node.func) in ("random.Random", "Random"):
            none = [a for a in node.args if isinstance(a, ast.Constant) and a.value is None]
            if none or not (node.args or node.keywords):
                yield node.lineno, f"a Random without seed; {use}"


PURE_RULES: tuple[Rule, ...] = (
    no_clock,
    no_chance,
    no_float,
    no_true_division,
    no_set_iteration,
    no_decimal,
)
RULES: tuple[Rule, ...] = (no_wide_except, no_running_of_data, no_long_function, law_first)

EXCEPTED = {("domain/units.py", no_decimal), ("actors/ports.py", no_decimal)}
"""The one file that reads and prints decimals, and the port in which exchanges publish them."""


# --- the product keeps them ----------------------------------------------------------------------------


def product_files() -> list[Path]:
    return sorted(path for room in ROOMS for path in (REPO / room).rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(REPO).as_posix()


def rules_for(name: str) -> list[Rule]:
    rules = list(RULES)
    if name.split("/")[0] in PURE_ROOMS:
        rules += PURE_RULES
    if name.startswith("replay/"):
        rules.append(seeded_chance_only)
    return [rule for rule in rules if (name, rule) not in EXCEPTED]


KNOWN: dict[str, str] = {}
"""Files that do not keep the style yet; the mark is strict, so a mended file must leave this table."""


def checked_files() -> list[object]:
    return [
        pytest.param(path, marks=pytest.mark.xfail(strict=True, reason=KNOWN[name]))
        if (name := name_of(path)) in KNOWN
        else path
        for path in product_files()
    ]


@pytest.mark.parametrize("path", checked_files(), ids=name_of)
def test_a_product_file_keeps_the_style(path: Path) -> None:
    name = name_of(path)
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    found = [f"{name}:{line}: {what}" for rule in rules_for(name) for line, what in rule(tree)]
    lines = len(source.splitlines())
    if lines > LONGEST_FILE:
        found.append(f"{name}: {lines} lines; split it, {LONGEST_FILE} are the most")
    assert not found, "\n" + "\n".join(found)


def test_every_room_has_files_to_check() -> None:
    rooms = {name_of(path).split("/")[0] for path in product_files()}
    assert rooms >= {"domain", "actors", "replay", "grinder"}


# --- texts ---------------------------------------------------------------------------------------------

UNFINISHED = ("TO" + "DO", "FIX" + "ME", "XX" + "X:")


def written_files() -> list[Path]:
    kinds = ("*.py", "*.md", "*.cfg", "*.toml", "*.yaml", "*.yml")
    places = [REPO / room for room in (*ROOMS, "tests", "docs", "benchmarks", ".ci")]
    inside = [path for place in places if place.is_dir() for kind in kinds for path in place.rglob(kind)]
    top = [path for kind in kinds for path in REPO.glob(kind)]
    return sorted({*inside, *top})


def test_nothing_is_left_to_be_done_in_a_comment() -> None:
    found = [
        f"{name_of(path)}:{number}: {word}; do it, or write down why not"
        for path in written_files()
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        for word in UNFINISHED
        if word in line
    ]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(("name", "most"), [("README.md", 120), ("ARCHITECTURE.md", 300)])
def test_a_document_is_short_enough_to_be_read(name: str, most: int) -> None:
    found = [REPO / name, REPO / "docs" / name]
    lengths = {name_of(p): len(p.read_text(encoding="utf-8").splitlines()) for p in found if p.is_file()}
    assert all(length <= most for length in lengths.values()), f"{lengths}: at most {most} lines"


def names_in(source: str) -> set[str]:
    """Names of the functions and classes (``Class::method`` too) that a test file defines or assigns."""
    names: set[str] = set()
    for node in ast.parse(source).body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names.update(dotted(target) for target in node.targets)
        elif isinstance(node, ast.ClassDef):
            names.add(node.name)
            names.update(f"{node.name}::{x.name}" for x in node.body if isinstance(x, ast.FunctionDef))
    return names


def missing_tests(rows: list[dict[str, str]], repo: Path) -> list[str]:
    """Every named test that is not there."""
    missing = []
    for row in rows:
        for test in row["test"].split():
            path, _, name = test.partition("::")
            file = repo / path
            if not file.is_file() or (name and name.split("[")[0] not in names_in(file.read_text("utf-8"))):
                missing.append(f"{row['id']}: {test}")
    return missing


def test_every_test_that_the_traceability_table_names_exists() -> None:
    table = REPO / "docs" / "traceability.csv"
    if not table.is_file():
        pytest.skip("no traceability table yet")
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    assert set(rows[0]) >= {"id", "test"}
    missing = missing_tests(rows, REPO)
    assert not missing, "\n" + "\n".join(missing)


def test_a_named_test_that_does_not_exist_is_found(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("def test_a(): ...\nclass TestB:\n    def test_c(self): ...\n")
    rows = [
        {"id": "R1", "test": "test_it.py::test_a"},
        {"id": "R2", "test": "test_it.py::TestB::test_c test_it.py::test_a[one]"},
        {"id": "R3", "test": "test_it.py::test_gone"},
        {"id": "R4", "test": "test_nowhere.py::test_a"},
    ]
    assert missing_tests(rows, tmp_path) == [
        "R3: test_it.py::test_gone",
        "R4: test_nowhere.py::test_a",
    ]


# --- the rules themselves ------------------------------------------------------------------------------

BREAKS: list[tuple[Rule, str]] = [
    (no_clock, "import time"),
    (no_clock, "from time import monotonic"),
    (no_clock, "time.sleep(1)"),
    (no_clock, "datetime.now()"),
    (no_clock, "datetime.datetime.utcnow()"),
    (no_clock, "date.today()"),
    (no_chance, "import random"),
    (no_chance, "from uuid import uuid4"),
    (no_chance, "x = random.random()"),
    (no_chance, "x = uuid.uuid4()"),
    (no_float, "x = 0.5"),
    (no_float, "x = float(y)"),
    (no_true_division, "x = a / b"),
    (no_true_division, "x /= b"),
    (no_set_iteration, "for x in {1, 2}: pass"),
    (no_set_iteration, "y = [x for x in set(z)]"),
    (no_set_iteration, "names = frozenset(z)\nfor x in names: pass"),
    (no_set_iteration, "def f(names: set[str]):\n    return tuple(names)"),
    (no_set_iteration, "y = ','.join({x for x in z})"),
    (no_set_iteration, "y = [*{1, 2}]"),
    (no_set_iteration, "for x in set(a) | b: pass"),
    (no_set_iteration, "names = {1, 2}\nx = names.pop()"),
    (no_decimal, "from decimal import Decimal"),
    (no_decimal, "x = Decimal(1)"),
    (no_wide_except, "try:\n    f()\nexcept:\n    pass"),
    (no_wide_except, "try:\n    f()\nexcept Exception:\n    log()"),
    (no_wide_except, "try:\n    f()\nexcept (ValueError, BaseException) as e:\n    log(e)"),
    (no_wide_except, "try:\n    f()\nexcept Exception as e:\n    raise Other() from e"),
    (no_running_of_data, "eval(x)"),
    (no_running_of_data, "exec(x)"),
    (no_running_of_data, "import pickle"),
    (no_running_of_data, "yaml.load(x)"),
    (no_running_of_data, "from yaml import load"),
    (no_long_function, "def f():\n" + "    x = 1\n" * LONGEST_FUNCTION),
    (law_first, '"""A module that says nothing of itself."""'),
    (law_first, "x = 1"),
    (seeded_chance_only, "x = random.random()"),
    (seeded_chance_only, "random.seed(1)"),
    (seeded_chance_only, "from random import choice"),
    (seeded_chance_only, "x = random.Random()"),
    (seeded_chance_only, "x = random.Random(None)"),
    (seeded_chance_only, "x = np.random.default_rng()"),
]

KEEPS: list[tuple[Rule, str]] = [
    (no_clock, "time_in_force = terms.time_in_force\nnow_ns = message.now_ns"),
    (no_chance, "x = client_order_id(a, 1, 2, p, 3, 4)"),
    (no_float, "x = 5_000\ny = '0.5'"),
    (no_true_division, "x = a // b\ny = '/'"),
    (no_set_iteration, "for x in sorted({1, 2}): pass"),
    (no_set_iteration, "names = frozenset(z)\nfound = x in names"),
    (no_set_iteration, "for x in (1, 2): pass\ny = list(z)"),
    (no_decimal, "x = 'Decimal'"),
    (no_wide_except, "try:\n    f()\nexcept ValueError:\n    pass"),
    (no_wide_except, "try:\n    f()\nexcept BaseException:\n    undo()\n    raise"),
    (no_running_of_data, "yaml.safe_load(x)\nmodel.eval()"),
    (no_long_function, "def f():\n" + "    x = 1\n" * (LONGEST_FUNCTION - 1)),
    (law_first, '"""A module.\n\nLaw: it does one thing.\n"""'),
    (seeded_chance_only, "import random\nx = random.Random(7).random()"),
]


def _id(case: object) -> str:
    return case.__name__ if callable(case) else " ".join(str(case).split())[:40]


@pytest.mark.parametrize(("rule", "snippet"), BREAKS, ids=_id)
def test_a_snippet_that_breaks_a_rule_is_found_and_told_what_to_use(rule: Rule, snippet: str) -> None:
    found = list(rule(ast.parse(snippet)))
    assert found
    assert all(";" in what for _, what in found), "a finding says what to use instead"


@pytest.mark.parametrize(("rule", "snippet"), KEEPS, ids=_id)
def test_a_snippet_that_keeps_a_rule_is_left_alone(rule: Rule, snippet: str) -> None:
    assert list(rule(ast.parse(snippet))) == []


@pytest.mark.parametrize("rule", [*PURE_RULES, *RULES, seeded_chance_only], ids=_id)
def test_every_rule_is_shown_to_fire_and_to_spare(rule: Rule) -> None:
    assert rule in [known for known, _ in BREAKS]
    assert rule in [known for known, _ in KEEPS]


def test_the_pure_rooms_are_held_to_the_pure_rules() -> None:
    assert set(PURE_RULES) <= set(rules_for("domain/account.py"))
    assert set(PURE_RULES) <= set(rules_for("actors/core.py"))
    assert no_decimal not in rules_for("domain/units.py")
    assert seeded_chance_only in rules_for("replay/exchange/session.py")
    assert no_float not in rules_for("replay/search.py")
