// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package events

import "time"

// Operation is the payload of every fact: the whole state of a request that a
// consumer may need, so that none has to ask back.
type Operation struct {
	// Request is the operation request that the chain belongs to.
	Request Reference `json:"request"`
	// Database is the object whose volumes grow. Its UID is empty in a
	// rejection that found no such database.
	Database Reference `json:"database"`
	// Mode is how volumes are grown.
	Mode Mode `json:"mode,omitempty"`
	// Apply says whether the database has to be Ready for it; empty means that it
	// has to.
	Apply Apply `json:"apply,omitempty"`
	// Leftovers says what becomes of the claims that scaling in has left; empty
	// means that they are told and left alone.
	Leftovers Leftovers `json:"leftovers,omitempty"`
	// Infeasible says what becomes of a request whose size the storage cannot give;
	// empty means that it fails.
	Infeasible Infeasible `json:"infeasible,omitempty"`
	// Components lists what grows, in the order in which it is reported.
	Components []Component `json:"components,omitempty"`
	// StepTimeout is how long each step may take, in seconds.
	StepTimeout Seconds `json:"stepTimeout,omitempty"`
	// Deadline is when the step that answers this fact must be done. It is zero
	// in a fact that ends the chain.
	Deadline time.Time `json:"deadline,omitzero"`
	// MaxRetries is how often a failed step may be tried again.
	MaxRetries int `json:"maxRetries,omitempty"`
	// Outcome is how the request ended. It is set in the facts that end a chain.
	Outcome Outcome `json:"outcome,omitempty"`
	// Failure says why a request failed or was rejected. It stays set from that
	// fact to the end of the chain. In expanded and updated it says why the request
	// ends as Failed although it goes on: it recovered from a size that the storage
	// cannot give ([Component.Shared]). In cancelled it says why, where the request
	// itself was not deleted.
	Failure *Failure `json:"failure,omitempty"`
	// History lists the facts of the chain so far, this one last.
	History []Passed `json:"history,omitempty"`
}

// Reference names a Kubernetes object.
type Reference struct {
	// Kind is the object's kind as Kubernetes writes it, "Singlestore" for one.
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	UID       string `json:"uid,omitempty"`
	// Generation is the generation that was admitted; 0 where it says nothing.
	Generation int64 `json:"generation,omitempty"`
}

// Mode is how volumes are grown, in KubeDB's words.
type Mode string

// The modes.
const (
	// Online grows volumes while their pods run.
	Online Mode = "Online"
	// Offline grows each volume while its pod is down.
	Offline Mode = "Offline"
)

// Known reports whether m is a mode of this version of the contract. Who grows
// volumes refuses any other: a guess could restart pods, or not.
func (m Mode) Known() bool { return m == Online || m == Offline }

// Apply says when volumes are grown, in KubeDB's words.
type Apply string

// The values of Apply.
const (
	// ApplyIfReady waits for a database that is not Ready.
	ApplyIfReady Apply = "IfReady"
	// ApplyAlways grows the volumes of a database that is down as well.
	ApplyAlways Apply = "Always"
)

// Leftovers says what becomes of the claims of ordinals that a workload has no
// longer, which it would take up again if it were scaled out.
type Leftovers string

// GrowLeftovers has them asked to grow, too. Nothing waits for them.
const GrowLeftovers Leftovers = "Grow"

// Infeasible says what becomes of a request whose size the storage cannot give.
type Infeasible string

// The values of Infeasible.
const (
	// InfeasibleFail fails the request at once and leaves everything as it is.
	InfeasibleFail Infeasible = "fail"
	// InfeasibleRecover grows what can grow, takes back the request of what cannot,
	// and has workload and database carry the sizes that came of it. The outcome is
	// a failure all the same.
	InfeasibleRecover Infeasible = "recover"
)

// Component is a part of a database whose volumes have one size.
type Component struct {
	// Name is the field of the request that sizes it: node, aggregator, leaf.
	Name string `json:"name"`
	// Workload is the name of the PetSet that runs it.
	Workload string `json:"workload"`
	// From is the size in the database object when the request was admitted, a
	// Kubernetes quantity such as "10Gi".
	From string `json:"from"`
	// To is the requested size, a Kubernetes quantity.
	To string `json:"to"`
	// Volumes are the volumes as they were seen by the service that published
	// the fact. Empty until somebody looked.
	Volumes []Volume `json:"volumes,omitempty"`
	// NotRestarted lists the pods that an Offline run left alone, since their
	// volumes had the size already.
	NotRestarted []string `json:"notRestarted,omitempty"`
	// Missing lists the claims that pods of the workload should have and that did
	// not exist when the others had grown. One that is made later has the new
	// size.
	Missing []string `json:"missing,omitempty"`
	// Leftover lists the claims of ordinals that the workload has no longer.
	Leftover []Volume `json:"leftover,omitempty"`
	// Shared lists, where not every volume has the requested size, which size those
	// of each claim template have at least. Empty means that all have it.
	Shared []Shared `json:"shared,omitempty"`
}

// Shared is the size that all volumes of a claim template have at least.
type Shared struct {
	// Template is the claim template's name, "data" for one.
	Template string `json:"template"`
	// Size is a Kubernetes quantity.
	Size string `json:"size"`
}

// Size is what the volumes of a claim template were grown to: the requested size,
// unless the storage could not give it.
func (c Component) Size(template string) string {
	for _, shared := range c.Shared {
		if shared.Template == template {
			return shared.Size
		}
	}
	return c.To
}

// Volume is one persistent volume claim.
type Volume struct {
	// Claim is the claim's name.
	Claim string `json:"claim"`
	// Capacity is the claim's capacity when it was last looked at, a Kubernetes
	// quantity; empty while the claim is not bound.
	Capacity string `json:"capacity,omitempty"`
}

// Outcome is how a request ended.
type Outcome string

// The outcomes.
const (
	OutcomeSuccessful Outcome = "Successful"
	OutcomeFailed     Outcome = "Failed"
	OutcomeCancelled  Outcome = "Cancelled"
)

// Failure names what went wrong so that a person can act on it.
type Failure struct {
	// Step is the service's step that gave up: admit, pause, expand, update,
	// resume.
	Step string `json:"step"`
	// Object is what it worked on, as "kind namespace/name".
	Object string `json:"object"`
	// Reason is one CamelCase word for programs, "DeadlineExceeded" for one.
	Reason string `json:"reason"`
	// Message is for people and says what can be done.
	Message string `json:"message"`
}

// Error makes a Failure an error that a step can return.
func (f *Failure) Error() string {
	return f.Step + " " + f.Object + ": " + f.Reason + ": " + f.Message
}

// Passed is a fact of the past, and when its publisher said it.
type Passed struct {
	Fact Fact      `json:"fact"`
	Time time.Time `json:"time"`
	// Attempts is how often the step was begun that ended with the fact:
	// repetitions and deliveries to other workers counted. 0 says nothing.
	Attempts int `json:"attempts,omitempty"`
}

// Seconds is a length of time that is written as a number of seconds.
type Seconds float64

// Duration returns s as Go's type.
func (s Seconds) Duration() time.Duration { return time.Duration(float64(s) * float64(time.Second)) }

// SecondsOf returns d as seconds.
func SecondsOf(d time.Duration) Seconds { return Seconds(d.Seconds()) }
