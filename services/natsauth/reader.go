// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package natsauth

import (
	"slices"

	"github.com/opsrelay/opsrelay/events"
)

const (
	// BoardUser is the board's: it reads facts and progress.
	BoardUser = "board"
	// OperatorUser is that of the commands for people.
	OperatorUser = "operator"
)

// readerRights are those of who reads facts and progress through consumers that
// last as long as they are read, whose names the client makes up. So every name is
// allowed but those that are taken: a durable consumer must be neither changed nor
// pulled by a reader. That keeps readers from mistakes, and third parties are no
// readers: who creates a consumer chooses the subject that it delivers to.
func readerRights(user string, subscribers []string) Rights {
	r := Rights{
		Publish:   []string{api + "STREAM.MSG.GET." + events.Stream},
		Subscribe: []string{inbox(user)},
	}
	for _, stream := range []string{events.Stream, events.ProgressStream} {
		r.Publish = append(r.Publish, api+"CONSUMER.CREATE."+stream+".*", api+"CONSUMER.DELETE."+stream+".*")
		r.Publish = append(r.Publish, consume(api, stream, "*")...)
	}
	taken := events.Consumers()
	for _, name := range subscribers {
		taken = append(taken, SubscriberConsumers(name)...)
	}
	for _, consumer := range taken {
		name := consumer.Stream + "." + consumer.Name
		r.Deny = append(r.Deny, api+"CONSUMER.CREATE."+name, api+"CONSUMER.DELETE."+name)
		r.Deny = append(r.Deny, consume(api, consumer.Stream, consumer.Name)...)
	}
	return r
}

// operatorRights are a reader's, with a look at the account, streams and consumers,
// doctor's try whether the broker stores anything, and what pause-phase, resume-phase and dead-letters replay do to a service's consumer.
func operatorRights(subscribers []string) Rights {
	r := readerRights(OperatorUser, subscribers)
	for _, stream := range events.Streams(1) {
		r.Publish = append(r.Publish, api+"STREAM.INFO."+stream.Name)
	}
	r.Publish = append(r.Publish, api+"STREAM.MSG.GET."+events.DeadLetterStream, api+"INFO", events.ProbeSubject(OperatorUser))
	for _, consumer := range events.Consumers() {
		name := consumer.Stream + "." + consumer.Name
		r.Publish = append(r.Publish, api+"CONSUMER.INFO."+name)
		r.Deny = slices.DeleteFunc(r.Deny, func(subject string) bool { return subject == api+"CONSUMER.INFO."+name })
		if consumer.Stream == events.Stream && consumer.Name != events.TimeoutConsumer.Name {
			r.Publish = append(r.Publish, api+"CONSUMER.PAUSE."+name, api+"CONSUMER.RESET."+name)
		}
	}
	return r
}
