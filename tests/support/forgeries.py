"""Proofs that were tampered with after they were made, and what a verifier has to say of each."""

import base64
import json
from collections.abc import Callable
from typing import Any

Bundle = dict[str, Any]


def swap(bundle: Bundle, first: int, second: int) -> None:
    entries = bundle["entries"]
    entries[first], entries[second] = entries[second], entries[first]


def retell(bundle: Bundle, place: int, **changes: Any) -> None:
    entry = json.loads(bundle["entries"][place][1]) | changes
    bundle["entries"][place][1] = json.dumps(entry, sort_keys=True, separators=(",", ":"))


def change_salts(bundle: Bundle) -> None:
    one, other = bundle["entries"][:2]
    one[0], other[0] = other[0], one[0]


def flip(text: str) -> str:
    data = base64.b64decode(text)
    return base64.b64encode(bytes([data[0] ^ 1]) + data[1:]).decode()


FORGERIES: list[tuple[str, Callable[[Bundle], Any], str]] = [
    ("newest hidden", lambda b: b["entries"].pop(), "list"),
    ("oldest hidden", lambda b: b["entries"].pop(0), "gap"),
    ("all hidden", lambda b: b["entries"].clear(), "list"),
    ("reordered", lambda b: swap(b, 0, 1), "gap"),
    ("edited", lambda b: retell(b, 0, client_id="other"), "list"),
    ("attribute left out", lambda b: retell(b, 0, attributes=[]), "list"),
    ("time shifted", lambda b: retell(b, 0, at="2001-01-01T00:00:00.000000+00:00"), "list"),
    ("newest dated back", lambda b: retell(b, -1, at="2001-01-01T00:00:00.000000+00:00"), "backwards"),
    ("another's", lambda b: retell(b, 0, subject="f" * 32), "stranger"),
    ("salts swapped", change_salts, "list"),
    ("told twice", lambda b: b["entries"].append(b["entries"][-1]), "gap"),
    ("said to be removed", lambda b: b.update(removed={"count": len(b["entries"]), "head": "A" * 43 + "="}, entries=[]), "list"),
    ("map flipped", lambda b: b["map"]["siblings"].__setitem__(3, flip(b["map"]["siblings"][3])), "map"),
    ("bucket emptied", lambda b: b["map"].update(items=[]), "map"),
    ("epoch changed", lambda b: b["epoch"].update(leaf=b["epoch"]["leaf"].replace("time 1", "time 2")), "epoch"),
    ("certificate for another", lambda b: b.update(certificate=b["certificate"].replace(b["subject"], "f" * 32)), "certificate"),
    ("cosignatures taken away", lambda b: b.update(checkpoint=b["checkpoint"].partition("— w1")[0]), "quorum"),
    ("log's signature taken away", lambda b: b.update(checkpoint="\n\n— w1".join(b["checkpoint"].split("\n\n")[0:1] + b["checkpoint"].split("— w1")[1:])), "signature"),
    ("no proof at all", lambda b: b.clear(), "form"),
]  # fmt: skip
