// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package user

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/runtime"
)

// connectTimeout bounds the wait for a broker that does not answer: a person
// waits.
const connectTimeout = 15 * time.Second

// cluster is the connection to Kubernetes, with kubectl's own flags.
type cluster struct {
	flags         *genericclioptions.ConfigFlags
	allNamespaces bool
}

func newCluster(flags *pflag.FlagSet) *cluster {
	c := &cluster{flags: genericclioptions.NewConfigFlags(false)}
	c.flags.AddFlags(flags)
	return c
}

// addAllNamespaces adds the flag for commands that list.
func (c *cluster) addAllNamespaces(flags *pflag.FlagSet) {
	flags.BoolVarP(&c.allNamespaces, "all-namespaces", "A", false, "look into every namespace")
}

func (c *cluster) clients() (runtime.Clients, error) {
	config, err := c.flags.ToRESTConfig()
	if err != nil {
		return runtime.Clients{}, fmt.Errorf("no connection to Kubernetes: %w; name a kubeconfig with --kubeconfig", err)
	}
	return runtime.NewClients(runtime.ServiceConfig(config, "cli", ""))
}

// namespace is the one that the flags or the kubeconfig name; empty for all.
func (c *cluster) namespace() (string, error) {
	if c.allNamespaces {
		return "", nil
	}
	namespace, _, err := c.flags.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return "", fmt.Errorf("namespace of the kubeconfig: %w", err)
	}
	return namespace, nil
}

// object reads "namespace/name", or "name" in the namespace of the flags.
func (c *cluster) object(argument string) (types.NamespacedName, error) {
	namespace, name, both := strings.Cut(argument, "/")
	if !both {
		var err error
		if name, namespace = argument, ""; name != "" {
			if namespace, err = c.namespace(); err != nil {
				return types.NamespacedName{}, err
			}
		}
	}
	if namespace == "" || name == "" || strings.Contains(name, "/") {
		return types.NamespacedName{}, fmt.Errorf("%q is not NAMESPACE/NAME", argument)
	}
	return types.NamespacedName{Namespace: namespace, Name: name}, nil
}

// broker is the connection to NATS.
type broker struct{ config bus.Config }

func newBroker(flags *pflag.FlagSet) *broker {
	b := &broker{config: bus.Config{Name: "operator"}}
	b.config.AddFlags(flags)
	return b
}

// do connects, calls work, and closes the connection.
func (b *broker) do(ctx context.Context, work func(context.Context, *bus.Bus) error) error {
	connecting, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := bus.Connect(connecting, b.config)
	if err != nil {
		return err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), connectTimeout)
		defer cancel()
		_ = conn.Close(closing) // what matters was answered
	}()
	return work(ctx, conn)
}
