"""Every fault of a journey is named, with its field."""

from __future__ import annotations

from typing import Any

import pytest

from rapport.domain.journeys.checks import find_journey_faults
from tests.domain.journeys.plans import WELCOME, journey

KNOWN: dict[str, list[str]] = {
    "creative": ["cr_hello"],
    "channel": ["ch_email"],
    "decision_flow": ["home"],
    "metric": ["clicks"],
    "placement": [],
}
END: dict[str, Any] = {"id": "end", "type": "end"}


def flaws(*steps: dict[str, Any], **fields: Any) -> dict[str, str]:
    return {
        fault.field.removeprefix("definition."): fault.message
        for fault in find_journey_faults(journey(*steps, **fields), KNOWN)
    }


def step(kind: str, **config: Any) -> dict[str, Any]:
    return {"id": "x", "type": kind, "config": config}


def fork(expression: str, target: str = "end", **config: Any) -> dict[str, Any]:
    return step("branch", conditions=[{"expression": expression, "targetStepId": target}], **config)


def test_a_valid_journey_has_no_faults():
    assert flaws(*WELCOME, entryCondition={"outcomes": ["convert"], "expression": "entry.value > 10"}) == {}


@pytest.mark.parametrize(
    ("bad", "path", "words"),
    [
        (step("wait", duration=0), "config.duration", ">"),
        (step("wait", duration=1, unit="weeks"), "config.unit", "weeks"),
        (step("wait", duration=1, until="x"), "config.until", "known are duration, unit"),
        (fork("1 +"), "config.conditions[0].expression", "column"),
        (fork("likes > 3"), "config", "'likes' is not known; segments, customer.…"),
        (fork("metric.gone > 3"), "config", "there is no metric 'gone'"),
        (fork("1", "gone"), "config.conditions[0].targetStepId", "there is no step 'gone'"),
        (fork("1", defaultStepId="gone"), "config.defaultStepId", "there is no step 'gone'"),
        ({**step("update", attributes={"a": 1}), "next": "gone"}, "next", "there is no step 'gone'"),
        (step("update"), "config", "attributes or expressions"),
        (step("update", expressions={"a": "("}), "config.expressions.a", "column"),
        (step("decide", flowKey="gone"), "config.flowKey", "there is no decision-flow 'gone'"),
        (step("decide", flowKey="home", decisionFlowId="home"), "config.decisionFlowId", "name the flow twice"),
        (step("decide", maxOffers=0), "config.maxOffers", ">= 1"),
        (step("send"), "config", "either creativeId or fromResult"),
        (step("send", creativeId="gone"), "config.creativeId", "there is no creative 'gone'"),
        (step("send", fromResult="gone"), "config.fromResult", "no decide step stores its result as 'gone'"),
    ],
)
def test_a_fault_of_a_step_is_named(bad: dict[str, Any], path: str, words: str):
    found = flaws(bad, END)
    assert words in found[f"steps[0].{path}"]


def test_all_faults_are_named_at_once():
    found = flaws(step("wait", duration=-1), step("send"), definition={"start": "gone"})
    assert set(found) == {"steps[0].config.duration", "steps[1].id", "steps[1].config", "start"}


def test_unreachable_steps_and_cycles_without_a_wait_are_refused():
    note = {"id": "note", "type": "update", "config": {"attributes": {"a": 1}}, "next": "x"}
    assert flaws({**END, "id": "first"}, END) == {"steps[1]": "nothing leads to 'end'"}
    assert flaws(fork("1"), note, END) == {"steps[0]": "x -> note goes in a circle without a wait"}
    assert flaws(fork("1"), note, {"id": "lead", "type": "wait", "config": {"duration": 1}}, END)["steps[2]"]
    pause = {"id": "pause", "type": "wait", "config": {"duration": 1}}
    assert flaws(fork("1"), pause, note, END) == {}


def test_an_entry_condition_with_a_fault_is_refused():
    entry = {"outcomes": ["convert"]}
    assert set(flaws(END, entryCondition={**entry, "expression": "entry.value >"})) == {"entryCondition.expression"}
    assert set(flaws(END, entryCondition={**entry, "expression": "value > 1"})) == {"entryCondition.expression"}
