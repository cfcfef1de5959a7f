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
	// EvidenceMissing: an end that must have recorded the probe has no record of it; the claim is inconclusive.
	EvidenceMissing Cause = "evidence-missing"
	// Environment: the cluster or the network did not do what a check needs before it can judge.
	Environment Cause = "environment"
)

// Causes are all of them.
func Causes() []Cause {
	return []Cause{NotAnswered, WrongStatus, WrongContent, Bypassed, WrongCluster, WrongPeer, WrongIdentity, Repeated, CounterDisagrees, EvidenceMissing, Environment}
}
