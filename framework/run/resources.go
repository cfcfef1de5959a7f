package run

import (
	"slices"
	"sync"
)

// resources keeps patterns apart that must not run at once. Patterns are begun in their order: one that has to wait holds those
// after it, so that it does not wait for ever.
type resources struct {
	mu      sync.Mutex
	changed *sync.Cond
	running map[*use]bool
}

// use is what a pattern takes of the resources from its beginning until all its claims are judged.
type use struct {
	of *resources
	// exclusive are those that it shares with no other.
	exclusive []string
	// waiting says that it neither installs nor judges until it is alone.
	waiting, alone bool
}

func newResources() *resources {
	r := &resources{running: map[*use]bool{}}
	r.changed = sync.NewCond(&r.mu)
	return r
}

// take waits until no pattern runs that shares one of the resources, or that is to be alone.
func (r *resources) take(exclusive []string) *use {
	u := &use{of: r, exclusive: exclusive}
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.without(u, func(other *use) bool {
		return other.alone || slices.ContainsFunc(exclusive, func(resource string) bool { return slices.Contains(other.exclusive, resource) })
	}) {
		r.changed.Wait()
	}
	r.running[u] = true
	return u
}

// becomeAlone waits until every other pattern waits, too, or has been judged, and keeps others from beginning until the use is
// given back. It returns false when it was given back meanwhile.
func (u *use) becomeAlone() bool {
	r := u.of
	r.mu.Lock()
	defer r.mu.Unlock()
	u.waiting = true
	r.changed.Broadcast()
	for r.running[u] && r.without(u, func(other *use) bool { return other.alone || !other.waiting }) {
		r.changed.Wait()
	}
	u.alone = r.running[u]
	return u.alone
}

// give ends the use; it may be called more than once.
func (u *use) give() {
	r := u.of
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.running, u)
	r.changed.Broadcast()
}

// without tells whether another pattern that runs is in the way.
func (r *resources) without(u *use, inTheWay func(other *use) bool) bool {
	for other := range r.running {
		if other != u && inTheWay(other) {
			return true
		}
	}
	return false
}
