"""Journeys by a clock that the test sets: enrolments, due steps, and that each step runs once."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

import msgspec
import polars as pl
import pytest

from pipeline.batch import AppliedRange
from pipeline.journeys import JourneyRunner
from rapport.application.journeys.effects import decide_offers
from rapport.application.journeys.load_facts import load_facts
from rapport.domain.catalogue.inventory import Category, Channel, Creative, Offer
from rapport.domain.decisions.record import decode_record
from rapport.domain.events import DecisionMade, InteractionRecorded, Message, decode_message, make_message_key
from rapport.domain.journeys.definition import Journey
from rapport.domain.journeys.plan import compile_journey
from rapport.domain.journeys.progress import enrol
from rapport.domain.outcomes import RECOMMENDATION
from rapport.domain.privacy import hash_customer
from rapport.domain.profiles import identity
from rapport.domain.profiles.consent import ConsentStatement, ConsentStatus
from rapport.domain.rejections import Rejection
from rapport.storage.catalogue_changes import Author, EntityChange, change_catalogue
from rapport.storage.consents import CustomerStatement, record_consents
from rapport.storage.customers import change_customers, find_customer
from rapport.storage.errors import TransientStorageError
from rapport.storage.identity import append_statement
from rapport.storage.journeys import (
    TenantEnrolment,
    append_enrolments,
    list_customer_enrolments,
    list_enrolments,
    read_journey_progress,
)
from rapport.storage.tenants import create_tenant
from rapport.storage.tombstones import write_tombstones
from tests.domain.journeys.plans import DAY, MINUTE, WELCOME
from tests.fixtures.interactions import event, write

if TYPE_CHECKING:
    from rapport.domain.catalogue.values import Entity
    from rapport.storage.client import Store

SOURCE: Final = "cluster/interactions/0"
NOW: Final = 4_000_000_000_000
"""Later than everything that the tests configure."""
SHOP: Final[list[tuple[str, Entity]]] = [
    ("category", Category(id="cards", name="Cards")),
    ("channel", Channel(id="ch_email", name="Email", channel_type="email")),
    ("offer", Offer(id="loan", name="Loan", category_id="cards", priority=90)),
    ("offer", Offer(id="card", name="Card", category_id="cards", priority=10)),
    ("creative", Creative(id="cr_hello", name="Hello", offer_id="card", channel_id="ch_email")),
    ("creative", Creative(id="cr_loan", name="Loan", offer_id="loan", channel_id="ch_email")),
]
STEPS: Final = [WELCOME[0], WELCOME[1], {**WELCOME[2], "config": {"storeResultAs": "picked"}}, WELCOME[3]]


class World:
    """A store with a tenant, runners on it, and the messages they have sent."""

    def __init__(self, store: Store) -> None:
        self.store, self.now_ms, self.recorded = store, NOW, 0
        self.sent: list[InteractionRecorded] = []
        self.decided: list[DecisionMade] = []
        create_tenant(store, "acme")
        self.configure(*SHOP)
        self.runner = self.new_runner()

    def new_runner(self, *, is_owned: bool = True) -> JourneyRunner:
        async def send(message: Message) -> None:
            items = decode_message(message.value)
            assert not isinstance(items, Rejection)
            for _, one in items:
                assert isinstance(one, InteractionRecorded | DecisionMade)
                assert message.key == make_message_key(one.tenant_id, one.customer_id)
                if isinstance(one, DecisionMade):
                    self.decided.append(one)
                elif one.outcome != RECOMMENDATION:
                    self.sent.append(one)

        return JourneyRunner(
            self.store,
            send,
            lambda: {SOURCE: self.recorded},
            lambda _tenant, _customer: is_owned,
            lambda: self.now_ms,
            refresh_s=0,
        )

    def configure(self, *entities: tuple[str, Entity]) -> None:
        changes = [EntityChange(kind, entity) for kind, entity in entities]
        change_catalogue(self.store, "acme", Author("tests"), lambda _before: changes)

    def journey(self, *steps: dict[str, Any], **fields: Any) -> None:
        entry = {"entryCondition": {"outcomes": ["convert"]}}
        made = {"id": "jrn", "name": "Welcome", "definition": {"steps": list(steps)}, **entry, **fields}
        self.configure(("journey", msgspec.convert(made, Journey)))
        self.run_pass()  # what happens from now on counts

    def record(self, *customers: str, outcome: str = "click", is_noted: bool = True, **fields: Any) -> None:
        """Have the stream record events of some customers, all in one batch."""
        start, self.recorded = self.recorded, self.recorded + len(customers)
        rows = [
            {
                **event(self.now_ms, customer=customer, source=SOURCE, offset=start + number, item=0, **fields),
                "outcome": outcome,
            }
            for number, customer in enumerate(customers)
        ]
        write(self.store, rows)
        if is_noted:
            ids = [f"{row['at_ms']:012x}{number:026x}" for number, row in enumerate(rows)]
            frame = pl.DataFrame(rows).with_columns(
                pl.Series("id", ids),
                received_at_ms=pl.col("at_ms"),
                occurred_at_ms=pl.col("at_ms") + pl.col("ahead_ms"),
            )
            self.runner.note([AppliedRange(SOURCE, start, self.recorded)], frame)

    def run_pass(self, *runners: JourneyRunner, after_ms: int = 0) -> None:
        self.now_ms += after_ms

        async def run() -> None:
            for runner in runners or (self.runner,):
                await asyncio.to_thread(runner.known.refresh)
                await runner.enrol_customers()
            await asyncio.gather(*(runner.advance_due() for runner in runners or (self.runner,)))

        asyncio.run(run())

    def merge(self, source: str, target: str) -> None:
        merge = identity.MergeStatement(f"{source}>{target}", source, target)
        append_statement(self.store, "acme", merge, Author("tests"))

    def state(self, customer: str = "ann") -> list[tuple[str, str]]:
        return [
            (one.status.value, one.current_step) for one in list_customer_enrolments(self.store, "acme", [customer])
        ]


@pytest.fixture
def world(store: Store) -> World:
    return World(store)


def test_an_event_enrols_a_customer_and_each_step_is_run_when_due(world: World):
    world.journey(*STEPS)
    world.record("ann", outcome="convert")
    world.record("bob", outcome="click")
    world.run_pass()
    assert (world.state("ann"), world.state("bob")) == ([("active", "pause")], [])
    (hello,) = world.sent
    assert (hello.customer_id, hello.outcome, hello.direction) == ("ann", "impression", "outbound")
    assert (hello.offer_id, hello.creative_id, hello.channel_id) == ("card", "cr_hello", "ch_email")
    world.run_pass(after_ms=3 * DAY - 1)
    assert (world.state(), len(world.sent)) == ([("active", "pause")], 1)
    world.run_pass(after_ms=1)
    assert world.state() == [("completed", "offer")]
    assert (world.sent[1].offer_id, world.sent[1].creative_id) == ("loan", "cr_loan")
    assert world.sent[1].idempotency_key.endswith(":offer")
    world.run_pass(after_ms=DAY)
    assert len(world.sent) == 2


def test_a_decision_is_recorded_in_full_and_the_contact_names_it(world: World):
    world.journey(*STEPS)
    world.record("bob")
    world.record("ann", outcome="convert")
    world.run_pass()
    assert world.decided == []
    world.run_pass(after_ms=3 * DAY)
    (made,) = world.decided
    record = decode_record(bytes(made.decision))
    assert (record.recommendation_id, record.customer_id) == (made.recommendation_id, "ann")
    assert (record.decided_at_ms, record.watermark.positions) == (world.now_ms, {"0": 2})
    (mine,) = list_customer_enrolments(world.store, "acme", ["ann"])
    where = {"journeyId": "jrn", "enrollmentId": mine.enrolment_id, "stepId": STEPS[2]["id"]}
    assert record.request["context"] == {"journey": where}
    assert [one.offer_id for one in record.decision.items] == ["loan"]
    hello, offer = world.sent
    assert (hello.recommendation_id, hello.rank) == (None, None)
    assert (offer.recommendation_id, offer.rank, offer.offer_id) == (made.recommendation_id, 1, "loan")


def test_a_lost_event_is_read_from_the_history_and_enrols_once(world: World):
    world.journey(*STEPS)
    world.record("ann", "bob", outcome="convert")
    world.runner = world.new_runner()  # the process has died
    world.record("cid", outcome="convert", is_noted=False)
    world.run_pass()
    for customer in ("ann", "bob", "cid"):
        assert world.state(customer) == [("active", "pause")]
    assert read_journey_progress(world.store, [SOURCE]) == {SOURCE: 3}
    world.store.execute("TRUNCATE TABLE journey_progress")
    world.run_pass(world.new_runner())
    world.record("ann", outcome="convert")
    world.run_pass()
    assert world.state("ann") == [("active", "pause")]
    assert len(world.sent) == 3


@pytest.mark.parametrize("fields", [{}, {"allowsReentry": True}])
def test_a_person_with_several_ids_is_enrolled_once(world: World, fields: dict[str, Any]):
    world.journey(*STEPS, **fields)
    world.merge("web-7", "ann")
    world.record("web-7", "ann", "web-7", outcome="convert")
    world.run_pass()
    assert (world.state("ann"), world.state("web-7")) == ([("active", "pause")], [])
    world.record("web-7", outcome="convert")
    world.run_pass()
    assert [one.customer_id for one in world.sent] == ["ann"]


@pytest.mark.parametrize("fields", [{}, {"allowsReentry": True}])
def test_a_person_enrolled_by_two_ids_that_are_merged_later_gets_one_mail(world: World, fields: dict[str, Any]):
    """mautic#6079: merged contacts were in a campaign twice."""
    world.journey(*STEPS, **fields)
    world.record("bob", "web-7", "ann", outcome="convert")
    world.run_pass()
    world.merge("web-7", "ann")
    world.run_pass(after_ms=3 * DAY)
    assert sorted(one.customer_id for one in world.sent[3:]) == ["ann", "bob"]
    assert (world.state("ann"), world.state("web-7")) == ([("completed", "offer")], [("exited", "pause")])


def test_a_person_who_completed_a_journey_is_not_in_it_by_a_merged_id(world: World):
    world.journey(*STEPS)
    world.record("web-7", outcome="convert")
    world.run_pass()
    world.record("ann", outcome="convert")
    world.run_pass(after_ms=DAY)
    world.run_pass(after_ms=2 * DAY)
    world.merge("web-7", "ann")
    world.run_pass(after_ms=DAY)
    assert [one.customer_id for one in world.sent] == ["web-7", "ann", "web-7"]
    assert (world.state("ann"), world.state("web-7")) == ([("exited", "pause")], [("completed", "offer")])


@pytest.mark.parametrize("is_noted", [True, False])
def test_imported_history_starts_no_journey_unless_the_journey_wants_it(world: World, *, is_noted: bool):
    """zammad#3006: importing old tickets sent today's mails."""
    world.journey(*STEPS)
    late = 'entry.timestamp >= "2096-01-01" && entry.timestamp < "2097-01-01"'
    world.journey(*STEPS, id="old", entryCondition={
        "outcomes": ["convert"], "maxEventAgeHours": 100 * 24, "expression": late
    })  # fmt: skip
    for customer, days in (("ann", 3), ("bob", 3.001), ("cid", 99), ("dot", 101)):
        world.record(customer, outcome="convert", is_noted=is_noted, ahead_ms=-round(days * DAY))
    world.run_pass()
    entered = {
        customer: [one.journey_id for one in list_customer_enrolments(world.store, "acme", [customer])]
        for customer in ("ann", "bob", "cid", "dot")
    }
    assert {name: sorted(ids) for name, ids in entered.items()} == {
        "ann": ["jrn", "old"],
        "bob": ["old"],
        "cid": ["old"],
        "dot": [],
    }
    assert {one.customer_id for one in world.sent} == {"ann", "bob", "cid"}


def test_events_before_a_journey_was_active_enrol_nobody(world: World):
    world.now_ms = time.time_ns() // 1_000_000 - MINUTE
    world.record("ann", outcome="convert")
    world.journey(*STEPS)
    world.now_ms += 2 * MINUTE
    world.record("bob", outcome="convert")
    world.run_pass(world.new_runner())
    assert (world.state("ann"), world.state("bob")) == ([], [("active", "pause")])


def test_events_before_an_erasure_do_not_enrol_the_erased_customer(world: World):
    world.journey(*STEPS)
    world.record("ann", "bob", outcome="convert")
    tombstone = {"erased_at_ms": world.now_ms, "receipt_id": "r1"}
    write_tombstones(world.store, "acme", [hash_customer("acme", "ann")], **tombstone)
    world.run_pass(after_ms=MINUTE)
    assert (world.state("ann"), world.state("bob")) == ([], [("active", "pause")])
    assert [one.customer_id for one in world.sent] == ["bob"]
    world.record("ann", outcome="convert")
    world.run_pass()
    assert world.state("ann") == [("active", "pause")]


def test_an_event_right_after_a_journey_was_made_enrols_its_customer(world: World):
    world.journey(*STEPS)
    world.runner.known.refresh_s = 3600
    clicked = {"id": "second", "name": "Second", "definition": {"steps": STEPS[1:2]}}
    made = msgspec.convert({**clicked, "entryCondition": {"outcomes": ["click"]}}, Journey)
    world.configure(("journey", made))
    world.record("ann", outcome="click")
    world.run_pass()
    assert world.state("ann") == [("active", "pause")]


def test_workers_advancing_the_same_customers_repeat_no_step(world: World):
    steps = [
        STEPS[2],
        {"id": "count", "type": "update", "config": {"expressions": {"n": "coalesce(customer.n, 0) + 1"}}},
    ]
    world.journey(*steps, STEPS[3])
    names = [f"c{number}" for number in range(5)]
    world.record(*names, outcome="convert")
    world.run_pass(*(world.new_runner() for _ in range(3)))
    for _ in range(3):
        world.run_pass(*(world.new_runner() for _ in range(3)))
    keys: dict[str, Any] = {}
    for sent in world.sent:
        assert keys.setdefault(sent.idempotency_key, sent) == sent
    assert len(keys) == 5
    for name in names:
        assert world.state(name) == [("completed", "offer")]
        customer = find_customer(world.store, "acme", name)
        assert customer is not None
        assert customer.attributes == {"n": 1}


def test_customers_of_another_worker_are_not_advanced(world: World):
    world.journey(*STEPS)
    world.record("ann", outcome="convert")
    world.run_pass(world.new_runner(is_owned=False))
    assert (world.state(), world.sent) == ([("active", "hello")], [])
    world.run_pass()
    assert world.state() == [("active", "pause")]


def test_entry_conditions_and_branches_read_the_customer_and_the_event(world: World):
    change_customers(
        world.store, "acme", Author("tests"), ["ann", "bob"], lambda _: {"ann": {"tier": "gold"}, "bob": {"tier": "x"}}
    )
    ways = [{"expression": "entry.value > 100", "targetStepId": "big"}]
    world.journey(
        {"id": "fork", "type": "branch", "config": {"conditions": ways, "defaultStepId": "small"}},
        {"id": "big", "type": "end"},
        {"id": "small", "type": "end"},
        entryCondition={"outcomes": ["convert"], "offerIds": ["loan"], "expression": 'customer.tier == "gold"'},
        allowsReentry=True,
    )
    world.record("ann", "bob", outcome="convert", offer_id="loan", conversion_value=7.0)
    world.record("ann", outcome="convert", offer_id="card")
    world.run_pass()
    assert (world.state("ann"), world.state("bob")) == ([("completed", "small")], [])
    world.now_ms += MINUTE
    world.record("ann", outcome="convert", offer_id="loan", conversion_value=170.0)
    world.run_pass()
    assert world.state("ann") == [("completed", "big"), ("completed", "small")]


def test_a_customer_without_consent_is_not_contacted_and_is_advanced(world: World):
    refused = ConsentStatement(purpose="email", status=ConsentStatus.REVOKED, stated_at_ms=NOW)
    record_consents(world.store, "acme", Author("tests"), [CustomerStatement("ann", refused)])
    world.journey(*STEPS)
    world.record("ann", outcome="convert")
    world.run_pass()
    assert (world.state(), world.sent) == ([("active", "pause")], [])


def test_an_enrolment_keeps_its_version_waits_in_a_pause_and_ends_with_its_journey(world: World):
    world.journey(*STEPS)
    world.record("ann", outcome="convert")
    world.run_pass()
    world.journey({"id": "other", "type": "end"}, status="paused")
    world.run_pass(after_ms=4 * DAY)
    assert world.state() == [("active", "pause")]
    world.journey({"id": "other", "type": "end"})
    world.run_pass()
    assert world.state() == [("completed", "offer")]
    world.journey(*STEPS)
    world.record("dan", outcome="convert")
    world.run_pass()
    world.journey(*STEPS, status="archived")
    world.run_pass(after_ms=4 * DAY)
    assert world.state("dan") == [("exited", "pause")]


def test_an_impossible_step_ends_its_enrolment_and_delays_no_other(world: World):
    world.journey(WELCOME[0], STEPS[1])
    world.configure(("creative", Creative(id="cr_hello", name="Hello", offer_id="card", channel_id="gone")))
    world.record("ann", outcome="convert")
    world.run_pass()
    assert (world.state(), world.sent) == ([("failed", "hello")], [])


def break_decisions(monkeypatch: pytest.MonkeyPatch, *customers: str) -> list[str]:
    """Make decisions about some customers fail in an unforeseen way; return the list that collects all decisions."""
    asked: list[str] = []

    def decide(store: Store, known: Any, customer_id: str, *rest: Any) -> Any:
        asked.append(customer_id)
        if customer_id in customers:
            raise OverflowError("int too large to convert to float")
        return decide_offers(store, known, customer_id, *rest)

    monkeypatch.setattr("rapport.application.journeys.advance.decide_offers", decide)
    return asked


def test_an_unexpected_failure_of_a_step_is_reported_and_the_step_postponed(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    asked = break_decisions(monkeypatch, "ann")
    world.journey(*STEPS[2:])
    world.record("ann", "bob", outcome="convert")
    world.run_pass()
    assert (world.state("ann"), world.state("bob")) == ([("active", "choose")], [("completed", "offer")])
    ((stuck,), _) = list_enrolments(world.store, "acme", "jrn", limit=9, customer_id="ann")
    assert "OverflowError" in stuck.reason
    assert stuck.due_at_ms - NOW == MINUTE
    world.run_pass(after_ms=MINUTE - 1)
    assert asked.count("ann") == 1
    world.run_pass(after_ms=1)
    world.run_pass(after_ms=2 * MINUTE - 1)
    assert asked.count("ann") == 2
    monkeypatch.undo()
    world.run_pass(after_ms=1)
    assert world.state("ann") == [("completed", "offer")]
    ((done,), _) = list_enrolments(world.store, "acme", "jrn", limit=9, customer_id="ann")
    assert (done.reason, done.setbacks) == ("", 0)


def test_a_tenant_with_failing_or_many_enrolments_delays_no_other(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pipeline.journeys.MAX_ADVANCED", 6)
    monkeypatch.setattr("pipeline.journeys.MAX_DUE", 12)
    crowd = [f"c{number:02}" for number in range(40)]
    world.journey(*STEPS[2:])
    world.record(*crowd, outcome="convert")
    asyncio.run(world.runner.enrol_customers())
    create_tenant(world.store, "small")
    changes = [EntityChange(kind, entity) for kind, entity in SHOP]
    journey = msgspec.convert({"id": "jrn", "name": "W", "definition": {"steps": STEPS[2:]}}, Journey)
    changes.append(EntityChange("journey", journey))
    change_catalogue(world.store, "small", Author("tests"), lambda _before: changes)
    world.now_ms += DAY
    made = [enrol(compile_journey(journey, 1), f"enr{name}", name, {}, world.now_ms) for name in ("x", "y")]
    append_enrolments(world.store, [TenantEnrolment("small", one) for one in made])
    asked = break_decisions(monkeypatch, *crowd)
    world.run_pass()
    assert sorted(asked)[-2:] == ["x", "y"]
    assert len(asked) == 6
    assert [one.status.value for one in list_customer_enrolments(world.store, "small", ["x", "y"])] == ["completed"] * 2


def test_a_step_is_not_postponed_by_an_outage_of_clickhouse(world: World, monkeypatch: pytest.MonkeyPatch):
    def away(*_: Any) -> Any:
        raise TransientStorageError("away")

    monkeypatch.setattr("rapport.application.journeys.advance.decide_offers", away)
    world.journey(*STEPS[2:])
    world.record("ann", "bob", outcome="convert")
    with pytest.raises(TransientStorageError):
        world.run_pass()
    monkeypatch.undo()
    world.run_pass()
    assert world.state("ann") == world.state("bob") == [("completed", "offer")]


def test_customers_with_unreadable_facts_do_not_block_others(world: World, monkeypatch: pytest.MonkeyPatch):
    def load(store: Store, tenant: Any, catalogue: Any, customers: Any, metrics: Any, now_ms: int) -> Any:
        if {"bob", "eve"} & set(customers):
            raise OverflowError("a number of 400 digits")
        return load_facts(store, tenant, catalogue, customers, metrics, now_ms)

    monkeypatch.setattr("rapport.application.journeys.enrol.load_facts", load)
    world.journey(*STEPS[1:2], entryCondition={"outcomes": ["convert"], "expression": "coalesce(customer.age, 1) == 1"})
    people = ["ann", "bob", "cid", "dan", "eve", "fay"]
    world.record(*people, outcome="convert")
    world.run_pass()
    assert [name for name in people if world.state(name)] == ["ann", "cid", "dan", "fay"]
