"""A certificate authority of one run: it signs for the local broker, its registry, and clients that come with mTLS.

Needs `cryptography`, which is in the extra `local`.
"""

from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from samenloop import clock

CA, CERTIFICATE, KEY, BOTH = "ca.crt", "user.crt", "user.key", "both.pem"
"""Files; the first three as in the secrets of Strimzi, the last holds key and certificate, as Kafka wants them."""
_VALID, _SKEW = timedelta(days=365), timedelta(minutes=5)


class Authority:
    """Signs certificates for loopback. Its own key is never written, so nobody can sign once the process has ended.

    *folder* gets `ca.crt`, and a folder for each certificate, which only we may read.
    """

    def __init__(self, folder: Path, *, name: str = "samenloop-local") -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        of_us = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        own = self._begun(self._name, self._key.public_key(), ca=True).add_extension(of_us, critical=False)
        self.certificate.write_bytes(own.sign(self._key, SHA256()).public_bytes(Encoding.PEM))

    @property
    def certificate(self) -> Path:
        """The file that clients trust."""
        return self._folder / CA

    def issue(self, name: str) -> Path:
        """Make a key and a certificate with *name* as common name; return their folder."""
        key = ec.generate_private_key(ec.SECP256R1())
        hosts = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))])
        signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        begun = self._begun(_named(name), key.public_key(), ca=False)
        made = begun.add_extension(hosts, critical=False).add_extension(signer, critical=False)
        certificate = made.sign(self._key, SHA256()).public_bytes(Encoding.PEM)
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        folder = self._folder / name
        folder.mkdir(mode=0o700, exist_ok=True)
        for file, content in ((CERTIFICATE, certificate), (KEY, private), (BOTH, private + certificate)):
            (folder / file).touch(mode=0o600)
            (folder / file).write_bytes(content)
        return folder

    def _begun(self, subject: x509.Name, key: ec.EllipticCurvePublicKey, *, ca: bool) -> x509.CertificateBuilder:
        now = clock.now()
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _SKEW)
            .not_valid_after(now + _VALID)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=0 if ca else None), critical=True)
            .add_extension(_usage(ca=ca), critical=True)
        )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def _usage(*, ca: bool) -> x509.KeyUsage:
    """Python 3.13 and later refuse an authority that does not say it may sign."""
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )
