// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/opsrelay/opsrelay/deploy/base"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// api looks at the API server; its finding is the first.
func (p Patient) api(context.Context) []Finding {
	const check = "kubernetes"
	version, err := p.Clients.Core.Discovery().ServerVersion()
	if err != nil {
		return []Finding{broken(check, err.Error(), "check the kubeconfig, its context and the network: kubectl version")}
	}
	return []Finding{ok(check, "API server "+version.GitVersion)}
}

// definitions looks for the resources that the relay reads and writes.
func (p Patient) definitions(context.Context) []Finding {
	var found []Finding
	for version, resource := range map[schema.GroupVersion]string{
		kubedb.DatabaseGroupVersion: kubedb.ResourceSinglestores,
		kubedb.OpsGroupVersion:      kubedb.ResourceSinglestoreOpsRequests,
		kubedb.AppsGroupVersion:     kubedb.ResourcePetSets,
	} {
		check := "definition " + resource + "." + version.Group
		list, err := p.Clients.Core.Discovery().ServerResourcesForGroupVersion(version.String())
		switch {
		case err != nil && !apierrors.IsNotFound(err):
			found = append(found, unknown(check, err))
		case err != nil || !slices.ContainsFunc(list.APIResources, func(r metav1.APIResource) bool { return r.Name == resource }):
			found = append(found, broken(check, "the cluster does not know it",
				"install KubeDB, or without it: kubectl apply --server-side -k deploy/crds"))
		default:
			found = append(found, ok(check, "served in "+version.Version))
		}
	}
	slices.SortFunc(found, func(a, b Finding) int { return strings.Compare(a.Check, b.Check) })
	return found
}

// rights asks the API server whether each service may do what its manifest says
// that it needs.
func (p Patient) rights(ctx context.Context) []Finding {
	roles, err := manifests[rbacv1.ClusterRole]("ClusterRole")
	if err != nil {
		return []Finding{unknown("rights", err)}
	}
	watched := p.watched(ctx)
	var found []Finding
	for _, role := range roles {
		service := strings.TrimPrefix(role.Name, "opsrelay-")
		check := "rights of " + service
		missing, err := p.missing(ctx, watched, service, role.Rules)
		switch {
		case err != nil:
			found = append(found, unknown(check, err))
		case len(missing) > 0:
			found = append(found, broken(check, "ServiceAccount "+p.Namespace+"/"+service+" may not: "+strings.Join(missing, ", "),
				"kubectl apply --server-side -k deploy/base/rights"))
		default:
			found = append(found, ok(check, "as in the manifests"))
		}
	}
	return found
}

// watched is the namespace that a namespaced installation works in: its services'
// ConfigMap says so. It is empty for all, and where nobody says anything.
func (p Patient) watched(ctx context.Context) string {
	config, err := p.Clients.Core.CoreV1().ConfigMaps(p.Namespace).Get(ctx, "opsrelay", metav1.GetOptions{})
	if err != nil {
		return "" // the services run elsewhere, or it is not ours to read
	}
	return config.Data["OPSRELAY_NAMESPACE"]
}

// clusterWide are the resources that the services read everywhere, for they are in no
// namespace, or in another than the databases.
var clusterWide = []string{"namespaces", "persistentvolumes", "storageclasses", "volumeattachments", "csistoragecapacities"}

// missing lists what the service account may not do of the rules in a namespace, or
// everywhere if it is empty. What has no namespace is asked for without one.
func (p Patient) missing(ctx context.Context, namespace, service string, rules []rbacv1.PolicyRule) ([]string, error) {
	var missing []string
	for _, rule := range rules {
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					resource, subresource, _ := strings.Cut(resource, "/")
					// Of a right to named objects the first is asked for.
					where, name := namespace, ""
					if len(rule.ResourceNames) > 0 {
						name = rule.ResourceNames[0]
					}
					switch {
					case resource == "namespaces" && verb == "get" && name == "":
						name = namespace // a Role in a namespace gives it of that one
					case slices.Contains(clusterWide, resource):
						where = metav1.NamespaceAll
					}
					review, err := p.Clients.Core.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{
						Spec: authorizationv1.SubjectAccessReviewSpec{
							User:   "system:serviceaccount:" + p.Namespace + ":" + service,
							Groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + p.Namespace, "system:authenticated"},
							ResourceAttributes: &authorizationv1.ResourceAttributes{
								Namespace: where, Group: group, Resource: resource, Subresource: subresource, Verb: verb, Name: name,
							},
						},
					}, metav1.CreateOptions{})
					if err != nil {
						return nil, err
					}
					if !review.Status.Allowed {
						missing = append(missing, strings.TrimSuffix(verb+" "+path.Join(resource, subresource)+"."+group, "."))
					}
				}
			}
		}
	}
	return missing, nil
}

// manifests are the objects of a kind among the manifests of the services' rights
// and policies.
func manifests[T any](kind string) ([]T, error) {
	names, err := fs.Glob(base.FS, "*/*.yaml")
	if err != nil {
		return nil, err
	}
	var found []T
	for _, name := range names {
		text, err := base.FS.ReadFile(name)
		if err != nil {
			return nil, err
		}
		decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
		for {
			var raw runtime.RawExtension
			err := decoder.Decode(&raw)
			if errors.Is(err, io.EOF) {
				break
			}
			var is metav1.TypeMeta
			if err == nil {
				err = json.Unmarshal(raw.Raw, &is)
			}
			if err == nil && is.Kind == kind {
				var object T
				err = json.Unmarshal(raw.Raw, &object)
				found = append(found, object)
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return found, nil
}

// storageClasses looks whether volumes can grow at all, and whether a resizer was
// ever seen at work for each provisioner.
func (p Patient) storageClasses(ctx context.Context) []Finding {
	const check = "storage classes"
	classes, err := p.Clients.Core.StorageV1().StorageClasses().List(ctx, metav1.ListOptions{})
	if err != nil {
		return []Finding{unknown(check, err)}
	}
	var growing, fixed []string
	provisioners := map[string]bool{}
	for _, class := range classes.Items {
		if class.AllowVolumeExpansion != nil && *class.AllowVolumeExpansion {
			growing = append(growing, class.Name)
			provisioners[class.Provisioner] = true
		} else {
			fixed = append(fixed, class.Name)
		}
	}
	if len(growing) == 0 {
		return []Finding{broken(check, fmt.Sprintf("none of %d allows expansion", len(classes.Items)),
			"set allowVolumeExpansion: true where the driver can do it: kubectl patch storageclass NAME -p '{\"allowVolumeExpansion\": true}'")}
	}
	found := []Finding{ok(check, "can grow: "+strings.Join(growing, ", ")+orNothing("; cannot: ", fixed))}
	return append(found, p.resizers(ctx, classes.Items, provisioners)...)
}

func orNothing(prefix string, names []string) string {
	if len(names) == 0 {
		return ""
	}
	return prefix + strings.Join(names, ", ")
}

// resizers looks for traces of external-resizer: it writes the status of claims.
func (p Patient) resizers(ctx context.Context, classes []storagev1.StorageClass, provisioners map[string]bool) []Finding {
	const check = "resizer"
	claims, err := p.Clients.Core.CoreV1().PersistentVolumeClaims("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return []Finding{unknown(check, err)}
	}
	provisioner := map[string]string{}
	for _, class := range classes {
		provisioner[class.Name] = class.Provisioner
	}
	seen := map[string]bool{}
	for _, claim := range claims.Items {
		if claim.Spec.StorageClassName == nil {
			continue
		}
		for _, field := range claim.ManagedFields {
			if field.Subresource == "status" && strings.Contains(field.Manager, "resizer") {
				seen[provisioner[*claim.Spec.StorageClassName]] = true
			}
		}
	}
	leases, err := p.Clients.Core.CoordinationV1().Leases("").List(ctx, metav1.ListOptions{})
	if err == nil {
		for _, lease := range leases.Items {
			if driver, ok := strings.CutPrefix(lease.Name, "external-resizer-"); ok {
				for name := range provisioners {
					seen[name] = seen[name] || strings.EqualFold(strings.ReplaceAll(name, "/", "-"), driver) || strings.ReplaceAll(name, ".", "-") == driver
				}
			}
		}
	}
	var unseen []string
	for name := range provisioners {
		if !seen[name] {
			unseen = append(unseen, name)
		}
	}
	slices.Sort(unseen)
	if len(unseen) > 0 {
		return []Finding{warning(check, "no trace of a resizer for "+strings.Join(unseen, ", ")+" (there is none before the first volume grows)",
			"if no volume grows: does the driver's controller run with the external-resizer sidecar?")}
	}
	return []Finding{ok(check, "seen for every provisioner that can grow volumes")}
}
