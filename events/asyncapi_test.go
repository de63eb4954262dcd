// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package events_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/opsrelay/opsrelay/events"
)

const asyncAPIURL = "https://opsrelay.dev/asyncapi.yaml"

func asyncAPI(t *testing.T) map[string]any {
	t.Helper()
	var document map[string]any
	require.NoError(t, yaml.Unmarshal(events.AsyncAPI, &document))
	return document
}

// at follows a path of keys into a document.
func at(t *testing.T, document any, path ...string) any {
	t.Helper()
	for _, key := range path {
		require.Contains(t, document, key, path)
		document = document.(map[string]any)[key]
	}
	return document
}

func TestAsyncAPIKnowsEverySubject(t *testing.T) {
	t.Parallel()
	document := asyncAPI(t)
	key := events.ChainKey{Kind: "{kind}", Namespace: "{namespace}", UID: "{uid}"}
	addresses := map[string]string{
		"live": key.Live("{fact}"), "progress": key.Progress("{claim}"),
		"deadletter": "$JS.EVENT.ADVISORY.CONSUMER.{advisory}." + events.Stream + ".{consumer}",
	}
	facts := make([]any, 0, len(events.Facts()))
	for _, fact := range events.Facts() {
		facts = append(facts, string(fact))
		addresses[string(fact)] = key.Subject(fact)
		require.Contains(t, at(t, document, "channels", "live", "messages"), string(fact))
	}
	require.Equal(t, facts, at(t, document, "components", "parameters", "fact", "enum"))
	require.Len(t, at(t, document, "channels"), len(addresses))
	for name, address := range addresses {
		channel := at(t, document, "channels", name)
		require.Equal(t, address, at(t, channel, "address"))
		require.Len(t, at(t, channel, "parameters"), strings.Count(address, "{"))
		for part := range strings.SplitSeq(address, ".") {
			if parameter, ok := strings.CutPrefix(part, "{"); ok {
				at(t, channel, "parameters", strings.TrimSuffix(parameter, "}"))
			}
		}
	}
}

func TestAsyncAPIKnowsTheTypeOfEveryFact(t *testing.T) {
	t.Parallel()
	for _, fact := range events.Facts() {
		message := at(t, asyncAPI(t), "components", "messages", string(fact))
		headers := at(t, message, "headers", "allOf").([]any)
		pattern := "^" + strings.ReplaceAll(events.Type("KIND", fact), ".", `\.`) + "$"
		require.Equal(t, strings.Replace(pattern, "KIND", "[a-z0-9]+", 1), at(t, headers[1], "properties", events.HeaderType, "pattern"))
		require.Equal(t, "./schemas/operation.json", at(t, message, "payload", "$ref"))
	}
	require.Equal(t, events.SchemaURL, at(t, asyncAPI(t), "components", "schemas", "headers", "properties", events.HeaderDataSchema, "const"))
}

func TestAsyncAPIKnowsEveryStream(t *testing.T) {
	t.Parallel()
	said := map[string]any{}
	for _, stream := range events.Streams(3) {
		is := map[string]any{
			"subjects":  anys(stream.Subjects),
			"storage":   strings.ToLower(stream.Storage.String()),
			"retention": strings.ToLower(stream.Retention.String()),
			"discard":   strings.ToLower(strings.TrimPrefix(stream.Discard.String(), "Discard")),
			"maxAge":    strings.TrimSuffix(stream.MaxAge.String(), "0m0s"),
		}
		if stream.MaxMsgsPerSubject > 0 {
			is["maxMsgsPerSubject"] = int(stream.MaxMsgsPerSubject)
		}
		if again := stream.RePublish; again != nil {
			is["republish"] = map[string]any{"source": again.Source, "destination": again.Destination}
		}
		said[stream.Name] = is
	}
	require.Equal(t, said, at(t, asyncAPI(t), "x-jetstream", "streams"))
}

func TestAsyncAPIKnowsEveryConsumer(t *testing.T) {
	t.Parallel()
	said := map[string]any{}
	for _, consumer := range events.Consumers() {
		config := consumer.Config()
		require.Equal(t, jetstream.DeliverAllPolicy, config.DeliverPolicy)
		require.Equal(t, jetstream.AckExplicitPolicy, config.AckPolicy)
		said[consumer.Name] = map[string]any{
			"stream": consumer.Stream, "durable": config.Durable, "filters": anys(consumer.Subjects),
			"deliver": "all", "ack": "explicit", "ackWait": config.AckWait.String(), "maxDeliver": config.MaxDeliver,
		}
	}
	require.Equal(t, said, at(t, asyncAPI(t), "x-jetstream", "consumers"))
}

// traffic is what the operations of asyncapi.yaml say about one service.
type traffic struct {
	// receives lists channels by the consumer that brings them.
	receives map[string][]string
	sends    []string
}

func traffics(t *testing.T) map[string]traffic {
	t.Helper()
	services := map[string]traffic{}
	for name, operation := range at(t, asyncAPI(t), "operations").(map[string]any) {
		service := name[:strings.IndexFunc(name, func(c rune) bool { return c < 'a' })]
		of, ok := services[service]
		if !ok {
			of.receives = map[string][]string{}
		}
		channel := strings.TrimPrefix(at(t, operation, "channel", "$ref").(string), "#/channels/")
		who, verb := service, "Sends"
		if at(t, operation, "action") == "receive" {
			verb = "Receives"
			consumer := at(t, operation, "x-jetstream", "consumer").(string)
			of.receives[consumer] = append(of.receives[consumer], channel)
			if consumer != service && consumer != channel {
				who += strings.ToUpper(consumer[:1]) + consumer[1:]
			}
		} else {
			of.sends = append(of.sends, channel)
		}
		require.Equal(t, who+verb+strings.ToUpper(channel[:1])+channel[1:], name)
		services[service] = of
	}
	require.Len(t, services, 4)
	return services
}

// What a service receives is what its consumers' filters let through.
func TestAsyncAPIKnowsWhoReceivesWhat(t *testing.T) {
	t.Parallel()
	received := map[string][]string{}
	for service, of := range traffics(t) {
		for consumer, channels := range of.receives {
			require.True(t, consumer == service || service == "watcher", "%s is the consumer of another service than %s", consumer, service)
			received[consumer] = channels
		}
	}
	require.Len(t, received, len(events.Consumers()))
	key := sample(events.Requested).ChainKey()
	for _, consumer := range events.Consumers() {
		var let []string
		for _, fact := range events.Facts() {
			if consumer.Stream == events.Stream && slices.ContainsFunc(consumer.Subjects, func(filter string) bool {
				return strings.HasPrefix(key.Subject(fact), strings.TrimSuffix(filter, ">"))
			}) {
				let = append(let, string(fact))
			}
		}
		if consumer.Stream != events.Stream {
			let = []string{consumer.Name}
		}
		require.ElementsMatch(t, let, received[consumer.Name], consumer.Name)
	}
}

// What a service sends are the successors of what it receives. The watcher, who
// receives everything, begins chains and ends steps that nobody answers.
func TestAsyncAPIKnowsWhoSendsWhat(t *testing.T) {
	t.Parallel()
	services := traffics(t)
	for service, of := range services {
		var answers []events.Fact
		if service == "watcher" {
			answers = append(events.Fact("").Successors(), events.Failed, events.Cancelled)
		} else {
			for _, received := range of.receives[service] {
				for _, next := range events.Fact(received).Successors() {
					if next != events.Cancelled && !slices.Contains(answers, next) {
						answers = append(answers, next)
					}
				}
			}
		}
		var sends []string
		if service == "expander" {
			sends = append(sends, "progress")
		}
		for _, fact := range answers {
			sends = append(sends, string(fact))
		}
		require.ElementsMatch(t, sends, of.sends, service)
	}
	for _, fact := range events.Facts() {
		require.Contains(t, services[senders[fact]].sends, string(fact), "the example's sender")
	}
}

// Every reference leads somewhere.
func TestAsyncAPIHasNoDeadReference(t *testing.T) {
	t.Parallel()
	document := asyncAPI(t)
	require.Equal(t, "3.0.0", document["asyncapi"])
	var walk func(node any)
	walk = func(node any) {
		switch node := node.(type) {
		case map[string]any:
			if reference, ok := node["$ref"].(string); ok {
				if path, ok := strings.CutPrefix(reference, "#/"); ok {
					at(t, document, strings.Split(path, "/")...)
				} else {
					_, err := events.Schemas.Open(strings.TrimPrefix(reference, "./"))
					require.NoError(t, err)
				}
			}
			for _, child := range node {
				walk(child)
			}
		case []any:
			for _, child := range node {
				walk(child)
			}
		}
	}
	walk(document)
}

func anys(texts []string) []any {
	list := make([]any, len(texts))
	for i, text := range texts {
		list[i] = text
	}
	return list
}
