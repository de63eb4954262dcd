// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package monitoring

import (
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/bus"
	"github.com/opsrelay/opsrelay/services/bus/bustest"
	"github.com/opsrelay/opsrelay/services/kubedb"
	"github.com/opsrelay/opsrelay/services/runtime"
	"github.com/opsrelay/opsrelay/watcher"
)

const (
	patience = 2 * time.Minute
	tick     = 10 * time.Millisecond
)

// question is a PromQL expression and where it stands.
type question struct{ where, expr string }

// rule is an alert; a field that Prometheus does not have is refused.
type rule struct {
	Alert       string            `json:"alert"`
	Expr        string            `json:"expr"`
	For         model.Duration    `json:"for"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

// rules returns the alerts of the rendered PrometheusRule.
func rules(t *testing.T, objects map[string]*unstructured.Unstructured) []rule {
	t.Helper()
	require.Contains(t, objects, "PrometheusRule")
	spec, err := yaml.Marshal(objects["PrometheusRule"].Object["spec"])
	require.NoError(t, err)
	var group struct {
		Groups []struct {
			Name  string `json:"name"`
			Rules []rule `json:"rules"`
		} `json:"groups"`
	}
	require.NoError(t, yaml.UnmarshalStrict(spec, &group))
	require.Len(t, group.Groups, 1)
	require.NotEmpty(t, group.Groups[0].Rules)
	return group.Groups[0].Rules
}

// panel is what Grafana draws.
type panel struct {
	ID      int    `json:"id"`
	Title   string `json:"title"`
	Type    string `json:"type"`
	GridPos struct{ X, Y, W, H int }
	Targets []struct{ Expr string }
}

// panels returns those of the dashboard as it is rendered.
func panels(t *testing.T, objects map[string]*unstructured.Unstructured) []panel {
	t.Helper()
	require.Contains(t, objects, "ConfigMap")
	data, found, err := unstructured.NestedString(objects["ConfigMap"].Object, "data", "opsrelay.json")
	require.NoError(t, err)
	require.True(t, found)
	var dashboard struct{ Panels []panel }
	require.NoError(t, json.Unmarshal([]byte(data), &dashboard))
	require.NotEmpty(t, dashboard.Panels)
	return dashboard.Panels
}

// questions are all that is asked of Prometheus.
func questions(t *testing.T, objects map[string]*unstructured.Unstructured) []question {
	t.Helper()
	var list []question
	for _, r := range rules(t, objects) {
		list = append(list, question{"alert " + r.Alert, r.Expr})
	}
	for _, p := range panels(t, objects) {
		require.NotEmpty(t, p.Targets, p.Title)
		for _, target := range p.Targets {
			// Grafana puts a duration in its place.
			list = append(list, question{"panel " + p.Title, strings.ReplaceAll(target.Expr, "$__rate_interval", "5m")})
		}
	}
	return list
}

// render renders the base with the component on top, and returns what the
// component adds, by kind.
func render(t *testing.T) map[string]*unstructured.Unstructured {
	t.Helper()
	files := filesys.MakeFsInMemory()
	for _, directory := range []string{"base", "components", "monitoring"} {
		require.NoError(t, fs.WalkDir(os.DirFS(".."), directory, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			data, err := os.ReadFile(filepath.Join("..", path))
			require.NoError(t, err)
			return files.WriteFile("/"+path, data)
		}))
	}
	require.NoError(t, files.WriteFile("/overlay/kustomization.yaml", []byte("resources: [../base]\ncomponents: [../components/monitoring]\n")))
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(files, "/overlay")
	require.NoError(t, err)
	added := map[string]*unstructured.Unstructured{}
	for _, resource := range resources.Resources() {
		data, err := resource.MarshalJSON()
		require.NoError(t, err)
		object := &unstructured.Unstructured{}
		require.NoError(t, object.UnmarshalJSON(data))
		if name := object.GetName(); name == "opsrelay-dashboard" || strings.HasPrefix(object.GetAPIVersion(), "monitoring.coreos.com/") {
			require.Equal(t, "opsrelay", object.GetNamespace(), object.GetKind())
			require.Equal(t, "opsrelay", object.GetLabels()["app.kubernetes.io/part-of"], object.GetKind())
			added[object.GetKind()] = object
		}
	}
	require.Len(t, added, 3, "a PodMonitor, a PrometheusRule and the dashboard's ConfigMap")
	return added
}

// names is what the services expose: the labels of each metric, by its name as
// PromQL knows it.
type names map[string]map[string]bool

// exposed has the real bus, with a message handled, and the real watcher register
// what they measure, and returns what they then expose.
func exposed(t *testing.T) names {
	t.Helper()
	registry, ctx := runtime.NewRegistry(), bustest.Context(t)
	bustest.Connect(t, "provision")
	b, err := bus.Connect(ctx, bus.Config{Name: "pauser", InProcess: bustest.Server(t), Registerer: registry})
	require.NoError(t, err)
	t.Cleanup(func() { _ = b.Close(context.WithoutCancel(ctx)) })
	nobody := &rest.Config{Host: "127.0.0.1:1"} // nothing is asked of it
	client, err := kubedb.NewClient(nobody)
	require.NoError(t, err)
	core, err := kubernetes.NewForConfig(nobody)
	require.NoError(t, err)
	_, err = watcher.New(watcher.Config{Client: client, Core: core, Chain: b.Chain("watcher"), Workers: 1, Registerer: registry})
	require.NoError(t, err)
	require.NoError(t, registry.Register(b.Chain("watcher").UsageMetrics()))
	_ = b.NewRunner(bus.RunnerConfig{Consumer: events.DeadLetterConsumer, Source: "watcher", Registerer: registry})
	runner := b.NewRunner(bus.RunnerConfig{Consumer: events.PauserConsumer, Step: step{}, Source: "pauser", Registerer: registry})
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- runner.Run(running) }()
	t.Cleanup(func() { stop(); require.NoError(t, <-ended) })
	_, err = b.Chain("watcher").Begin(ctx, events.First(events.Requested, "singlestore", events.Operation{
		Request:     events.Reference{Kind: kubedb.KindSinglestoreOpsRequest, Namespace: "demo", Name: "grow", UID: "u"},
		Database:    events.Reference{Kind: kubedb.KindSinglestore, Namespace: "demo", Name: "sdb", UID: "d"},
		Mode:        events.Online,
		StepTimeout: events.SecondsOf(time.Hour),
	}))
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		return gather(t, registry)["opsrelay_handle_duration_seconds_bucket"] != nil
	}, patience, tick, "no message was handled")
	// Metrics are gathered side by side: only what is asked for now has all of it.
	return gather(t, registry)
}

// step answers requested.
type step struct{}

func (step) Handle(_ context.Context, e events.Event, _ bus.Confirm) (events.Event, error) {
	return e.Next(events.Paused), nil
}

func gather(t *testing.T, registry *prometheus.Registry) names {
	t.Helper()
	families, err := registry.Gather()
	require.NoError(t, err)
	found := names{}
	for _, family := range families {
		known := map[string]bool{}
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				known[label.GetName()] = true
			}
		}
		if family.GetMetric()[0].GetHistogram() == nil {
			found[family.GetName()] = known
			continue
		}
		for _, part := range []string{"_bucket", "_sum", "_count"} {
			found[family.GetName()+part] = known
		}
	}
	return found
}

func TestEveryQuestionHasAnAnswer(t *testing.T) {
	t.Parallel()
	metrics, promql := exposed(t), parser.NewParser(parser.Options{})
	// What Prometheus adds, by way of the PodMonitor, and what a bucket has.
	fromPrometheus := map[string]bool{"pod": true, "le": true}
	for _, q := range questions(t, render(t)) {
		expr, err := promql.ParseExpr(q.expr)
		require.NoError(t, err, "%s: %s", q.where, q.expr)
		asked, known := 0, map[string]bool{}
		parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
			selector, ok := node.(*parser.VectorSelector)
			if !ok {
				return nil
			}
			asked++
			require.Contains(t, metrics, selector.Name, "%s asks for a metric that no service exposes: %s", q.where, q.expr)
			for _, matcher := range selector.LabelMatchers {
				if matcher.Name != model.MetricNameLabel {
					require.Contains(t, metrics[selector.Name], matcher.Name, "%s: %s has no such label", q.where, selector.Name)
				}
			}
			for name := range metrics[selector.Name] {
				known[name] = true
			}
			return nil
		})
		require.Positive(t, asked, "%s asks for nothing", q.where)
		parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
			var by []string
			switch node := node.(type) {
			case *parser.AggregateExpr:
				by = node.Grouping
			case *parser.BinaryExpr:
				if node.VectorMatching != nil {
					by = node.VectorMatching.MatchingLabels
				}
			}
			for _, label := range by {
				require.True(t, known[label] || fromPrometheus[label], "%s: nothing has the label %s: %s", q.where, label, q.expr)
			}
			return nil
		})
	}
}

// A metric whose labels name requests or databases has as many series as there
// ever were.
func TestNoLabelGrowsWithTheRequests(t *testing.T) {
	t.Parallel()
	for name, known := range exposed(t) {
		for _, label := range []string{"namespace", "name", "uid", "request", "database"} {
			require.NotContains(t, known, label, name)
		}
	}
}

// heading is that of an alert's section.
var heading = regexp.MustCompile(`(?m)^## (Opsrelay\w+)$`)

func TestEveryAlertHasARunbook(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../docs/runbooks.md")
	require.NoError(t, err)
	sections := map[string]string{}
	at := heading.FindAllSubmatchIndex(data, -1)
	for i, match := range at {
		end := len(data)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		sections[string(data[match[2]:match[3]])] = string(data[match[1]:end])
	}
	seen := map[string]bool{}
	for _, r := range rules(t, render(t)) {
		require.False(t, seen[r.Alert], "%s is there twice", r.Alert)
		seen[r.Alert] = true
		require.Contains(t, []string{"warning", "critical"}, r.Labels["severity"], r.Alert)
		require.NotEmpty(t, r.Annotations["summary"], r.Alert)
		require.NotEmpty(t, r.Annotations["description"], r.Alert)
		require.Equal(t, "https://github.com/opsrelay/opsrelay/blob/main/docs/runbooks.md#"+strings.ToLower(r.Alert), r.Annotations["runbook_url"])
		require.Contains(t, sections, r.Alert, "docs/runbooks.md has no section of that name")
		for _, part := range []string{"**Means.**", "**Look.**", "**Do.**"} {
			require.Contains(t, sections[r.Alert], part, r.Alert)
		}
	}
	require.Len(t, sections, len(seen), "docs/runbooks.md has a section of an alert that does not exist")
}

func TestPanelsDoNotOverlap(t *testing.T) {
	t.Parallel()
	ids, taken := map[int]bool{}, map[[2]int]string{}
	for _, p := range panels(t, render(t)) {
		require.False(t, ids[p.ID], "two panels %d", p.ID)
		ids[p.ID] = true
		require.LessOrEqual(t, p.GridPos.X+p.GridPos.W, 24, p.Title)
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				require.Empty(t, taken[[2]int{x, y}], p.Title)
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
}
