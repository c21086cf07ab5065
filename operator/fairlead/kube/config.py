"""The API server's address and our credentials, from a kubeconfig or a pod's service account."""

import base64
import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

_POD_SECRETS = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class ConfigError(Exception):
    """The kubeconfig is missing, incomplete or requires an unsupported feature."""


@dataclass(frozen=True)
class ClusterConfig:
    """An API server and credentials."""

    server: str
    namespace: str
    ca: str | None
    """The certificate authority as PEM; None for the system's."""
    token: str | None
    token_file: Path | None
    """If set, read for each request, because service account tokens rotate."""
    client_certificate: Path | None
    client_key: Path | None
    verify: bool

    def bearer(self) -> str | None:
        """Return the bearer token for the next request."""
        return self.token_file.read_text().strip() if self.token_file else self.token

    def ssl_context(self) -> ssl.SSLContext | bool:
        """Return the `ssl` argument for aiohttp."""
        if not self.server.startswith("https"):
            return False
        context = ssl.create_default_context(cadata=self.ca) if self.ca else ssl.create_default_context()
        if not self.verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if self.client_certificate:
            context.load_cert_chain(self.client_certificate, self.client_key)
        return context


def load_config(kubeconfig: Path | None = None) -> ClusterConfig:
    """Load `kubeconfig`, $KUBECONFIG, the pod's service account or ~/.kube/config, the first that exists.

    Raises ConfigError.
    """
    if kubeconfig is None and "KUBECONFIG" in os.environ:
        kubeconfig = Path(os.environ["KUBECONFIG"].split(os.pathsep)[0])
    if kubeconfig is None and (_POD_SECRETS / "token").exists():
        return _in_cluster()
    return _from_file(kubeconfig or Path.home() / ".kube" / "config")


def _in_cluster() -> ClusterConfig:
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    return ClusterConfig(
        server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        namespace=(_POD_SECRETS / "namespace").read_text().strip(),
        ca=(_POD_SECRETS / "ca.crt").read_text(),
        token=None,
        token_file=_POD_SECRETS / "token",
        client_certificate=None,
        client_key=None,
        verify=True,
    )


def _from_file(path: Path) -> ClusterConfig:
    if not path.exists():
        raise ConfigError(f"kubeconfig {path}: no such file; set KUBECONFIG or run `fairlead up`")
    document = yaml.safe_load(path.read_text()) or {}
    context = _entry(document, "contexts", document.get("current-context"), "context", path)
    cluster = _entry(document, "clusters", context.get("cluster"), "cluster", path)
    user = _entry(document, "users", context.get("user"), "user", path)
    if "exec" in user or "auth-provider" in user:
        raise ConfigError(
            f"kubeconfig {path}: user {context.get('user')!r} authenticates with a plugin; the operator "
            "expects a token or a client certificate"
        )
    ca = _data_or_file(cluster, "certificate-authority", path)
    token_file = user.get("tokenFile")
    return ClusterConfig(
        server=cluster["server"].rstrip("/"),
        namespace=context.get("namespace") or "default",
        ca=ca.read_text() if ca else None,
        token=user.get("token"),
        token_file=Path(token_file) if token_file else None,
        client_certificate=_data_or_file(user, "client-certificate", path),
        client_key=_data_or_file(user, "client-key", path),
        verify=not cluster.get("insecure-skip-tls-verify", False),
    )


def _entry(document: dict[str, Any], section: str, name: str | None, key: str, path: Path) -> dict[str, Any]:
    for item in document.get(section) or []:
        if item.get("name") == name:
            return dict(item.get(key) or {})
    raise ConfigError(f"kubeconfig {path}: {section} has no entry {name!r}")


def _data_or_file(entry: dict[str, Any], key: str, kubeconfig: Path) -> Path | None:
    """Return the file of a certificate or key. Inline data is written to a private file: OpenSSL loads only files."""
    if file := entry.get(key):
        return kubeconfig.parent / str(file)
    if data := entry.get(f"{key}-data"):
        return _private_file(base64.b64decode(data))
    return None


def _private_file(content: bytes) -> Path:
    descriptor = os.memfd_create("fairlead-credential")
    os.write(descriptor, content)
    return Path(f"/proc/self/fd/{descriptor}")
