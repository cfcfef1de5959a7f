package accesslog

import "strings"

// template is literal text around gaps, one gap for each operator.
type template struct {
	prefix string // before the first gap, or the whole text if there is none
	gaps   []gap
	// touching says that two gaps follow one another without text in between, so that
	// only the exact matcher can tell their border.
	touching bool
}

// gap is where a value stands.
type gap struct {
	slot  int
	class class
	min   int
	max   int // 0: no limit
	after string
	// endsRun says that the value ends where its bytes end, because the text after it
	// begins with another byte; beginsRun is the same from the right.
	endsRun, beginsRun bool
}

// span is a value's place in a line.
type span struct{ from, to int }

// template compiles one text, appending its operators to the format's slots.
func (f *Format) template(text string) (*template, error) {
	parts, err := pieces(text)
	if err != nil {
		return nil, err
	}
	t := &template{prefix: parts[0].literal}
	for i, part := range parts[:len(parts)-1] {
		s := newSlot(*part.op)
		g := gap{
			slot:  len(f.slots),
			class: s.kind.class(),
			min:   1,
			max:   part.op.MaxLength,
			after: parts[i+1].literal,
		}
		if s.time != nil {
			g.class = uniform(s.time.bytes)
		}
		if f.omitEmpty || mayBeEmpty(*part.op, s.kind) {
			g.min = 0
		}
		last := i == len(parts)-2
		g.endsRun = g.after != "" && !g.class.bytes.has(g.after[0])
		g.beginsRun = part.literal != "" && !g.class.bytes.has(part.literal[len(part.literal)-1])
		t.touching = t.touching || g.after == "" && !last
		t.gaps = append(t.gaps, g)
		f.slots = append(f.slots, s)
	}
	return t, nil
}

func newSlot(op Operator) slot {
	s := slot{op: op, kind: kindOf(op)}
	if s.kind == timeKind {
		s.time = compileTime(op.Arg)
		if s.time == nil {
			s.kind = anyKind
		}
	}
	return s
}

// fits says whether a value has the gap's form and length.
func (g *gap) fits(value string) bool {
	return len(value) >= g.min && (g.max == 0 || len(value) <= g.max) && g.class.holds(value)
}

// answer is what forward can say.
type answer int

const (
	no answer = iota
	yes
	unclear
)

// match finds the values of a text. It returns false if there is no way to read the
// text. If there are several, values gets one of them, and unsure says of each value
// whether the others differ in it; if there is one, unsure is nil.
//
// Nearly every line is settled by reading it from both ends, looking at bytes only. A
// reading is a list of borders between values. Where two readings cross, one can be
// continued with the other, because a part of a value is made of the same bytes and is
// not longer. So there is a reading in which every border comes first, the one from the
// left, and one in which every border comes last, the one from the right; if they are
// equal there is no other, and none either that also looks at forms.
func (t *template) match(text string, values []span) (unsure []bool, ok bool) {
	if !t.touching {
		switch t.forward(text, values) {
		case no:
			return nil, false
		case yes:
			if t.backward(text, values) {
				return nil, t.fits(text, values)
			}
		}
	}
	return t.exact(text, values)
}

func (t *template) fits(text string, values []span) bool {
	for i := range t.gaps {
		g := &t.gaps[i]
		if len(g.class.forms) > 1 && !g.class.holds(text[values[i].from:values[i].to]) {
			return false
		}
	}
	return true
}

// forward reads from the left, by bytes, and ends each value as early as the text after
// it allows. It is unclear when that leads nowhere but ending one later might not.
func (t *template) forward(text string, out []span) answer {
	if !strings.HasPrefix(text, t.prefix) {
		return no
	}
	pos := len(t.prefix)
	failed := no
	for i := range t.gaps {
		g := &t.gaps[i]
		var end int
		switch {
		case i == len(t.gaps)-1:
			end = len(text) - len(g.after)
			if end < pos || text[end:] != g.after || !g.class.bytes.holds(text[pos:end]) {
				return failed
			}
		case g.endsRun:
			for end = pos; end < len(text) && g.class.bytes[text[end]]; end++ {
			}
			if !strings.HasPrefix(text[end:], g.after) {
				return failed
			}
		default:
			from := pos + g.min
			if from > len(text) {
				return failed
			}
			n := strings.Index(text[from:], g.after)
			if n < 0 || !g.class.bytes.holds(text[pos:from+n]) {
				return failed
			}
			end = from + n
			failed = unclear
		}
		if n := end - pos; n < g.min || g.max > 0 && n > g.max {
			return failed
		}
		out[i] = span{pos, end}
		pos = end + len(g.after)
	}
	if len(t.gaps) == 0 && pos != len(text) {
		return no
	}
	return yes
}

// backward reads from the right, by bytes, and begins each value as late as possible. It returns
// true if that is the same reading.
func (t *template) backward(text string, want []span) bool {
	end := len(text)
	for i := len(t.gaps) - 1; i >= 0; i-- {
		g := &t.gaps[i]
		end -= len(g.after)
		if end != want[i].to {
			return false
		}
		before := t.prefix
		if i > 0 {
			before = t.gaps[i-1].after
		}
		start := want[i].from
		switch {
		case i == 0, g.beginsRun:
			// Nothing later can begin the value: the text before it has to end at a
			// byte that the value cannot hold, and forward found it in place.
		default:
			start = strings.LastIndex(text[:end-g.min], before) + len(before)
		}
		if start != want[i].from {
			return false
		}
		end = start
	}
	return true
}
