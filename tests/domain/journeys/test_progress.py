"""Progress in journeys: waits are complete, every path ends, and the same input gives the same result."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from rapport.domain.journeys.checks import find_journey_faults
from rapport.domain.journeys.enrolment import Enrolment, EnrolmentStatus, make_enrolment_id
from rapport.domain.journeys.plan import compile_journey
from rapport.domain.journeys.progress import (
    DecideAction,
    JourneyFacts,
    SendAction,
    UpdateAction,
    advance,
    complete,
    fail,
    leave,
)
from rapport.domain.journeys.simulate import simulate
from tests.domain.journeys.plans import DAY, MINUTE, NOW, WELCOME, entered, journey, plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rapport.domain.journeys.plan import JourneyPlan
    from rapport.domain.journeys.progress import Action

NOTHING = JourneyFacts()
CHOSEN = [{"offerId": "loan", "creativeId": "loan-mail", "channelId": "ch_web"}]


def test_a_journey_of_three_steps_advances_by_the_clock():
    ready = plan(*WELCOME[:3])
    start, (hello,) = advance(ready, entered(ready), NOTHING, NOW)
    assert hello == SendAction(
        key="journey:enr_1:hello", outcome="impression", offer_id="", creative_id="cr_hello", channel_id="", at_ms=NOW
    )
    waiting, actions = advance(ready, complete(ready, start, NOW + 5), NOTHING, NOW + 5)
    assert (waiting.step, waiting.due_at_ms, actions) == ("pause", NOW + 5 + 3 * DAY, ())
    assert advance(ready, waiting, NOTHING, NOW + 4 + 3 * DAY) == (waiting, ())
    deciding, (decide,) = advance(ready, waiting, NOTHING, NOW + 5 + 3 * DAY)
    assert isinstance(decide, DecideAction)
    assert (deciding.step, decide.key, decide.config.flow_key) == ("choose", "journey:enr_1:choose", "home")
    done = complete(ready, deciding, NOW + 4 * DAY, chosen=CHOSEN)
    assert (done.status, done.ended_at_ms, done.results) == ("completed", NOW + 4 * DAY, {"picked": CHOSEN})
    assert advance(ready, done, NOTHING, NOW + 400 * DAY) == (done, ())


@pytest.mark.parametrize("chosen", [CHOSEN, []])
def test_a_send_step_sends_the_offer_of_a_decision_if_there_is_one(chosen: list[dict[str, str]]):
    ready = plan(*WELCOME[2:])
    deciding, _ = advance(ready, entered(ready), NOTHING, NOW)
    after, actions = advance(ready, complete(ready, deciding, NOW, chosen=chosen), NOTHING, NOW)
    if chosen:
        (send,) = actions
        assert isinstance(send, SendAction)
        assert (send.offer_id, send.creative_id, send.channel_id) == ("loan", "loan-mail", "ch_email")
    else:
        assert (after.status, actions) == (EnrolmentStatus.COMPLETED, ())


def test_a_branch_goes_to_the_target_of_the_first_true_condition():
    ways = [
        {"expression": 'contains(segments, "Gold")', "targetStepId": "gold"},
        {"expression": "metric.clicks >= 3 and entry.value > 10", "targetStepId": "keen"},
        {"expression": "customer.address.city == missing.thing or result.none.count > 0", "targetStepId": "gold"},
    ]
    ways[2]["expression"] = 'customer.address.city == "Oslo"'
    ready = plan(
        {"id": "fork", "type": "branch", "config": {"conditions": ways, "defaultStepId": "rest"}},
        *({"id": name, "type": "end"} for name in ("gold", "keen", "rest")),
    )

    def ends_at(facts: JourneyFacts, **entry: Any) -> str:
        done, actions = advance(ready, entered(ready, **entry), facts, NOW)
        assert (done.status, actions) == (EnrolmentStatus.COMPLETED, ())
        return done.step

    assert ready.metrics == {"clicks"}
    assert ends_at(JourneyFacts(segments=frozenset({"Gold"}), metrics={"clicks": 9}), value=99) == "gold"
    assert ends_at(JourneyFacts(metrics={"clicks": 3}), value=11) == "keen"
    assert ends_at(JourneyFacts(attributes={"address": {"city": "Oslo"}})) == "gold"
    assert ends_at(NOTHING) == "rest"


def test_an_update_has_values_and_results_of_formulas():
    config = {"attributes": {"stage": "welcomed", "old": None}, "expressions": {"visits": "customer.visits + 1"}}
    ready = plan({"id": "note", "type": "update", "config": config})
    _, (update,) = advance(ready, entered(ready), JourneyFacts(attributes={"visits": 2}), NOW)
    assert update == UpdateAction(key="journey:enr_1:note", attributes={"stage": "welcomed", "old": None, "visits": 3})


def test_each_visit_of_a_step_has_a_key_of_its_own():
    wait = {"id": "pause", "type": "wait", "config": {"duration": 1, "unit": "minutes"}, "next": "hello"}
    ready = plan(WELCOME[0], wait, maxDurationDays=1)
    keys, now_ms, state = [], NOW, entered(ready)
    while len(keys) < 3:
        state, actions = advance(ready, state, NOTHING, now_ms)
        for action in actions:
            keys.append(action.key)
            state = complete(ready, state, now_ms)
        now_ms += MINUTE
    assert keys == ["journey:enr_1:hello", "journey:enr_1:hello:2", "journey:enr_1:hello:3"]


def test_an_enrolment_expires_at_its_time_whenever_that_is_noticed():
    ready = plan({"id": "long", "type": "wait", "config": {"duration": 9}}, maxDurationDays=2)
    waiting, _ = advance(ready, entered(ready), NOTHING, NOW)
    assert waiting.due_at_ms == NOW + 2 * DAY
    for late in (0, DAY):
        gone, actions = advance(ready, waiting, NOTHING, NOW + 2 * DAY + late)
        assert (gone.status, gone.ended_at_ms, actions) == (EnrolmentStatus.EXPIRED, NOW + 2 * DAY, ())


def test_ended_enrolments_stay_ended_and_a_missing_step_fails():
    ready = plan(*WELCOME)
    for ended in (leave(entered(ready), NOW, "asked to"), fail(entered(ready), NOW, "no such creative")):
        assert ended.reason
        assert advance(ready, ended, NOTHING, NOW + DAY) == (ended, ())
    lost, _ = advance(ready, replace(entered(ready), step="gone"), NOTHING, NOW)
    assert lost.status is EnrolmentStatus.FAILED


def test_the_id_of_an_enrolment_depends_on_all_its_parts():
    ids = {make_enrolment_id(*parts) for parts in (("t", "j", "c", ""), ("t", "j", "c", "e"), ("t", "jc", "", ""))}
    assert len(ids) == 3
    assert make_enrolment_id("t", "j", "c", "") in ids


_IDS = [f"s{number}" for number in range(6)]


@st.composite
def plans(draw: st.DrawFn) -> JourneyPlan:
    """Draw a journey without faults; only waits lead back."""
    steps: list[dict[str, Any]] = []
    for number, step_id in enumerate(_IDS):
        later = _IDS[number + 1 :]
        kind = draw(
            st.sampled_from(["wait", "branch", "decide", "send", "update", "end"] if later else ["wait", "end"])
        )
        step: dict[str, Any] = {"id": step_id, "type": kind}
        match kind:
            case "wait":
                step["config"] = {"duration": draw(st.integers(1, 90)), "unit": "minutes"}
            case "branch":
                asked = [(draw(st.sampled_from("ab")), draw(st.sampled_from(later))) for _ in range(2)]
                ways = [{"expression": f"customer.{name}", "targetStepId": target} for name, target in asked]
                step["config"] = {"conditions": ways}
            case "send":
                step["config"] = {"creativeId": "cr"}
            case "update":
                step["config"] = {"attributes": {"x": 1}}
        if draw(st.booleans()):
            step["next"] = draw(st.sampled_from(_IDS if kind == "wait" else later or _IDS))
        steps.append(step)
    made = journey(*steps, maxDurationDays=1)
    assert [fault for fault in find_journey_faults(made, {}) if "nothing leads to" not in fault.message] == []
    return compile_journey(made, 1)


def run(ready: JourneyPlan, facts: JourneyFacts, pauses: Sequence[int]) -> tuple[list[Enrolment], list[Action]]:
    """Return every state and every executed action at some moments; actions are executed at once."""
    states, actions, now_ms = [entered(ready)], [], NOW
    for pause in pauses:
        now_ms += pause
        while True:
            state, asked = advance(ready, states[-1], facts, now_ms)
            states.append(state)
            if not asked:
                break
            actions += asked
            states.append(complete(ready, state, now_ms, chosen=CHOSEN))
    return states, actions


_FACTS = st.fixed_dictionaries({"a": st.booleans(), "b": st.booleans()}).map(lambda a: JourneyFacts(attributes=a))
_PAUSES = st.lists(st.integers(0, 100 * MINUTE), max_size=30)


@given(plans(), _FACTS, _PAUSES)
def test_waits_are_complete_keys_are_unique_and_progress_is_deterministic(
    ready: JourneyPlan, facts: JourneyFacts, pauses: list[int]
):
    states, actions = run(ready, facts, pauses)
    assert (states, actions) == run(ready, facts, pauses)
    assert len({action.key for action in actions}) == len(actions)
    for before, after in pairwise(states):
        step = ready.steps[before.step]
        if step.type == "wait" and after.visits != before.visits:
            assert after.entered_at_ms - before.entered_at_ms >= step.config.length_ms  # type: ignore[attr-defined]
        assert before.entered_at_ms <= after.entered_at_ms < before.expires_at_ms


@given(plans(), _FACTS)
def test_every_journey_ends_within_its_days(ready: JourneyPlan, facts: JourneyFacts):
    states, _ = run(ready, facts, [2 * MINUTE] * 720 + [DAY])
    assert states[-1].status in (EnrolmentStatus.COMPLETED, EnrolmentStatus.EXPIRED)
    assert states[-1].ended_at_ms is not None
    assert states[-1].ended_at_ms <= states[-1].expires_at_ms


@given(plans(), _FACTS, _PAUSES, st.randoms(use_true_random=False))
def test_an_action_lost_before_it_was_stored_is_repeated_under_the_same_key(
    ready: JourneyPlan, facts: JourneyFacts, pauses: list[int], random: Any
):
    state, now_ms, done = entered(ready), NOW, {}
    for pause in pauses:
        now_ms += pause
        for _ in range(20):
            at_step, asked = advance(ready, state, facts, now_ms)
            for action in asked:
                assert done.setdefault(action.key, action) == action
            if not asked:
                state = at_step
                break
            has_died = random.random() < 0.5  # all that is known is that the customer came to the step
            state = at_step if has_died else complete(ready, at_step, now_ms, chosen=CHOSEN)


def test_a_simulation_visits_all_steps_and_jumps_over_waits():
    ready = plan(*WELCOME)
    steps, end = simulate(ready, "ann", {}, NOTHING, lambda _: CHOSEN, NOW)
    assert [(one.step_id, one.type, one.at_ms - NOW) for one in steps] == [
        ("hello", "send", 0),
        ("pause", "wait", 0),
        ("choose", "decide", 3 * DAY),
        ("offer", "send", 3 * DAY),
    ]
    assert (steps[2].chosen, end.status, end.ended_at_ms) == (CHOSEN, EnrolmentStatus.COMPLETED, NOW + 3 * DAY)
    assert simulate(ready, "ann", {}, NOTHING, lambda _: [], NOW)[0][3].action is None


@given(plans(), _FACTS)
def test_a_simulation_ends_as_the_journey_would(ready: JourneyPlan, facts: JourneyFacts):
    steps, end = simulate(ready, "ann", {}, facts, lambda _: CHOSEN, NOW)
    if len(steps) < 500:
        assert end.status in (EnrolmentStatus.COMPLETED, EnrolmentStatus.EXPIRED)
    assert [one.at_ms for one in steps] == sorted(one.at_ms for one in steps)
