// Package envoy reads the answers of Envoy's admin interface: statistics,
// upstream hosts, server information and the configuration dump.
//
// It only parses: fetching an answer is the caller's part, so that the same
// code judges a live proxy and a recorded one. Unknown fields are ignored,
// because every Envoy release adds some. Private keys and other inline secrets
// have no field here and are never decoded.
//
// # Absent is not zero
//
// A counter that a proxy does not publish, a breaker limit that is not
// configured and a resource that still warms up are all told apart from zero:
// lookups return a second value, limits are pointers, resources carry a State.
package envoy
