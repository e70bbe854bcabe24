"""Consent receipts: what was agreed to, as ISO/IEC TS 27560:2023 structures it, in the W3C Data Privacy
Vocabulary's profile of it (JSON-LD). The caller signs the document.

It names attributes and never their values, and the person only by the identifier that the relying
party knows her by.
"""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from consent.decisions import Consent, ConsentState
from consent.purposes import LEGAL_BASES, PURPOSES, Words

PROFILE = "https://w3id.org/dpv/schema/dpv-27560#receipt"
RECORD_PROFILE = "https://w3id.org/dpv/schema/dpv-27560#record"
TYPE = "consent-receipt+jwt"
"""The ``typ`` of the JWS around a receipt."""

_CONTEXT = {
    "dpv": "https://w3id.org/dpv#",
    "loc": "https://w3id.org/dpv/loc#",
    "dct": "http://purl.org/dc/terms/",
    "schema": "https://schema.org/",
}
_ENDED = {
    ConsentState.WITHDRAWN: "dpv:ConsentWithdrawn",
    ConsentState.SUPERSEDED: "dpv:RenewedConsentGiven",
}
_IN_BROWSER = "On the consent page, by pressing the button that allows"


def receipt(
    consent: Consent,
    *,
    issuer: str,
    sub: str,
    controller: Words,
    policy_uri: str | None,
    labels: Mapping[str, Words],
    sensitive: frozenset[str],
    now: datetime,
) -> bytes:
    """Return the receipt of a consent as it stands ``now``, as the JSON that is signed. As long as
    nothing becomes of the consent it is the same, byte for byte, so its fingerprint says which it is.

    ``controller`` are the relying party's names by language (the empty key is the plain one),
    ``labels`` the plain names of the attributes, ``sub`` the person as the relying party knows her.
    """
    purpose = PURPOSES[consent.purpose]
    basis = LEGAL_BASES[consent.legal_basis]
    home = f"{issuer}/me/consents"
    controller_id = f"{issuer}/relying-parties/{consent.client_id}"
    party = {
        "@id": controller_id,
        "@type": "dpv:DataController",
        "dct:identifier": consent.client_id,
        "dct:title": _in_languages(controller),
        **({"schema:privacyPolicy": policy_uri} if policy_uri else {}),
    }
    events = _events(consent, now)
    latest = events[-1]["dpv:isIndicatedAtTime"]
    provider = {"@id": issuer, "@type": "dpv:DataProcessor", "dct:title": "Sen ID"}
    process: dict[str, Any] = {
        "@type": "dpv:Process",
        "dpv:hasPurpose": {
            "@type": "dpv:Purpose",
            "dct:identifier": consent.purpose,
            "dct:hasVersion": consent.purpose_version,
            "dct:title": _in_languages(purpose.title),
        },
        "dpv:hasPersonalData": [
            _attribute(name, labels, sensitive) for name in sorted(consent.attributes)
        ],
        "dpv:hasRecipient": _recipients(consent, issuer, controller_id),
        "dpv:hasDuration": {
            "@type": "dpv:UntilTimeDuration",
            "schema:endTime": _moment(consent.valid_until),
        },
        "dpv:hasStorageCondition": [
            {"@type": "dpv:StorageLocation", "dpv:hasLocation": "loc:VN"},
            _storage_duration(consent),
        ],
        "schema:accessWhileAway": consent.offline,
    }
    if consent.terms is not None and consent.terms.case_reference is not None:
        process["schema:identifier"] = consent.terms.case_reference
    document = {
        "iss": issuer,
        "jti": consent.id,
        "iat": int(datetime.fromisoformat(latest).timestamp()),
        "@context": _CONTEXT,
        "@id": f"{issuer}/receipts/{consent.id}",
        "@type": "dpv:ConsentReceipt",
        "dct:identifier": consent.id,
        "dct:conformsTo": PROFILE,
        "dct:created": latest,
        "dct:publisher": provider,
        "schema:recipient": "dpv:DataSubject",
        "dpv:hasRecordOfActivity": {
            "@id": f"{issuer}/consents/{consent.id}",
            "@type": "dpv:ConsentRecord",
            "dct:identifier": consent.id,
            "dct:conformsTo": RECORD_PROFILE,
            "dpv:hasDataSubject": {"@type": "dpv:DataSubject", "dct:identifier": sub},
            "dpv:hasDataController": party,
            "dpv:hasDataProcessor": provider,
            "dpv:hasJurisdiction": "loc:VN",
            "dpv:hasApplicableLaw": _in_languages(basis.law),
            "dpv:hasLegalBasis": "dpv:ExplicitlyExpressedConsent",
            "dpv:hasProcess": process,
            "dpv:hasConsentControl": {"@type": "dpv:WithdrawConsent", "dpv:isExercisedAt": home},
            "dpv:hasRight": {"@type": "dpv:DataSubjectRight", "dpv:isExercisedAt": f"{issuer}/me"},
            "dpv:hasNotice": {
                "@type": "dpv:ConsentNotice",
                "dct:identifier": f"urn:sha256:{consent.notice_hash.hex()}",
                "dct:language": consent.language,
            },
            "dpv:hasConsentStatus": events,
            **({"dct:replaces": consent.replaces} if consent.replaces else {}),
            "schema:declined": sorted(consent.declined),
        },
    }
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)


def address(issuer: str, consent_id: str, receipt: bytes) -> str:
    """Return what stands as a code on a printed receipt: a page that tells how to compare, and the
    fingerprint of what the signed receipt holds.
    """
    return f"{issuer}/receipts/{consent_id}#sha256={hashlib.sha256(receipt).hexdigest()}"


def _recipients(consent: Consent, issuer: str, controller: str) -> str | list[str]:
    if consent.terms is None or not consent.terms.recipients:
        return controller
    return [controller, *(f"{issuer}/relying-parties/{one}" for one in consent.terms.recipients)]


def _storage_duration(consent: Consent) -> dict[str, str]:
    kind = {"@type": "dpv:StorageDuration"}
    if consent.terms is None or consent.terms.retention_days is None:
        return {**kind, "dct:description": "As the controller's own policy and the law say"}
    return {**kind, "schema:duration": f"P{consent.terms.retention_days}D"}


def _events(consent: Consent, now: datetime) -> list[dict[str, Any]]:
    by = "dpv:DataSubject" if consent.acting_for is None else "dpv:AuthorisedRepresentative"
    told: list[dict[str, Any]] = [
        {
            "@type": ["dpv:ConsentGiven", "dpv:ExplicitlyExpressedConsent"],
            "dpv:isIndicatedBy": by,
            "dpv:hasIndicationMethod": _IN_BROWSER,
            "dpv:isIndicatedAtTime": _moment(consent.given_at),
        }
    ]
    if consent.state in _ENDED and consent.ended_at is not None:
        kind, at = _ENDED[consent.state], consent.ended_at
        told.append({"@type": kind, "dpv:isIndicatedBy": by, "dpv:isIndicatedAtTime": _moment(at)})
    elif now >= consent.valid_until:
        told.append(
            {
                "@type": "dpv:ConsentExpired",
                "dpv:isIndicatedAtTime": _moment(consent.valid_until),
            }
        )
    return told


def _attribute(name: str, labels: Mapping[str, Words], sensitive: frozenset[str]) -> dict[str, Any]:
    return {
        "@type": "dpv:SensitivePersonalData" if name in sensitive else "dpv:PersonalData",
        "dct:identifier": name,
        "dct:title": _in_languages(labels.get(name, {"": name})),
    }


def _in_languages(words: Words) -> list[dict[str, str]]:
    return [{"@value": text, "@language": language or "vi"} for language, text in words.items()]


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
