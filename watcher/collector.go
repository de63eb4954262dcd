// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package watcher

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/kubedb"
	"github.com/opsrelay/opsrelay/services/kubedb/plan"
)

// The metrics of what is there, in Kubernetes' own words. Every replica of the
// watcher says the same.
var (
	descRequests = prometheus.NewDesc("opsrelay_requests",
		"Requests that exist, by phase and by the step that is under way.", []string{"phase", "step"}, nil)
	descAwaiting = prometheus.NewDesc("opsrelay_requests_awaiting",
		"Requests under way, by the consumer whose turn it is.", []string{"consumer"}, nil)
	descStalled = prometheus.NewDesc("opsrelay_requests_stalled",
		"Requests that have not ended, wait for nothing that is known and had no news for longer than a step may take.", nil, nil)
	descPaused = prometheus.NewDesc("opsrelay_databases_paused",
		"Databases that are paused for a request.", nil, nil)
	descOldest = prometheus.NewDesc("opsrelay_pause_oldest_seconds",
		"Age of the oldest pause that was taken for a request; 0 if there is none.", nil, nil)
	descInstallations = prometheus.NewDesc("opsrelay_foreign_installations",
		"Other installations that answer requests of the same namespaces, or have left some under way.", nil, nil)
	descOrphans = prometheus.NewDesc("opsrelay_pauses_orphaned",
		"Databases that are paused for a request which has ended or is gone.", nil, nil)
)

// turns says whose turn a step is.
var turns = map[kubedb.Step]string{
	kubedb.StepPause:  events.PauserConsumer.Name,
	kubedb.StepExpand: events.ExpanderConsumer.Name,
	kubedb.StepUpdate: events.UpdaterConsumer.Name,
	kubedb.StepResume: events.PauserConsumer.Name,
}

// collector counts requests and pauses from the caches, whenever it is asked. It
// has no label that grows with them.
type collector struct{ *Watcher }

// Describe implements prometheus.Collector.
func (c *collector) Describe(descs chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{descRequests, descAwaiting, descStalled, descPaused, descOldest, descOrphans, descInstallations} {
		descs <- desc
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(metrics chan<- prometheus.Metric) {
	c.countRequests(metrics)
	c.countPauses(metrics)
	metrics <- gauge(descInstallations, c.installations())
}

// place is where a request is.
type place struct {
	phase kubedb.OpsRequestPhase
	step  kubedb.Step
}

func (c *collector) countRequests(metrics chan<- prometheus.Metric) {
	places := map[place]int{{kubedb.OpsPending, kubedb.StepAdmit}: 0}
	for step := range turns {
		places[place{kubedb.OpsProgressing, step}] = 0
	}
	for _, phase := range []kubedb.OpsRequestPhase{kubedb.OpsSuccessful, kubedb.OpsFailed, kubedb.OpsSkipped} {
		places[place{phase, kubedb.StepDone}] = 0
	}
	awaiting := map[string]int{}
	for _, consumer := range turns {
		awaiting[consumer] = 0
	}
	stalled, now := 0, c.Chain.Now()
	for _, object := range c.requests.GetStore().List() {
		request := object.(*kubedb.SinglestoreOpsRequest)
		if request.Spec.Type != kubedb.TypeVolumeExpansion && c.LeaveOtherTypes {
			continue // somebody else's
		}
		at := place{request.Status.Phase, kubedb.StepOf(request)}
		if at.phase == "" {
			at.phase = kubedb.OpsPending
		}
		places[at]++
		if consumer, ok := turns[at.step]; ok && at.phase == kubedb.OpsProgressing {
			awaiting[consumer]++
		}
		if c.stalled(request, now) {
			stalled++
		}
	}
	for at, count := range places {
		metrics <- gauge(descRequests, count, string(at.phase), string(at.step))
	}
	for consumer, count := range awaiting {
		metrics <- gauge(descAwaiting, count, consumer)
	}
	metrics <- gauge(descStalled, stalled)
}

// stalled reports whether the request should have had news: a step that is not
// answered in time is failed by its timer.
func (w *Watcher) stalled(request *kubedb.SinglestoreOpsRequest, now time.Time) bool {
	if request.Status.Phase != kubedb.OpsProgressing && !plan.Pending(request) {
		return false
	}
	if kubedb.IsConditionTrue(request.Status.Conditions, kubedb.ConditionWaiting) {
		return false
	}
	timeout := w.StepTimeout
	if request.Spec.Timeout != nil {
		timeout = request.Spec.Timeout.Duration
	}
	return now.Sub(lastNews(request)) > timeout
}

func (c *collector) countPauses(metrics chan<- prometheus.Metric) {
	paused, orphans, now := 0, 0, c.Chain.Now()
	var oldest time.Duration
	for _, object := range c.databases.GetStore().List() {
		db := object.(*kubedb.Singlestore)
		owner, ours := ownerOf(db)
		if !ours {
			continue
		}
		paused++
		since := kubedb.FindCondition(db.Status.Conditions, kubedb.ConditionPaused).LastTransitionTime
		oldest = max(oldest, now.Sub(since.Time))
		if !c.holds(owner) {
			orphans++
		}
	}
	metrics <- gauge(descPaused, paused)
	metrics <- prometheus.MustNewConstMetric(descOldest, prometheus.GaugeValue, oldest.Seconds())
	metrics <- gauge(descOrphans, orphans)
}

// holds reports whether the owner of a pause is there and has not ended.
func (c *collector) holds(owner kubedb.Owner) bool {
	object, exists, err := c.requests.GetStore().GetByKey(owner.Namespace + "/" + owner.Name)
	if err != nil || !exists {
		return false
	}
	request := object.(*kubedb.SinglestoreOpsRequest)
	return request.UID == owner.UID && !request.Status.Phase.Terminal()
}

func gauge(desc *prometheus.Desc, count int, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(count), labels...)
}
