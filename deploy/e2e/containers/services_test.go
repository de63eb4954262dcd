// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package containers

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/testcontainers/testcontainers-go"
	waitfor "github.com/testcontainers/testcontainers-go/wait"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/opsrelay/opsrelay/deploy/stack"
)

// namespace is where the service accounts are.
const namespace = "opsrelay"

// identityDirectory holds a service's kubeconfig and the files of its NATS user,
// as mounted secrets would. It is a volume: nothing can be copied into a read-only container.
const identityDirectory = "/run/opsrelay"

// scale makes that many replicas run. New ones may not be ready yet.
func (i *installation) scale(ctx context.Context, service string, replicas int) error {
	for len(i.services[service]) < replicas {
		replica, err := i.startService(ctx, service)
		if err != nil {
			return fmt.Errorf("start %s: %w", service, err)
		}
		i.services[service] = append(i.services[service], replica)
	}
	for last := len(i.services[service]) - 1; last >= replicas; last-- {
		if err := i.services[service][last].Terminate(ctx); err != nil {
			return fmt.Errorf("end %s: %w", service, err)
		}
		i.services[service] = i.services[service][:last]
	}
	return nil
}

func (i *installation) startService(ctx context.Context, service string) (*testcontainers.DockerContainer, error) {
	kubeconfig, err := i.kubeconfig(ctx, service)
	if err != nil {
		return nil, err
	}
	identity := files{"kubeconfig": string(kubeconfig)}
	options := []testcontainers.ContainerCustomizer{
		testcontainers.WithCmd(service, "--kubeconfig="+identityDirectory+"/kubeconfig", "--log-level=debug"), confined(),
	}
	if slices.Contains(stack.Relay, service) {
		secret, err := i.credentials.secret(service)
		if err != nil {
			return nil, err
		}
		maps.Copy(identity, secret)
		options = append(options, i.asNATSUser())
	}
	return i.start(ctx, imageOpsrelay, nil, append(options, i.withFiles(identityDirectory, identity))...)
}

// asNATSUser says where NATS is, and where the container finds the files of its
// NATS user.
func (i *installation) asNATSUser() testcontainers.CustomizeRequestOption {
	return testcontainers.WithEnv(map[string]string{
		"OPSRELAY_NATS_URL":  i.broker.url(),
		"OPSRELAY_NATS_NKEY": identityDirectory + "/nkey.seed",
		"OPSRELAY_NATS_CA":   identityDirectory + "/ca.crt",
		"OPSRELAY_NATS_CERT": identityDirectory + "/tls.crt",
		"OPSRELAY_NATS_KEY":  identityDirectory + "/tls.key",
	})
}

// runAs runs opsrelay as a NATS user to its end.
func (i *installation) runAs(ctx context.Context, user string, args ...string) error {
	secret, err := i.credentials.secret(user)
	if err != nil {
		return err
	}
	job, err := i.start(ctx, imageOpsrelay, nil, testcontainers.WithCmd(args...), confined(), i.asNATSUser(),
		i.withFiles(identityDirectory, secret), testcontainers.WithWaitStrategy(waitfor.ForExit().WithExitTimeout(readyTimeout)))
	if err != nil {
		return err
	}
	state, err := job.State(ctx)
	if err == nil && state.ExitCode != 0 {
		err = fmt.Errorf("opsrelay %s ended with %d: %s", strings.Join(args, " "), state.ExitCode, i.logOf(ctx, job))
	}
	return err
}

// confined takes from a container what Kubernetes' restricted policy takes from
// a pod, and the right to write to its own files.
func confined() testcontainers.CustomizeRequestOption {
	return testcontainers.WithHostConfigModifier(func(host *container.HostConfig) {
		host.ReadonlyRootfs = true
		host.CapDrop = []string{"ALL"}
		host.SecurityOpt = []string{"no-new-privileges"}
		host.Mounts = append(host.Mounts, mount.Mount{Type: mount.TypeVolume, Target: identityDirectory})
	})
}

// kubeconfig is that of the service's own service account: a token from the API,
// which can do what deploy/base allows, and nothing else.
func (i *installation) kubeconfig(ctx context.Context, service string) ([]byte, error) {
	hour := int64(time.Hour / time.Second)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &hour}}
	answer, err := i.clients.Core.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, service, request, metav1.CreateOptions{})
	if err != nil {
		return nil, err
	}
	config := clientcmdapi.NewConfig()
	config.Clusters[hostCluster] = &clientcmdapi.Cluster{Server: clusterURL, CertificateAuthorityData: i.config.CAData}
	config.AuthInfos[service] = &clientcmdapi.AuthInfo{Token: answer.Status.Token}
	config.Contexts[hostCluster] = &clientcmdapi.Context{Cluster: hostCluster, AuthInfo: service}
	config.CurrentContext = hostCluster
	return clientcmd.Write(*config)
}

// ready waits until every replica of every service is.
func (i *installation) ready(ctx context.Context) error {
	for _, service := range allServices() {
		for _, replica := range i.services[service] {
			if err := i.awaitOK(ctx, replica, "8080", "/readyz"); err != nil {
				return fmt.Errorf("%s is not ready: %w\n%s", service, err, i.logOf(ctx, replica))
			}
		}
	}
	return nil
}
