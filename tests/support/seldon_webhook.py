"""A stand-in for the webhook of Seldon Core that adds defaults, which a real API server calls."""

import base64
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.api_server import Kubectl
from tests.support.seldon import add_defaults

_NAME = "seldon-defaults"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        request = review["request"]
        defaulted = add_defaults(request["object"])
        patch = json.dumps([{"op": "replace", "path": "/spec", "value": defaulted["spec"]}])
        answer = {"uid": request["uid"], "allowed": True, "patchType": "JSONPatch"}
        answer["patch"] = base64.b64encode(patch.encode()).decode()
        body = json.dumps({"apiVersion": review["apiVersion"], "kind": review["kind"], "response": answer}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def adding_defaults(kubectl: Kubectl, folder: Path) -> Iterator[None]:
    """Let the API server call a webhook that adds defaults to SeldonDeployments."""
    certificate = _write_certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "webhook.pem", folder / "webhook.key")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    rule = {"apiGroups": ["machinelearning.seldon.io"], "apiVersions": ["v1"], "resources": ["seldondeployments"],
            "operations": ["CREATE", "UPDATE"]}  # fmt: skip
    client = {
        "url": f"https://127.0.0.1:{server.server_address[1]}/",
        "caBundle": base64.b64encode(certificate).decode(),
    }
    webhook = {"name": "defaults.seldon.test", "rules": [rule], "clientConfig": client, "sideEffects": "None",
               "admissionReviewVersions": ["v1"], "failurePolicy": "Fail"}  # fmt: skip
    kubectl.apply({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": _NAME}, "webhooks": [webhook],
    })  # fmt: skip
    try:
        yield
    finally:
        kubectl("delete", "mutatingwebhookconfiguration", _NAME)
        server.shutdown()
        server.server_close()


def _write_certificate(folder: Path) -> bytes:
    """Write a key and a certificate of 127.0.0.1, signed by itself; return the certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "webhook")])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    content = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "webhook.pem").write_bytes(content)
    (folder / "webhook.key").write_bytes(private)
    return content
