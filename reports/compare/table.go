package compare

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/meshproof/meshproof/reports/terminal"
)

// Bounds of what the table shows; all of it is in the other forms.
const (
	mostDifferences = 3
	mostOfPart      = 60
	mostOfValue     = 80
)

// Table writes the comparison for people: what has changed, and how much has not.
func Table(w io.Writer, c Comparison) error {
	t := &table{told: map[string]string{}}
	t.line("A  %s", c.A)
	t.line("B  %s", c.B)
	for _, pattern := range c.Patterns {
		t.pattern(pattern)
	}
	t.line("%s", total(c.Counts))
	_, err := io.WriteString(w, t.text.String())
	return err
}

// String names a side: its run, or how many it has, and their mesh.
func (i Identity) String() string {
	runs := i.Runs[0]
	if last := len(i.Runs) - 1; last > 0 {
		runs = fmt.Sprintf("%d runs, %s to %s", len(i.Runs), runs, i.Runs[last])
	}
	return runs + " · " + terminal.Identity(i.Cluster)
}

func total(counts map[Class]int) string {
	var parts []string
	for _, class := range Classes {
		parts = append(parts, fmt.Sprintf("%d %s", counts[class], class))
	}
	return strings.Join(parts, " · ")
}

type table struct {
	text strings.Builder
	// name is how wide the names of claims are.
	name int
	// told are the claims that have told what differs at a hop.
	told map[string]string
}

func (t *table) line(format string, args ...any) {
	t.text.WriteString(strings.TrimRight(fmt.Sprintf(format, args...), " ") + "\n")
}

func (t *table) row(label, name, what string) { t.line("  %-10s %-*s  %s", label, t.name, name, what) }

// below continues a row, indented.
func (t *table) below(label, what string) { t.line("               %-10s %s", label, what) }

func (t *table) pattern(p Pattern) {
	title := p.Name
	if p.Hardened {
		title += " (hardened)"
	}
	t.line("%s", title)
	if p.Only != "" {
		t.line("  only %s has it: %s", p.Only, claims(len(p.Claims)))
		return
	}
	if len(p.Parameters) > 0 {
		t.line("  parameters with other values: %s", strings.Join(slices.Sorted(maps.Keys(p.Parameters)), ", "))
	}
	t.name = 0
	for _, claim := range p.Claims {
		if claim.told() {
			t.name = max(t.name, len(claim.title()))
		}
	}
	unchanged := 0
	for _, class := range Classes {
		for _, claim := range p.Claims {
			switch {
			case claim.Class == class && claim.told():
				t.claim(claim, p)
			case claim.Class == class:
				unchanged++
			}
		}
	}
	if unchanged > 0 {
		t.line("  unchanged  %s", claims(unchanged))
	}
	t.hops(p)
}

func claims(count int) string {
	if count == 1 {
		return "1 claim"
	}
	return fmt.Sprintf("%d claims", count)
}

func (c Claim) title() string { return c.Alias + " " + c.Slug() }

// told tells whether the claim has a row of its own: one that stays as it is has none, unless it is still red in another way.
func (c Claim) told() bool {
	return c.Class != Unchanged || c.A != nil && c.B != nil && (c.A.Verdict != c.B.Verdict || c.A.Cause != c.B.Cause)
}

func (t *table) claim(c Claim, p Pattern) {
	label := string(c.Class)
	if c.Class == Broken {
		label = "BROKEN"
	}
	if c.Class == Slower || c.Class == Faster {
		var times []string
		for _, one := range c.Times {
			if one.Class != Unchanged {
				times = append(times, fmt.Sprintf("%s %s -> %s (noise %s)", one.What, seconds(one.A), seconds(one.B), seconds(one.Noise)))
			}
		}
		t.row(label, c.title(), strings.Join(times, ", "))
		return
	}
	t.row(label, c.title(), c.A.short()+" -> "+c.B.short())
	if c.Class != Broken {
		return
	}
	t.below("reason", oneLine(c.B.Reason))
	t.firstHop(c, p)
	if c.B.Look != "" {
		t.below("look", c.B.Look)
	}
}

// short is the verdict with its cause, and of several runs how many are proven.
func (r *Result) short() string {
	if r == nil {
		return "not selected"
	}
	said := string(r.Verdict)
	if r.Cause != "" {
		said += " (" + r.Cause + ")"
	}
	if r.Runs > 1 {
		said += fmt.Sprintf(", %d of %d runs proven", r.Proven, r.Runs)
	}
	return said
}

// firstHop tells the first hop with what differs there, unless another claim has told it already.
func (t *table) firstHop(c Claim, p Pattern) {
	switch {
	case p.Unknown != "":
		t.below("first hop", "not known: "+p.Unknown)
		return
	case c.FirstHop == "":
		t.below("first hop", "none: the configuration of every proxy on the path is as it was; see the endpoints and the application")
		return
	}
	var told []string
	for _, difference := range c.Differences[:min(len(c.Differences), mostDifferences)] {
		told = append(told, difference.String())
	}
	if more := len(c.Differences) - mostDifferences; more > 0 {
		told = append(told, fmt.Sprintf("and %d more (-o yaml shows all)", more))
	}
	what := strings.Join(append([]string{p.Name, c.FirstHop}, told...), "\n")
	if first, twice := t.told[what]; twice {
		t.below("first hop", c.FirstHop+", as of "+first)
		return
	}
	t.told[what] = c.Alias
	t.below("first hop", c.FirstHop)
	for _, line := range told {
		t.below("", line)
	}
}

// hops says which hops differ, whether something broke or not.
func (t *table) hops(p Pattern) {
	if p.Unknown != "" {
		t.line("  hops       not compared: %s", p.Unknown)
		return
	}
	var differing []string
	explained := 0
	for _, hop := range p.Hops {
		if len(hop.Differences) > 0 {
			differing = append(differing, fmt.Sprintf("%s (%s)", hop.Name, strings.Join(kinds(hop.Differences), ", ")))
		}
		for _, rule := range hop.Known {
			explained += rule.Differences
		}
	}
	line := fmt.Sprintf("  hops       %d of %d differ", len(differing), len(p.Hops))
	if len(differing) > 0 {
		line += ": " + strings.Join(differing, ", ")
	}
	if explained > 0 {
		line += fmt.Sprintf("; %d known differences between the versions", explained)
	}
	t.line("%s", line)
}

func kinds(differences []Difference) []string {
	var found []string
	for _, difference := range differences {
		found = union(found, []string{difference.Kind})
	}
	return found
}

// String is the difference in one line.
func (d Difference) String() string {
	if d.Kind == Proxies {
		return fmt.Sprintf("proxies: %s -> %s", cmp.Or(text(d.A), "none"), cmp.Or(text(d.B), "none"))
	}
	where := d.Kind + " " + d.Entry
	for _, part := range d.Field {
		where += " / " + shortened(part, mostOfPart)
	}
	return fmt.Sprintf("%s: %s -> %s", where, value(d.A), value(d.B))
}

func value(v any) string {
	if v == nil {
		return "absent"
	}
	return shortened(text(v), mostOfValue)
}

// shortened cuts what is too long, and says so.
func shortened(text string, most int) string {
	if characters := []rune(oneLine(text)); len(characters) > most {
		return string(characters[:most]) + "..."
	}
	return oneLine(text)
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// seconds is a time of some milliseconds or seconds, as people read it.
func seconds(s float64) string {
	return time.Duration(s * float64(time.Second)).Round(100 * time.Microsecond).String()
}
