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

	// RouteNotFound: a proxy refused a request that no route of it matches: status 404, flag NR.
	RouteNotFound Cause = "route-not-found"
	// NoFilterChain: a proxy closed a connection that no filter chain of it matches, such as plain text where it takes mutual
	// TLS only: flag NR.
	NoFilterChain Cause = "no-filter-chain"
	// NotPublished: a router refused what no Route publishes: status 503 of its own.
	NotPublished Cause = "not-published"

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
		NotAnswered, WrongStatus, WrongContent, Bypassed, WrongCluster, WrongPeer, WrongIdentity, Repeated, CounterDisagrees, NotSpread, PlainText,
		RouteNotFound, NoFilterChain, NotPublished, NotRefused, OtherRefusal, Reached, ControlFailed, EvidenceMissing, Environment,
	}
}
