"""Assignment of customers in experiments: the same for the same customer, for ever and in every process.

**The function.** A text is hashed with FNV-1a (64 bits, over its UTF-8 bytes), and the result is mixed with the
finaliser of MurmurHash3 (``fmix64``). The upper 53 bits, divided by 2**53, are the customer's *point* in [0, 1).
The finaliser is needed: the lower bits of FNV-1a depend on nothing but the lower bits of the text, so that two
hashes of the same customer under different salts would agree, or disagree, in their last bit for *all* customers.

============================  =============================================
decision                      the text
============================  =============================================
the variant of an experiment  ``<experiment key>:<customer id>``
membership in its holdout     ``#holdout:<experiment key>:<customer id>``
the tenant's holdout          ``#tenant:<tenant id>:<customer id>``
the creative of an offer      ``#creative:<offer id>:<creative id>:<customer id>``
============================  =============================================

Keys cannot contain ``#``, so no text of one purpose is one of another.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from rapport.domain.catalogue.strategy import Experiment

CHAMPION: Final = "__champion__"
HOLDOUT: Final = "__holdout__"

_MASK: Final = 0xFFFF_FFFF_FFFF_FFFF
_FNV_OFFSET: Final = 0xCBF2_9CE4_8422_2325
_FNV_PRIME: Final = 0x0000_0100_0000_01B3


class Assignment(NamedTuple):
    """Variant of an experiment that a customer gets.

    Attributes:
        variant: ``__champion__``, the model id of a challenger, or ``__holdout__``.
        model_id: The model that scores; None in the holdout.
    """

    experiment_id: str
    experiment_key: str
    variant: str
    model_id: str | None

    @property
    def is_held_out(self) -> bool:
        """True if no model of the experiment acts on the customer."""
        return self.model_id is None


def hash_fnv1a(text: str) -> int:
    """Hash a text's UTF-8 bytes with FNV-1a, 64 bits (Fowler, Noll, Vo)."""
    state = _FNV_OFFSET
    for byte in text.encode("utf-8", "surrogatepass"):
        state = ((state ^ byte) * _FNV_PRIME) & _MASK
    return state


def compute_point(text: str) -> float:
    """Compute a text's point in [0, 1), as the module describes."""
    state = hash_fnv1a(text)
    state = ((state ^ (state >> 33)) * 0xFF51_AFD7_ED55_8CCD) & _MASK
    state = ((state ^ (state >> 33)) * 0xC4CE_B9FE_1A85_EC53) & _MASK
    return ((state ^ (state >> 33)) >> 11) / (1 << 53)


def is_held_out(tenant_id: str, customer_id: str, percent: float) -> bool:
    """Say whether a customer is in the tenant's holdout. Members stay in it while the percentage grows."""
    return compute_point(f"#tenant:{tenant_id}:{customer_id}") * 100 < percent


def assign(experiment: Experiment, customer_id: str) -> Assignment:
    """Assign a customer to a variant of an experiment.

    The holdout is drawn first, with a salt of its own: changing its size moves customers into it or out of it, and
    nobody between variants. The first challenger takes its share from the left end of [0, 1), the second from the
    right, the third next to the first, and so on; the champion has what is left in the middle. So a challenger that
    is added, or one of the last two that grows at the champion's expense, takes customers from the champion
    only. (No function of the percentages alone can promise that for every one of three challengers.)

    Args:
        experiment: Its shares are taken as they are; that they add up to 100 is checked when it is stored.
        customer_id: The key of the assignment.
    """
    held_out = experiment.holdout_percent / 100
    if compute_point(f"#holdout:{experiment.key}:{customer_id}") < held_out:
        return Assignment(experiment.id, experiment.key, HOLDOUT, None)
    point = compute_point(f"{experiment.key}:{customer_id}")
    left = right = 0.0
    for index, challenger in enumerate(experiment.challengers):
        share = challenger.traffic_pct / 100
        if index % 2 == 0:
            is_mine, left = left <= point < left + share, left + share
        else:
            is_mine, right = right <= 1 - point - _SMALLEST < right + share, right + share
        if is_mine:
            model_id = challenger.model_id
            return Assignment(experiment.id, experiment.key, model_id, model_id)
    return Assignment(experiment.id, experiment.key, CHAMPION, experiment.champion_model_id)


_SMALLEST: Final = 2.0**-53
"""Points are multiples of it, so ``1 - point - _SMALLEST`` mirrors them onto themselves."""


def compute_shares(experiment: Experiment) -> dict[str, float]:
    """Compute the expected share of customers by variant; the sum is 1 if the experiment's shares add up to 100."""
    active = 1 - experiment.holdout_percent / 100
    shares = {CHAMPION: experiment.traffic_split.champion_pct / 100 * active}
    for challenger in experiment.challengers:
        shares[challenger.model_id] = shares.get(challenger.model_id, 0.0) + challenger.traffic_pct / 100 * active
    if experiment.holdout_percent:
        shares[HOLDOUT] = 1 - active
    return shares


class CreativeChoice(NamedTuple):
    """Creative that a customer gets, and the part of all customers that gets it too."""

    creative_id: str
    share: float


def pick_creative(offer_id: str, weighted: Iterable[tuple[str, float]], customer_id: str) -> CreativeChoice | None:
    """Pick the creative of an offer that a customer gets, in proportion to weights.

    Weighted rendezvous hashing: each creative draws an exponential waiting time with its weight as the rate, and the
    first one wins. A creative that is added, or whose weight grows, takes customers from others; nobody moves between
    the others.

    Args:
        offer_id: Different offers draw independently.
        weighted: Ids of creatives, in any order, with weights; only their proportions count.
        customer_id: Gets the same creative as long as the weights stay.

    Returns:
        None if no weight is above zero.
    """
    running: Sequence[tuple[str, float]] = [(creative_id, weight) for creative_id, weight in weighted if weight > 0]
    if not running:
        return None
    if len(running) == 1:
        return CreativeChoice(running[0][0], 1.0)

    def waiting_time(entry: tuple[str, float]) -> tuple[float, str]:
        creative_id, weight = entry
        point = compute_point(f"#creative:{offer_id}:{creative_id}:{customer_id}")
        return -math.log1p(-point) / weight, creative_id

    winner, weight = min(running, key=waiting_time)
    return CreativeChoice(winner, weight / sum(its for _, its in running))
