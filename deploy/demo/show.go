// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// What the demo creates: the names of KubeDB's guide.
const (
	namespace = "demo"
	database  = "sample-sdb"
	request   = "sdb-online-vol-expansion"
)

// createDatabase creates the Singlestore of KubeDB's guide and waits until it is
// Ready.
func (d *demo) createDatabase(ctx context.Context) error {
	_, err := d.clients.Core.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	d.say("creating Singlestore %s/%s: 1 aggregator of 1Gi, 2 leaves of 10Gi ...", namespace, database)
	began := time.Now()
	if _, err := d.clients.KubeDB.Singlestores(namespace).Create(ctx, guideDatabase(), metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create the database: %w", err)
	}
	err = d.clients.KubeDB.WaitSinglestore(ctx, namespace, database, func(db *kubedb.Singlestore) bool {
		return db != nil && db.Status.Phase == kubedb.DatabaseReady
	})
	if err != nil {
		return fmt.Errorf("the database did not become Ready: %w", err)
	}
	d.say("  Ready after %.1f s", time.Since(began).Seconds())
	return nil
}

func guideDatabase() *kubedb.Singlestore {
	one, two := int32(1), int32(2)
	node := func(replicas *int32, size string) *kubedb.Node {
		return &kubedb.Node{Replicas: replicas, Storage: &corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)}},
		}}
	}
	return &kubedb.Singlestore{
		ObjectMeta: metav1.ObjectMeta{Name: database, Namespace: namespace},
		Spec: kubedb.SinglestoreSpec{
			Version:       "8.7.10",
			StorageType:   kubedb.StorageDurable,
			LicenseSecret: &kubedb.SecretReference{Kind: "Secret", Name: "license-secret"},
			Topology:      &kubedb.Topology{Aggregator: node(&one, "1Gi"), Leaf: node(&two, "10Gi")},
		},
	}
}

// expand creates the request and shows every fact and every stage of a volume
// until the chain ends.
func (d *demo) expand(ctx context.Context) error {
	before, err := d.volumes(ctx)
	if err != nil {
		return err
	}
	connection, err := nats.Connect(d.nats, nats.Name("demo"))
	if err != nil {
		return fmt.Errorf("subscribe to the relay: %w", err)
	}
	defer connection.Close()
	messages := make(chan jetstream.Msg, 64)
	if err := subscribe(ctx, connection, messages); err != nil {
		return fmt.Errorf("subscribe to the relay: %w", err)
	}
	aggregator, leaf := resource.MustParse("2Gi"), resource.MustParse("11Gi")
	began := time.Now()
	created, err := d.clients.KubeDB.SinglestoreOpsRequests(namespace).Create(ctx, &kubedb.SinglestoreOpsRequest{
		ObjectMeta: metav1.ObjectMeta{Name: request, Namespace: namespace},
		Spec: kubedb.SinglestoreOpsRequestSpec{
			DatabaseRef:     corev1.LocalObjectReference{Name: database},
			Type:            kubedb.TypeVolumeExpansion,
			VolumeExpansion: &kubedb.VolumeExpansion{Mode: kubedb.ModeOnline, Aggregator: &aggregator, Leaf: &leaf},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("create the request: %w", err)
	}
	d.say("\nSinglestoreOpsRequest %s/%s: aggregator 2Gi, leaf 11Gi, Online", namespace, request)
	end, err := d.show(ctx, messages, string(created.UID), began)
	if err != nil {
		return err
	}
	after, err := d.volumes(ctx)
	if err != nil {
		return err
	}
	d.say("\n%s", table(before, after))
	if end.Operation.Outcome != events.OutcomeSuccessful {
		return fmt.Errorf("the request ended %s: %w", end.Operation.Outcome, end.Operation.Failure)
	}
	d.say("from the request to the resumed database: %.2f s", end.Time.Sub(began).Seconds())
	return nil
}

// subscribe delivers every fact and progress from now on, as any third party can
// have it.
func subscribe(ctx context.Context, connection *nats.Conn, messages chan<- jetstream.Msg) error {
	js, err := jetstream.New(connection)
	if err != nil {
		return err
	}
	for stream, filter := range map[string]string{events.Stream: events.AllFacts, events.ProgressStream: events.AllProgress} {
		consumer, err := js.OrderedConsumer(ctx, stream, jetstream.OrderedConsumerConfig{FilterSubjects: []string{filter}, DeliverPolicy: jetstream.DeliverNewPolicy})
		if err != nil {
			return err
		}
		if _, err := consumer.Consume(func(message jetstream.Msg) { messages <- message }); err != nil {
			return err
		}
	}
	return nil
}

// show prints what is told of the request, and returns the fact that ends it.
func (d *demo) show(ctx context.Context, messages <-chan jetstream.Msg, uid string, began time.Time) (events.Event, error) {
	for {
		select {
		case message := <-messages:
			if strings.HasPrefix(message.Subject(), strings.TrimSuffix(events.AllProgress, ">")) {
				d.showProgress(message, uid, began)
				continue
			}
			event, err := events.Decode(message.Subject(), message.Headers(), message.Data())
			if err != nil {
				return events.Event{}, err
			}
			if event.ChainKey().UID != uid {
				continue
			}
			d.say("  %6.3f s  %-10s  %s", event.Time.Sub(began).Seconds(), event.Fact, event.Source)
			if event.Fact.Ends() {
				return event, nil
			}
		case err := <-d.ended:
			d.ended <- err
			return events.Event{}, fmt.Errorf("opsrelay up ended: %w", err)
		case <-ctx.Done():
			return events.Event{}, fmt.Errorf("the request did not end: %w", context.Cause(ctx))
		}
	}
}

func (d *demo) showProgress(message jetstream.Msg, uid string, began time.Time) {
	p, err := events.DecodeProgress(message.Data())
	if err != nil || p.Request.UID != uid {
		return // for showing only
	}
	d.say("  %6.3f s    %-28s %5s of %-5s %s", p.Time.Sub(began).Seconds(), p.Claim, p.Capacity, p.To, p.State)
}

// volumes maps the database's claims to their capacities.
func (d *demo) volumes(ctx context.Context) ([]corev1.PersistentVolumeClaim, error) {
	claims, err := d.clients.Core.CoreV1().PersistentVolumeClaims(namespace).List(ctx, metav1.ListOptions{
		LabelSelector: kubedb.LabelInstance + "=" + database,
	})
	if err != nil {
		return nil, fmt.Errorf("list the volumes: %w", err)
	}
	if len(claims.Items) == 0 {
		return nil, errors.New("the database has no volumes")
	}
	return claims.Items, nil
}

// table shows the capacities before and after.
func table(before, after []corev1.PersistentVolumeClaim) string {
	was := map[string]string{}
	for _, claim := range before {
		was[claim.Name] = claim.Status.Capacity.Storage().String()
	}
	var text strings.Builder
	writer := tabwriter.NewWriter(&text, 0, 0, 3, ' ', 0)
	_, _ = fmt.Fprintln(writer, "VOLUME\tBEFORE\tAFTER") // memory takes everything
	for _, claim := range after {
		_, _ = fmt.Fprintf(writer, "%s\t%s\t%s\n", claim.Name, was[claim.Name], claim.Status.Capacity.Storage())
	}
	_ = writer.Flush()
	return text.String()
}
