// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package provisioner

import (
	"context"
	"crypto/rand"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/opsrelay/opsrelay/services/kubedb"
)

func (c *Controller) ensureServiceAccount(ctx context.Context, db *kubedb.Singlestore) error {
	account := &corev1.ServiceAccount{ObjectMeta: objectMeta(db, db.ServiceAccountName(), db.OffshootLabels())}
	return create(ctx, c.accounts, "service account", account, c.cfg.Kubernetes.CoreV1().ServiceAccounts(db.Namespace).Create)
}

// ensureAuthSecret makes the root user's credentials, unless they come from elsewhere: a Secret that the user names may be
// there without our labels, so the API server is asked.
func (c *Controller) ensureAuthSecret(ctx context.Context, db *kubedb.Singlestore) error {
	if named := db.Spec.AuthSecret; named != nil && named.Name != "" {
		if named.ExternallyManaged {
			return nil
		}
		_, err := c.cfg.Kubernetes.CoreV1().Secrets(db.Namespace).Get(ctx, named.Name, metav1.GetOptions{})
		if !apierrors.IsNotFound(err) {
			return err
		}
	}
	secret := &corev1.Secret{
		ObjectMeta: objectMeta(db, db.AuthSecretName(), db.OffshootLabels()),
		Type:       corev1.SecretTypeBasicAuth,
		StringData: map[string]string{
			corev1.BasicAuthUsernameKey: kubedb.RootUser,
			corev1.BasicAuthPasswordKey: rand.Text(), // 128 bits or more
		},
	}
	secret.OwnerReferences = nil
	return create(ctx, c.secrets, "secret", secret, c.cfg.Kubernetes.CoreV1().Secrets(db.Namespace).Create)
}

func (c *Controller) ensureServices(ctx context.Context, db *kubedb.Singlestore) error {
	for _, service := range newServices(db) {
		if err := create(ctx, c.services, "service", service, c.cfg.Kubernetes.CoreV1().Services(db.Namespace).Create); err != nil {
			return err
		}
	}
	return nil
}

// newServices are the primary Service, which leads to the nodes that take queries, and the governing one, which gives
// every pod a name in DNS, ready or not.
func newServices(db *kubedb.Singlestore) []*corev1.Service {
	selector := db.Selectors()
	if components := db.Components(); len(components) > 0 {
		selector = db.ComponentSelectors(components[0].Name)
	}
	primary := &corev1.Service{
		ObjectMeta: objectMeta(db, db.ServiceName(), db.OffshootLabels()),
		Spec: corev1.ServiceSpec{
			Selector: selector,
			Ports:    []corev1.ServicePort{servicePort("db", kubedb.PortDatabase), servicePort("studio", kubedb.PortStudio)},
		},
	}
	governing := &corev1.Service{
		ObjectMeta: objectMeta(db, db.GoverningServiceName(), db.OffshootLabels()),
		Spec: corev1.ServiceSpec{
			ClusterIP:                corev1.ClusterIPNone,
			Selector:                 db.Selectors(),
			Ports:                    []corev1.ServicePort{servicePort("db", kubedb.PortDatabase)},
			PublishNotReadyAddresses: true,
		},
	}
	return []*corev1.Service{primary, governing}
}

func servicePort(name string, port int32) corev1.ServicePort {
	return corev1.ServicePort{Name: name, Port: port, TargetPort: intstr.FromString(name), Protocol: corev1.ProtocolTCP}
}
