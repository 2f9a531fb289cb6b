"""The documents are true: their queries run, their links lead to pages, generated files are current."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest
import yaml

from api.http.metrics import ApiMetrics
from api.server import check
from jobs.metrics import JobProcessMetrics
from rapport.application.background_jobs import SCHEDULES
from rapport.domain.contract import build_asyncapi
from rapport.domain.outcomes import DEFAULT_OUTCOME_TYPES
from rapport.domain.rejections import RejectionCode
from rapport.settings import ApiSettings, JobSettings, Settings, from_env
from rapport.storage.client import Store

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "benchmarks" / "README.md"]


def sql_blocks(page: Path) -> list[str]:
    return re.findall(r"```sql\n(.*?)```", page.read_text("utf-8"), re.DOTALL)


@pytest.mark.parametrize("query", sql_blocks(ROOT / "docs" / "tables.md"))
def test_the_analysts_queries_run(store: Store, query: str) -> None:
    store.client.query(query)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_existing_pages(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
        assert target.startswith("http") or (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_tests_that_documents_name_exist(page: Path) -> None:
    for path in re.findall(r"`(tests/[\w/]+\.py)`", page.read_text("utf-8")):
        assert (ROOT / path).exists(), f"{page.name}: {path}"


def test_the_asyncapi_document_is_generated_from_the_types() -> None:
    assert json.loads((ROOT / "docs" / "asyncapi.json").read_text("utf-8")) == build_asyncapi()


def test_every_reason_code_and_outcome_is_documented() -> None:
    page = (ROOT / "docs" / "events.md").read_text("utf-8")
    for code in RejectionCode:
        assert f"`{code.value}`" in page, code
    for outcome_type in DEFAULT_OUTCOME_TYPES:
        assert outcome_type.key in page, outcome_type.key


@pytest.mark.parametrize("page", ["operations.md", "security.md"])
def test_every_variable_in_the_documents_is_a_setting(page: str) -> None:
    text = (ROOT / "docs" / page).read_text("utf-8")
    images = re.findall(r"\$\{(\w+_IMAGE):-", (ROOT / "docker-compose.yml").read_text("utf-8"))
    known = {*(name for name, _ in known_variables()), *images}
    for variable in re.findall(r"`(KAFKA_\w+|CLICKHOUSE_\w+|RAPPORT_\w+)[`=]", text):
        assert variable in known, variable


def test_every_setting_of_the_api_is_documented() -> None:
    text = "".join(page.read_text("utf-8") for page in (ROOT / "docs").glob("*.md"))
    for field in msgspec.structs.fields(ApiSettings):
        assert f"`RAPPORT_API_{field.name.upper()}`" in text, field.name


def test_every_setting_of_the_jobs_is_documented() -> None:
    text = (ROOT / "docs" / "operations.md").read_text("utf-8")
    for field in msgspec.structs.fields(JobSettings):
        assert f"`RAPPORT_JOBS_{field.name.upper()}`" in text, field.name


def test_every_background_job_is_documented_with_its_interval() -> None:
    text = (ROOT / "docs" / "operations.md").read_text("utf-8")
    listed = dict(re.findall(r"^\| `([\w-]+)` \| ([\w ]+) \| ", text, re.MULTILINE))
    seconds = {"5 s": 5.0, "2 s": 2.0, "10 min": 600.0, "day": 86_400.0}
    assert {name: seconds.get(listed.get(name, "")) for name in SCHEDULES} == {
        name: schedule.every_s for name, schedule in SCHEDULES.items()
    }


@pytest.mark.parametrize("metrics", [ApiMetrics, JobProcessMetrics])
def test_every_metric_of_the_api_and_of_the_jobs_is_documented(
    metrics: type[ApiMetrics | JobProcessMetrics],
) -> None:
    text = (ROOT / "docs" / "operations.md").read_text("utf-8")
    for family in metrics().registry.collect():
        assert f"`{family.name}" in text, family.name


def test_the_alarms_of_the_stream_name_parts_that_are_measured() -> None:
    """An expression over a label that no part has would never hold, and never alarm."""
    text = (ROOT / "docs" / "operations.md").read_text("utf-8")
    named = {part for parts in re.findall(r'part[=!]~"([^"]+)"', text) for part in parts.split("|")}
    code = "".join(path.read_text("utf-8") for path in (ROOT / "pipeline").glob("*.py"))
    assert named
    assert named <= set(re.findall(r'time_part\("(\w+)"\)', code))


def test_the_compose_file_fits_the_settings_and_the_engine() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    services = compose["services"]
    worker = {**services["worker"]["environment"], "CLICKHOUSE_PASSWORD": "x"}
    settings = from_env(worker)
    assert set(worker) <= {name for name, _ in known_variables()}
    default = Settings()
    assert settings.kafka.topic == default.kafka.topic
    assert settings.kafka.dead_letter_topic == default.kafka.dead_letter_topic
    assert settings.clickhouse.database == services["clickhouse"]["environment"]["CLICKHOUSE_DB"]
    assert settings.clickhouse.user == services["clickhouse"]["environment"]["CLICKHOUSE_USER"]
    assert settings.kafka.bootstrap in services["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert services["worker"]["deploy"]["replicas"] == 2
    assert all("healthcheck" in service for name, service in services.items() if name != "migrate")
    line = re.search(r"chdb-core==(\d+\.\d+)", (ROOT / "pyproject.toml").read_text("utf-8"))
    assert line is not None
    tag = f"clickhouse/clickhouse-server:{line.group(1)}"
    assert services["clickhouse"]["image"] == f"${{CLICKHOUSE_IMAGE:-{tag}}}"


def test_the_compose_file_runs_two_api_processes_with_shared_state() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]
    api = services["api"]
    assert api["environment"]["RAPPORT_API_KEY_PEPPER"].startswith("${RAPPORT_API_KEY_PEPPER:?"), "no default"
    given = {**api["environment"], "CLICKHOUSE_PASSWORD": "x", "RAPPORT_API_KEY_PEPPER": "p" * 64}
    assert set(given) <= {name for name, _ in known_variables()}
    settings = from_env(given)
    check(settings)
    assert settings.api.workers == 2
    assert urlsplit(settings.state_url.reveal()).hostname in services
    assert settings.api.trusted_tenant == ""
    (published,) = api["ports"]
    assert published == f"127.0.0.1:{settings.api.port}:{settings.api.port}"
    assert f":{settings.api.port}/health/live" in api["healthcheck"]["test"][-1]
    shared = {"KAFKA_BOOTSTRAP", "KAFKA_TOPIC", "KAFKA_PARTITIONS", "CLICKHOUSE_URL", "CLICKHOUSE_DATABASE"}
    assert all(api["environment"][name] == services["worker"]["environment"][name] for name in shared)


def test_the_compose_file_runs_the_background_jobs_as_the_api_needs_them() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]
    jobs, api = services["jobs"], services["api"]
    given = {**jobs["environment"], "CLICKHOUSE_PASSWORD": "x"}
    assert set(given) <= {name for name, _ in known_variables()}
    settings = from_env(given)
    assert jobs["command"] == ["rapport", "jobs"]
    assert f":{settings.jobs.port}/health/live" in jobs["healthcheck"]["test"][-1]
    shared = {"CLICKHOUSE_URL", "CLICKHOUSE_DATABASE", "CLICKHOUSE_USER", "RAPPORT_STATE_URL"}
    assert all(jobs["environment"][name] == api["environment"][name] for name in shared)


def known_variables() -> list[tuple[str, str]]:
    sections = {
        "kafka": "KAFKA_",
        "clickhouse": "CLICKHOUSE_",
        "worker": "RAPPORT_WORKER_",
        "api": "RAPPORT_API_",
        "jobs": "RAPPORT_JOBS_",
        "clv": "RAPPORT_CLV_",
    }
    settings = Settings()
    names = [
        (prefix + name.upper(), name)
        for section, prefix in sections.items()
        for name in getattr(settings, section).__struct_fields__
    ]
    alone = ("log_format", "log_level", "state_url")
    return [*names, *((f"RAPPORT_{name.upper()}", name) for name in alone)]
