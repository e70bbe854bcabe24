"""The service that compares faces, over X-Road: what it says, and what is wrong with it."""

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image

from accounts.face_checks import Verdict
from accounts.subject import IdentifierType
from connectors.face_match import GREATEST_PICTURE, FaceMatch, Judgement
from connectors.protocol import NotFound, Query, Unavailable
from connectors.registry import remote_face_match
from connectors.simulation.faces import capture, difference
from connectors.simulation.portrait import portrait
from connectors.simulation.server import Fault, Simulator
from connectors.simulation.store import opened
from consent.use_receipts import Evidence
from tests.support.clock import Clock
from tests.support.registers import (
    RECEIPTS,
    authority,
    evidence,
    population,
    running,
    security_server,
)

PLACE = "VN-TEST/GOV/MPS/face-match"


@dataclass
class Faces:
    """The service as we reach it, and two people whose portraits are told apart easily."""

    service: FaceMatch
    server: Simulator
    query: Query
    neighbour: str
    without_card: Query

    def compare(self, picture: bytes, query: Query | None = None) -> object:
        return self.service.compare(query or self.query, picture, evidence(), datetime.now(UTC))

    def verdict(self, picture: bytes, query: Query | None = None) -> Verdict:
        said = self.compare(picture, query)
        assert isinstance(said, Judgement), said
        assert said.reference
        return said.verdict


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    with running(population(tmp_path_factory.mktemp("faces") / "people.db", people=60)) as made:
        yield made


@pytest.fixture
def faces(server: Simulator) -> Iterator[Faces]:
    service = remote_face_match(security_server(authority(server)), Clock(), PLACE)
    with opened(Path(server.file)) as db:
        carded = db.execute(
            "SELECT person.* FROM person JOIN card ON card.number = person.number"
        ).fetchall()
        child = db.execute(
            "SELECT * FROM person WHERE number NOT IN (SELECT number FROM card)"
        ).fetchone()
    own = carded[0]
    other = max((row["number"] for row in carded), key=lambda one: difference(one, own["number"]))
    yield Faces(service, server, _query(own), other, _query(child))
    server.set_fault(None, None)


def _query(row: dict[str, str]) -> Query:
    kind = IdentifierType.PERSONAL_NUMBER
    return Query(kind, row["number"], row["name"], row["birthdate"], ("portrait",))


def test_a_face_before_the_camera_is_told_from_others_and_from_files(faces: Faces) -> None:
    number = faces.query.identifier
    seen = capture(number)
    assert faces.verdict(seen) is Verdict.MATCH
    # As a camera gives it: wider than the face, in colour, compressed.
    wide = Image.new("RGB", (640, 480), (120, 120, 120))
    wide.paste(Image.open(io.BytesIO(seen)).resize((360, 480)).convert("RGB"), (140, 0))
    photograph = io.BytesIO()
    wide.save(photograph, "JPEG", quality=80)
    assert faces.verdict(photograph.getvalue()) is Verdict.MATCH
    assert faces.verdict(capture(faces.neighbour)) is Verdict.NO_MATCH
    assert faces.verdict(portrait(number)) is Verdict.NOT_LIVE
    blank = io.BytesIO()
    Image.new("L", (480, 640), 128).save(blank, "PNG")
    assert faces.verdict(blank.getvalue()) is Verdict.UNUSABLE
    assert faces.verdict(b"\xff\xd8\xff and nothing more") is Verdict.UNUSABLE
    assert faces.verdict(seen, faces.without_card) is Verdict.NO_PORTRAIT
    assert faces.compare(seen, replace(faces.query, birthdate="1900-01-01")) == NotFound(
        "face_match"
    )


@pytest.mark.parametrize("fault", set(Fault) - {Fault.SLOW, Fault.DRIP, Fault.NO_RECEIPT})
def test_what_is_no_answer_of_its_own_is_no_verdict(faces: Faces, fault: Fault) -> None:
    faces.server.set_fault("face_match", fault)
    said = faces.compare(capture(faces.query.identifier))
    assert isinstance(said, Unavailable)
    assert said.register == "face_match"


def test_nothing_is_sent_without_an_entry_or_a_picture(faces: Faces) -> None:
    before = faces.server.asked["face_match"]
    good = evidence()
    without = Evidence(good.of._replace(id=""), RECEIPTS)
    for picture, rests_on in (
        (capture(faces.neighbour), without), (b"GIF89a", good), (b"", good),
        (b"\xff\xd8\xff" + bytes(GREATEST_PICTURE), good),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"entry|picture"):
            faces.service.compare(faces.query, picture, rests_on, datetime.now(UTC))
    assert faces.server.asked["face_match"] == before
