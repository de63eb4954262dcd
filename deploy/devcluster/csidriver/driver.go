// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

// Package csidriver is the development cluster's CSI driver: it speaks the real
// protocol, stores only the size of a volume, and can be told at run time to
// be slow, to refuse, to fail or never to answer.
//
// It imports nothing of Kubernetes, so that its tests build in seconds.
package csidriver

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Name is the driver's name, as StorageClasses and the CSIDriver object carry it.
const Name = "csi.devcluster.opsrelay.dev"

// The parameters of CreateVolume. The csi.storage.k8s.io ones are those that
// the common provisioner sends when it is asked for extra metadata.
const (
	ParameterClaimName      = "csi.storage.k8s.io/pvc/name"
	ParameterClaimNamespace = "csi.storage.k8s.io/pvc/namespace"
	// ParameterNodeExpansion, when "true", makes the driver say that a grown
	// volume also needs its node's part.
	ParameterNodeExpansion = "nodeExpansion"
	// ParameterUnit is what sizes are rounded up to a multiple of, in bytes.
	ParameterUnit = "unit"
)

// Driver serves the identity, controller and node services. Its zero value is
// not usable: see [New].
type Driver struct {
	csi.UnimplementedIdentityServer
	csi.UnimplementedControllerServer
	csi.UnimplementedNodeServer

	volumes *Volumes
	faults  *Faults
	calls   *Calls
	log     *slog.Logger
}

// New returns a driver that keeps its volumes in the given store and looks up
// its misbehaviour in faults.
func New(volumes *Volumes, faults *Faults, calls *Calls, log *slog.Logger) *Driver {
	return &Driver{volumes: volumes, faults: faults, calls: calls, log: log}
}

// Register adds the driver's services to a gRPC server.
func (d *Driver) Register(s *grpc.Server) {
	csi.RegisterIdentityServer(s, d)
	csi.RegisterControllerServer(s, d)
	csi.RegisterNodeServer(s, d)
}

// GetPluginInfo names the driver.
func (d *Driver) GetPluginInfo(context.Context, *csi.GetPluginInfoRequest) (*csi.GetPluginInfoResponse, error) {
	return &csi.GetPluginInfoResponse{Name: Name, VendorVersion: "dev"}, nil
}

// Probe says that the driver is ready.
func (d *Driver) Probe(context.Context, *csi.ProbeRequest) (*csi.ProbeResponse, error) {
	return &csi.ProbeResponse{}, nil
}

// GetPluginCapabilities announces the controller service and online expansion.
// Volumes that only grow while unused are a fault ([Fault].OfflineOnly), because
// one driver has to play both kinds.
func (d *Driver) GetPluginCapabilities(context.Context, *csi.GetPluginCapabilitiesRequest) (*csi.GetPluginCapabilitiesResponse, error) {
	return &csi.GetPluginCapabilitiesResponse{Capabilities: []*csi.PluginCapability{
		{Type: &csi.PluginCapability_Service_{Service: &csi.PluginCapability_Service{
			Type: csi.PluginCapability_Service_CONTROLLER_SERVICE}}},
		{Type: &csi.PluginCapability_VolumeExpansion_{VolumeExpansion: &csi.PluginCapability_VolumeExpansion{
			Type: csi.PluginCapability_VolumeExpansion_ONLINE}}},
	}}, nil
}

// ControllerGetCapabilities announces creation, deletion and expansion.
func (d *Driver) ControllerGetCapabilities(context.Context, *csi.ControllerGetCapabilitiesRequest) (*csi.ControllerGetCapabilitiesResponse, error) {
	kinds := []csi.ControllerServiceCapability_RPC_Type{
		csi.ControllerServiceCapability_RPC_CREATE_DELETE_VOLUME,
		csi.ControllerServiceCapability_RPC_EXPAND_VOLUME,
	}
	out := &csi.ControllerGetCapabilitiesResponse{}
	for _, kind := range kinds {
		out.Capabilities = append(out.Capabilities, &csi.ControllerServiceCapability{
			Type: &csi.ControllerServiceCapability_Rpc{Rpc: &csi.ControllerServiceCapability_RPC{Type: kind}}})
	}
	return out, nil
}

// NodeGetCapabilities announces nothing: the nodes are simulated.
func (d *Driver) NodeGetCapabilities(context.Context, *csi.NodeGetCapabilitiesRequest) (*csi.NodeGetCapabilitiesResponse, error) {
	return &csi.NodeGetCapabilitiesResponse{}, nil
}

// CreateVolume stores a volume whose id is its name. Asking again for a volume
// that is there is answered with the one that is there.
func (d *Driver) CreateVolume(ctx context.Context, req *csi.CreateVolumeRequest) (*csi.CreateVolumeResponse, error) {
	vol := Volume{
		ID:             req.GetName(),
		Bytes:          req.GetCapacityRange().GetRequiredBytes(),
		ClaimNamespace: req.GetParameters()[ParameterClaimNamespace],
		ClaimName:      req.GetParameters()[ParameterClaimName],
		NodeExpansion:  req.GetParameters()[ParameterNodeExpansion] == "true",
	}
	if vol.ID == "" {
		return nil, status.Error(codes.InvalidArgument, "a volume needs a name")
	}
	if unit, ok := req.GetParameters()[ParameterUnit]; ok {
		var err error
		if vol.Unit, err = strconv.ParseInt(unit, 10, 64); err != nil {
			return nil, status.Errorf(codes.InvalidArgument, "parameter %s is %q, want a number of bytes", ParameterUnit, unit)
		}
	}
	if err := d.meetFault(ctx, OperationCreate, vol, vol.Bytes); err != nil {
		return nil, err
	}
	vol, err := d.volumes.Create(vol)
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return &csi.CreateVolumeResponse{Volume: &csi.Volume{VolumeId: vol.ID, CapacityBytes: vol.Bytes}}, nil
}

// DeleteVolume forgets a volume; one that is not there counts as deleted.
func (d *Driver) DeleteVolume(_ context.Context, req *csi.DeleteVolumeRequest) (*csi.DeleteVolumeResponse, error) {
	if err := d.volumes.Delete(req.GetVolumeId()); err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return &csi.DeleteVolumeResponse{}, nil
}

// ControllerExpandVolume grows a volume to at least the required bytes; it
// never shrinks one. The call and its answer are kept in [Calls].
func (d *Driver) ControllerExpandVolume(ctx context.Context, req *csi.ControllerExpandVolumeRequest) (*csi.ControllerExpandVolumeResponse, error) {
	bytes := req.GetCapacityRange().GetRequiredBytes()
	vol, ok := d.volumes.Get(req.GetVolumeId())
	if !ok {
		return nil, status.Errorf(codes.NotFound, "no volume %q here", req.GetVolumeId())
	}
	done := d.calls.Begin(vol, bytes)
	vol, err := d.expand(ctx, vol, bytes)
	done(status.Code(err))
	if err != nil {
		return nil, err
	}
	return &csi.ControllerExpandVolumeResponse{CapacityBytes: vol.Bytes, NodeExpansionRequired: vol.NodeExpansion}, nil
}

func (d *Driver) expand(ctx context.Context, vol Volume, bytes int64) (Volume, error) {
	if err := d.meetFault(ctx, OperationExpand, vol, bytes); err != nil {
		return vol, err
	}
	grown, err := d.volumes.Grow(vol.ID, bytes)
	if err != nil {
		return vol, status.Error(codes.Internal, err.Error())
	}
	return grown, nil
}

// NodeExpandVolume is the node's part of a growth. There is nothing to do for it
// but to meet its faults.
func (d *Driver) NodeExpandVolume(ctx context.Context, req *csi.NodeExpandVolumeRequest) (*csi.NodeExpandVolumeResponse, error) {
	vol, ok := d.volumes.Get(req.GetVolumeId())
	if !ok {
		return nil, status.Errorf(codes.NotFound, "no volume %q here", req.GetVolumeId())
	}
	if err := d.meetFault(ctx, OperationNodeExpand, vol, req.GetCapacityRange().GetRequiredBytes()); err != nil {
		return nil, err
	}
	return &csi.NodeExpandVolumeResponse{CapacityBytes: vol.Bytes}, nil
}

func (d *Driver) meetFault(ctx context.Context, op Operation, vol Volume, bytes int64) error {
	err := d.faults.Meet(ctx, op, vol, bytes)
	if err != nil {
		d.log.InfoContext(ctx, "refused", "operation", op, "volume", vol.ID,
			"claim", vol.Claim(), "bytes", bytes, "error", fmt.Sprint(err))
	}
	return err
}
