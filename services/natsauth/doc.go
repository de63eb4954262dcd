// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

// Package natsauth says who may do what at the NATS server, and makes the keys,
// the certificates and the server's configuration for it.
//
// # The users
//
// Every service has a user of its own, known by an NKey: the server has the
// public half only. [Users] is the table of their rights. Whatever is not in it
// is refused, and the refusal makes the service's readiness fail with the
// subject in its reason.
//
// A third party is a subscriber. It has an account of its own, into which no
// more is imported than to look at, pull from and acknowledge its two durable
// consumers, which exist under its name on facts and on progress. It asks for
// them with [SubscriberPrefix] in the place of $JS.API. It can not create
// them ([ProvisionSubscriber] does): a consumer may be told to deliver anywhere
// in the relay's account, the live feed for one, which is a right to publish.
//
// # What is wider than it looks
//
//   - $JS.API.STREAM.MSG.GET on the stream of facts reads any fact, not only
//     those of a chain in hand: the broker has no narrower right for a read that
//     is never stale. Every subscriber may read the same.
//   - The broker does not ask whether a user may publish to the reply subject of
//     its request. So a service that was taken over can have an answer of the
//     broker stored where a fact should be. That answer is no event and passes
//     for none, but the chain it lies in stands still. Subscribers cannot:
//     answers to them stay in their account.
//   - The users operator and board make consumers of their own, for they read from
//     wherever they like, and a consumer may be told to deliver anywhere in the
//     relay's account. What is delivered so is what is stored; it lacks the
//     sequence without which no service believes the live feed.
//   - The user operator can hold a service's work, and have it delivered again.
//   - The user provision may change the configuration of the streams, and thereby
//     what they keep. Its key belongs to the job that provisions, and nowhere
//     else.
//
// The server must have no JetStream domain: the newer form of acknowledgements
// begins with it, and a right that leaves it open is a right to the older form
// of everybody's.
//
// # Rotation
//
// [Set.Rotate] gives a user a second key, [Set.Retire] takes the older one away.
// The server reads its configuration again on SIGHUP and drops nobody whose key
// is still in it.
package natsauth
