from __future__ import annotations

import json
import random
from collections import defaultdict
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import polars as pl
import pytest

from rapport.domain.experiments.statistics import Sample
from rapport.domain.profiles.identity import MergeStatement
from rapport.storage.catalogue_changes import Author
from rapport.storage.experiments import ConversionCounts, ConversionQuery, count_creatives, count_variants
from rapport.storage.identity import append_statement
from rapport.storage.stream import MILLIS, write_decisions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rapport.storage.client import Store

START: Final = 1_772_000_000_000
EVER: Final = ConversionQuery(tenant_id="acme", from_ms=0, to_ms=4_102_444_800_000)


class DecisionCase(NamedTuple):
    """A recommendation: variants by experiment, and its offers and creatives."""

    at_ms: int
    customer: str
    recommendation: str
    arms: Mapping[str, str] = {}
    items: Sequence[tuple[str, str]] = ()
    tenant: str = "acme"


class ConversionCase(NamedTuple):
    at_ms: int
    customer: str
    offer: str = ""
    outcome: str = "conversion"
    tenant: str = "acme"
    recommendation: str = ""


def build_record(decision: DecisionCase) -> str:
    arms = [
        {"experimentId": experiment, "experimentKey": f"key-{experiment}", "variant": arm}
        for experiment, arm in decision.arms.items()
    ]
    return json.dumps({"form": 1, "decision": {"experiments": arms}})


DECISION: Final = {
    "tenant_id": pl.String,
    "customer_id": pl.String,
    "recommendation_id": pl.String,
    "occurred_at_ms": pl.Int64,
    "received_at_ms": pl.Int64,
    "decision": pl.String,
    "source": pl.String,
    "offset": pl.UInt64,
}
INTERACTION: Final = {
    "id": pl.String,
    "tenant_id": pl.String,
    "customer_id": pl.String,
    "occurred_at": pl.Int64,
    "received_at": pl.Int64,
    "category": pl.String,
    "is_conversion": pl.Boolean,
    "recommendation_id": pl.String,
    "rank": pl.UInt16,
    "offer_id": pl.String,
    "creative_id": pl.String,
}


def write(store: Store, decisions: Sequence[DecisionCase], responses: Sequence[ConversionCase]) -> None:
    """Write as the stream does: each decision in full, and a row of history for each of its items."""
    records = [
        (one.tenant, one.customer, one.recommendation, one.at_ms, one.at_ms, build_record(one), "s", number)
        for number, one in enumerate(decisions)
    ]
    write_decisions(store, pl.DataFrame(records, schema=DECISION, orient="row"))
    offered = [
        (one.tenant, one.customer, one.at_ms, one.at_ms, "recommendation", False, one.recommendation, rank, *item)
        for one in decisions
        for rank, item in enumerate(one.items, 1)
    ]
    responded = [
        (
            one.tenant,
            one.customer,
            one.at_ms,
            one.at_ms,
            "response",
            one.outcome == "conversion",
            one.recommendation,
            0,
            one.offer,
            "",
        )
        for one in responses
    ]
    history = [(f"{row[2]:012x}{number:026x}", *row) for number, row in enumerate(offered + responded)]
    moments = [pl.col(name).cast(MILLIS) for name in ("occurred_at", "received_at")]
    store.insert("interaction_log", pl.DataFrame(history, schema=INTERACTION, orient="row").with_columns(moments))


def counted(samples: Mapping[str, tuple[int, int]], switched: int = 0) -> ConversionCounts:
    return ConversionCounts({variant: Sample(*counts) for variant, counts in samples.items()}, switched)


def test_a_customer_converts_once_at_or_after_the_first_recommendation(store: Store):
    decisions = [
        DecisionCase(START + n, who, f"r{who}{n}", {"e1": "a"}) for who in ("ann", "bob", "cid") for n in (0, 5)
    ]
    responses = [ConversionCase(START, "ann"), ConversionCase(START + 9, "ann"), ConversionCase(START - 1, "bob")]
    write(
        store, decisions, [*responses, ConversionCase(START + 1, "cid", outcome="click"), ConversionCase(START, "dan")]
    )
    assert count_variants(store, "e1", EVER) == counted({"a": (1, 3)})
    assert count_variants(store, "e2", EVER) == counted({})


def test_a_customer_in_several_variants_counts_for_the_first(store: Store):
    arms = [(2, "b"), (1, "a"), (3, "b")]
    write(
        store,
        [DecisionCase(START + at, "ann", f"r{at}", {"e1": arm}) for at, arm in arms],
        [ConversionCase(START + 9, "ann")],
    )
    assert count_variants(store, "e1", EVER) == counted({"a": (1, 1)}, switched=1)
    later = replace(EVER, from_ms=START + 2, to_ms=START + 9)
    assert count_variants(store, "e1", later) == counted({"b": (0, 1)})


def test_a_response_that_names_its_recommendation_counts_whatever_its_clock_says(store: Store):
    """growthbook#1043: a conversion that was dated before its exposure was lost."""
    write(
        store,
        [
            DecisionCase(START, "ann", "r1", {"e1": "a"}, [("loan", "c1")]),
            DecisionCase(START, "bob", "r2", {"e1": "b"}, [("loan", "c1")]),
            DecisionCase(START, "cid", "r3", {}, [("loan", "c1")]),
            DecisionCase(START, "cid", "r4", {"e1": "b"}, [("card", "c2")]),
        ],
        [
            ConversionCase(START - 3_000, "ann", "loan", recommendation="r1"),
            ConversionCase(START - 3_000, "bob", "loan", recommendation="r1"),
            ConversionCase(START - 3_000, "cid", "loan", recommendation="r3"),
            ConversionCase(START - 3_000, "cid", "loan", recommendation="r4"),
        ],
    )
    assert count_variants(store, "e1", EVER) == counted({"a": (1, 1), "b": (1, 2)})
    assert count_variants(store, "e1", replace(EVER, only_offered=True)) == counted({"a": (1, 1), "b": (0, 2)})
    assert count_creatives(store, "", replace(EVER, offer_id="loan")) == counted({"c1": (2, 3)})


def test_merged_ids_are_one_person_in_the_variant_of_the_first(store: Store):
    """vanity#140: a person anonymous at the exposure and known at the purchase was not counted as a conversion."""
    people = range(10)
    write(
        store,
        [DecisionCase(START + 5, f"anon{n}", f"r{n}", {"e1": "ab"[n % 2]}, [("loan", f"c{n % 2}")]) for n in people]
        + [DecisionCase(START + 9, "ann0", "r99", {"e1": "b"}, [("loan", "c1")])],
        [ConversionCase(START + 9, f"ann{n}", "loan") for n in people],
    )
    assert count_variants(store, "e1", EVER).samples["a"].conversions == 0
    for n in people:
        merge(store, f"anon{n}", f"ann{n}")
    assert count_variants(store, "e1", EVER) == counted({"a": (5, 5), "b": (5, 5)}, switched=1)
    loan = replace(EVER, offer_id="loan")
    assert count_creatives(store, "e1", loan) == counted({"c0": (5, 5), "c1": (5, 5)}, switched=1)
    assert count_variants(store, "e1", replace(EVER, only_offered=True)).samples["b"].conversions == 5


def test_conversions_can_be_limited_to_an_offer_and_to_recommended_offers(store: Store):
    write(
        store,
        [
            DecisionCase(START, "ann", "r1", {"e1": "a"}, [("loan", "c1"), ("card", "c2")]),
            DecisionCase(START + 5, "bob", "r2", {"e1": "a"}, [("loan", "c1")]),
            DecisionCase(START, "bob", "r3", {"e1": "a"}, []),
            DecisionCase(START, "bob", "r4", {}, [("card", "c1")]),
        ],
        [
            ConversionCase(START + 3, "ann", "card"),
            ConversionCase(START + 3, "bob", "loan"),
            ConversionCase(START + 3, "bob", "card"),
        ],
    )

    def found(**limits: Any) -> Mapping[str, Sample]:
        return count_variants(store, "e1", replace(EVER, **limits)).samples

    assert found() == {"a": (2, 2)}
    assert found(offer_id="card") == {"a": (2, 2)}
    assert found(offer_id="loan") == {"a": (1, 2)}
    assert found(only_offered=True) == {"a": (1, 2)}
    assert found(only_offered=True, offer_id="loan") == {"a": (0, 2)}


def test_a_decision_of_an_unknown_form_is_in_no_experiment(store: Store):
    forms = ["", "[]", '{"decision": 3}', '{"decision": {"experiments": [{"experimentId": 7}, {"variant": "a"}]}}']
    records = [("acme", "ann", f"r{at}", START, START, form, "s", at) for at, form in enumerate(forms)]
    write_decisions(store, pl.DataFrame(records, schema=DECISION, orient="row"))
    assert store.client.query("SELECT count() FROM variant_assignment_log").result_rows == [(0,)]


def merge(store: Store, source: str, target: str) -> None:
    append_statement(store, "acme", MergeStatement(f"{source}>{target}", source, target), Author("tests", ""))


def by_hand(
    decisions: Iterable[DecisionCase],
    responses: Sequence[ConversionCase],
    counting: ConversionQuery,
    aliases: Mapping[str, str],
) -> ConversionCounts:
    """Count the variants of experiment e1, person by person."""

    def person_of(customer: str) -> str:
        return aliases.get(customer, customer)

    members: dict[str, list[DecisionCase]] = defaultdict(list)
    for one in sorted(decisions):
        if one.tenant == "acme" and "e1" in one.arms and counting.from_ms <= one.at_ms < counting.to_ms:
            members[person_of(one.customer)].append(one)
    samples: dict[str, Sample] = defaultdict(lambda: Sample(0, 0))
    for customer, own in members.items():
        has_converted = False
        for response in responses:
            offered = [one.at_ms for one in own if response.offer in dict(one.items)]
            since = min(offered, default=counting.to_ms) if counting.only_offered else own[0].at_ms
            named = [one for one in own if one.recommendation == response.recommendation]
            is_named = any(not counting.only_offered or response.offer in dict(one.items) for one in named)
            has_converted |= (
                (response.tenant, person_of(response.customer), response.outcome) == ("acme", customer, "conversion")
                and (is_named or since <= response.at_ms)
                and response.at_ms < counting.to_ms
                and counting.offer_id in ("", response.offer)
            )
        variant = own[0].arms["e1"]
        samples[variant] = samples[variant].plus(Sample(int(has_converted), 1))
    return ConversionCounts(dict(samples), sum(len({one.arms["e1"] for one in own}) > 1 for own in members.values()))


@pytest.mark.parametrize("seed", range(3))
def test_counts_agree_with_a_plain_python_count(store: Store, seed: int):
    rng = random.Random(seed)
    customers, offers = [f"c{number}" for number in range(60)], ["loan", "card", ""]
    aliases = {f"c{number}": f"c{number - 30}" for number in range(30, 40)}
    for source, target in aliases.items():
        merge(store, source, target)
    decisions = [
        DecisionCase(
            START + rng.randrange(100),
            rng.choice(customers),
            f"r{number:03}",
            {experiment: rng.choice(["a", "b"]) for experiment in rng.sample(["e1", "e2"], rng.randrange(3))},
            [(offer, "c1") for offer in rng.sample(["loan", "card"], rng.randrange(3))],
            rng.choice(["acme", "acme", "other"]),
        )
        for number in range(150)
    ]
    responses = [
        ConversionCase(
            START + rng.randrange(100),
            rng.choice(customers),
            rng.choice(offers),
            rng.choice(["conversion", "click"]),
            rng.choice(["acme", "other"]),
            rng.choice(["", f"r{rng.randrange(150):03}"]),
        )
        for _ in range(150)
    ]
    write(store, decisions, responses)
    write(store, decisions, responses)  # a crash writes the same rows twice
    ranges = ((0, EVER.to_ms), (START + 20, START + 70))
    for offer, only_offered, (from_ms, to_ms) in product(("", "loan"), (False, True), ranges):
        counting = replace(EVER, offer_id=offer, only_offered=only_offered, from_ms=from_ms, to_ms=to_ms)
        assert count_variants(store, "e1", counting) == by_hand(decisions, responses, counting, aliases)


def test_a_customer_counts_for_the_creative_of_the_offer_that_was_recommended_first(store: Store):
    write(
        store,
        [
            DecisionCase(START + 1, "ann", "r2", {"e1": "a"}, [("card", "c9"), ("loan", "c2")]),
            DecisionCase(START, "ann", "r1", {}, [("loan", "c1"), ("loan", "c2")]),
            DecisionCase(START, "bob", "r3", {"e1": "a"}, [("loan", "c1")]),
            DecisionCase(START, "cid", "r4", {"e1": "a"}, [("loan", "")]),
        ],
        [
            ConversionCase(START, "ann", "loan"),
            ConversionCase(START, "bob", "card"),
            ConversionCase(START + 2, "cid", "loan"),
        ],
    )
    loan = replace(EVER, offer_id="loan")
    assert count_creatives(store, "", loan) == counted({"c1": (1, 2)}, switched=1)
    assert count_creatives(store, "e1", loan) == counted({"c1": (0, 1), "c2": (0, 1)})
