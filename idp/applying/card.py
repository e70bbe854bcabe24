"""What a card that was read by its chip means for an application."""

from collections.abc import Iterable, Iterator

from accounts.applications import Application, ApplicationKind, Evidence, EvidenceSource, Outcome
from accounts.attributes import Source
from idp.applying.rules import Awaited, Obstacle


def word_of(source: Source, evidence: Iterable[Evidence]) -> Evidence | None:
    """Return the latest answer of a register that says something, however old."""
    spoken = {Outcome.FOUND, Outcome.NOT_FOUND}
    said = [one for one in evidence if one.source == source.value and one.outcome in spoken]
    return said[-1] if said else None


def is_by_chip(evidence: Iterable[Evidence]) -> bool:
    """True when the chip's proof stands in for a visit, which nobody made."""
    sources = {one.source for one in evidence}
    return EvidenceSource.CHIP in sources and EvidenceSource.VISIT not in sources


def asked_of(source: Source, evidence: Iterable[Evidence]) -> tuple[Source, ...]:
    """Return the registers whose word is needed: a card that was read has to be a valid one."""
    return (source, Source.IDENTITY_CARDS) if is_by_chip(evidence) else (source,)


def may_be_read_for(found: Application, awaited: tuple[Awaited, ...]) -> bool:
    """True while a reading of the card may take the place of the visit."""
    return (
        found.kind is ApplicationKind.CITIZEN_02
        and found.state.is_open
        and Awaited.VISIT in awaited
    )


def card_obstacles(evidence: tuple[Evidence, ...]) -> Iterator[Obstacle]:
    """Compare the card that was read with the card register's word: valid, and this very card."""
    said = word_of(Source.IDENTITY_CARDS, evidence)
    if said is None or not is_by_chip(evidence):
        return
    read = next(one for one in reversed(evidence) if one.source is EvidenceSource.CHIP).values
    card = said.values.get("id_card") if said.outcome is Outcome.FOUND else None
    same = isinstance(card, dict) and (
        card.get("state") == "valid"
        and card.get("issue") == read["issued"]
        and (card.get("expiry") or "") == read["expiry"]
    )
    if not same:
        yield Obstacle.CARD_NOT_VALID
