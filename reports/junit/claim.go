package junit

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	v1 "github.com/meshproof/meshproof/reports/v1"
)

// claimCase renders one claim. Its name holds what never changes, so that a consumer can follow a claim over many runs.
func claimCase(p v1.Pattern, c v1.Claim) testcase {
	name := strings.TrimSpace(c.Alias + " " + c.Slug())
	if c.Text != "" {
		name += ": " + c.Text
	}
	t := testcase{
		Class: "meshproof." + text(p.Name), Name: oneLine(name), Time: seconds(c.Seconds), Properties: claimProperties(c),
		Output: &output{Text: limited(text(protocolOf(c)), maxRed)},
	}
	t.File, t.Line = placeOf(c.Source)
	switch c.Verdict {
	case v1.Passed:
		t.Output.Text = limited(t.Output.Text, maxGreen)
	case v1.Skipped:
		why := message(c.Reason, c.Summary, "skipped")
		t.Skipped = &outcome{Message: why, Body: why}
		t.Output.Text = limited(t.Output.Text, maxGreen)
	case v1.Failed:
		t.Failure = &outcome{Type: typeOf(c.Cause), Message: message(c.Reason, c.Summary, "the claim is false"), Body: explain(c)}
	default:
		t.Error = &outcome{Type: "inconclusive", Message: message(c.Reason, c.Summary, "the claim could not be judged"), Body: explain(c)}
	}
	return t
}

// explain is the body of a claim that is red: everything needed to understand it without opening another file. Of evidence it
// has as much as there is room for.
func explain(c v1.Claim) string {
	var head, evidence, tail strings.Builder
	head.WriteByte('\n')
	line(&head, "claim", c.Text)
	line(&head, "measured", c.Summary)
	writeEvidence(&evidence, c.Evidence)
	line(&tail, "cause", c.Cause)
	line(&tail, "reason", c.Reason)
	line(&tail, "remedy", c.Remedy)
	if c.Diagnosis != nil {
		line(&tail, "likely", c.Diagnosis.Text)
		line(&tail, "to mend", c.Diagnosis.Remedy)
	}
	line(&tail, "look", c.Look)
	line(&tail, "check", c.Source)
	before, after := text(head.String()), text(tail.String())
	return limited(before+limited(text(evidence.String()), max(0, maxBody-len(before)-len(after)))+after, maxBody)
}

// protocolOf is what was judged, whatever came of it: first what is new, and last what is longest.
func protocolOf(c v1.Claim) string {
	var b strings.Builder
	b.WriteByte('\n')
	line(&b, "id", c.ID)
	line(&b, "ends", strings.Join(c.Ends, ", "))
	if c.Probes > 0 {
		line(&b, "probes", fmt.Sprintf("%d judged, %d contrary", c.Probes, c.Contrary))
	}
	line(&b, "measured", c.Summary)
	if c.TrueAfterSeconds != nil {
		line(&b, "true after", seconds(*c.TrueAfterSeconds)+" s")
	}
	for _, way := range c.Ways {
		state := "open"
		switch {
		case way.Redirected:
			state = "led back"
		case !way.Open:
			state = cmp.Or(way.Cause, "refused")
		}
		line(&b, "way", fmt.Sprintf("%s: %s -> %s: %s", way.Name, way.From, way.To, state))
	}
	for _, ceiling := range c.Ceilings {
		line(&b, "ceiling", ceiling.String())
	}
	for _, finding := range c.Findings {
		line(&b, "finding", finding)
	}
	for _, j := range c.Judgements {
		statement := j.Statement
		if j.Detail != "" {
			statement += " (" + j.Detail + ")"
		}
		line(&b, string(cmp.Or(j.Verdict, v1.Inconclusive)), statement)
	}
	writeEvidence(&b, c.Evidence)
	return b.String()
}

func writeEvidence(b *strings.Builder, evidence []v1.Evidence) {
	for _, e := range evidence {
		line(b, "probe", e.Probe)
		for _, item := range e.Items {
			line(b, "  "+item.End, item.Text)
			for _, key := range slices.Sorted(maps.Keys(item.Fields)) {
				line(b, "", key+" = "+item.Fields[key])
			}
		}
	}
}

// line writes "label  value", with the further lines of value under its first; nothing when there is no value.
func line(b *strings.Builder, label, value string) {
	if value == "" {
		return
	}
	const width = 12
	label = fmt.Sprintf("%-*s  ", width, label)
	for part := range strings.Lines(value) {
		b.WriteString(strings.TrimRight(label+part, " \r\n") + "\n")
		label = strings.Repeat(" ", width+2)
	}
}
