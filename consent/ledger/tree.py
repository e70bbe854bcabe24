"""Merkle trees of RFC 6962 §2.1 (the same as RFC 9162's): roots, proofs, and their verification.

A proof is made from the roots of whole subtrees, asked for by level and number: level 0 are the leaf
hashes, and the hash ``(level, number)`` covers the leaves from ``number << level`` on.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence

HashAt = Callable[[int, int], bytes]
"""Returns the root of the whole subtree at a level and number."""
HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()


class ProofError(Exception):
    """A proof does not fit; the message says in a word what of it."""


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of one leaf."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash over two subtrees."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """A tree that only grows, kept as the roots of the whole subtrees it consists of, largest first.

    Enough to tell the root after each append, with a memory of at most 64 hashes.
    """

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        if len(peaks) != size.bit_count():
            raise ValueError("a frontier has one hash for each bit of its size")
        self.size = size
        self.peaks = list(peaks)

    def append(self, leaf: bytes) -> None:
        """Append a leaf by its hash."""
        height = self.size
        while height & 1:
            leaf = node_hash(self.peaks.pop(), leaf)
            height >>= 1
        self.peaks.append(leaf)
        self.size += 1

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Append leaves by their hashes."""
        for leaf in leaves:
            self.append(leaf)

    def root(self) -> bytes:
        """Return the root of the tree as it is now."""
        if not self.peaks:
            return EMPTY_ROOT
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = node_hash(peak, root)
        return root

    def copy(self) -> "Frontier":
        """Return the same tree, to grow apart from this one."""
        return Frontier(self.size, self.peaks)


def root_of(leaves: Iterable[bytes]) -> bytes:
    """Return the root over leaf hashes."""
    tree = Frontier()
    tree.extend(leaves)
    return tree.root()


def frontier_at(size: int, hash_at: HashAt) -> Frontier:
    """Return the frontier of the first ``size`` leaves."""
    return Frontier(size, [hash_at(*subtree) for subtree in _whole_subtrees(0, size)])


def inclusion_proof(number: int, size: int, hash_at: HashAt) -> list[bytes]:
    """Return the audit path of a leaf (RFC 6962 §2.1.1), from the leaf upwards."""
    if not 0 <= number < size:
        raise ProofError("leaf-outside")
    proof: list[bytes] = []
    begin, end = 0, size
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if number < middle:
            proof.append(_range_root(middle, end, hash_at))
            end = middle
        else:
            proof.append(_range_root(begin, middle, hash_at))
            begin = middle
    proof.reverse()
    return proof


def consistency_proof(old: int, new: int, hash_at: HashAt) -> list[bytes]:
    """Return the proof that the first ``old`` leaves are still the same (RFC 6962 §2.1.2)."""
    if not 0 <= old <= new:
        raise ProofError("sizes-reversed")
    if old in {0, new}:
        return []
    proof: list[bytes] = []
    begin, end, is_known = 0, new, True
    while old != end:
        middle = begin + _split(end - begin)
        if old <= middle:
            proof.append(_range_root(middle, end, hash_at))
            end = middle
        else:
            proof.append(_range_root(begin, middle, hash_at))
            begin, is_known = middle, False
    if not is_known:
        proof.append(_range_root(begin, end, hash_at))
    proof.reverse()
    return proof


def verify_inclusion(
    leaf: bytes, number: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Check an audit path (RFC 9162 §2.1.3.2).

    Raises:
        ProofError: it does not lead from the leaf to the root.
    """
    if not 0 <= number < size:
        raise ProofError("leaf-outside")
    found = leaf
    for sibling, is_left in _climb(number, size - 1, proof):
        found = node_hash(sibling, found) if is_left else node_hash(found, sibling)
    if found != root:
        raise ProofError("root-differs")


def verify_consistency(
    old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that one tree is the beginning of another (RFC 9162 §2.1.4.2).

    Raises:
        ProofError: it is not, or the proof is another's.
    """
    if not 0 <= old <= new:
        raise ProofError("sizes-reversed")
    if old in {0, new}:
        if proof or old_root != (new_root if old else EMPTY_ROOT):
            raise ProofError("root-differs")
        return
    # A tree that was whole is the first hash of the way by itself.
    rest = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not rest:
        raise ProofError("proof-too-short")
    first, last = old - 1, new - 1
    while first & 1:
        first, last = first >> 1, last >> 1
    old_found = new_found = rest[0]
    for sibling, is_left in _climb(first, last, rest[1:]):
        if is_left:
            old_found, new_found = node_hash(sibling, old_found), node_hash(sibling, new_found)
        else:
            new_found = node_hash(new_found, sibling)
    if (old_found, new_found) != (old_root, new_root):
        raise ProofError("root-differs")


def _climb(number: int, last: int, proof: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Go up from a node; yield each hash on the way, and whether it is a left sibling."""
    for sibling in proof:
        if last == 0:
            raise ProofError("proof-too-long")
        is_left = bool(number & 1) or number == last
        yield sibling, is_left
        while is_left and not number & 1 and number:
            number, last = number >> 1, last >> 1
        number, last = number >> 1, last >> 1
    if last:
        raise ProofError("proof-too-short")


def _split(size: int) -> int:
    """Return the largest power of two below the size."""
    return 1 << ((size - 1).bit_length() - 1)


def _whole_subtrees(begin: int, end: int) -> list[tuple[int, int]]:
    """Return the whole subtrees, largest first, of a range that begins where one of them may."""
    found = []
    while begin < end:
        level = (end - begin).bit_length() - 1
        if begin:
            level = min(level, (begin & -begin).bit_length() - 1)
        found.append((level, begin >> level))
        begin += 1 << level
    return found


def _range_root(begin: int, end: int, hash_at: HashAt) -> bytes:
    roots = [hash_at(level, number) for level, number in _whole_subtrees(begin, end)]
    root = roots[-1]
    for left in reversed(roots[:-1]):
        root = node_hash(left, root)
    return root
