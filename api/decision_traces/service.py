"""Past decisions: found, shown, and run again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from api.decision_traces.schemas import (
    Difference,
    FullTrace,
    Replay,
    TopOffer,
    Trace,
    TracedResult,
    TracedStage,
)
from api.http.errors import ApiError
from api.http.times import iso
from api.runtime.compute_threads import run_in_thread
from rapport.application.decisions.decide import DecisionTask, make_decision, restore_task
from rapport.application.decisions.software_versions import list_software_versions
from rapport.domain.decisions.record import DecisionRecord, decode_record, restore_customer, restore_tenant
from rapport.domain.json_limits import is_too_deep
from rapport.storage.decisions import (
    DecisionFilter,
    StoredDecision,
    count_matching,
    list_decisions,
)

if TYPE_CHECKING:
    from api.recommend.recent_decisions import RecentDecisions
    from api.runtime.catalogue_cache import CompiledCatalogues
    from api.runtime.tenant_cache import TenantCache
    from rapport.domain.decisions.decision import Decision
    from rapport.domain.decisions.record import CustomerRecord
    from rapport.storage.database import Database

MAX_DIFFERENCES: Final = 50
NOT_REPLAYABLE: Final = "NOT_REPLAYABLE"


class TraceService:
    """Past decisions of every tenant."""

    def __init__(
        self, database: Database, catalogues: CompiledCatalogues, tenants: TenantCache, recent: RecentDecisions
    ) -> None:
        self._database = database
        self._recent = recent
        self._catalogues = catalogues
        self._tenants = tenants

    async def load_record(self, tenant_id: str, recommendation_id: str) -> DecisionRecord:
        """Load a past decision.

        Raises:
            ApiError: 404 if there is none (yet), 409 if it has another form: a producer other than the API wrote it.
        """
        stored = await self._recent.find(tenant_id, recommendation_id)
        if stored is None:
            raise ApiError(404, f"There is no decision {recommendation_id!r}.")
        record = read_record(stored)
        if record is None:
            raise ApiError(409, "This decision was not made by Recommend; it cannot be explained.", code=NOT_REPLAYABLE)
        return record

    async def list_records(
        self, wanted: DecisionFilter, limit: int, offset: int
    ) -> tuple[Sequence[DecisionRecord], int]:
        """List decisions, the newest first, and count all of them; those in another form are left out."""
        stored, total = await asyncio.gather(
            self._database.call(list_decisions, wanted, limit, offset),
            self._database.call(count_matching, wanted),
        )
        return [record for one in stored if (record := read_record(one)) is not None], total

    async def restore_past_task(self, tenant_id: str, record: DecisionRecord) -> DecisionTask:
        """Restore the task of a past decision, with its catalogue.

        Raises:
            ApiError: 409; it cannot be restored.
        """
        tenant = await self._tenants.get(tenant_id)
        catalogue = await self._catalogues.at(tenant_id, record.catalogue)
        try:
            task = restore_task(tenant, catalogue, record)
        except msgspec.ValidationError as error:
            raise ApiError(
                409, f"The request of this decision cannot be read any more: {error}", code=NOT_REPLAYABLE
            ) from error
        if task is None:
            raise ApiError(409, "The catalogue of this decision has no such flow.", code=NOT_REPLAYABLE)
        return task

    async def replay(self, tenant_id: str, recommendation_id: str) -> Replay:
        """Make a past decision again, on the facts and the catalogue of then.

        Raises:
            ApiError: 404 for an unknown decision, 409 for one whose facts were not stored.
        """
        record = await self.load_record(tenant_id, recommendation_id)
        if record.customer is None:
            raise ApiError(409, "The facts of this decision were too large to be kept.", code=NOT_REPLAYABLE)
        task = await self.restore_past_task(tenant_id, record)
        decision, found = await run_in_thread(tenant_id, _decide_again, record, record.customer, task)
        return Replay(
            recommendation_id=record.recommendation_id,
            customer_id=record.customer_id,
            decided_at=iso(record.decided_at_ms),
            catalogue=record.catalogue,
            identical=not found,
            differences=found[:MAX_DIFFERENCES],
            software_differences=_software_differences(record, task),
            decisions=decision.items,
        )


def read_record(stored: StoredDecision) -> DecisionRecord | None:
    """Decode a stored decision; None if it has another form."""
    try:
        return None if is_too_deep(stored.decision.encode()) else decode_record(stored.decision)
    except msgspec.DecodeError:
        return None


def shorten(record: DecisionRecord) -> Trace:
    """Write a decision in short."""
    return Trace(**_short(record))


def show(record: DecisionRecord) -> FullTrace:
    """Write a decision with its reasons."""
    decision, trace = record.decision, record.decision.trace
    return FullTrace(
        **_short(record),
        qualification_results=[one for one in trace.removals if one.stage == "qualify"],
        contact_policy_results=[one for one in trace.removals if one.stage == "contact_policy"],
        other_removals=[one for one in trace.removals if one.stage not in ("qualify", "contact_policy")],
        scoring_results=trace.scores,
        selected_offers=decision.items,
        placement_results=decision.placement_results,
        channel_coupling=trace.coupling,
        experiment_assignment=decision.experiments,
        control_group=decision.control_group,
        degraded_scoring=decision.degraded_scoring,
        failed_models=decision.failed_models,
        problems=trace.problems,
        trimmed=record.trimmed,
        request=record.request,
        catalogue=record.catalogue,
        seed=record.seed,
        watermark=record.watermark,
        is_replayable=record.customer is not None,
        trace_id=record.trace_id,
        software=record.software,
    )


def _short(record: DecisionRecord) -> dict[str, Any]:
    decision = record.decision
    top = decision.items[0] if decision.items else None
    return {
        "id": record.recommendation_id,
        "request_id": record.recommendation_id,
        "recommendation_id": record.recommendation_id,
        "customer_id": record.customer_id,
        "decision_flow_key": decision.flow_key,
        "decision_flow_version": decision.flow_version,
        "pipeline": [
            TracedStage(
                stage=one.stage,
                node=one.node,
                placement_id=one.placement_id,
                candidates=one.candidates,
                passed=one.passed,
                method=one.method or None,
                top_score=one.top_score,
            )
            for one in decision.trace.stages
        ],
        "result": TracedResult(
            count=len(decision.items), top_offer=TopOffer(offer_id=top.offer_id, score=top.score) if top else None
        ),
        "candidate_count": decision.funnel.candidate_count,
        "after_qualification": decision.funnel.after_qualification,
        "after_contact_policy": decision.funnel.after_contact_policy,
        "final_count": decision.funnel.final_count,
        "total_duration_ms": record.total_ms,
        "created_at": iso(record.decided_at_ms),
    }


def _decide_again(
    record: DecisionRecord, customer: CustomerRecord, task: DecisionTask
) -> tuple[Decision, list[Difference]]:
    """Make a decision anew, and list the differences from the recorded one."""
    decision = make_decision(
        task,
        restore_customer(customer),
        restore_tenant(record.tenant),
        now_ms=record.decided_at_ms,
        seed=record.seed,
        open_circuits=frozenset(record.open_circuits),
    )
    return decision, list(_compare(record, decision))


def _software_differences(record: DecisionRecord, task: DecisionTask) -> list[Difference]:
    if not record.software:
        return []
    then, now = dict(record.software), dict(list_software_versions(task.catalogue))
    return list(_differences("", then, now))


def _compare(record: DecisionRecord, decision: Decision) -> Iterator[Difference]:
    """Compare with the recorded decision; a trimmed trace only as far as it goes."""
    recorded, replayed = _as_json(record.decision), _as_json(decision)
    for part in record.trimmed:
        replayed["trace"][part] = replayed["trace"][part][: len(recorded["trace"][part])]
    yield from _differences("", recorded, replayed)


def _differences(path: str, recorded: object, replayed: object) -> Iterator[Difference]:
    if isinstance(recorded, dict) and isinstance(replayed, dict):
        for name in sorted(recorded.keys() | replayed.keys()):
            yield from _differences(f"{path}.{name}" if path else name, recorded.get(name), replayed.get(name))
    elif isinstance(recorded, list) and isinstance(replayed, list) and len(recorded) == len(replayed):
        for index, (one, other) in enumerate(zip(recorded, replayed, strict=True)):
            yield from _differences(f"{path}[{index}]", one, other)
    elif recorded != replayed:
        yield Difference(path=path, recorded=recorded, replayed=replayed)


def _as_json(decision: Decision) -> dict[str, Any]:
    return msgspec.json.decode(msgspec.json.encode(decision, enc_hook=list), type=dict[str, Any])
