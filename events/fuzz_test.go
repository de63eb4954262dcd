// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package events_test

import (
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/opsrelay/opsrelay/events"
)

// FuzzDecode shows that no message brings a reader down, and that what is read
// is written the same.
func FuzzDecode(f *testing.F) {
	for _, fact := range events.Facts() {
		message := golden(f, string(fact))
		f.Add(message.Subject, message.Header.Get(events.HeaderTime), message.Header.Get(events.HeaderSource), message.Data)
	}
	payload := `{"request":{"kind":"R","namespace":"n","name":"r","uid":"u"},"database":{"kind":"K","namespace":"n","name":"d"},`
	f.Add("opsrelay.v1.paused.k.n.u", "9999-12-31T23:59:59-23:59", "%", []byte(payload+`"deadline":"0000-01-01T00:00:00+23:59"}`))
	f.Add("opsrelay.timeout.v1.x.k.n.u", "2026-03-01T12:00:00Z", "/opsrelay//opsrelay/%zz", []byte(payload+`"history":[{}]}`))
	f.Fuzz(func(t *testing.T, subject, at, source string, data []byte) {
		header := nats.Header{events.HeaderSpecVersion: {"1.0"}, events.HeaderTime: {at}, events.HeaderSource: {source}}
		e, err := events.Decode(subject, header, data)
		if err != nil {
			require.ErrorIs(t, err, events.ErrMalformed)
			return
		}
		written, err := events.Encode(e)
		require.NoError(t, err)
		for _, values := range written.Header {
			require.Equal(t, -1, strings.IndexFunc(values[0], unprintable), values[0])
		}
		read, err := events.Decode(written.Subject, written.Header, written.Data)
		require.NoError(t, err)
		require.Equal(t, e.Source, read.Source)
		require.Equal(t, e.Time, read.Time)
		again, err := events.Encode(read)
		require.NoError(t, err)
		require.Equal(t, written, again)
	})
}

// unprintable is what the CloudEvents binding does not let into a header.
func unprintable(c rune) bool { return c <= ' ' || c >= 0x7f || c == '"' }

// FuzzDecodeProgress is [FuzzDecode] for progress.
func FuzzDecodeProgress(f *testing.F) {
	f.Add(golden(f, "progress").Data)
	f.Add([]byte(`{"claim":"a.b","time":"0000-01-01T00:00:00+23:59","added":1}`))
	f.Add([]byte(`{"claim":"a b"}`))
	f.Add([]byte(`null`))
	key := sample(events.Paused).ChainKey()
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := events.DecodeProgress(data)
		if err != nil {
			require.ErrorIs(t, err, events.ErrMalformed)
			return
		}
		written, err := events.EncodeProgress(key, p)
		require.NoError(t, err)
		read, err := events.DecodeProgress(written.Data)
		require.NoError(t, err)
		again, err := events.EncodeProgress(key, read)
		require.NoError(t, err)
		require.Equal(t, written, again)
	})
}

// FuzzParseSubject shows that a subject is either malformed or one of the chain
// that it is said to be of.
func FuzzParseSubject(f *testing.F) {
	for _, fact := range events.Facts() {
		f.Add(golden(f, string(fact)).Subject)
	}
	f.Add(golden(f, "progress").Subject)
	f.Add("opsrelay.live.v1.paused.k.n.u")
	f.Add("opsrelay.v1.*.k.n.u")
	f.Fuzz(func(t *testing.T, subject string) {
		fact, key, err := events.ParseSubject(subject)
		if err != nil {
			require.ErrorIs(t, err, events.ErrMalformed)
			return
		}
		require.Contains(t, []string{key.Subject(fact), key.Live(fact)}, subject)
		again, sameKey, err := events.ParseSubject(key.Subject(fact))
		require.NoError(t, err)
		require.Equal(t, fact, again)
		require.Equal(t, key, sameKey)
	})
}
