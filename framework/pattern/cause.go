package pattern

// Cause says why something was refused, or why a claim is not true. It is one closed enumeration, shared by matchers,
// mutants, diagnosis and JUnit, so that a check can go red for one reason only.
type Cause string

const (
	// NotAnswered: the client got no answer at all.
	NotAnswered Cause = "not-answered"
	// WrongStatus: the client got an answer with another status than claimed.
	WrongStatus Cause = "wrong-status"
	// WrongContent: the status was right and the content was not.
	WrongContent Cause = "wrong-content"
	// Bypassed: the probe arrived, but not through the hop that it must pass.
	Bypassed Cause = "bypassed"
	// WrongCluster: the hop sent the probe on, but to another cluster than claimed.
	WrongCluster Cause = "wrong-cluster"
	// WrongPeer: a hop was reached from another address than that of the hop before it.
	WrongPeer Cause = "wrong-peer"
	// WrongIdentity: the peer's certificate names another identity, or there was none.
	WrongIdentity Cause = "wrong-identity"
	// Repeated: a hop saw one probe more often than it was sent.
	Repeated Cause = "repeated"
	// CounterDisagrees: a proxy's counter moved by less than the probes that it is said to have carried.
	CounterDisagrees Cause = "counter-disagrees"
	// NotSpread: the probes were not spread over all that should share them.
	NotSpread Cause = "not-spread"
	// PlainText: a connection was not encrypted that must be.
	PlainText Cause = "plain-text"
	// WrongServerName: a TLS handshake asked for another server name than claimed.
	WrongServerName Cause = "wrong-server-name"
	// TLSAdded: a proxy began TLS of its own with what it must carry as it is.
	TLSAdded Cause = "tls-added"

	// RouteNotFound: a proxy refused a request that no route of it matches: status 404, flag NR.
	RouteNotFound Cause = "route-not-found"
	// NoFilterChain: a proxy closed a connection that no filter chain of it matches, such as plain text where it takes mutual
	// TLS only: flag NR.
	NoFilterChain Cause = "no-filter-chain"
	// BlackHole: a sidecar that knows no such destination, under REGISTRY_ONLY, closed the connection: cluster BlackHoleCluster.
	BlackHole Cause = "black-hole"
	// NoHealthyUpstream: a proxy closed a connection because its cluster has no host that can be used: flag UH.
	NoHealthyUpstream Cause = "no-healthy-upstream"
	// UnknownAuthority: the client of a TLS handshake, an application or a proxy, does not trust who signed the server's
	// certificate.
	UnknownAuthority Cause = "unknown-authority"
	// WrongCertificateName: the client of a TLS handshake found that the server's certificate is for another name.
	WrongCertificateName Cause = "wrong-certificate-name"
	// ExpiredCertificate: the client of a TLS handshake found that the server's certificate is no longer valid.
	ExpiredCertificate Cause = "expired-certificate"
	// NoClientCertificate: the server of a TLS handshake refused a client that presented no certificate.
	NoClientCertificate Cause = "no-client-certificate"
	// NotLoggedIn: a database refused the user or the password.
	NotLoggedIn Cause = "not-logged-in"
	// Unreachable: nothing took the connection: it was refused, reset, or not answered in time.
	Unreachable Cause = "unreachable"
	// NotPublished: a router refused what no Route publishes: status 503 of its own.
	NotPublished Cause = "not-published"

	// Overflow: a proxy turned a request away because a limit of its cluster was reached: status 503, flag UO.
	Overflow Cause = "overflow"
	// Ejected: a proxy turned a request away because outlier detection has ejected every host of its cluster: status 503, flag
	// UH.
	Ejected Cause = "ejected"
	// NoCluster: a route leads to a cluster that its proxy does not have: status 503, flag NC.
	NoCluster Cause = "no-cluster"
	// Injected: a proxy answered with a fault that it was told to inject: flag FI.
	Injected Cause = "injected"
	// UpstreamFailed: the server itself, or a router before it, answered with the error.
	UpstreamFailed Cause = "upstream-failed"

	// OverLimit: more was in flight at once than a limit with its leeway allows.
	OverLimit Cause = "over-limit"
	// UnderLimit: less was in flight at once than a limit allows, while more waited.
	UnderLimit Cause = "under-limit"
	// Undecidable: what was measured lies inside the leeway of a limit; the claim is inconclusive.
	Undecidable Cause = "undecidable"
	// NotSaturated: the load never reached the limit; the claim is inconclusive.
	NotSaturated Cause = "not-saturated"
	// Queued: a request waited at a proxy that must send it on at once.
	Queued Cause = "queued"
	// Slowed: requests took longer than they may because of others.
	Slowed Cause = "slowed"
	// Reused: a connection carried more requests than it may.
	Reused Cause = "reused"
	// NotReused: every request had a connection of its own where they must share.
	NotReused Cause = "not-reused"

	// NotRefused: what must be refused was answered.
	NotRefused Cause = "not-refused"
	// OtherRefusal: it was refused, for another cause than claimed.
	OtherRefusal Cause = "other-refusal"
	// Reached: what was refused had reached the far side all the same.
	Reached Cause = "reached"
	// ControlFailed: what must be served on the same path was not, so that the refusal proves nothing; the claim is
	// inconclusive.
	ControlFailed Cause = "control-failed"

	// EvidenceMissing: an end that must have recorded the probe has no record of it; the claim is inconclusive.
	EvidenceMissing Cause = "evidence-missing"
	// Environment: the cluster or the network did not do what a check needs before it can judge.
	Environment Cause = "environment"
)

// Causes are all of them.
func Causes() []Cause {
	return []Cause{
		NotAnswered, WrongStatus, WrongContent, Bypassed, WrongCluster, WrongPeer, WrongIdentity, Repeated, CounterDisagrees, NotSpread, PlainText, WrongServerName, TLSAdded,
		RouteNotFound, NoFilterChain, BlackHole, NoHealthyUpstream, UnknownAuthority, WrongCertificateName, ExpiredCertificate, NoClientCertificate, NotLoggedIn, Unreachable, NotPublished,
		Overflow, Ejected, NoCluster, Injected, UpstreamFailed, OverLimit, UnderLimit, Undecidable, NotSaturated, Queued, Slowed, Reused, NotReused, NotRefused, OtherRefusal, Reached, ControlFailed, EvidenceMissing, Environment,
	}
}
