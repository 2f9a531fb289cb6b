"""Flow nodes that call plug-ins."""

from __future__ import annotations

from rapport.domain.decisions.candidates import Candidate
from rapport.domain.decisions.node_types import ExtensionConfig
from rapport.domain.decisions.run import NodeAction, Run
from rapport.domain.decisions.verdict import RuleVerdict, Verdict


def prepare_extension(config: ExtensionConfig) -> NodeAction:
    """Return an action that calls the plug-in of an extension point, if there is one.

    The plug-in cannot add candidates. If it fails, the candidates stay as they were and the trace notes the failure.
    """

    def act(run: Run) -> None:
        extension = run.catalogue.extensions.get(config.point)
        if extension is None or run.is_fallback:
            return
        try:
            left = {
                candidate.subject: candidate
                for candidate in extension([candidate.copy() for candidate in run.candidates], run.context)
            }
        except Exception as error:  # noqa: BLE001 - whatever a plug-in does, the decision goes on without it
            fault = f"{type(error).__name__}: {error}"
            run.recorder.problems.append(f"the extension at {config.point} failed and was left out: {fault}")
            return
        given = {candidate.subject: candidate for candidate in run.candidates}
        removed = (RuleVerdict(run.node, "", Verdict(True, f"removed by the extension at {config.point}")),)
        run.apply_check("extension_point", lambda candidate: () if candidate.subject in left else removed)
        stay = [candidate for candidate in run.candidates if candidate.subject not in left]  # only in exhaustive runs
        kept = [_check_position(one, given[subject]) for subject, one in left.items() if subject in given]
        run.candidates = [*kept, *stay]

    return act


def _check_position(candidate: Candidate, given: Candidate) -> Candidate:
    """Take the position from a candidate whose entities the plug-in exchanged: what is known by it is of the given."""
    if not (
        candidate.offer is given.offer and candidate.creative is given.creative and candidate.channel is given.channel
    ):
        candidate.position = None
    return candidate
