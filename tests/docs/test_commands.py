"""The commands of the README and the documents work as they stand there, against a running demo."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from rapport.embedded.stack import free_stack_ports
from tests.cli.commands import environment, running
from tests.cli.test_stack import port_arguments

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "docs/events.md", "docs/tables.md", "docs/operations.md")
NOT_HERE = re.compile(r"^(make|CLICKHOUSE_PASSWORD=.* docker) ", re.MULTILINE)
"""The tests run these themselves, or they need Docker."""


def bash_blocks(page: str) -> list[str]:
    blocks = re.findall(r"```bash\n(.*?)```", (ROOT / page).read_text("utf-8"), re.DOTALL)
    return [block for block in blocks if not NOT_HERE.search(block)]


def test_documented_commands_work(tmp_path: Path) -> None:
    ports = free_stack_ports(1)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / "interactions.ndjson").write_text(
        '{"tenantId": "demo", "customerId": "a", "outcome": "click", "idempotencyKey": "documented-1"}\n', "utf-8"
    )
    (tmp_path / "purchases.csv").write_text("customer,amount\nb,12.50\n", "utf-8")
    blocks = [block for page in PAGES for block in bash_blocks(page)]
    assert len(blocks) >= 8
    with running("demo", *port_arguments(ports), env=environment(XDG_CACHE_HOME=str(tmp_path)), cwd=tmp_path) as demo:
        demo.wait_for("drift 0")
        for block in blocks:
            script = f"set -e; . .venv/bin/activate; . .rapport/demo.env\n{block}"
            done = subprocess.run(
                ["bash", "-c", script], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
            assert done.stdout.strip(), f"{block}\nprinted nothing"
