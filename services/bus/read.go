// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package bus

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// requestTimeout is how long one answer of the broker is waited for.
const requestTimeout = 5 * time.Second

// stored is a message as the broker keeps it.
type stored struct {
	Subject  string
	Sequence uint64
	Header   nats.Header
	Data     []byte
}

// lastMessage reads the newest message of the stream under a subject, which may
// be a wildcard, nextMessage the first one from a sequence on; atSequence reads one
// message. All ask the stream's leader, so that the answer is never stale, and all
// need one right only:
// $JS.API.STREAM.MSG.GET.<stream>. The client's own method first asks for the
// stream's configuration. A message that is not there is
// [jetstream.ErrMsgNotFound].
func (b *Bus) lastMessage(ctx context.Context, stream, subject string) (stored, error) {
	return b.readMessage(ctx, stream, map[string]any{"last_by_subj": subject})
}

func (b *Bus) nextMessage(ctx context.Context, stream, subject string, from uint64) (stored, error) {
	return b.readMessage(ctx, stream, map[string]any{"next_by_subj": subject, "seq": from})
}

func (b *Bus) atSequence(ctx context.Context, stream string, sequence uint64) (stored, error) {
	return b.readMessage(ctx, stream, map[string]any{"seq": sequence})
}

func (b *Bus) readMessage(ctx context.Context, stream string, query map[string]any) (stored, error) {
	request, err := json.Marshal(query)
	if err != nil {
		return stored{}, fmt.Errorf("read stream %s: %w", stream, err)
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	answer, err := b.conn.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+stream, request)
	if err != nil {
		return stored{}, fmt.Errorf("read stream %s: %w", stream, err)
	}
	var response struct {
		Error   *jetstream.APIError `json:"error"`
		Message struct {
			Subject  string `json:"subject"`
			Sequence uint64 `json:"seq"`
			Header   []byte `json:"hdrs"`
			Data     []byte `json:"data"`
		} `json:"message"`
	}
	if err := json.Unmarshal(answer.Data, &response); err != nil {
		return stored{}, fmt.Errorf("read stream %s: %w", stream, err)
	}
	if response.Error != nil {
		return stored{}, fmt.Errorf("read stream %s: %w", stream, response.Error)
	}
	m := response.Message
	message := stored{Subject: m.Subject, Sequence: m.Sequence, Data: m.Data}
	if len(m.Header) > 0 {
		if message.Header, err = nats.DecodeHeadersMsg(m.Header); err != nil {
			return stored{}, fmt.Errorf("read stream %s: message %d: %w", stream, m.Sequence, err)
		}
	}
	return message, nil
}
