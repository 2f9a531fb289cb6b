"""Choice of one creative among the candidates of an offer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rapport.domain.decisions.verdict import Verdict
from rapport.domain.experiments.assignment import pick_creative

if TYPE_CHECKING:
    from rapport.domain.decisions.candidates import Candidate
    from rapport.domain.decisions.run import Run


def choose_creatives(run: Run) -> None:
    """Keep one candidate of each offer. Runs after scoring and before ranking.

    Creatives on the same channel form an A/B test: each customer always gets the same one, assigned by their weights
    (:func:`rapport.domain.experiments.assignment.pick_creative`); if all weights are 0, the one with the smallest id.
    Between channels the higher score decides, then the smaller id of the creative.
    """
    passing = [candidate for candidate in run.candidates if run.is_passing(candidate)]
    if len({candidate.offer.id for candidate in passing}) == len(passing):
        return
    offers: dict[str, dict[str, list[Candidate]]] = {}
    for candidate in passing:
        channel_id = candidate.creative.channel_id if candidate.creative else ""
        offers.setdefault(candidate.offer.id, {}).setdefault(channel_id, []).append(candidate)
    chosen: dict[str, Candidate] = {}
    for offer_id, channels in offers.items():
        picked = [_pick_creative(run, competing) for competing in channels.values()]
        best = chosen[offer_id] = min(
            picked, key=lambda candidate: (-(candidate.score or 0.0), _creative_id_of(candidate))
        )
        for candidate in picked:
            if candidate is not best:
                _note_removal(
                    run, candidate, f"creative {_creative_id_of(best)} has the higher score on another channel"
                )
    lost = {id(candidate) for candidate in passing if candidate is not chosen[candidate.offer.id]}
    run.candidates = [candidate for candidate in run.candidates if id(candidate) not in lost]


def _pick_creative(run: Run, competing: Sequence[Candidate]) -> Candidate:
    if len(competing) == 1:
        return competing[0]
    by_id = {_creative_id_of(candidate): candidate for candidate in competing}
    weighted = [(creative_id, c.creative.weight if c.creative else 0.0) for creative_id, c in by_id.items()]
    choice = pick_creative(competing[0].offer.id, weighted, run.context.person_id)
    picked_id, share = choice or (min(by_id), 1.0)
    for creative_id, candidate in by_id.items():
        if creative_id != picked_id:
            _note_removal(run, candidate, f"the customer is in the share of {share:.0%} who get creative {picked_id}")
    by_id[picked_id].share *= share
    return by_id[picked_id]


def _note_removal(run: Run, candidate: Candidate, reason: str) -> None:
    run.recorder.note_removal("creative", run.node, candidate, Verdict(True, reason))


def _creative_id_of(candidate: Candidate) -> str:
    return candidate.creative.id if candidate.creative else ""
