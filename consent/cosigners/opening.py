"""``sen audit``: an outside auditor draws entries by lot and has them opened.

It finds what no log shows: an entry filed under somebody who does not exist, or counted for another
than it says, and a release for which the relying party holds no receipt.
"""

import base64
import http.client
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from consent.cosigners.published import Published
from consent.ledger import commitment
from consent.ledger.checkpoint import Checkpoint
from consent.ledger.epoch import ROOT_LOG, Epoch, Heads
from consent.ledger.note import Note, NoteError
from consent.ledger.opening import NONCE_BYTES, Leaf, Terms
from consent.ledger.policy import Policy
from consent.ledger.tree import leaf_hash, root_of
from consent.ledger.verify import INDEX_STATEMENT

RELEASES = frozenset({"id_token", "userinfo", "introspection", "sealed"})
"""The channels for which relying parties hold receipts."""
Call = Callable[[str, Mapping[str, Any]], dict[str, Any]]
"""Posts a document to a path below the log's address, and returns the answer; raises OSError."""
Exists = Callable[[Mapping[str, str]], bool | None]
"""Asks a person's register whether it knows her; None where nobody can be asked."""
_SECONDS = 20.0
_NUMBERS = {
    "population": ("MPS", "vn_pid", "personal_number", "name", "full_name"),
    "immigration": ("MPS", "passport", "passport", "name", "full_name"),
    "enterprises": ("MOF", "tax_code", "tax_code", "organization_name", "name"),
}


class AuditError(Exception):
    """The audit cannot go on; the message says why."""


@dataclass(frozen=True)
class Finding:
    """What is wrong with one drawn entry, by a code."""

    code: str
    leaf: Leaf


@dataclass
class Audit:
    """One audit, whose state is in a folder of the auditor's."""

    folder: Path
    published: Published
    policy: Policy
    authorize: Callable[[str], str]

    @property
    def _file(self) -> Path:
        return self.folder / "audit.json"

    def announce(self, call: Call, count: int, since: str) -> dict[str, Any]:
        """Announce a new audit; what was announced is kept, with the secret number."""
        nonce = os.urandom(NONCE_BYTES)
        terms = Terms(nonce, count, since)
        told = call("audits", {"announcement": terms.announcement})
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        said = {"nonce": nonce.hex(), "count": count, "since": since}
        kept = {"audit": told["audit"], "epoch": told["epoch"], **said}
        self._file.write_text(json.dumps(kept))
        return kept

    def draw(self, call: Call) -> list[Leaf]:
        """Draw, tell the provider, and compare with what it drew.

        Raises:
            AuditError: the log is not confirmed, there is no epoch yet, or the provider drew otherwise.
        """
        kept = json.loads(self._file.read_text())
        leaves = self._terms(kept).draw(*self._epoch(kept["epoch"]))
        terms = {name: kept[name] for name in ("nonce", "count", "since")}
        told = call(f"audits/{kept['audit']}/draw", terms)
        if [tuple(leaf) for leaf in told["leaves"]] != leaves:
            raise AuditError("the provider drew other entries")
        return leaves

    def check(
        self,
        openings: Any,
        batches: Iterable[str],
        receipt_keys: Iterable[Mapping[str, str]],
        exists: Exists,
    ) -> list[Finding]:
        """Check what was opened: each drawn entry is what the log has, is counted for the person it
        names, she exists, and whoever got the data holds the receipt.
        """
        kept = json.loads(self._file.read_text())
        epoch, heads = self._epoch(kept["epoch"])
        held = _held(batches, list(receipt_keys))
        given = {
            (one["log"], one["leaf"]): one
            for one in openings["openings"]
            if openings["audit"] == kept["audit"]
        }
        findings = []
        for leaf in self._terms(kept).draw(epoch, heads):
            code = self._wrong(leaf, heads, given.get(leaf), held, exists)
            if code:
                findings.append(Finding(code, leaf))
        return findings

    def conclude(self, call: Call, checked: int, findings: list[Finding]) -> None:
        """Make the result public, as numbers by codes."""
        kept = json.loads(self._file.read_text())
        counted = dict(Counter(one.code for one in findings))
        call(f"audits/{kept['audit']}/result", {"checked": checked, "findings": counted})

    def _wrong(
        self,
        leaf: Leaf,
        heads: Heads,
        opened: Mapping[str, Any] | None,
        held: set[tuple[str, str, str]],
        exists: Exists,
    ) -> str:
        if opened is None or "entry" not in opened:
            return "not-opened"
        log, number = leaf
        size, root = heads[log]
        ((index, position),) = self.published.whose(log, number, number + 1, size, self.authorize)
        try:
            bound = commitment.commit(opened["entry"].encode(), base64.b64decode(opened["salt"]))
            entry = json.loads(opened["entry"])
            if bound != self.published.leaf(log, number, size, root):
                return "other-entry"
        except (ValueError, KeyError, TypeError):
            return "other-entry"
        if (entry["subject"], entry["position"]) != (opened["subject"], position):
            return "other-person"
        if self._index(opened["certificate"], opened["subject"]) != index:
            return "other-person"
        if entry["channel"] == "sealed":
            # Whose it is, only the oversight body can say.
            return "sealed"
        if exists(opened["person"]) is False:
            return "nobody"
        released = entry["outcome"] == "released" and entry["channel"] in RELEASES
        receipt = (entry["client_id"], entry["id"], _url(bound))
        return "no-receipt" if released and receipt not in held else ""

    def _index(self, certificate: str, subject: str) -> bytes | None:
        try:
            note = Note.parse(certificate)
            statement, origin, named, index, *rest = note.text.split("\n")
            is_signed = self.policy.is_signed(note, origin)
        except (NoteError, ValueError):
            return None
        is_it = is_signed and (statement, named, rest) == (INDEX_STATEMENT, subject, [""])
        return base64.b64decode(index) if is_it else None

    def _epoch(self, number: int) -> tuple[Epoch, Heads]:
        """Return the epoch, and all logs as they were then, led to a confirmed checkpoint."""
        checkpoint, note = Checkpoint.parse(self.published.checkpoint(ROOT_LOG))
        if not self.policy.is_signed(note, checkpoint.origin):
            raise AuditError("the checkpoint is not the log's")
        if not self.policy.standing(note).is_quorum:
            raise AuditError("too few confirmed the newest state; try again")
        if checkpoint.size <= number:
            raise AuditError("no epoch has followed the announcement yet; try again")
        epochs = self.published.epochs(0, checkpoint.size, checkpoint.size)
        if root_of(leaf_hash(leaf) for leaf, _ in epochs) != checkpoint.root:
            raise AuditError("the root log is not what was signed")
        heads: Heads = {}
        for _, epoch in epochs[: number + 1]:
            heads.update(epoch.grown)
        return epochs[number][1], heads

    @staticmethod
    def _terms(kept: Mapping[str, Any]) -> Terms:
        return Terms(bytes.fromhex(kept["nonce"]), kept["count"], kept["since"])


def over_http(url: str, authorize: Callable[[str], str]) -> Call:
    """Return what posts to the provider as this auditor."""

    def call(path: str, document: Mapping[str, Any]) -> dict[str, Any]:
        parts = urlsplit(url.rstrip("/"))
        whole = f"{parts.path}/{path}"
        headers = {"Authorization": authorize(whole), "Content-Type": "application/json"}
        return _posted(parts.scheme, parts.netloc, whole, headers, document)

    return call


def over_x_road(url: str, client: str) -> Exists:
    """Return what asks a register, by the auditor's own security server, whether somebody exists."""

    def exists(person: Mapping[str, str]) -> bool | None:
        if not person:
            # Nobody can be asked for without a number: an entry has to be of somebody.
            return False
        member, claim, number, called, name = _NUMBERS[person["register"]]
        instance = client.partition("/")[0]
        parts = urlsplit(url.rstrip("/"))
        path = f"{parts.path}/r1/{instance}/GOV/{member}/{person['register']}/confirm"
        document = {number: person[claim].replace(" ", ""), name: person[called]}
        if "birthdate" in person:
            document["birth_date"] = person["birthdate"]
        headers = {"X-Road-Client": quote(client), "Content-Type": "application/json"}
        return _posted(parts.scheme, parts.netloc, path, headers, document).get("found") is True

    return exists


def _posted(
    scheme: str, host: str, path: str, headers: dict[str, str], document: Mapping[str, Any]
) -> dict[str, Any]:
    kind = http.client.HTTPSConnection if scheme == "https" else http.client.HTTPConnection
    connection = kind(host, timeout=_SECONDS)
    try:
        connection.request("POST", path, json.dumps(document).encode(), headers)
        answer = connection.getresponse()
        told = json.loads(answer.read())
        if answer.status != http.client.OK:
            why = told.get("error_description") or told.get("message") or answer.status
            raise OSError(f"{path}: {why}")
        return dict(told)
    except (http.client.HTTPException, ValueError) as error:
        raise OSError(f"{path} was not answered") from error
    finally:
        connection.close()


def _held(batches: Iterable[str], keys: list[Mapping[str, str]]) -> set[tuple[str, str, str]]:
    """Return party, id and commitment of the receipts in those batches that one of the keys signed."""
    known = {
        key["kid"]: Ed25519PublicKey.from_public_bytes(_bytes(key["x"]))
        for key in keys
        if key.get("crv") == "Ed25519"
    }
    found = set()
    for text in batches:
        message, _, signature = text.strip().rpartition(".")
        try:
            header, claims = (json.loads(_bytes(part)) for part in message.split("."))
            known[header["kid"]].verify(_bytes(signature), message.encode())
            found |= {(claims["aud"], one["id"], one["commitment"]) for one in claims["receipts"]}
        except (InvalidSignature, ValueError, KeyError, TypeError):
            continue
    return found


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
