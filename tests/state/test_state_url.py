"""Forms of ``RAPPORT_STATE_URL``, and refusals that say what would be right without telling a password."""

from __future__ import annotations

from typing import Final

import pytest

from rapport.settings import SettingsError, from_env
from rapport.state_url import StateUrl, parse_state_url

PASSWORD: Final = "p"  # noqa: S105 - of these tests
ODD: Final = "a@b/"


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://valkey", StateUrl(mode="single", hosts=(("valkey", 6_379),))),
        ("valkey://h:1/2", StateUrl(mode="single", hosts=(("h", 1),), database=2)),
        ("redis://h/?db=3", StateUrl(mode="single", hosts=(("h", 6_379),), database=3)),
        (
            "rediss://u:p@[::1]:7",
            StateUrl(mode="single", hosts=(("::1", 7),), username="u", password=PASSWORD, is_encrypted=True),
        ),
        ("redis://:a%40b%2F@h", StateUrl(mode="single", hosts=(("h", 6_379),), password=ODD)),
        ("unix:///run/v.sock", StateUrl(mode="single", socket="/run/v.sock")),
        (
            "unix://u:p@/run/v.sock?db=1",
            StateUrl(mode="single", socket="/run/v.sock", database=1, username="u", password=PASSWORD),
        ),
        ("redis+unix:///run/v.sock", StateUrl(mode="single", socket="/run/v.sock")),
        (
            "redis+sentinel://a,b:2/main",
            StateUrl(mode="sentinel", hosts=(("a", 26_379), ("b", 2)), service="main"),
        ),
        (
            "valkeys+cluster://u:p@a:1,b:2",
            StateUrl(mode="cluster", hosts=(("a", 1), ("b", 2)), username="u", password=PASSWORD, is_encrypted=True),
        ),
    ],
)
def test_each_form_names_its_servers(url: str, address: StateUrl):
    assert parse_state_url(url) == address
    assert from_env({"RAPPORT_STATE_URL": url}).state_url.reveal() == url


@pytest.mark.parametrize(
    ("url", "right"),
    [
        ("memory", "redis://host:port"),
        ("http://secret@h", "redis://host:port"),
        ("redis+ring://secret@h", "redis://host:port"),
        ("redis://", "host:port"),
        ("redis://:secret@", "host:port"),
        ("redis://:secret@h:port", "host:port"),
        ("redis://:secret@h:0", "host:port"),
        ("redis://:secret@h:70000", "host:port"),
        ("redis://:secret@a,b", "redis+sentinel://"),
        ("redis://:secret@h/first", "redis://host:port/1"),
        ("redis://:secret@h?protocol=3", "?db=1"),
        ("unix://run/v.sock", "unix:///run/valkey.sock"),
        ("unix://:secret@", "unix:///run/valkey.sock"),
        ("redis+sentinel://:secret@a,b", "redis+sentinel://a,b/main"),
        ("redis+cluster://:secret@a,b/1", "one only"),
        ("redis+cluster://:secret@a?db=1", "one only"),
        ("redis://a?sentinel_password=secret", "redis+sentinel://"),
    ],
)
def test_other_forms_are_refused_with_what_would_be_right(url: str, right: str):
    with pytest.raises(SettingsError) as caught:
        from_env({"RAPPORT_STATE_URL": url})
    (fault,) = str(caught.value).splitlines()
    assert fault.startswith("RAPPORT_STATE_URL ")
    assert right in fault
    assert "secret" not in fault


def test_a_password_does_not_print():
    url = "redis+sentinel://:secret@h/main?sentinel_password=secret"
    settings, address = from_env({"RAPPORT_STATE_URL": url}), parse_state_url(url)
    assert address.password == address.sentinel_password == "secret"  # noqa: S105 - of this test
    assert "secret" not in repr(settings) + repr(address)


def test_the_former_name_is_refused_instead_of_ignored():
    with pytest.raises(SettingsError, match="is called RAPPORT_STATE_URL"):
        from_env({"RAPPORT_API_SHARED_STATE": "redis://h"})
