# The images that kubeadm and the pods' network ask for, made of two Go binaries and Debian packages.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS kubernetes
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends iptables conntrack ipset kmod iproute2 >/dev/null \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb
COPY kube /usr/local/bin/kube
RUN cd /usr/local/bin \
 && for name in kubectl etcd kube-apiserver kube-controller-manager kube-scheduler kube-proxy; do ln -s kube $name; done
COPY podnet/ /podnet/

FROM scratch AS coredns
COPY coredns /coredns
ENTRYPOINT ["/coredns"]

FROM scratch AS pause
COPY pause.bin /pause
ENTRYPOINT ["/pause"]
