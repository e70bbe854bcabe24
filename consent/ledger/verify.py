"""The verifier: says whether a bundle shows all uses of a person's data, unchanged.

Needs Python and ``cryptography``, nothing of the provider and no network:
``python -m consent.ledger.verify BUNDLE``. What it believes are the keys in a policy; every other
statement of the bundle has to lead, hash by hash, to a checkpoint that those keys signed.
"""

import base64
import binascii
import json
import time
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from consent.ledger import chain, commitment
from consent.ledger.checkpoint import Checkpoint
from consent.ledger.epoch import ROOT_LOG, Epoch
from consent.ledger.head_map import MapProof
from consent.ledger.note import Note, NoteError
from consent.ledger.policy import Policy, PolicyError, Standing
from consent.ledger.tree import HASH_BYTES, ProofError, leaf_hash, verify_inclusion

FORMAT = "sen-id/proof/1"
INDEX_STATEMENT = "sen-id/index/v1"
DAY = 24 * 60 * 60
_FAULTS = (
    KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, binascii.Error,
    NoteError, PolicyError, RecursionError,
)  # fmt: skip


class _Broken(Exception):  # noqa: N818 - what it holds is told to people, not to programs
    """A check failed; its code and what the words need."""

    def __init__(self, code: str, **facts: object) -> None:
        super().__init__(code)
        self.code = code
        self.facts = facts


@dataclass(frozen=True)
class Verdict:
    """What came of it. ``failed`` is empty when all is well, else the code of the first failure."""

    failed: str = ""
    facts: Mapping[str, object] = field(default_factory=dict)
    uses: int = 0
    removed: int = 0
    standing: Standing | None = None
    policy: Policy | None = None
    policy_is_the_bundles: bool = True

    @property
    def is_good(self) -> bool:
        """True when nothing is missing, changed or unconfirmed."""
        return not self.failed


def check(
    bundle: Any,
    *,
    now: int,
    policy: Policy | None = None,
    within: int = DAY,
    previous: Any = None,
) -> Verdict:
    """Check a bundle.

    ``policy`` says whose signatures count; without it the bundle's own is taken, which the verdict
    notes. ``within`` are the seconds for which a confirmation is young enough. ``previous`` is an
    older bundle of the same person: what it showed must still be there.
    """
    trusted = policy
    try:
        if bundle["format"] != FORMAT:
            raise _Broken("form")
        trusted = trusted or Policy.parse(bundle["policy"])
        standing = _check_checkpoint(bundle, trusted)
        length, head, heads = _check_entries(bundle)
        index = _check_index(bundle, trusted)
        _check_map(bundle, index, length, head)
        if not standing.is_quorum:
            raise _Broken("quorum", **_counts(standing, trusted))
        if now - (standing.seconds or now) > within:
            raise _Broken("old", age=now - (standing.seconds or now))
        if previous is not None:
            _check_previous(previous, bundle, heads)
    except _Broken as broken:
        return Verdict(
            broken.code, broken.facts, policy=trusted, policy_is_the_bundles=policy is None
        )
    except _FAULTS:
        return Verdict("form", policy=trusted, policy_is_the_bundles=policy is None)
    removed = _removed(bundle)[0]
    return Verdict("", {}, length - removed, removed, standing, trusted, policy is None)


def _check_checkpoint(bundle: Any, policy: Policy) -> Standing:
    """Lead the epoch's leaf to the checkpoint that the log signed, and count who cosigned it."""
    checkpoint, note = Checkpoint.parse(bundle["checkpoint"])
    try:
        if not policy.is_signed(note, checkpoint.origin):
            raise _Broken("signature")
    except NoteError as error:
        raise _Broken("signature") from error
    if checkpoint.origin.rpartition("/")[2] != ROOT_LOG:
        raise _Broken("signature")
    leaf = bundle["epoch"]["leaf"].encode()
    number = Epoch.parse(leaf).number
    proof = [_hash(text) for text in bundle["epoch"]["proof"]]
    try:
        verify_inclusion(leaf_hash(leaf), number, checkpoint.size, proof, checkpoint.root)
    except ProofError as error:
        raise _Broken("epoch") from error
    if number != checkpoint.size - 1:
        raise _Broken("epoch")
    return policy.standing(note)


def _check_entries(bundle: Any) -> tuple[int, bytes, dict[int, bytes]]:
    """Bind each entry and chain them up; return the chain's length, its head, and all heads."""
    position, head = _removed(bundle)
    heads, latest = {position: head}, ""
    for salt, text in bundle["entries"]:
        position += 1
        entry = json.loads(text)
        if entry["position"] != position:
            raise _Broken("gap", position=position)
        if entry["subject"] != bundle["subject"]:
            raise _Broken("stranger", position=position)
        if entry["at"] < latest:
            raise _Broken("backwards", position=position)
        latest = entry["at"]
        head = chain.advance(head, commitment.commit(text.encode(), _hash(salt)))
        heads[position] = head
    return position, head, heads


def _check_index(bundle: Any, policy: Policy) -> bytes:
    """Return the index that the log's key says is the person's."""
    note = Note.parse(bundle["certificate"])
    statement, origin, subject, index, *rest = note.text.split("\n")
    try:
        signed = policy.is_signed(note, origin)
    except NoteError as error:
        raise _Broken("certificate") from error
    if not signed or (statement, subject, rest) != (INDEX_STATEMENT, bundle["subject"], [""]):
        raise _Broken("certificate")
    return _hash(index)


def _check_map(bundle: Any, index: bytes, length: int, head: bytes) -> None:
    given = bundle["map"]
    proof = MapProof(
        tuple((_hash(one), _hash(other)) for one, other in given["items"]),
        tuple(_hash(text) for text in given["siblings"]),
    )
    root = Epoch.parse(bundle["epoch"]["leaf"].encode()).map_root
    try:
        proof.verify(index, length, head, root)
    except ProofError as error:
        # Which entry it is cannot be told by a hash: only that the list is not the confirmed one.
        code = "list" if str(error) == "head-differs" else "map"
        raise _Broken(code, uses=length) from error


def _check_previous(previous: Any, bundle: Any, heads: dict[int, bytes]) -> None:
    """Check that what an older bundle showed is still there."""
    length, head, _ = _check_entries(previous)
    if previous["subject"] != bundle["subject"]:
        raise _Broken("previous-of-another")
    indexes = [Note.parse(one["certificate"]).text for one in (previous, bundle)]
    if indexes[0] != indexes[1]:
        raise _Broken("two-indexes")
    first = min(heads)
    if length >= first and heads.get(length) != head:
        raise _Broken("rewritten", uses=length)


def _removed(bundle: Any) -> tuple[int, bytes]:
    given = bundle.get("removed")
    if given is None:
        return 0, chain.EMPTY
    count = given["count"]
    if not isinstance(count, int) or count < 0:
        raise _Broken("form")
    return count, _hash(given["head"])


def _hash(text: str) -> bytes:
    data = base64.b64decode(text, validate=True)
    if len(data) != HASH_BYTES:
        raise _Broken("form")
    return data


def _counts(standing: Standing, policy: Policy) -> dict[str, object]:
    return {
        "witnesses": len(standing.witnesses), "of_witnesses": len(policy.witnesses),
        "auditors": len(standing.auditors), "of_auditors": len(policy.auditors),
    }  # fmt: skip


_WORDS: dict[str, dict[str, str]] = {
    "en": {
        "good": "{uses}, none missing, none changed, confirmed by {witnesses} of {of_witnesses} "
        "witnesses and {auditors} of {of_auditors} auditors {age} ago.",
        "removed": "{removed} earlier ones were removed because the time for keeping them was over; "
        "the chain keeps their number.",
        "policy": "Whose signatures count was read from the bundle itself. Compare its "
        "fingerprint with the one that the witnesses publish: {fingerprint}",
        "failed": "NOT CONFIRMED. {reason} Keep this file, and tell the data protection authority "
        "and one of the witnesses.",
        "form": "The file is damaged, or is no proof.",
        "gap": "Use number {position} is missing or out of its place.",
        "stranger": "Use number {position} belongs to another person.",
        "backwards": "Use number {position} is dated before the one that it follows.",
        "list": "The {uses} uses in the file are not the confirmed ones: one or more is missing, "
        "added or changed.",
        "map": "The file's proof does not lead to what was published.",
        "epoch": "The state shown is not in the published log, or is not the latest.",
        "signature": "The log's signature does not fit.",
        "certificate": "The statement of where this person's uses are counted does not fit.",
        "quorum": "Too few confirmed it: {witnesses} of {of_witnesses} witnesses and {auditors} of "
        "{of_auditors} auditors.",
        "old": "The last confirmation is {age} old. Make a new proof; if it is as old again, the "
        "provider shows an old state.",
        "previous-of-another": "The older proof belongs to another person.",
        "two-indexes": "The provider counts this person's uses in two places: that is proof of "
        "cheating.",
        "rewritten": "What the older proof showed ({uses} uses) was changed since.",
    },
    "vi": {
        "good": "{uses}, không thiếu lần nào, không lần nào bị sửa, được {witnesses}/{of_witnesses} "
        "nhân chứng và {auditors}/{of_auditors} kiểm toán viên xác nhận {age} trước.",
        "removed": "{removed} lần trước đó đã được xóa do hết thời hạn lưu giữ; chuỗi vẫn ghi số "
        "lượng này.",
        "policy": "Danh sách bên xác nhận được đọc từ chính tệp này. Hãy so sánh mã nhận dạng "
        "với mã do các nhân chứng công bố: {fingerprint}",
        "failed": "KHÔNG ĐƯỢC XÁC NHẬN. {reason} Hãy giữ lại tệp này và báo cho cơ quan bảo vệ dữ "
        "liệu cá nhân và một trong các nhân chứng.",
        "form": "Tệp bị hỏng hoặc không phải là bằng chứng.",
        "gap": "Lần sử dụng số {position} bị thiếu hoặc không đúng vị trí.",
        "stranger": "Lần sử dụng số {position} là của người khác.",
        "backwards": "Lần sử dụng số {position} ghi thời điểm sớm hơn lần trước đó.",
        "list": "{uses} lần sử dụng trong tệp không khớp với những lần đã được xác nhận: có lần bị "
        "thiếu, thêm vào hoặc bị sửa.",
        "map": "Bằng chứng trong tệp không dẫn tới dữ liệu đã công bố.",
        "epoch": "Trạng thái trong tệp không có trong nhật ký đã công bố hoặc không phải mới nhất.",
        "signature": "Chữ ký của nhật ký không hợp lệ.",
        "certificate": "Giấy chứng nhận nơi ghi các lần sử dụng của người này không hợp lệ.",
        "quorum": "Không đủ bên xác nhận: {witnesses}/{of_witnesses} nhân chứng và "
        "{auditors}/{of_auditors} kiểm toán viên.",
        "old": "Lần xác nhận gần nhất đã cách đây {age}. Hãy tạo bằng chứng mới; nếu vẫn cũ như "
        "vậy thì nhà cung cấp đang đưa ra trạng thái cũ.",
        "previous-of-another": "Bằng chứng cũ là của người khác.",
        "two-indexes": "Nhà cung cấp ghi các lần sử dụng của người này ở hai nơi: đó là bằng chứng "
        "gian lận.",
        "rewritten": "Nội dung trong bằng chứng cũ ({uses} lần sử dụng) đã bị sửa.",
    },
}
LANGUAGES = tuple(_WORDS)


def tell(verdict: Verdict, now: int, language: str = "vi") -> list[str]:
    """Return the verdict in plain words, a sentence each."""
    words = _WORDS[language]
    facts = dict(verdict.facts)
    if "age" in facts:
        facts["age"] = _age(int(str(facts["age"])), language)
    if "uses" in facts:
        facts["uses"] = _number(int(str(facts["uses"])), language)
    if not verdict.is_good:
        told = [words["failed"].format(reason=words[verdict.failed].format(**facts))]
    else:
        assert verdict.standing is not None and verdict.policy is not None  # noqa: S101, PT018
        counts = _counts(verdict.standing, verdict.policy)
        age = _age(now - (verdict.standing.seconds or now), language)
        told = [words["good"].format(uses=_uses(verdict.uses, language), age=age, **counts)]
        if verdict.removed:
            told.append(words["removed"].format(removed=_number(verdict.removed, language)))
    if verdict.policy is not None and verdict.policy_is_the_bundles:
        told.append(words["policy"].format(fingerprint=verdict.policy.fingerprint))
    return told


def _number(number: int, language: str) -> str:
    return f"{number:,}" if language == "en" else f"{number:,}".replace(",", ".")


def _uses(number: int, language: str) -> str:
    told = _number(number, language)
    if language == "vi":
        return f"{told} lần sử dụng"
    return f"{told} use" if number == 1 else f"{told} uses"


def _age(seconds: int, language: str) -> str:
    units = {
        "en": (("day", "days"), ("hour", "hours"), ("minute", "minutes"), ("second", "seconds")),
        "vi": (("ngày",) * 2, ("giờ",) * 2, ("phút",) * 2, ("giây",) * 2),
    }[language]
    for size, (one, many) in zip((DAY, 3600, 60, 1), units, strict=True):
        if seconds >= 2 * size or size == 1:
            count = max(seconds, 0) // size
            return f"{count} {one if count == 1 else many}"
    raise AssertionError


def main(arguments: Sequence[str] | None = None) -> int:
    """Verify a bundle from the command line; return 0 if all is well, 1 if not, 2 if unreadable."""
    parser = ArgumentParser(prog="verify", description="Verify a proof of the uses of one's data.")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--policy", type=Path, help="whose signatures count (C2SP tlog-policy)")
    parser.add_argument("--previous", type=Path, help="an older proof of the same person")
    parser.add_argument("--language", choices=LANGUAGES, default="vi")
    parser.add_argument(
        "--within-hours", type=int, default=24, help="how old a confirmation may be"
    )
    given = parser.parse_args(arguments)
    try:
        policy = Policy.parse(given.policy.read_text("utf-8")) if given.policy else None
        bundle, previous = (
            json.loads(path.read_text("utf-8")) if path else None
            for path in (given.bundle, given.previous)
        )
    except (OSError, ValueError, RecursionError, PolicyError) as error:
        print(f"verify: {error}")  # noqa: T201 - its answer
        return 2
    now = int(time.time())
    within = given.within_hours * 3600
    verdict = check(bundle, now=now, policy=policy, within=within, previous=previous)
    print("\n".join(tell(verdict, now, given.language)))  # noqa: T201 - its answer
    return 0 if verdict.is_good else 1


if __name__ == "__main__":
    raise SystemExit(main())
