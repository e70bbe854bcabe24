"""A card's chip: what proves something, and everything that must not."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from accounts.chip import der, files
from accounts.chip.errors import REASONS, ChipRefusedError
from accounts.chip.examination import GREATEST_FILE, Reading, examine
from accounts.chip.trust import Trust
from connectors.simulation.cards import CardIssuer, Chip, new_issuer

NOW = datetime(2026, 6, 1, tzinfo=UTC)
NONCE = b"\x01\x02\x03\x04\x05\x06\x07\x08"
LAN: dict[str, Any] = {
    "number": "999190000001", "name": "Đặng Thị Hương Lan", "birthdate": "1990-04-12", "sex": "F",
}  # fmt: skip
MINH: dict[str, Any] = {
    "number": "999085000002", "name": "Trần Văn Minh", "birthdate": "1985-11-30", "sex": "M",
}  # fmt: skip
CARD: dict[str, Any] = {"issued": "2022-02-02", "expiry": "2030-04-12"}


@pytest.fixture(scope="module")
def issuer() -> CardIssuer:
    return new_issuer(NOW)


@pytest.fixture(scope="module")
def trust(issuer: CardIssuer) -> Trust:
    return Trust((issuer.authority,))


@pytest.fixture(scope="module")
def chip(issuer: CardIssuer) -> Chip:
    return issuer.chip(LAN, CARD)


def refusal(reading: Reading, trust: Trust, *, nonce: bytes = NONCE, now: datetime = NOW) -> str:
    with pytest.raises(ChipRefusedError) as refused:
        examine(reading, nonce, trust, now)
    assert refused.value.detail in REASONS
    return refused.value.detail


def changed(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def signed_anew(issuer: CardIssuer, chip: Chip, **groups: bytes) -> Reading:
    """Return a reading of other files, signed by the true issuer: what the signature cannot tell."""
    files_ = {**chip.groups, **{int(name[2:]): data for name, data in groups.items()}}
    return replace(chip, groups=files_, security_object=issuer.sign(files_)).read(NONCE)


def test_a_good_card_proves_whose_it_is_and_leaves_hashes_only(chip: Chip, trust: Trust) -> None:
    proof = examine(chip.read(NONCE), NONCE, trust, NOW)
    assert (proof.holder.personal_number, proof.holder.name) == (LAN["number"], LAN["name"])
    assert proof.holder.expiry is not None
    assert proof.holder.expiry.isoformat() == CARD["expiry"]
    kept = " ".join(proof.evidence.values())
    assert set(proof.evidence) == {
        "sod", "dg1", "dg2", "dg13", "dg14", "dg15", "authority", "signer",
    }  # fmt: skip
    assert LAN["number"] not in kept
    assert len(kept) < 600


def test_a_card_without_expiry_is_good(issuer: CardIssuer, trust: Trust) -> None:
    chip = issuer.chip(LAN, {**CARD, "expiry": None})
    assert examine(chip.read(NONCE), NONCE, trust, NOW).holder.expiry is None


def test_a_copy_of_the_files_cannot_sign(issuer: CardIssuer, chip: Chip, trust: Trust) -> None:
    reading = chip.read(NONCE)
    thief = replace(chip, key=issuer.chip(MINH, CARD).key)
    assert refusal(thief.read(NONCE), trust) == "copy"
    assert refusal(replace(reading, signature=b""), trust) == "copy"
    assert refusal(replace(reading, signature=bytes(64)), trust) == "copy"
    assert refusal(replace(reading, signature=changed(reading.signature, 5)), trust) == "copy"
    assert refusal(replace(reading, signature=reading.signature + b"\0"), trust) == "copy"


def test_yesterdays_signature_is_over_another_nonce(chip: Chip, trust: Trust) -> None:
    assert refusal(chip.read(NONCE), trust, nonce=b"another!") == "copy"


def test_a_key_of_the_thiefs_own_is_not_the_one_that_was_signed(
    issuer: CardIssuer, chip: Chip, trust: Trust
) -> None:
    other = issuer.chip(MINH, CARD)
    forged = replace(chip, groups={**chip.groups, 15: other.groups[15]}, key=other.key)
    assert refusal(forged.read(NONCE), trust) == "hash-wrong"


def test_another_countrys_authority_is_unknown(chip: Chip) -> None:
    same_name = new_issuer(NOW)
    assert refusal(chip.read(NONCE), Trust((same_name.authority,))) == "issuer-unknown"
    assert refusal(chip.read(NONCE), Trust(())) == "issuer-unknown"


def test_an_expired_or_not_yet_valid_signer_is_refused(trust: Trust, chip: Chip) -> None:
    short = new_issuer(NOW, signer_years=1)
    reading, own = short.chip(LAN, CARD).read(NONCE), Trust((short.authority,))
    assert refusal(reading, own, now=NOW + timedelta(days=400)) == "certificate-expired"
    assert refusal(chip.read(NONCE), trust, now=NOW - timedelta(days=9)) == "certificate-expired"


def test_an_authority_does_not_sign_documents_itself(issuer: CardIssuer, trust: Trust) -> None:
    crossed = replace(issuer, signer=issuer.authority, signer_key=issuer.authority_key)
    assert refusal(crossed.chip(LAN, CARD).read(NONCE), trust) == "certificate-unsuitable"


@pytest.mark.parametrize("group", files.NEEDED)
def test_one_flipped_bit_in_any_file_is_found(chip: Chip, trust: Trust, group: int) -> None:
    data = chip.groups[group]
    for at in (0, len(data) // 2, len(data) - 1):
        groups = {**chip.groups, group: changed(data, at)}
        assert refusal(replace(chip, groups=groups).read(NONCE), trust) == "hash-wrong"


def test_one_flipped_bit_in_the_security_object_is_found(chip: Chip, trust: Trust) -> None:
    # One bit means nothing: how many bits of the certificate's own signature are padding.
    padding = chip.security_object.index(b"\x2a\x86\x48\xce\x3d\x04\x03\x02\x03") + 10
    for at in range(0, len(chip.security_object), 13):
        if at != padding:
            reading = replace(chip.read(NONCE), security_object=changed(chip.security_object, at))
            assert refusal(reading, trust)


@pytest.mark.parametrize("group", files.NEEDED)
def test_a_file_of_another_card_is_found(
    issuer: CardIssuer, chip: Chip, trust: Trust, group: int
) -> None:
    other = issuer.chip(MINH, CARD)
    mixed = replace(chip, groups={**chip.groups, group: other.groups[group]})
    if chip.groups[group] == other.groups[group]:
        pytest.skip("both cards have the same: which algorithm they sign with")
    assert refusal(mixed.read(NONCE), trust) == "hash-wrong"


def test_zone_and_citizens_data_of_two_people_contradict_each_other(
    issuer: CardIssuer, chip: Chip, trust: Trust
) -> None:
    other = issuer.chip(MINH, CARD)
    assert refusal(signed_anew(issuer, chip, dg13=other.groups[13]), trust) == "files-contradict"
    zone = chip.groups[1]
    bad = zone.replace(b"900412", b"900413")
    assert refusal(signed_anew(issuer, chip, dg1=bad), trust) == "zone-wrong"


def test_an_expired_card_is_refused(issuer: CardIssuer, trust: Trust) -> None:
    old = issuer.chip(LAN, {**CARD, "expiry": "2026-05-31"})
    assert refusal(old.read(NONCE), trust) == "card-expired"


def crl(issuer: CardIssuer, *serials: int, days: int = 30) -> x509.CertificateRevocationList:
    made = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.authority.subject)
        .last_update(NOW - timedelta(days=1))
        .next_update(NOW + timedelta(days=days))
    )
    for serial in serials:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(NOW).build()
        made = made.add_revoked_certificate(entry)
    return made.sign(issuer.authority_key, hashes.SHA256())


def test_revocation_is_asked_of_lists_that_are_current_and_the_authoritys_own(
    issuer: CardIssuer, chip: Chip
) -> None:
    reading, authorities = chip.read(NONCE), (issuer.authority,)
    good = Trust(authorities, (crl(issuer, 12345),))
    assert examine(reading, NONCE, good, NOW)
    revoked = Trust(authorities, (crl(issuer, issuer.signer.serial_number),))
    assert refusal(reading, revoked) == "certificate-revoked"
    stale = Trust(authorities, (crl(issuer, days=0),))
    assert refusal(reading, stale, now=NOW + timedelta(days=2)) == "revocation-unknown"
    strangers = Trust(authorities, (crl(new_issuer(NOW)),))
    assert refusal(reading, strangers) == "revocation-unknown"


def test_what_is_missing_too_large_or_no_file_at_all_is_refused(chip: Chip, trust: Trust) -> None:
    reading = chip.read(NONCE)
    for group in files.NEEDED:
        rest = {number: data for number, data in reading.groups.items() if number != group}
        assert refusal(replace(reading, groups=rest), trust) == "file-missing"
    large = {**reading.groups, 2: bytes(GREATEST_FILE + 1)}
    assert refusal(replace(reading, groups=large), trust) == "too-large"
    for junk in (b"\x77", b"\x77\x00", b"\x77\x80\x00\x00", b"\x30" * 5000, b"\x77\x84\xff\xff\xff\xff",
                 der.encoded(0x77, b"\x30\x80" * 2000)):  # fmt: skip
        assert refusal(replace(reading, security_object=junk), trust) == "unreadable"


def test_a_number_given_twice_in_the_citizens_data_is_refused(
    issuer: CardIssuer, chip: Chip, trust: Trust
) -> None:
    (listed,) = der.only(chip.groups[13], files.TAGS[13]).children()
    first = listed.children()[0]
    doubled = listed.value + der.encoded(first.tag, first.value)
    file = der.encoded(files.TAGS[13], der.encoded(der.SEQUENCE, doubled))
    assert refusal(signed_anew(issuer, chip, dg13=file), trust) == "files-contradict"
