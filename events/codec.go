// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package events

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// The headers of an event: CloudEvents 1.0 in binary mode over NATS, which are
// case-sensitive and lower case by that binding.
const (
	HeaderSpecVersion = "ce-specversion"
	// HeaderID is [Event.ID]. A publisher gives the broker the same as
	// Nats-Msg-Id, or none: CloudEvents and the broker then agree on what is a
	// duplicate.
	HeaderID              = "ce-id"
	HeaderSource          = "ce-source"
	HeaderType            = "ce-type"
	HeaderSubject         = "ce-subject"
	HeaderTime            = "ce-time"
	HeaderDataContentType = "ce-datacontenttype"
	HeaderDataSchema      = "ce-dataschema"
	// HeaderCorrelationID is the request's uid.
	HeaderCorrelationID = "ce-correlationid"
	// HeaderCluster is [Event.Cluster], an extension of this contract. It is absent
	// where the publisher does not know it.
	HeaderCluster = "ce-cluster"
	// HeaderTraceParent is [Trace.Parent] as W3C Trace Context has it,
	// HeaderTraceOrigin is [Trace.Origin] as CloudEvents' extension for
	// distributed tracing has it. Both are absent where nobody traces.
	HeaderTraceParent = "traceparent"
	HeaderTraceOrigin = "ce-traceparent"
)

// SchemaURL is the name of the payload's JSON Schema; the text is in
// schemas/operation.json.
const SchemaURL = "https://opsrelay.dev/schemas/" + Version + "/operation.json"

const (
	sourcePrefix = "/opsrelay/"
	typePrefix   = "dev.opsrelay."
)

// ErrMalformed is in every error of [Decode], [DecodeProgress] and
// [ParseSubject]: the message is none of this contract, and no repetition will
// make it one.
var ErrMalformed = errors.New("malformed event")

// Type is the CloudEvents type of a fact of the given kind of database.
func Type(kind string, fact Fact) string {
	return typePrefix + kind + "." + string(fact) + "." + Version
}

// Encode returns the event as a message, ready to be published. What it takes,
// [Decode] reads.
func Encode(e Event) (*nats.Msg, error) {
	if _, key, err := ParseSubject(e.Subject()); err != nil || key != e.ChainKey() {
		return nil, fmt.Errorf("encode event %s: kind, namespace and uid must be single tokens of a subject: %q", e.ID(), e.Subject())
	}
	if err := e.named(); err != nil {
		return nil, fmt.Errorf("encode event %s: %w", e.ID(), err)
	}
	data, err := json.Marshal(e.Operation)
	if err == nil {
		data, err = e.unknown.into(data)
	}
	if err != nil {
		return nil, fmt.Errorf("encode event %s: %w", e.ID(), err)
	}
	request := e.Operation.Request
	msg := nats.NewMsg(e.Subject())
	msg.Data = data
	for name, value := range map[string]string{
		HeaderSpecVersion:     "1.0",
		HeaderID:              e.ID(),
		HeaderSource:          sourcePrefix + e.Source,
		HeaderType:            Type(e.Kind, e.Fact),
		HeaderSubject:         request.Namespace + "/" + request.Name,
		HeaderTime:            e.Time.UTC().Format(time.RFC3339Nano),
		HeaderDataContentType: "application/json",
		HeaderDataSchema:      SchemaURL,
		HeaderCorrelationID:   request.UID,
	} {
		msg.Header.Set(name, escape(value))
	}
	for name, value := range map[string]string{
		HeaderCluster: e.Cluster, HeaderTraceParent: e.Trace.Parent, HeaderTraceOrigin: e.Trace.Origin,
	} {
		if value != "" {
			msg.Header.Set(name, escape(value))
		}
	}
	maps.Copy(msg.Header, e.extensions)
	return msg, nil
}

// Decode reads a stored message back. The event's sequence is left 0: it is the
// broker's to say. Unknown members, extension attributes, facts and values are no
// error, so that an older reader lives with a newer writer; [Event.Next] and
// [Encode] hand them on, see [Fact.Known] and [Mode.Known]. Every error wraps
// [ErrMalformed].
func Decode(subject string, header nats.Header, data []byte) (Event, error) {
	fact, key, err := ParseSubject(subject)
	if err != nil {
		return Event{}, err
	}
	if v := header.Get(HeaderSpecVersion); v != "1.0" {
		return Event{}, fmt.Errorf("%w: header %s is %q, not 1.0", ErrMalformed, HeaderSpecVersion, v)
	}
	at, err := time.Parse(time.RFC3339Nano, unescape(header.Get(HeaderTime)))
	if err != nil {
		return Event{}, fmt.Errorf("%w: header %s: %w", ErrMalformed, HeaderTime, err)
	}
	// An offset can move a time out of the years that can be written.
	if at = at.UTC(); at.Year() < 0 || at.Year() > 9999 {
		return Event{}, fmt.Errorf("%w: header %s: year %d", ErrMalformed, HeaderTime, at.Year())
	}
	e := Event{
		Fact: fact, Kind: key.Kind, Time: at, Source: strings.TrimPrefix(unescape(header.Get(HeaderSource)), sourcePrefix),
		Cluster: unescape(header.Get(HeaderCluster)),
		Trace:   Trace{Parent: unescape(header.Get(HeaderTraceParent)), Origin: unescape(header.Get(HeaderTraceOrigin))},
	}
	if e.Operation, e.unknown, err = readPayload(data); err != nil {
		return Event{}, err
	}
	if err := e.named(); err != nil {
		return Event{}, fmt.Errorf("%w: payload: %w", ErrMalformed, err)
	}
	e.extensions = extensions(header)
	if e.ChainKey() != key {
		return Event{}, fmt.Errorf("%w: the payload is of %s, the subject of %s", ErrMalformed, e.ChainKey(), key)
	}
	return e, nil
}

// named returns what the payload does not name of the objects that it is about,
// without which nobody can do or say anything of it. The database of a rejection may
// have no name, for the request may have named none. A uid is not asked for: that of
// the request is in the subject, and a chain that is begun to be ended may not know
// the database's.
func (e Event) named() error {
	for _, object := range []struct {
		member string
		ref    Reference
		named  bool
	}{
		{"request", e.Operation.Request, e.Operation.Request.Name != ""},
		{"database", e.Operation.Database, e.Operation.Database.Name != "" || e.Fact == Rejected},
	} {
		if !object.named || object.ref.Kind == "" || object.ref.Namespace == "" {
			return fmt.Errorf("%s names no object: kind %q, namespace %q, name %q", object.member, object.ref.Kind, object.ref.Namespace, object.ref.Name)
		}
	}
	return nil
}

// escape percent-encodes what the CloudEvents binding asks for, and nothing
// else: space, double quote, percent, and what is not printable ASCII.
func escape(value string) string {
	var escaped strings.Builder
	for _, c := range []byte(value) {
		if c > ' ' && c < 0x7f && c != '"' && c != '%' {
			escaped.WriteByte(c)
		} else {
			fmt.Fprintf(&escaped, "%%%02X", c)
		}
	}
	return escaped.String()
}

// unescape is the inverse of escape. A value that is not well encoded is taken
// as it is.
func unescape(value string) string {
	if plain, err := url.PathUnescape(value); err == nil {
		return plain
	}
	return value
}
