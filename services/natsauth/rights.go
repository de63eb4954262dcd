// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package natsauth

import (
	"slices"

	"github.com/opsrelay/opsrelay/events"
)

// Rights are the subjects that a user may publish and subscribe to. What is not
// listed is refused.
type Rights struct {
	Publish, Subscribe []string
	// Deny is what is refused of Publish.
	Deny []string
}

// User is a user of the account in which the relay runs.
type User struct {
	// Name is the service's name.
	Name string
	// Description is for people.
	Description string
	// Rights are all that it may do.
	Rights Rights
}

// work is what a service does, from which its rights follow.
type work struct {
	name, description string
	// consumers are what it listens to, facts what it may say.
	consumers []events.Consumer
	facts     []events.Fact
	// progress says that it tells how far volumes have come, hears that it is
	// told; admits that it begins chains, for which it asks which there are and
	// whether there is room.
	progress, hears, admits bool
}

// services is the table. A worker may say failed, for the step that it does
// itself; the watcher, for steps that nobody does.
var services = []work{
	{
		name: "watcher", description: "begins and cancels chains, fails what nobody answers, reads everything",
		consumers: []events.Consumer{events.WatcherConsumer, events.TimeoutConsumer, events.DeadLetterConsumer},
		facts:     []events.Fact{events.Requested, events.Rejected, events.Cancelled, events.Failed},
		hears:     true,
		admits:    true,
	},
	{
		name: "pauser", description: "pauses and resumes",
		consumers: []events.Consumer{events.PauserConsumer},
		facts:     []events.Fact{events.Paused, events.Resumed, events.Failed},
	},
	{
		name: "expander", description: "grows volumes and tells how far they are",
		consumers: []events.Consumer{events.ExpanderConsumer},
		facts:     []events.Fact{events.Expanded, events.Failed},
		progress:  true,
	},
	{
		name: "updater", description: "writes the new sizes",
		consumers: []events.Consumer{events.UpdaterConsumer},
		facts:     []events.Fact{events.Updated, events.Failed},
	},
}

// ProvisionUser creates streams and consumers, and never sees a message.
const ProvisionUser = "provision"

// Users is the table of users and their rights. The durable consumers of the
// given subscribers are the provisioner's to create, and nobody else's to read.
func Users(subscribers ...string) []User {
	users := make([]User, 0, len(services)+3)
	for _, s := range services {
		users = append(users, User{Name: s.name, Description: s.description, Rights: s.rights()})
	}
	return append(users, User{
		Name: ProvisionUser, Description: "creates streams and consumers",
		Rights: provisionRights(subscribers),
	}, User{
		Name: BoardUser, Description: "reads facts and progress",
		Rights: readerRights(BoardUser, subscribers),
	}, User{
		Name: OperatorUser, Description: "the commands for people: reads, holds a service's work, replays dead letters",
		Rights: operatorRights(subscribers),
	})
}

// anyChain stands for every chain, token by token: a subject with more tokens
// than a chain's is not meant.
var anyChain = events.ChainKey{Kind: "*", Namespace: "*", UID: "*"}

// The subjects of the broker's interface.
const (
	api = "$JS.API."
	ack = "$JS.ACK."
	// newAck is the form of servers to come: domain and account stand before the
	// stream. The domain is that of a server without one. Were it left open, too,
	// the right would match the older form of everybody's acknowledgements, with
	// which messages can be taken.
	newAck = "$JS.ACK._.*."
)

func (w work) rights() Rights {
	var publish []string
	for _, fact := range w.facts {
		publish = append(publish, anyChain.Subject(fact))
	}
	if w.progress {
		publish = append(publish, anyChain.Progress("*"))
	}
	// Whether the broker stores again what it did not store.
	publish = append(publish, events.ProbeSubject(w.name))
	publish = append(publish, api+"STREAM.MSG.GET."+events.Stream)
	if w.admits {
		publish = append(publish, api+"STREAM.INFO."+events.Stream, api+"INFO")
	}
	for _, consumer := range w.consumers {
		publish = append(publish, consume(api, consumer.Stream, consumer.Name)...)
	}
	// What ends elsewhere is heard on the live feed.
	subscribe := []string{inbox(w.name), events.LiveFilter(events.Failed), events.LiveFilter(events.Cancelled)}
	if w.hears {
		subscribe = append(subscribe, events.ProgressFilter())
	}
	return Rights{Publish: publish, Subscribe: subscribe}
}

// consume lists what it takes to bind to a consumer that is there, to pull from
// it and to acknowledge. A refused acknowledgement would be silent and the
// message come again for ever, so both forms of it are allowed whatever the
// server uses today.
func consume(prefix, stream, consumer string) []string {
	name := stream + "." + consumer
	return []string{
		prefix + "CONSUMER.INFO." + name, prefix + "CONSUMER.MSG.NEXT." + name,
		ack + name + ".>", newAck + name + ".>",
	}
}

// inbox is where answers to a user arrive. It is the user's alone: package bus
// takes the same prefix from the process's name.
func inbox(user string) string { return "_INBOX_" + user + ".>" }

func provisionRights(subscribers []string) Rights {
	publish := []string{api + "INFO"}
	for _, stream := range events.Streams(1) {
		// Whose it is, is read before it is changed.
		publish = append(publish, api+"STREAM.INFO."+stream.Name, api+"STREAM.CREATE."+stream.Name, api+"STREAM.UPDATE."+stream.Name)
	}
	consumers := events.Consumers()
	for _, name := range subscribers {
		consumers = append(consumers, SubscriberConsumers(name)...)
	}
	for _, consumer := range consumers {
		subject := api + "CONSUMER.CREATE." + consumer.Stream + "." + consumer.Name
		// A single filter is part of the subject, several are not.
		if len(consumer.Subjects) == 1 {
			subject += "." + consumer.Subjects[0]
		}
		publish = append(publish, subject)
	}
	return Rights{Publish: slices.Clip(publish), Subscribe: []string{inbox(ProvisionUser)}}
}
