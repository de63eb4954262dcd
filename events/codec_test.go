// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package events_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/events"
)

// What CloudEvents 1.0 asks of every event, whoever reads it.
func TestEveryFactIsACloudEvent(t *testing.T) {
	t.Parallel()
	for _, fact := range events.Facts() {
		e := sample(fact)
		message, err := events.Encode(e)
		require.NoError(t, err)
		header := message.Header
		for _, required := range []string{"specversion", "id", "source", "type"} {
			require.NotEmpty(t, header.Get("ce-"+required), required)
		}
		for name, values := range header {
			require.Regexp(t, "^ce-[a-z0-9]{1,20}$", name, "attributes are lower case, and short so that every transport takes them")
			require.Len(t, values, 1)
			require.Equal(t, -1, strings.IndexFunc(values[0], unprintable), values[0])
		}
		require.Empty(t, header.Get("Content-Type"), "a message with application/cloudevents there would be in structured mode")
		require.Equal(t, "1.0", header.Get(events.HeaderSpecVersion))
		require.Equal(t, e.ID(), header.Get(events.HeaderID), "the publisher gives the broker the same as Nats-Msg-Id")
		require.Equal(t, "/opsrelay/"+e.Source, header.Get(events.HeaderSource))
		require.Equal(t, events.Type("singlestore", fact), header.Get(events.HeaderType))
	}
}

func TestTheIDsOfAChainDiffer(t *testing.T) {
	t.Parallel()
	ids := map[string]bool{}
	for _, fact := range events.Facts() {
		e := sample(fact)
		require.Equal(t, e.ID(), sample(fact).ID())
		require.True(t, strings.HasPrefix(e.ID(), e.Operation.Request.UID))
		ids[e.ID()] = true
	}
	require.Len(t, ids, len(events.Facts()))
}

func TestHeadersAreEscapedAsTheBindingAsks(t *testing.T) {
	t.Parallel()
	for plain, escaped := range map[string]string{
		"pauser":             "pauser",
		"a b\"c%d/é\n":       "a%20b%22c%25d/%C3%A9%0A",
		"!#$&'()*+,-./:;<=>": "!#$&'()*+,-./:;<=>",
		"\x00\x1f\x7f\xff~":  "%00%1F%7F%FF~",
		"%41":                "%2541",
	} {
		e := sample(events.Paused)
		e.Source = plain
		message, err := events.Encode(e)
		require.NoError(t, err)
		require.Equal(t, "/opsrelay/"+escaped, message.Header.Get(events.HeaderSource))
		decoded, err := events.Decode(message.Subject, message.Header, message.Data)
		require.NoError(t, err)
		require.Equal(t, plain, decoded.Source)
	}
}

func TestWhatIsNoEventIsMalformed(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*nats.Msg){
		"subject":          func(m *nats.Msg) { m.Subject = "opsrelay.v1.paused" },
		"other chain":      func(m *nats.Msg) { m.Subject = "opsrelay.v1.paused.singlestore.demo.other" },
		"no CloudEvent":    func(m *nats.Msg) { m.Header.Del(events.HeaderSpecVersion) },
		"no time":          func(m *nats.Msg) { m.Header.Del(events.HeaderTime) },
		"impossible time":  func(m *nats.Msg) { m.Header.Set(events.HeaderTime, "9999-12-31T23:59:59-23:59") },
		"payload no JSON":  func(m *nats.Msg) { m.Data = []byte("{") },
		"payload no event": func(m *nats.Msg) { m.Data = []byte("[]") },
		"payload nothing":  func(m *nats.Msg) { m.Data = []byte("null") },
	} {
		message, err := events.Encode(sample(events.Paused))
		require.NoError(t, err)
		spoil(message)
		_, err = events.Decode(message.Subject, message.Header, message.Data)
		require.ErrorIs(t, err, events.ErrMalformed, name)
	}
	for _, data := range []string{"", "{", "[]", "null", "{}", `{"claim":"a b"}`, `{"claim":">"}`} {
		_, err := events.DecodeProgress([]byte(data))
		require.ErrorIs(t, err, events.ErrMalformed, data)
	}
}

// Well-formed JSON that does not say what it is about is no event either, and nobody
// can publish one.
func TestD13_AnEventNamesRequestAndDatabase(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(*events.Operation)
		valid []events.Fact
	}{
		"all":                {spoil: func(*events.Operation) {}, valid: events.Facts()},
		"database uid":       {spoil: func(op *events.Operation) { op.Database.UID = "" }, valid: events.Facts()},
		"database name":      {spoil: func(op *events.Operation) { op.Database.Name = "" }, valid: []events.Fact{events.Rejected}},
		"database kind":      {spoil: func(op *events.Operation) { op.Database.Kind = "" }},
		"database namespace": {spoil: func(op *events.Operation) { op.Database.Namespace = "" }},
		"database":           {spoil: func(op *events.Operation) { op.Database = events.Reference{} }},
		"request name":       {spoil: func(op *events.Operation) { op.Request.Name = "" }},
		"request kind":       {spoil: func(op *events.Operation) { op.Request.Kind = "" }},
	} {
		for _, fact := range events.Facts() {
			message, err := events.Encode(sample(fact))
			require.NoError(t, err)
			e := sample(fact)
			c.spoil(&e.Operation)
			message.Data, err = json.Marshal(e.Operation)
			require.NoError(t, err)
			_, decoding := events.Decode(message.Subject, message.Header, message.Data)
			_, encoding := events.Encode(e)
			if slices.Contains(c.valid, fact) {
				require.NoError(t, errors.Join(decoding, encoding), "%s of %s", name, fact)
				continue
			}
			require.ErrorIs(t, decoding, events.ErrMalformed, "%s of %s", name, fact)
			require.ErrorContains(t, encoding, "names no object", "%s of %s", name, fact)
		}
	}
}

func TestWhatFitsNoSubjectIsNotEncoded(t *testing.T) {
	t.Parallel()
	for _, token := range []string{"", "a.b", "a b", "*", ">", "a\n"} {
		e := sample(events.Paused)
		e.Operation.Request.UID = token
		_, err := events.Encode(e)
		require.ErrorContains(t, err, "single tokens", token)
		_, err = events.EncodeProgress(e.ChainKey(), sampleProgress())
		require.ErrorContains(t, err, "single tokens", token)
	}
	p := sampleProgress()
	p.Claim = ""
	_, err := events.EncodeProgress(sample(events.Paused).ChainKey(), p)
	require.ErrorContains(t, err, "single tokens")
}

// An older reader lives with a newer writer.
func TestUnknownFieldsAndFactsAreNoError(t *testing.T) {
	t.Parallel()
	e := sample(events.Paused)
	e.Fact = "inspected"
	message, err := events.Encode(e)
	require.NoError(t, err)
	message.Header.Set("ce-added", "later")
	message.Data = withUnknownField(message.Data)
	decoded, err := events.Decode(message.Subject, message.Header, message.Data)
	require.NoError(t, err)
	require.Equal(t, e.Operation, decoded.Operation)
	require.False(t, decoded.Fact.Known())
	again, err := events.Encode(decoded)
	require.NoError(t, err)
	require.Equal(t, "later", again.Header.Get("ce-added"))
	require.JSONEq(t, string(message.Data), string(again.Data))

	p := sampleProgress()
	p.State = "Inspected"
	message, err = events.EncodeProgress(e.ChainKey(), p)
	require.NoError(t, err)
	read, err := events.DecodeProgress(withUnknownField(message.Data))
	require.NoError(t, err)
	require.Equal(t, p, read)
}

// withUnknownField adds a field, as a newer writer would, to an object.
func withUnknownField(object []byte) []byte {
	return append([]byte(`{"added":{"later":1},`), object[1:]...)
}
