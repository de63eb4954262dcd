// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"bytes"
	"context"
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
	roles, err := roles()
	if err != nil {
		return []Finding{unknown("rights", err)}
	}
	var found []Finding
	for _, role := range roles {
		service := strings.TrimPrefix(role.Name, "opsrelay-")
		check := "rights of " + service
		missing, err := p.missing(ctx, service, role.Rules)
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

// missing lists what the service account may not do of the rules.
func (p Patient) missing(ctx context.Context, service string, rules []rbacv1.PolicyRule) ([]string, error) {
	var missing []string
	for _, rule := range rules {
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					resource, subresource, _ := strings.Cut(resource, "/")
					review, err := p.Clients.Core.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{
						Spec: authorizationv1.SubjectAccessReviewSpec{
							User:   "system:serviceaccount:" + p.Namespace + ":" + service,
							Groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + p.Namespace, "system:authenticated"},
							ResourceAttributes: &authorizationv1.ResourceAttributes{
								Group: group, Resource: resource, Subresource: subresource, Verb: verb,
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

// roles are the cluster roles of the services, out of the manifests.
func roles() ([]rbacv1.ClusterRole, error) {
	names, err := fs.Glob(base.FS, "rights/*.yaml")
	if err != nil {
		return nil, err
	}
	var roles []rbacv1.ClusterRole
	for _, name := range names {
		text, err := base.FS.ReadFile(name)
		if err != nil {
			return nil, err
		}
		decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
		for {
			var role rbacv1.ClusterRole
			err := decoder.Decode(&role)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			if role.Kind == "ClusterRole" {
				roles = append(roles, role)
			}
		}
	}
	return roles, nil
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
