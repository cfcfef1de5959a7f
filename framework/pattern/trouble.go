package pattern

import (
	"fmt"
	"slices"

	"github.com/onsi/ginkgo/v2"

	"github.com/meshproof/meshproof/framework/evidence"
)

// CannotJudge ends the current spec, whose claim is inconclusive: the cluster lacks what it would be judged by.
func (e *Env) CannotJudge(why, remedy string) {
	ginkgo.GinkgoHelper()
	e.environment("the claim can be judged on this cluster", why, remedy)
	ginkgo.Fail(why)
}

// Trouble notes that the cluster does not do what the current check needs of it: unless something contradicts its claim, that
// is inconclusive.
func (e *Env) Trouble(what string, err error) {
	e.environment(what, err.Error(), "")
}

// Spoil notes trouble after which what is installed is no longer what the pattern's claims are about: no later one is judged.
func (e *Env) Spoil(what string, err error) {
	e.Trouble(what, err)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.spoilt == nil {
		e.spoilt = fmt.Errorf("%s: %w", ginkgo.CurrentSpecReport().LeafNodeText, err)
	}
}

// RequireUnspoilt ends a spec that begins after Spoil.
func (e *Env) RequireUnspoilt() {
	e.mu.Lock()
	err := e.spoilt
	e.mu.Unlock()
	if err != nil {
		e.CannotJudge("what an earlier check had changed could not be taken back: "+err.Error(), "run this claim alone")
	}
}

// environment adds a judgement that could not be made to the current claim, unless it is known: what could not be changed is
// told by who changes, and again by the check that asked for it.
func (e *Env) environment(statement, detail, remedy string) {
	e.change(AliasOf(ginkgo.CurrentSpecReport().Labels()), func(o *Outcome) {
		if slices.ContainsFunc(o.Judgements, func(j evidence.Judgement) bool { return j.Statement == statement && j.Detail == detail }) {
			return
		}
		o.Judgements = append(o.Judgements, evidence.Judgement{Statement: statement, Outcome: evidence.Unknown, Cause: string(Environment), Detail: detail, Remedy: remedy})
	})
}
