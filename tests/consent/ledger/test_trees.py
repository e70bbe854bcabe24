"""Trees, tiles and the head map: known answers, and proofs that prove what they say and no more."""

import random
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent.ledger import head_map, tiles
from consent.ledger.tree import (
    EMPTY_ROOT,
    Frontier,
    ProofError,
    consistency_proof,
    frontier_at,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)

# The test tree that implementations of RFC 6962 share.
LEAVES = [bytes.fromhex(h) for h in ("", "00", "10", "2021", "3031", "40414243",
          "5051525354555657", "606162636465666768696a6b6c6d6e6f")]  # fmt: skip
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
SETTINGS = settings(deadline=None, max_examples=40)


class Stored:
    """A log in tiles, as the sequencer keeps it."""

    def __init__(self, leaves: list[bytes]) -> None:
        self.tiles: dict[tuple[int, int], bytes] = {}
        self.size = 0
        self.grow(leaves)

    def read(self, level: int, number: int) -> bytes:
        return self.tiles.get((level, number), b"")

    def grow(self, leaves: list[bytes]) -> None:
        begun = {place: self.read(*place) for place in tiles.begun(self.size)}
        changed, self.tree = tiles.append(self.size, leaves, lambda *place: begun[place])
        self.tiles.update(changed)
        self.size += len(leaves)

    def hash_at(self, level: int, number: int) -> bytes:
        return tiles.hash_in(self.read, level, number)


def leaves(count: int) -> list[bytes]:
    return [leaf_hash(number.to_bytes(4, "big")) for number in range(count)]


def test_roots_are_those_of_rfc_6962() -> None:
    assert sha256(b"").digest() == EMPTY_ROOT == root_of([])
    tree = Frontier()
    for data, root in zip(LEAVES, ROOTS, strict=True):
        tree.append(leaf_hash(data))
        assert tree.root().hex() == root


def test_proofs_are_those_of_rfc_6962() -> None:
    """RFC 6962 §2.1.3 draws a tree of seven leaves and names the hashes of its proofs."""
    d = [leaf_hash(bytes([n])) for n in range(7)]
    a, b, c, e, f, j = *d[:3], d[3], d[4], d[6]
    g, h, i = node_hash(a, b), node_hash(c, e), node_hash(f, d[5])
    k, low = node_hash(g, h), node_hash(i, j)
    at = Stored(d).hash_at
    assert inclusion_proof(0, 7, at) == [b, h, low]
    assert inclusion_proof(3, 7, at) == [c, g, low]
    assert inclusion_proof(4, 7, at) == [d[5], j, k]
    assert inclusion_proof(6, 7, at) == [i, k]
    assert consistency_proof(3, 7, at) == [c, e, g, low]
    assert consistency_proof(4, 7, at) == [low]
    assert consistency_proof(6, 7, at) == [i, j, k]


@given(st.lists(st.integers(0, 700), min_size=1, max_size=5), st.data())
@SETTINGS
def test_a_tree_in_tiles_proves_its_leaves_and_its_past(
    steps: list[int], data: st.DataObject
) -> None:
    everything = leaves(sum(steps))
    stored, sizes = Stored([]), [0]
    for step in steps:
        stored.grow(everything[stored.size : stored.size + step])
        sizes.append(stored.size)
    size = stored.size
    root = root_of(everything)
    assert stored.tree.root() == root == frontier_at(size, stored.hash_at).root()
    old = data.draw(st.sampled_from(sizes))
    proof = consistency_proof(old, size, stored.hash_at)
    verify_consistency(old, size, root_of(everything[:old]), root, proof)
    if old not in {0, size}:
        with pytest.raises(ProofError):
            verify_consistency(old, size, root_of(everything[1 : old + 1]), root, proof)
        with pytest.raises(ProofError):
            verify_consistency(old, size, root_of(everything[:old]), root, [*proof, root])
    if size:
        number = data.draw(st.integers(0, size - 1))
        path = inclusion_proof(number, size, stored.hash_at)
        verify_inclusion(everything[number], number, size, path, root)
        for wrong in ([*path, root], path[:-1], [bytes(32), *path[1:]]):
            if wrong != path:
                with pytest.raises(ProofError):
                    verify_inclusion(everything[number], number, size, wrong, root)
        with pytest.raises(ProofError):
            verify_inclusion(bytes(32), number, size, path, root)


def test_tiles_have_the_paths_of_the_specification() -> None:
    assert tiles.Tile(0, 1234067).path == "tile/0/x001/x234/067"
    assert tiles.Tile(tiles.ENTRIES, 7, 16).path == "tile/entries/007.p/16"
    # C2SP tlog-tiles' own example: 70,000 entries.
    widths = [
        tiles.width_at(70_000, *place) for place in ((0, 272), (0, 273), (1, 0), (1, 1), (2, 0))
    ]
    assert widths == [256, 112, 256, 17, 1]
    for path in ("tile/0/001.p/256", "tile/00/001", "tile/0/1", "tile/0/x000/001", "tile/64/000"):
        assert tiles.Tile.parse(path) is None


@given(st.integers(-1, 63), st.integers(0, 10**10), st.integers(1, 256))
@SETTINGS
def test_a_tiles_path_tells_the_tile(level: int, number: int, width: int) -> None:
    tile = tiles.Tile(level, number, width)
    assert tiles.Tile.parse(tile.path) == tile


@given(st.lists(st.binary(max_size=300), max_size=8))
@SETTINGS
def test_a_bundle_keeps_its_entries(entries: list[bytes]) -> None:
    spelled = tiles.bundle(entries)
    assert tiles.unbundle(spelled) == entries
    if spelled and entries[-1]:
        with pytest.raises(ValueError, match="cut short"):
            tiles.unbundle(spelled[:-1])


def test_the_map_proves_presence_and_absence() -> None:
    dice = random.Random(6)
    pieces: dict[head_map.Place, bytes] = {}
    chains = {dice.randbytes(32): (n + 1, dice.randbytes(32)) for n in range(300)}
    few = [index[:1] + bytes(1) + index[2:] for index in list(chains)[:3]]
    chains |= {index: (9, dice.randbytes(32)) for index in few}

    def read(places: object) -> dict[head_map.Place, bytes]:
        return {place: pieces[place] for place in places if place in pieces}  # type: ignore[attr-defined]

    buckets: dict[int, list[head_map.Item]] = {}
    for index, (length, head) in sorted(chains.items()):
        buckets.setdefault(head_map.bucket_of(index), []).append(head_map.item(index, length, head))
    root = head_map.empty_hash(16)
    for some in (list(buckets)[:100], list(buckets)[100:]):  # in two epochs
        root, changed = head_map.update(read, {b: head_map.bucket_hash(buckets[b]) for b in some})
        pieces.update(changed)

    def proof_of(index: bytes) -> head_map.MapProof:
        bucket = head_map.bucket_of(index)
        return head_map.MapProof(
            tuple(buckets.get(bucket, ())), tuple(head_map.prove(read, bucket))
        )

    for index, (length, head) in chains.items():
        proof_of(index).verify(index, length, head, root)
    stranger = dice.randbytes(32)
    proof_of(stranger).verify(stranger, 0, bytes(32), root)
    index, (length, head) = next(iter(chains.items()))
    for wrong in ((0, bytes(32)), (length - 1, head), (length, bytes(32)), (length + 1, head)):
        with pytest.raises(ProofError, match="head-differs"):
            proof_of(index).verify(index, *wrong, root)
    with pytest.raises(ProofError, match="root-differs"):
        head_map.MapProof((), proof_of(index).siblings).verify(index, 0, bytes(32), root)
