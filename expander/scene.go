// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package expander

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/tools/cache"

	"github.com/opsrelay/opsrelay/events"
	"github.com/opsrelay/opsrelay/services/kubedb"
)

// scene is all that growing the volumes of one workload Offline depends on,
// live, besides the claims. It lasts as long as that workload's turn.
type scene struct {
	namespace, database                   string
	selector                              labels.Selector // the workload's pods
	pods, attachments, budgets, databases cache.SharedIndexInformer
	// changed gets a value after any of it changed. Changes that nobody has
	// looked at yet count as one.
	changed chan struct{}
	// budgetChanges counts the changes of disruption budgets.
	budgetChanges atomic.Int64
}

// byVolume indexes attachments by the volume that is attached.
const byVolume = "volume"

// openScene returns the scene of a workload once it is complete; leave ends it.
func (x *Expander) openScene(ctx context.Context, op events.Operation, set *kubedb.Workload) (_ *scene, leave func(), err error) {
	namespace := op.Database.Namespace
	s := &scene{
		namespace: namespace, database: op.Database.Name, changed: make(chan struct{}, 1),
		pods:        kubedb.NewInformer(x.core.CoreV1().Pods(namespace), &corev1.Pod{}),
		attachments: kubedb.NewInformer(x.core.StorageV1().VolumeAttachments(), &storagev1.VolumeAttachment{}),
		budgets:     kubedb.NewInformer(x.core.PolicyV1().PodDisruptionBudgets(namespace), &policyv1.PodDisruptionBudget{}),
		databases: x.client.SinglestoreInformer(namespace, func(options *metav1.ListOptions) {
			options.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, op.Database.Name).String()
		}),
	}
	if s.selector, err = metav1.LabelSelectorAsSelector(set.Selector); err != nil {
		return nil, nil, fmt.Errorf("selector of %s: %w", set, err)
	}
	if err := s.pods.SetTransform(slimPod); err != nil {
		return nil, nil, fmt.Errorf("watch pods: %w", err)
	}
	if err := s.attachments.SetTransform(slimAttachment); err != nil {
		return nil, nil, fmt.Errorf("watch volume attachments: %w", err)
	}
	if err := s.attachments.AddIndexers(cache.Indexers{byVolume: volumeOf}); err != nil {
		return nil, nil, fmt.Errorf("watch volume attachments: %w", err)
	}
	leave, err = s.run(ctx)
	return s, leave, err
}

// run starts the informers and waits until all have listed what there is.
func (s *scene) run(ctx context.Context) (leave func(), err error) {
	watching, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	leave = func() { stop(); running.Wait() }
	var synced []cache.InformerSynced
	for _, informer := range []cache.SharedIndexInformer{s.pods, s.attachments, s.budgets, s.databases} {
		notify := s.notify
		if informer == s.budgets {
			notify = func() { s.budgetChanges.Add(1); s.notify() }
		}
		_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc: func(any) { notify() }, UpdateFunc: func(any, any) { notify() }, DeleteFunc: func(any) { notify() },
		})
		if err != nil {
			leave()
			return nil, fmt.Errorf("watch namespace %s: %w", s.namespace, err)
		}
		synced = append(synced, informer.HasSynced)
		running.Go(func() { informer.RunWithContext(watching) })
	}
	if !cache.WaitForCacheSync(ctx.Done(), synced...) {
		leave()
		return nil, context.Cause(ctx)
	}
	return leave, nil
}

func (s *scene) notify() {
	select {
	case s.changed <- struct{}{}:
	default: // a change is waiting to be looked at already
	}
}

// pod returns the pod as it was last seen, or nil. It is shared: not to be
// changed.
func (s *scene) pod(name string) *corev1.Pod {
	object, exists, err := s.pods.GetStore().GetByKey(s.namespace + "/" + name)
	if err != nil || !exists {
		return nil
	}
	return object.(*corev1.Pod)
}

// held names a pod of the workload that is held, whoever holds it, or "".
func (s *scene) held() string {
	for _, pod := range s.allPods() {
		if holds(pod) && s.selector.Matches(labels.Set(pod.Labels)) {
			return pod.Name
		}
	}
	return ""
}

// allPods lists the pods of the namespace: not only the workload's use volumes. They
// are shared: not to be changed.
func (s *scene) allPods() []*corev1.Pod {
	objects := s.pods.GetStore().List()
	pods := make([]*corev1.Pod, len(objects))
	for i, object := range objects {
		pods[i] = object.(*corev1.Pod)
	}
	return pods
}

// databaseReady reports whether the database is Ready and there to stay. One that is
// gone is no reason to wait.
func (s *scene) databaseReady() bool {
	object, exists, err := s.databases.GetStore().GetByKey(s.namespace + "/" + s.database)
	if err != nil || !exists {
		return err == nil
	}
	db := object.(*kubedb.Singlestore)
	return db.Status.Phase == kubedb.DatabaseReady && db.DeletionTimestamp == nil
}

// attachedTo returns the node that the volume is attached to, or "".
func (s *scene) attachedTo(volume string) string {
	attachments, err := s.attachments.GetIndexer().ByIndex(byVolume, volume)
	if err != nil || len(attachments) == 0 {
		return ""
	}
	return attachments[0].(*storagev1.VolumeAttachment).Spec.NodeName
}

// dead reports whether nothing of a deleted pod runs or is mounted any more. The
// phase alone comes too early: the kubelet takes the grace period to zero only
// when the volumes are unmounted.
func dead(pod *corev1.Pod) bool {
	ended := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
	return ended && pod.DeletionGracePeriodSeconds != nil && *pod.DeletionGracePeriodSeconds == 0
}

// ready reports whether the pod does its work, and is not about to end.
func ready(pod *corev1.Pod) bool {
	if pod == nil || pod.DeletionTimestamp != nil {
		return false
	}
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

// volumeOf is the persistent volume of an attachment.
func volumeOf(object any) ([]string, error) {
	attachment, ok := object.(*storagev1.VolumeAttachment)
	if !ok || attachment.Spec.Source.PersistentVolumeName == nil {
		return nil, nil
	}
	return []string{*attachment.Spec.Source.PersistentVolumeName}, nil
}

// slimAttachment keeps of an attachment which volume is where: there may be
// thousands.
func slimAttachment(object any) (any, error) {
	attachment, ok := object.(*storagev1.VolumeAttachment)
	if !ok {
		return object, nil
	}
	return &storagev1.VolumeAttachment{
		ObjectMeta: metav1.ObjectMeta{Name: attachment.Name, ResourceVersion: attachment.ResourceVersion},
		Spec:       storagev1.VolumeAttachmentSpec{NodeName: attachment.Spec.NodeName, Source: attachment.Spec.Source},
	}, nil
}

// slimPod keeps of a pod what is judged.
func slimPod(object any) (any, error) {
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return object, nil
	}
	slim := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: pod.Name, Namespace: pod.Namespace, UID: pod.UID, ResourceVersion: pod.ResourceVersion,
			Labels: pod.Labels, Finalizers: pod.Finalizers, CreationTimestamp: pod.CreationTimestamp,
			DeletionTimestamp: pod.DeletionTimestamp, DeletionGracePeriodSeconds: pod.DeletionGracePeriodSeconds,
		},
		Spec:   corev1.PodSpec{NodeName: pod.Spec.NodeName},
		Status: corev1.PodStatus{Phase: pod.Status.Phase},
	}
	for _, volume := range pod.Spec.Volumes {
		if volume.PersistentVolumeClaim != nil {
			slim.Spec.Volumes = append(slim.Spec.Volumes, volume)
		}
	}
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			slim.Status.Conditions = append(slim.Status.Conditions, condition)
		}
	}
	return slim, nil
}
