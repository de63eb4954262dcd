// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

package csidriver

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// Volume is all the driver knows of a volume. There is no data behind it.
type Volume struct {
	// ID is the CSI volume handle; it equals the PersistentVolume's name.
	ID string `json:"id"`
	// Bytes is the size that was handed out last.
	Bytes          int64  `json:"bytes"`
	ClaimNamespace string `json:"claimNamespace"`
	ClaimName      string `json:"claimName"`
	// NodeExpansion says that a growth is complete only after the node's part.
	NodeExpansion bool `json:"nodeExpansion"`
	// Unit is what the volume's size is a multiple of, in bytes; 0 is any size.
	Unit int64 `json:"unit,omitempty"`
}

// rounded is the size that the driver gives when it is asked for that many bytes.
func (v Volume) rounded(bytes int64) int64 {
	if v.Unit <= 0 || bytes%v.Unit == 0 {
		return bytes
	}
	return bytes + v.Unit - bytes%v.Unit
}

// Claim is "<namespace>.<name>" of the claim the volume was made for, the form
// in which faults name it.
func (v Volume) Claim() string { return v.ClaimNamespace + "." + v.ClaimName }

// Volumes is the driver's state: one small file per volume, so that a driver
// that was killed comes back with every size it promised.
type Volumes struct {
	dir string

	mu   sync.Mutex
	byID map[string]Volume
}

// OpenVolumes reads the volumes kept in dir, which it makes if needed.
func OpenVolumes(dir string) (*Volumes, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the volume directory: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, fmt.Errorf("list the volumes in %s: %w", dir, err)
	}
	s := &Volumes{dir: dir, byID: make(map[string]Volume, len(files))}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read a volume: %w", err)
		}
		var vol Volume
		if err := json.Unmarshal(raw, &vol); err != nil {
			return nil, fmt.Errorf("read volume file %s (delete it to go on without it): %w", file, err)
		}
		s.byID[vol.ID] = vol
	}
	return s, nil
}

// Get returns the volume with that id.
func (s *Volumes) Get(id string) (Volume, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	vol, ok := s.byID[id]
	return vol, ok
}

// Create stores vol, or returns the one of that id that is already there.
func (s *Volumes) Create(vol Volume) (Volume, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok := s.byID[vol.ID]; ok {
		return old, nil
	}
	vol.Bytes = vol.rounded(vol.Bytes)
	return vol, s.save(vol)
}

// Grow raises a volume's size to at least bytes and returns it.
func (s *Volumes) Grow(id string, bytes int64) (Volume, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	vol, ok := s.byID[id]
	if !ok {
		return vol, fmt.Errorf("volume %s was deleted meanwhile", id)
	}
	if vol.Bytes >= bytes {
		return vol, nil
	}
	vol.Bytes = vol.rounded(bytes)
	return vol, s.save(vol)
}

// Delete forgets a volume. It is not an error if there is none.
func (s *Volumes) Delete(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.byID[id]; !ok {
		return nil
	}
	if err := os.Remove(s.file(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete volume %s: %w", id, err)
	}
	delete(s.byID, id)
	return nil
}

// save writes the file first, by rename: a kill in between leaves the old one.
func (s *Volumes) save(vol Volume) error {
	raw, err := json.Marshal(vol)
	if err != nil {
		return fmt.Errorf("encode volume %s: %w", vol.ID, err)
	}
	temp := s.file(vol.ID) + ".new"
	if err := os.WriteFile(temp, raw, 0o600); err != nil {
		return fmt.Errorf("write volume %s: %w", vol.ID, err)
	}
	if err := os.Rename(temp, s.file(vol.ID)); err != nil {
		return fmt.Errorf("write volume %s: %w", vol.ID, err)
	}
	s.byID[vol.ID] = vol
	return nil
}

func (s *Volumes) file(id string) string {
	return filepath.Join(s.dir, filepath.Base(id)+".json")
}
