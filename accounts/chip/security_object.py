"""The document security object (EF.SOD): a signed list of the hashes of all data groups.

CMS SignedData (RFC 5652) around an LDSSecurityObject (Doc 9303 part 10 §4.6.2.2).
"""

import hmac
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from pyasn1.codec.der import decoder, encoder
from pyasn1.type import univ
from pyasn1_modules import rfc5652

from accounts.chip import der
from accounts.chip.errors import ChipRefusedError

TAG = 0x77
CONTENT_TYPE = "2.23.136.1.1.1"
"""id-icao-mrtd-security-ldsSecurityObject."""
HASHES: dict[str, hashes.HashAlgorithm] = {
    "2.16.840.1.101.3.4.2.1": hashes.SHA256(),
    "2.16.840.1.101.3.4.2.2": hashes.SHA384(),
    "2.16.840.1.101.3.4.2.3": hashes.SHA512(),
}
"""SHA-1 and SHA-224 are in old documents of other countries only, and are not believed."""
_ECDSA = {
    "1.2.840.10045.4.3.2": hashes.SHA256(),
    "1.2.840.10045.4.3.3": hashes.SHA384(),
    "1.2.840.10045.4.3.4": hashes.SHA512(),
}
_RSA = {
    "1.2.840.113549.1.1.11": hashes.SHA256(),
    "1.2.840.113549.1.1.12": hashes.SHA384(),
    "1.2.840.113549.1.1.13": hashes.SHA512(),
}
# RFC 5652 §5.1 and §5.3. Not signed, and still nothing that is not a security object's is taken.
_VERSIONS, _SIGNER_VERSIONS = frozenset({1, 3, 4, 5}), frozenset({1, 3})
_RSA_PLAIN, _RSA_PSS = "1.2.840.113549.1.1.1", "1.2.840.113549.1.1.10"


@dataclass(frozen=True)
class SecurityObject:
    """What the document signer vouches for: the hash of each data group, by its number."""

    signer: x509.Certificate
    algorithm: hashes.HashAlgorithm
    digests: dict[int, bytes]

    def check(self, group: int, data: bytes) -> None:
        """Compare a data group with its hash.

        Raises:
            ChipRefusedError: another hash, or none, was signed.
        """
        signed = self.digests.get(group)
        if signed is None or not hmac.compare_digest(signed, digest(self.algorithm, data)):
            raise ChipRefusedError("hash-wrong")


def read(data: bytes) -> SecurityObject:
    """Read the security object and verify its signature with the certificate that it carries; whose
    certificate that is, remains to be asked (``trust``).

    Raises:
        ChipRefusedError: it cannot be read, or its signature is wrong.
    """
    found = _verified(der.only(data, TAG).value)
    # Parsers are lenient; what they understood has to be what was sent.
    if found.signer.public_bytes(serialization.Encoding.DER) not in data:
        raise ChipRefusedError("unreadable")
    return found


def digest(algorithm: hashes.HashAlgorithm, data: bytes) -> bytes:
    """Return the hash of the bytes."""
    made = hashes.Hash(algorithm)
    made.update(data)
    return made.finalize()


def _verified(data: bytes) -> SecurityObject:
    content_info = _decoded(data, rfc5652.ContentInfo())
    if content_info["contentType"] != rfc5652.id_signedData:
        raise ChipRefusedError("unreadable")
    signed = _decoded(bytes(content_info["content"]), rfc5652.SignedData())
    content = signed["encapContentInfo"]
    if str(content["eContentType"]) != CONTENT_TYPE or len(signed["signerInfos"]) != 1:
        raise ChipRefusedError("unreadable")
    payload = bytes(content["eContent"])
    info = signed["signerInfos"][0]
    _check_frame(signed, info)
    signer = _signer(signed, info)
    _check_attributes(info, payload)
    _check_signature(info, signer)
    return _listed(payload, signer)


def _check_frame(signed: Any, info: Any) -> None:
    named = {str(algorithm["algorithm"]) for algorithm in signed["digestAlgorithms"]}
    if (
        int(signed["version"]) not in _VERSIONS
        or int(info["version"]) not in _SIGNER_VERSIONS
        or str(info["digestAlgorithm"]["algorithm"]) not in named
    ):
        raise ChipRefusedError("unreadable")


def _signer(signed: Any, info: Any) -> x509.Certificate:
    """Return the one embedded certificate that the signer's identifier names."""
    named = info["sid"]
    for choice in signed["certificates"]:
        certificate = x509.load_der_x509_certificate(encoder.encode(choice["certificate"]))
        if named.getName() == "issuerAndSerialNumber":
            wanted = named["issuerAndSerialNumber"]
            # The parser refuses a malformed name; byte equality is what Doc 9303 part 12 wants.
            if certificate.serial_number == int(wanted["serialNumber"]) and (
                certificate.issuer.public_bytes() == encoder.encode(wanted["issuer"])
            ):
                return certificate
        elif _key_identifier(certificate) == bytes(named["subjectKeyIdentifier"]):
            return certificate
    raise ChipRefusedError("signature-wrong")


def _key_identifier(certificate: x509.Certificate) -> bytes:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    except x509.ExtensionNotFound:
        return b""
    return found.value.digest


def _check_attributes(info: Any, payload: bytes) -> None:
    """Check the signed attributes: they must be there, name the content type and hash the content
    (RFC 5652 §5.3 and §5.4).
    """
    algorithm = HASHES.get(str(info["digestAlgorithm"]["algorithm"]))
    if algorithm is None:
        raise ChipRefusedError("algorithm-unsuitable")
    attributes: dict[str, list[Any]] = {}
    for attribute in info["signedAttrs"]:
        name = str(attribute["attrType"])
        if name in attributes:
            raise ChipRefusedError("signature-wrong")
        attributes[name] = [bytes(value) for value in attribute["attrValues"]]
    kind = attributes.get(str(rfc5652.id_contentType), [])
    hashed = attributes.get(str(rfc5652.id_messageDigest), [])
    if len(kind) != 1 or len(hashed) != 1:
        raise ChipRefusedError("signature-wrong")
    if str(_decoded(kind[0], univ.ObjectIdentifier())) != CONTENT_TYPE:
        raise ChipRefusedError("signature-wrong")
    signed_hash = bytes(_decoded(hashed[0], univ.OctetString()))
    if not hmac.compare_digest(signed_hash, digest(algorithm, payload)):
        raise ChipRefusedError("signature-wrong")


def _check_signature(info: Any, signer: x509.Certificate) -> None:
    # What was signed are the attributes as a plain SET, not under their implicit tag.
    attributes = univ.SetOf(componentType=rfc5652.Attribute())
    attributes.extend(info["signedAttrs"])
    text, signature = encoder.encode(attributes), bytes(info["signature"])
    name = str(info["signatureAlgorithm"]["algorithm"])
    own_hash = HASHES[str(info["digestAlgorithm"]["algorithm"])]
    key = signer.public_key()
    try:
        if isinstance(key, ec.EllipticCurvePublicKey) and name in _ECDSA:
            key.verify(signature, text, ec.ECDSA(_ECDSA[name]))
        elif isinstance(key, rsa.RSAPublicKey) and (name in _RSA or name == _RSA_PLAIN):
            key.verify(signature, text, padding.PKCS1v15(), _RSA.get(name, own_hash))
        elif isinstance(key, rsa.RSAPublicKey) and name == _RSA_PSS:
            pss = padding.PSS(padding.MGF1(own_hash), padding.PSS.AUTO)
            key.verify(signature, text, pss, own_hash)
        else:
            raise ChipRefusedError("algorithm-unsuitable")
    except (InvalidSignature, UnsupportedAlgorithm) as error:
        raise ChipRefusedError("signature-wrong") from error


def _listed(payload: bytes, signer: x509.Certificate) -> SecurityObject:
    version, algorithm, listed = der.only(payload, der.SEQUENCE).children()[:3]
    if (version.tag, listed.tag) != (der.INTEGER, der.SEQUENCE):
        raise ChipRefusedError("unreadable")
    identifier = algorithm.children()[0]
    name = str(_decoded(der.encoded(identifier.tag, identifier.value), univ.ObjectIdentifier()))
    if name not in HASHES:
        raise ChipRefusedError("algorithm-unsuitable")
    digests: dict[int, bytes] = {}
    for entry in listed.children():
        number, value = entry.children()
        group = int.from_bytes(number.value, "big")
        if (number.tag, value.tag) != (der.INTEGER, der.OCTETS) or group in digests:
            raise ChipRefusedError("unreadable")
        digests[group] = value.value
    return SecurityObject(signer, HASHES[name], digests)


def _decoded(data: bytes, shape: Any) -> Any:
    value, rest = decoder.decode(data, asn1Spec=shape)
    if rest:
        raise ChipRefusedError("unreadable")
    return value
