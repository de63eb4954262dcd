// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package natsauth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"time"
)

// How long certificates are valid: the authority's far beyond that of those it
// signs, which are to be rotated.
const (
	authorityLifetime   = 10 * 365 * 24 * time.Hour
	certificateLifetime = 365 * 24 * time.Hour
	// clockSkew is how far the clocks of two machines may differ.
	clockSkew = 5 * time.Minute
)

// authority signs the certificates of the server and of its clients. It signs
// no others: who shows one of its certificates is let on to the server.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	// certPEM and keyPEM are both as files.
	certPEM, keyPEM []byte
}

func newAuthority() (*authority, error) {
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "Opsrelay NATS"},
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	certPEM, keyPEM, err := issue(template, authorityLifetime, nil)
	if err != nil {
		return nil, err
	}
	return parseAuthority(certPEM, keyPEM)
}

func parseAuthority(certPEM, keyPEM []byte) (*authority, error) {
	certBlock, _ := pem.Decode(certPEM)
	keyBlock, _ := pem.Decode(keyPEM)
	if certBlock == nil || keyBlock == nil {
		return nil, errors.New("read the authority: certificate or key is not PEM")
	}
	cert, err := x509.ParseCertificate(certBlock.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read the authority's certificate: %w", err)
	}
	key, err := x509.ParsePKCS8PrivateKey(keyBlock.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read the authority's key: %w", err)
	}
	private, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("read the authority's key: it is a %T, not ECDSA", key)
	}
	return &authority{cert: cert, key: private, certPEM: certPEM, keyPEM: keyPEM}, nil
}

// server returns a certificate for a server that is reached under the given DNS
// names and IP addresses.
func (a *authority) server(names []string) (certPEM, keyPEM []byte, _ error) {
	template := &x509.Certificate{
		Subject:  pkix.Name{CommonName: "nats"},
		KeyUsage: x509.KeyUsageDigitalSignature,
		// Servers of a cluster are each other's clients.
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	return issue(template, certificateLifetime, a)
}

// client returns a certificate for a user.
func (a *authority) client(user string) (certPEM, keyPEM []byte, _ error) {
	return issue(&x509.Certificate{
		Subject:     pkix.Name{CommonName: user, Organization: []string{"opsrelay"}},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, certificateLifetime, a)
}

// issue makes a key and a certificate for it, signed by the authority, or by
// itself where there is none.
func issue(template *x509.Certificate, lifetime time.Duration, by *authority) (certPEM, keyPEM []byte, _ error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make a key: %w", err)
	}
	template.NotBefore, template.NotAfter = time.Now().Add(-clockSkew), time.Now().Add(lifetime)
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	// Without a serial number in the template, a random one is chosen.
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return nil, nil, fmt.Errorf("make the certificate of %s: %w", template.Subject.CommonName, err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("write the key of %s: %w", template.Subject.CommonName, err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), nil
}
