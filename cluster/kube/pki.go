// The keys and certificates of a local control plane: `kube pki FOLDER` writes them, once.
//
// A program of this binary and not of the Python side, because Go's standard library makes keys and Python's does not.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

const validity = 10 * 365 * 24 * time.Hour

type pair struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func init() {
	programs["pki"] = func() {
		if len(os.Args) < 3 {
			fmt.Fprintln(os.Stderr, "usage: kube pki FOLDER SERVICE_IP: both are expected")
			os.Exit(2)
		}
		if err := writePKI(os.Args[1], net.ParseIP(os.Args[2])); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

func writePKI(folder string, serviceIP net.IP) error {
	if serviceIP == nil {
		return fmt.Errorf("SERVICE_IP: got %q, expected an IP address", os.Args[2])
	}
	authority := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "fairlead-local"},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	ca, err := write(folder, "ca", authority, nil)
	if err != nil {
		return err
	}
	loopback := net.IPv4(127, 0, 0, 1)
	leaves := map[string]*x509.Certificate{
		"apiserver": {
			Subject:     pkix.Name{CommonName: "kube-apiserver"},
			DNSNames:    []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"},
			IPAddresses: []net.IP{loopback, serviceIP},
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		},
		"apiserver-node-client": {
			Subject:     pkix.Name{CommonName: "kube-apiserver-node-client"},
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		},
		"node": {
			Subject:     pkix.Name{CommonName: "system:node:local", Organization: []string{"system:nodes"}},
			IPAddresses: []net.IP{loopback},
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		},
		// Only the key of this one is used: it signs service account tokens.
		"service-account": {Subject: pkix.Name{CommonName: "service-account"}},
	}
	for name, template := range leaves {
		template.KeyUsage = x509.KeyUsageDigitalSignature
		if _, err := write(folder, name, template, ca); err != nil {
			return err
		}
	}
	return nil
}

// write makes a key and a certificate signed by issuer (by itself where issuer is nil) as NAME.key and NAME.crt.
func write(folder, name string, template *x509.Certificate, issuer *pair) (*pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)); err != nil {
		return nil, err
	}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(validity)
	if issuer == nil {
		issuer = &pair{template, key}
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, issuer.certificate, key.Public(), issuer.key)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	if err := writePEM(filepath.Join(folder, name+".key"), "EC PRIVATE KEY", private); err != nil {
		return nil, err
	}
	if err := writePEM(filepath.Join(folder, name+".crt"), "CERTIFICATE", signed); err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(signed)
	return &pair{certificate, key}, err
}

func writePEM(path, kind string, content []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}), 0o600)
}
