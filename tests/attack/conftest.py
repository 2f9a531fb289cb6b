"""``make test-attack``: a running stack, an attacker, and a well-behaved neighbour whose answers are checked."""

from __future__ import annotations

import random
import uuid
from typing import TYPE_CHECKING, Final

import pytest

from tests.attack.figures import Figures
from tests.attack.neighbour import Neighbour
from tests.attack.stack import AttackedStack, running_stack

if TYPE_CHECKING:
    from collections.abc import Iterator


_FIGURES: Final = Figures()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--quick``."""
    parser.addoption("--quick", action="store_true", help="a part of each attack, for every change")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave the attacks out of ``make test``."""
    for item in items:
        if "tests/attack/" in item.nodeid and item.path.name == "test_attacks.py":
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def is_quick(request: pytest.FixtureRequest) -> bool:
    """Return whether a part of each attack is enough."""
    return bool(request.config.getoption("--quick", default=True))


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AttackedStack]:
    """Provide the stack."""
    with running_stack(tmp_path_factory.mktemp("attack")) as stack:
        yield stack


@pytest.fixture(scope="session")
def running_neighbour(stack: AttackedStack) -> Iterator[Neighbour]:
    """Provide the neighbour, from the first attack to the last."""
    with Neighbour(stack) as neighbour:
        yield neighbour


@pytest.fixture
def neighbour(running_neighbour: Neighbour, request: pytest.FixtureRequest) -> Iterator[Neighbour]:
    """Provide the neighbour during one attack: none of its answers may be wrong or missing."""
    running_neighbour.observe()
    yield running_neighbour
    seen = running_neighbour.observe()
    _FIGURES.neighbour[request.node.name] = seen
    assert not seen.wrong, seen.wrong[:5]
    if "faults" not in request.keywords:
        assert seen.unavailable == 0, f"{seen.unavailable} of {seen.unavailable + seen.count} were turned away"
    assert seen.count


@pytest.fixture
def figures() -> Figures:
    """Provide the figures to which attacks add their inputs."""
    return _FIGURES


@pytest.fixture
def seeded(request: pytest.FixtureRequest) -> random.Random:
    """Provide the randomness of the test; its seed is printed."""
    seed = f"{request.node.name}-{uuid.uuid4().hex[:8]}"
    print(f"seed {seed}")
    return random.Random(seed)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the inputs tried and the neighbour's figures."""
    if not _FIGURES.neighbour:
        return
    write = terminalreporter.write_line
    terminalreporter.section("attack")
    write(f"inputs tried: {sum(_FIGURES.inputs.values()):,}; processes killed that came back: {_FIGURES.faults}")
    write(f"{'attack':44} {'inputs':>8} {'answers':>8} {'p50 ms':>8} {'p99 ms':>8} {'live p99':>9} {'away':>5}")
    for name, seen in _FIGURES.neighbour.items():
        times = [seen.quantile(0.5), seen.quantile(0.99), seen.quantile(0.99, "live")]
        shown = " ".join(f"{1000 * seconds:8.0f}" for seconds in times)
        write(f"{name[5:49]:44} {_FIGURES.inputs.get(name, 0):8,} {seen.count:8,} {shown}  {seen.unavailable:5}")
