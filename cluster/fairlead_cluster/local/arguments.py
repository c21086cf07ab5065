"""The arguments of the control plane's components."""

from pathlib import Path

from fairlead_cluster.local.settings import ClusterSettings

# These reject loopback addresses, which the pods of the process node have; the node routes Services itself.
_UNUSED_CONTROLLERS = ("endpoints-controller", "endpointslice-controller", "endpointslice-mirroring-controller")


def build_commands(folder: Path, settings: ClusterSettings, with_controllers: bool) -> dict[str, list[str]]:
    """Return each component's arguments."""
    # Longer than 40 lines: one flag a line.
    pki = folder / "pki"
    etcd = f"https://127.0.0.1:{settings.etcd_port}"
    peer = f"https://127.0.0.1:{settings.etcd_peer_port}"
    return {
        "etcd": [
            f"--data-dir={folder / 'etcd'}",
            "--name=local",
            # a lost machine loses a disposable cluster; the kernel still writes what a killed etcd has handed it
            "--unsafe-no-fsync",
            "--log-level=warn",
            f"--listen-client-urls={etcd}",
            f"--advertise-client-urls={etcd}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=local={peer}",
            # without certificates, any user of this machine could write pods that run as this one
            *(
                f"--{prefix}{flag}"
                for prefix in ("", "peer-")
                for flag in (
                    f"cert-file={pki / 'apiserver.crt'}",
                    f"key-file={pki / 'apiserver.key'}",
                    f"trusted-ca-file={pki / 'ca.crt'}",
                    "client-cert-auth",
                )
            ),
        ],
        "kube-apiserver": [
            f"--etcd-servers={etcd}",
            f"--etcd-cafile={pki / 'ca.crt'}",
            f"--etcd-certfile={pki / 'apiserver-node-client.crt'}",
            f"--etcd-keyfile={pki / 'apiserver-node-client.key'}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            "--endpoint-reconciler-type=none",
            f"--secure-port={settings.api_port}",
            f"--service-cluster-ip-range={settings.service_range}",
            f"--tls-cert-file={pki / 'apiserver.crt'}",
            f"--tls-private-key-file={pki / 'apiserver.key'}",
            f"--token-auth-file={folder / 'tokens.csv'}",
            "--anonymous-auth=false",
            "--authorization-mode=Node,RBAC",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={pki / 'service-account.key'}",
            f"--service-account-signing-key-file={pki / 'service-account.key'}",
            f"--kubelet-certificate-authority={pki / 'ca.crt'}",
            f"--kubelet-client-certificate={pki / 'apiserver-node-client.crt'}",
            f"--kubelet-client-key={pki / 'apiserver-node-client.key'}",
            "--kubelet-preferred-address-types=InternalIP",
            "--enable-admission-plugins=NodeRestriction",
            # service accounts come from the controller manager; without it every pod would be rejected
            *([] if with_controllers else ["--disable-admission-plugins=ServiceAccount"]),
        ],
        "kube-controller-manager": [
            f"--kubeconfig={folder / 'controller-manager.kubeconfig'}",
            f"--service-account-private-key-file={pki / 'service-account.key'}",
            f"--root-ca-file={pki / 'ca.crt'}",
            "--use-service-account-credentials",
            # its default of 20 requests a second costs seconds at every start
            "--kube-api-qps=500",
            "--kube-api-burst=500",
            "--leader-elect=false",
            "--secure-port=0",
            f"--controllers=*,{','.join(f'-{name}' for name in _UNUSED_CONTROLLERS)}",
        ],
        "kube-scheduler": [
            f"--kubeconfig={folder / 'scheduler.kubeconfig'}",
            "--leader-elect=false",
            "--secure-port=0",
        ],
    }
