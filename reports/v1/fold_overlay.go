package v1

import (
	"cmp"
	"time"
)

// overlayRun returns old with every field that now knows; a later event never erases what an earlier one said.
func overlayRun(old, now Run) Run {
	old.ID = cmp.Or(now.ID, old.ID)
	old.Version = cmp.Or(now.Version, old.Version)
	old.Client = cmp.Or(now.Client, old.Client)
	old.StartedAt = firstTime(now.StartedAt, old.StartedAt)
	old.FinishedAt = firstTime(now.FinishedAt, old.FinishedAt)
	old.Interrupted = cmp.Or(now.Interrupted, old.Interrupted)
	old.Error = cmp.Or(now.Error, old.Error)
	if len(now.Args) > 0 {
		old.Args = now.Args
	}
	return old
}

// Overlay returns c with every field that now knows: a first event knows the API server, a later one the mesh and its proxies.
func (c Cluster) Overlay(now Cluster) Cluster {
	return Cluster{
		Provider:   cmp.Or(now.Provider, c.Provider),
		Name:       cmp.Or(now.Name, c.Name),
		APIServer:  cmp.Or(now.APIServer, c.APIServer),
		Context:    cmp.Or(now.Context, c.Context),
		UID:        cmp.Or(now.UID, c.UID),
		Kubernetes: cmp.Or(now.Kubernetes, c.Kubernetes),
		Mesh: Mesh{
			Flavour:  cmp.Or(now.Mesh.Flavour, c.Mesh.Flavour),
			Version:  cmp.Or(now.Mesh.Version, c.Mesh.Version),
			Revision: cmp.Or(now.Mesh.Revision, c.Mesh.Revision),
			Proxy:    cmp.Or(now.Mesh.Proxy, c.Mesh.Proxy),
		},
	}
}

// firstTime returns the first of times that is set; the zero time when none is.
func firstTime(times ...time.Time) time.Time {
	for _, t := range times {
		if !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}

// secondsBetween returns the seconds from start to end; 0 when either is unknown or the clock went backwards.
func secondsBetween(start, end time.Time) float64 {
	if start.IsZero() || end.Before(start) {
		return 0
	}
	return end.Sub(start).Seconds()
}
