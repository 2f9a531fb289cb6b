"""Small catalogue, and functions that apply single rules and policies of it to customer ann."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from rapport.domain.catalogue.inventory import Channel, Creative, Offer
from rapport.domain.catalogue.strategy import ContactPolicy, QualificationRule, RuleStage
from rapport.domain.catalogue.values import ScopeKind
from rapport.domain.decisions.candidates import Candidate, Context, Request
from rapport.domain.decisions.eligibility.policies import Policy, compile_policy
from rapport.domain.decisions.eligibility.rule_index import RuleIndex
from rapport.domain.decisions.eligibility.rules import Rule, compile_rule
from rapport.domain.decisions.eligibility.scopes import ScopeMembers
from rapport.domain.decisions.facts import Counts, CustomerFacts, Subject, TenantFacts
from rapport.domain.decisions.verdict import PASSED, Verdict
from rapport.domain.decisions.windows import Window

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
NOW_MS: Final = round(datetime(2026, 3, 18, 12, 30, tzinfo=UTC).timestamp() * 1000)
"""A Wednesday."""

WEB = Channel(id="web", name="Web", channel_type="web")
MAIL = Channel(id="mail", name="Mail", channel_type="email")
LOAN = Offer(id="loan", name="Loan", category_id="credit", sub_category_id="personal", custom_fields={"base_rate": 4.5})
CARD = Offer(id="card", name="Card", category_id="credit", priority=80)
SAVE = Offer(id="save", name="Savings", category_id="deposits")
LOAN_WEB = Creative(id="loan-web", name="Loan", offer_id="loan", channel_id="web")
LOAN_MAIL = Creative(id="loan-mail", name="Loan", offer_id="loan", channel_id="mail")
CARD_WEB = Creative(id="card-web", name="Card", offer_id="card", channel_id="web", placement_id="hero")
SAVE_WEB = Creative(id="save-web", name="Savings", offer_id="save", channel_id="web")
OFFERS: Final = (LOAN, CARD, SAVE)
CREATIVES: Final = (LOAN_WEB, LOAN_MAIL, CARD_WEB, SAVE_WEB)
MEMBERS: Final = ScopeMembers.build(OFFERS, CREATIVES)
LOAN_ON_WEB: Final = Subject("loan", "loan-web", "web")
LOAN_BY_MAIL: Final = Subject("loan", "loan-mail", "mail")
CARD_ON_WEB: Final = Subject("card", "card-web", "web")
SAVE_ON_WEB: Final = Subject("save", "save-web", "web")


def loan(**changes: Any) -> Candidate:
    """Make a candidate of the loan on the web."""
    candidate = Candidate(LOAN, LOAN_WEB, WEB)
    for name, value in changes.items():
        setattr(candidate, name, value)
    return candidate


def context(
    customer: CustomerFacts | None = None,
    tenant: TenantFacts | None = None,
    now_ms: int = NOW_MS,
    **request: Any,
) -> Context:
    """Make the context of a request for customer ann."""
    return Context(Request(customer_id="ann", **request), customer or CustomerFacts(), tenant or TenantFacts(), now_ms)


def shown(window: Window, *subjects: Subject) -> CustomerFacts:
    """Make the facts of a customer with one impression of each subject in a window."""
    counts: dict[Subject, Counts] = {}
    for subject in subjects:
        counts[subject] = counts.get(subject, Counts()).plus(Counts(impressions=1))
    return CustomerFacts(counts={window: counts})


def evaluate(rule: Policy | Rule, candidate: Candidate, run: Context) -> Verdict | None:
    """Return the verdict of a rule or policy on a candidate; None if its scope does not cover it."""
    index = RuleIndex([rule])
    blocking = index.evaluate(candidate, run, stop_at_first=True)
    if blocking:
        return blocking[0].verdict
    return PASSED if index.find_covering(candidate, run) else None


def evaluate_policy(
    rule_type: str,
    config: dict[str, Any],
    run: Context,
    candidate: Candidate | None = None,
    *,
    scope: str = "global",
    scope_id: str | None = None,
) -> Verdict | None:
    """Return the verdict of a policy on a candidate, by default the loan on the web."""
    policy = ContactPolicy(
        id="p",
        name="p",
        rule_type=rule_type,  # type: ignore[arg-type]
        config=config,
        scope=ScopeKind(scope),
        scope_id=scope_id,
    )
    return evaluate(compile_policy(policy, MEMBERS), candidate or loan(), run)


def is_blocked(*arguments: Any, **options: Any) -> bool:
    """Return whether a policy applies and blocks; arguments as for :func:`evaluate_policy`."""
    verdict = evaluate_policy(*arguments, **options)
    return verdict is not None and verdict.is_blocked


def qualifies(
    rule_type: str,
    config: dict[str, Any],
    run: Context,
    candidate: Candidate | None = None,
    *,
    scope: str = "global",
    scope_id: str | None = None,
    stage: str = "eligibility",
) -> bool:
    """Return whether a candidate passes a rule."""
    rule = QualificationRule(
        id="r",
        name="r",
        rule_type=rule_type,  # type: ignore[arg-type]
        config=config,
        scope=ScopeKind(scope),
        scope_id=scope_id,
        stage=RuleStage(stage),
    )
    verdict = evaluate(compile_rule(rule, MEMBERS), candidate or loan(), run)
    return verdict is None or not verdict.is_blocked
