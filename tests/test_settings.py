from __future__ import annotations

from contextlib import suppress

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rapport.settings import (
    ClickHouseSettings,
    KafkaSettings,
    Secret,
    Settings,
    SettingsError,
    WorkerSettings,
    from_env,
)

SECTIONS = {"KAFKA_": KafkaSettings, "CLICKHOUSE_": ClickHouseSettings, "RAPPORT_WORKER_": WorkerSettings}
VARIABLES = [
    *(prefix + field.name.upper() for prefix, struct in SECTIONS.items() for field in msgspec.structs.fields(struct)),
    "RAPPORT_LOG_FORMAT",
    "RAPPORT_LOG_LEVEL",
]


def faults_of(env: dict[str, str]) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        from_env(env)
    return str(caught.value).splitlines()


def test_every_setting_has_a_default():
    assert from_env({}) == Settings()


def test_unknown_variables_are_ignored():
    assert from_env({"PATH": "/bin", "KAFKA_NONSENSE": "1", "kafka_topic": "x"}) == Settings()


def test_each_variable_sets_what_it_is_named_after():
    found = from_env(
        {
            "KAFKA_BOOTSTRAP": "a:1,b:2",
            "KAFKA_PARTITIONS": "12",
            "KAFKA_CREATE_TOPICS": "false",
            "KAFKA_SESSION_TIMEOUT_S": "7.5",
            "CLICKHOUSE_URL": "https://ch:8443",
            "CLICKHOUSE_DATABASE": "other",
            "RAPPORT_WORKER_CONSUMER": "stock",
            "RAPPORT_WORKER_BATCH_MAX_EVENTS": "10",
            "RAPPORT_LOG_FORMAT": "json",
            "RAPPORT_LOG_LEVEL": "debug",
        }
    )
    assert found == Settings(
        kafka=KafkaSettings(bootstrap="a:1,b:2", partitions=12, create_topics=False, session_timeout_s=7.5),
        clickhouse=ClickHouseSettings(url="https://ch:8443", database="other"),
        worker=WorkerSettings(consumer="stock", batch_max_events=10),
        log_format="json",
        log_level="debug",
    )


def test_all_faults_are_reported_at_once_with_variable_and_right_form():
    faults = faults_of(
        {
            "KAFKA_PARTITIONS": "many",
            "KAFKA_SECURITY_PROTOCOL": "plain",
            "KAFKA_CREATE_TOPICS": "perhaps",
            "KAFKA_REBALANCE_TIMEOUT_S": "6",
            "CLICKHOUSE_URL": "localhost:8123",
            "CLICKHOUSE_TIMEOUT_S": "soon",
            "RAPPORT_WORKER_DEDUP_HORIZON_HOURS": "169",
            "RAPPORT_WORKER_BATCH_MAX_BYTES": "0",
            "RAPPORT_LOG_LEVEL": "loud",
        }
    )
    expected = [
        ("KAFKA_SECURITY_PROTOCOL='plain'", "plain"),
        ("KAFKA_PARTITIONS='many'", "int"),
        ("KAFKA_CREATE_TOPICS='perhaps'", "bool"),
        ("CLICKHOUSE_TIMEOUT_S='soon'", "float"),
        ("RAPPORT_LOG_LEVEL='loud'", "loud"),
        ("CLICKHOUSE_URL", "http(s)://host:port"),
        ("RAPPORT_WORKER_BATCH_MAX_BYTES", "at least 1"),
        ("RAPPORT_WORKER_DEDUP_HORIZON_HOURS", "between 1 and 168"),
        ("KAFKA_REBALANCE_TIMEOUT_S", "below KAFKA_SESSION_TIMEOUT_S"),
    ]
    for fault, (variable, hint) in zip(faults, expected, strict=True):
        assert variable in fault
        assert hint in fault


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("KAFKA_PARTITIONS", "0"),
        ("RAPPORT_WORKER_BATCH_MAX_EVENTS", "0"),
        ("RAPPORT_WORKER_BATCH_MAX_BYTES", "-1"),
        ("RAPPORT_WORKER_DEDUP_HORIZON_HOURS", "0"),
        ("CLICKHOUSE_URL", ""),
        ("CLICKHOUSE_URL", "ftp://ch:21"),
        ("CLICKHOUSE_URL", "http://"),
        ("KAFKA_SESSION_TIMEOUT_S", "nan"),
    ],
)
def test_invalid_values_are_refused(variable: str, value: str):
    (fault,) = faults_of({variable: value})
    assert variable in fault


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CLICKHOUSE_URL", "http://[::1"),
        ("CLICKHOUSE_URL", "http://ch:port"),
        ("CLICKHOUSE_TIMEOUT_S", "-1"),
        ("RAPPORT_WORKER_CLAIM_TIMEOUT_S", "nan"),
        ("RAPPORT_WORKER_PORT", "70000"),
        ("RAPPORT_API_TRUSTED_PROXIES", "10.0.0.7/8"),
        ("RAPPORT_API_TRUSTED_PROXIES", "proxy.example"),
    ],
)
def test_values_that_fail_later_are_refused_at_once(variable: str, value: str):
    (fault,) = faults_of({variable: value})
    assert variable in fault


def test_secrets_do_not_print():
    found = from_env({"KAFKA_SASL_PASSWORD": "hush", "CLICKHOUSE_PASSWORD": "hush"})
    assert found.kafka.sasl_password.reveal() == found.clickhouse.password.reveal() == "hush"
    for text in (repr(found), str(found), f"{found.clickhouse.password}", repr(found.kafka.sasl_password)):
        assert "hush" not in text
    assert repr(Secret("hush")) == "Secret(***)"
    assert repr(Secret("")) == "Secret()"


def test_secrets_are_not_in_a_list_of_faults():
    faults = faults_of({"CLICKHOUSE_PASSWORD": "hush", "KAFKA_SASL_PASSWORD": "hush", "KAFKA_PARTITIONS": "x"})
    assert "hush" not in "".join(faults)


def test_every_password_is_a_secret():
    for struct in SECTIONS.values():
        for field in msgspec.structs.fields(struct):
            assert ("password" in field.name) == (field.type is Secret), field.name


def test_settings_cannot_be_changed():
    with pytest.raises(AttributeError):
        Settings().kafka.topic = "other"


@settings(max_examples=100, deadline=None)
@given(env=st.dictionaries(st.sampled_from(VARIABLES), st.text(max_size=8) | st.integers().map(str)))
def test_an_environment_is_either_understood_or_refused_with_reasons(env: dict[str, str]):
    env.pop("CLICKHOUSE_URL", None)  # see above
    with suppress(SettingsError):
        assert isinstance(from_env(env), Settings)
