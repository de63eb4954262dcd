// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// validity is that of every certificate; a data directory is not meant to live longer.
const validity = 365 * 24 * time.Hour

// pki is the cluster's certificate authority and its files. The authority and
// the key of the service accounts' tokens are kept in the data directory, so
// that kubeconfigs and tokens outlive a restart; the rest is issued again.
type pki struct {
	dir   string
	ca    *x509.Certificate
	key   *ecdsa.PrivateKey
	caPEM []byte
}

func openPKI(dir string) (*pki, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of keys: %w", err)
	}
	p := &pki{dir: dir}
	err := p.loadCA()
	if errors.Is(err, fs.ErrNotExist) {
		err = p.makeCA()
	}
	if err != nil {
		return nil, fmt.Errorf("open the certificate authority in %s (delete the directory to get a new one): %w", dir, err)
	}
	return p, p.ensureServiceAccountKey()
}

// Paths of the files in the directory of keys.
func (p *pki) caFile() string                { return filepath.Join(p.dir, "ca.crt") }
func (p *pki) caKeyFile() string             { return filepath.Join(p.dir, "ca.key") }
func (p *pki) serviceAccountKeyFile() string { return filepath.Join(p.dir, "service-accounts.key") }
func (p *pki) servingFiles() (cert, key string) {
	return filepath.Join(p.dir, "apiserver.crt"), filepath.Join(p.dir, "apiserver.key")
}

func (p *pki) loadCA() error {
	certPEM, err := os.ReadFile(p.caFile())
	if err != nil {
		return err
	}
	keyPEM, err := os.ReadFile(p.caKeyFile())
	if err != nil {
		return err
	}
	certBlock, _ := pem.Decode(certPEM)
	keyBlock, _ := pem.Decode(keyPEM)
	if certBlock == nil || keyBlock == nil {
		return errors.New("not PEM")
	}
	if p.ca, err = x509.ParseCertificate(certBlock.Bytes); err != nil {
		return err
	}
	p.caPEM = certPEM
	p.key, err = x509.ParseECPrivateKey(keyBlock.Bytes)
	return err
}

func (p *pki) makeCA() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := newCertificate(pkix.Name{CommonName: "devcluster"})
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	if p.ca, err = x509.ParseCertificate(der); err != nil {
		return err
	}
	p.key, p.caPEM = key, encodeCertificate(der)
	keyPEM, err := encodeKey(key)
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(p.caKeyFile(), keyPEM, 0o600), os.WriteFile(p.caFile(), p.caPEM, 0o600))
}

func (p *pki) ensureServiceAccountKey() error {
	if _, err := os.Stat(p.serviceAccountKeyFile()); err == nil {
		return nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make the key of service account tokens: %w", err)
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return err
	}
	return os.WriteFile(p.serviceAccountKeyFile(), keyPEM, 0o600)
}

// issueServing writes the API's certificate, valid for the given host names and addresses.
func (p *pki) issueServing(hosts []string) error {
	template := newCertificate(pkix.Name{CommonName: "kube-apiserver"})
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	certPEM, keyPEM, err := p.issue(template)
	if err != nil {
		return err
	}
	certFile, keyFile := p.servingFiles()
	return errors.Join(os.WriteFile(certFile, certPEM, 0o600), os.WriteFile(keyFile, keyPEM, 0o600))
}

// issueClient returns a certificate that the API takes for the given user.
func (p *pki) issueClient(user string, groups ...string) (certPEM, keyPEM []byte, err error) {
	template := newCertificate(pkix.Name{CommonName: user, Organization: groups})
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return p.issue(template)
}

func (p *pki) issue(template *x509.Certificate) (certPEM, keyPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make a key: %w", err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, p.ca, key.Public(), p.key)
	if err != nil {
		return nil, nil, fmt.Errorf("issue a certificate for %s: %w", template.Subject.CommonName, err)
	}
	keyPEM, err = encodeKey(key)
	return encodeCertificate(der), keyPEM, err
}

// newCertificate is valid from an hour ago, because clocks differ.
func newCertificate(subject pkix.Name) *x509.Certificate {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		serial = big.NewInt(time.Now().UnixNano())
	}
	now := time.Now()
	return &x509.Certificate{
		Subject:      subject,
		SerialNumber: serial,
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.Add(validity),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
}

func encodeCertificate(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode a key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), nil
}
