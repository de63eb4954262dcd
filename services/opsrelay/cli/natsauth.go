// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/natsauth"
)

const natsAuthLong = `Nats-auth makes what a NATS server needs to know its users apart: a key for each
service, whose public half stands in the server's configuration with the few
subjects that the service may use; with --tls also certificates, without which
nobody is let on. It talks to no server and to no cluster; it writes files:

  nats-server.yaml         Secret for the server: auth.conf, and its certificate
  nats-<user>.yaml         Secret for each service: nkey.seed, and its certificate
  nats-operator.yaml       the same for the commands for people (timeline, pause-phase ...)
  nats-sys.yaml            key for monitoring (nats server report ...)
  nats-auth.state          who is let on, by public keys; no secret
  authority.crt, .key      with --tls: what signs the certificates

Whoever can read the directory can be any of the services: keep it where secrets
are kept, authority.key above all. The files are needed to change anything later.

Set it up:
  1. kubectl apply -f DIR
  2. Mount Secret nats-server in the NATS server at --mount, as a directory, and
     have the server's own configuration, which enables jetstream, include its
     auth.conf. NATS takes every such path as relative to the file that says it:
     in /etc/nats-config/nats.conf it is "include ../nats-auth/auth.conf".
  3. Mount Secret nats-<user> in the service as a directory (no subPath: files
     would not be renewed), and start it with
       --nats-nkey .../nkey.seed --nats-ca .../ca.crt --nats-cert .../tls.crt --nats-key .../tls.key
     The last three only with --tls.

Rotate a user without a moment in which nobody is let on:
  1. opsrelay nats-auth --output DIR --rotate pauser
     The server is to know two keys of the pauser, its Secret has the newer one.
  2. kubectl apply -f DIR/nats-server.yaml, and have the server read it (SIGHUP, or
     nats-server --signal reload; the Helm chart's reloader does it by itself).
     Nobody is disconnected.
  3. kubectl apply -f DIR/nats-pauser.yaml, and have the service reconnect:
     kubectl rollout restart deployment/pauser
  4. opsrelay nats-auth --output DIR --retire pauser, and step 2 again.
"--rotate server" renews the server's certificate; only step 2 follows. A user that
an older version made the directory without gets its first key by --rotate, too.

A third party gets an account of its own and reads facts and progress through two
durable consumers under its own name, asked for with the prefix ` + natsauth.SubscriberPrefix + `:
  1. opsrelay nats-auth --output DIR --subscriber partner
     A directory that has users already gets one more. Apply and reload.
  2. opsrelay nats-auth durables partner --nats-url ... --nats-nkey DIR-of-nats-provision/nkey.seed
  3. nats --nkey nkey.seed --js-api-prefix ` + natsauth.SubscriberPrefix + ` --inbox-prefix _INBOX_partner \
       consumer next OPSRELAY partner`

// defaultMount is where the server finds its Secret.
const defaultMount = "/etc/nats-auth"

// natsAuth is what the command is asked for.
type natsAuth struct {
	options        natsauth.Options
	output         string
	rotate, retire string
	force          bool
	format         string
}

func natsAuthCommand() *cobra.Command {
	n := &natsAuth{}
	cmd := &cobra.Command{
		Use:   "nats-auth",
		Short: "Make keys, rights and certificates for NATS",
		Long:  natsAuthLong,
		Example: `  opsrelay nats-auth --output ./nats-auth
  opsrelay nats-auth --output ./nats-auth --tls --san nats --san nats.opsrelay.svc
  opsrelay nats-auth --output ./nats-auth --subscriber billing
  opsrelay nats-auth --output ./nats-auth --rotate pauser`,
		GroupID: groupSetUp,
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return n.run(cmd.OutOrStdout()) },
	}
	flags := cmd.Flags()
	flags.StringVar(&n.output, "output", "", "directory to write to, and to read from when something is changed")
	flags.StringVar(&n.options.Namespace, "namespace", "opsrelay", "namespace of the Secrets")
	flags.StringVar(&n.options.Mount, "mount", defaultMount, "directory in which the NATS server finds its Secret")
	flags.BoolVar(&n.options.TLS, "tls", false, "make certificates, and have the server ask for them")
	flags.StringSliceVar(&n.options.Names, "san", []string{"nats", "localhost", "127.0.0.1"}, "DNS name or IP address under which clients reach the server; may be repeated")
	flags.StringSliceVar(&n.options.Subscribers, "subscriber", nil, "name of a third party that may read; may be repeated")
	flags.StringVar(&n.rotate, "rotate", "", "user, or server, that gets a new key and certificate; a user's older key stays valid")
	flags.StringVar(&n.retire, "retire", "", "user whose older key is no longer valid")
	flags.BoolVar(&n.force, "force", false, "create everything again in a directory that has users: none of the old keys is let on any more")
	flags.StringVarP(&n.format, "format", "o", "text", "how to say what was written: text or json")
	if err := cmd.MarkFlagRequired("output"); err != nil {
		panic(err) // it is defined above
	}
	cmd.MarkFlagsMutuallyExclusive("rotate", "retire", "force")
	cmd.MarkFlagsMutuallyExclusive("rotate", "retire", "subscriber")
	cmd.AddCommand(durablesCommand())
	return cmd
}

func (n *natsAuth) run(out io.Writer) error {
	if n.format != "text" && n.format != "json" {
		return fmt.Errorf("--format: %q is neither text nor json", n.format)
	}
	set, files, err := n.change()
	if err != nil {
		return err
	}
	if err := files.Write(n.output); err != nil {
		return err
	}
	return n.tell(out, set, files.Names())
}

// change makes or changes the set of users.
func (n *natsAuth) change() (*natsauth.Set, natsauth.Files, error) {
	exists := natsauth.Exists(n.output)
	if n.force || !exists && n.rotate == "" && n.retire == "" {
		return natsauth.New(n.options)
	}
	set, err := natsauth.Load(n.output)
	if err != nil {
		return nil, nil, err
	}
	var files natsauth.Files
	switch {
	case n.rotate != "":
		files, err = set.Rotate(n.rotate)
	case n.retire != "":
		files, err = set.Retire(n.retire)
	case len(n.options.Subscribers) > 0:
		files, err = set.Add(n.options.Subscribers...)
	default:
		err = fmt.Errorf("%s has users already; --rotate, --retire or --subscriber changes them, --force creates all of them again", n.output)
	}
	return set, files, err
}

// tell says what was written, and nothing secret.
func (n *natsAuth) tell(out io.Writer, set *natsauth.Set, written []string) error {
	if n.format == "json" {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(map[string]any{"directory": n.output, "written": written, "users": set.Users, "tls": set.TLS})
	}
	for _, name := range written {
		if _, err := fmt.Fprintf(out, "%s/%s\n", n.output, name); err != nil {
			return err
		}
	}
	next := "Next: kubectl apply -f " + n.output + ", then have the NATS server read its configuration again."
	if n.rotate != "" && n.rotate != natsauth.ServerName {
		next = fmt.Sprintf("Next: apply nats-server.yaml and have the NATS server read it, apply %s.yaml and have the %s reconnect, then --retire %s.",
			natsauth.SecretName(n.rotate), n.rotate, n.rotate)
	}
	_, err := fmt.Fprintln(out, next)
	return err
}

// durablesCommand creates the consumers of third parties, which they have no
// right to create themselves.
func durablesCommand() *cobra.Command {
	config := bus.Config{Name: natsauth.ProvisionUser}
	cmd := &cobra.Command{
		Use:   "durables SUBSCRIBER...",
		Short: "Create the durable consumers of third parties",
		Long: `Durables creates the two consumers, on facts and on progress, through which a
third party reads, or brings them up to date. It takes the key of the user
provision. Third parties may not create consumers: one can be told to deliver
to any subject, and so be used to publish.`,
		Example: "  opsrelay nats-auth durables billing --nats-url nats://nats:4222 --nats-nkey /etc/nats/nkey.seed",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, names []string) (err error) {
			slices.Sort(names)
			ctx, cancel := context.WithTimeout(cmd.Context(), provisionTimeout)
			defer cancel()
			b, err := bus.Connect(ctx, config)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, b.Close(ctx)) }()
			for _, name := range slices.Compact(names) {
				if err := natsauth.ProvisionSubscriber(ctx, b.JetStream(), name); err != nil {
					return errors.Join(err, b.Ready())
				}
				for _, consumer := range natsauth.SubscriberConsumers(name) {
					if _, err := fmt.Fprintf(cmd.OutOrStdout(), "consumer %s of stream %s is as it should be\n", consumer.Name, consumer.Stream); err != nil {
						return err
					}
				}
			}
			return nil
		},
	}
	config.AddFlags(cmd.Flags())
	return cmd
}
