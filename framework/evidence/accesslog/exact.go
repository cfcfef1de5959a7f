package accesslog

import "strings"

// exact is match for lines that their two ends do not settle. It takes time in proportion
// to the text's length times the number of gaps.
//
// It finds for each border all positions that it has in any reading: those that can be
// reached from the left and from where the right can be reached. A value is sure if both
// its borders have one position.
func (t *template) exact(text string, values []span) (unsure []bool, ok bool) {
	if !strings.HasPrefix(text, t.prefix) {
		return nil, false
	}
	starts := t.starts(text)
	from := len(t.prefix)
	if !starts[0].has(from) {
		return nil, false
	}
	reached := newPositions(len(text))
	reached.add(from)
	doubts := make([]bool, len(t.gaps))
	several := false
	for i := range t.gaps {
		g := &t.gaps[i]
		values[i] = span{from, g.firstEnd(text, from, starts[i+1])}
		from = values[i].to + len(g.after)
		next := g.reach(text, reached, starts[i+1])
		doubts[i] = reached.several() || next.several()
		several = several || doubts[i]
		reached = next
	}
	if !several {
		doubts = nil
	}
	return doubts, true
}

// starts returns for each gap the positions from where it and all that follows can be
// read to the end of the text; the entry after the last gap holds the end itself.
func (t *template) starts(text string) []positions {
	out := make([]positions, len(t.gaps)+1)
	for i := range out {
		out[i] = newPositions(len(text))
	}
	out[len(t.gaps)].add(len(text))
	for i := len(t.gaps) - 1; i >= 0; i-- {
		g := &t.gaps[i]
		nearest := -1 // the first position at which a value from here on can end
		g.eachLimit(text, func(at, limit int) {
			if end := at + g.min; g.canEnd(text, end, out[i+1]) {
				nearest = end
			}
			if nearest >= 0 && nearest <= limit {
				out[i].add(at)
			}
		})
	}
	return out
}

// reach returns the positions after the gap and the text behind it, over all values that
// begin where from says and let the rest be read.
func (g *gap) reach(text string, from, next positions) positions {
	// change counts how many values may end from a position on, less those that may not
	// any more.
	change := make([]int, len(text)+2)
	g.eachLimit(text, func(at, limit int) {
		if from.has(at) && at+g.min <= limit {
			change[at+g.min]++
			change[limit+1]--
		}
	})
	out := newPositions(len(text))
	open := 0
	for end := range len(text) + 1 {
		open += change[end]
		if open > 0 && g.canEnd(text, end, next) {
			out.add(end + len(g.after))
		}
	}
	return out
}

// eachLimit calls f for each position from the last to the first, with the last position
// at which a value that begins there may end.
func (g *gap) eachLimit(text string, f func(at, limit int)) {
	// ends are, for each form, where the bytes of its rest end if it began here.
	var few [8]int
	ends := few[:len(g.class.forms)]
	for i := range ends {
		ends[i] = len(text)
	}
	for at := len(text); at >= 0; at-- {
		limit := at
		if at < len(text) {
			if i, n := g.class.formAt(text, at); i >= 0 {
				limit = at + n
				if n >= len(g.class.forms[i].with) {
					limit = ends[i]
				}
			}
			if g.max > 0 {
				limit = min(limit, at+g.max)
			}
			for i := range ends {
				if !g.class.forms[i].rest.has(text[at]) {
					ends[i] = at
				}
			}
		}
		f(at, limit)
	}
}

// canEnd says whether the value may end at a position: the text after it stands there,
// and what follows can be read.
func (g *gap) canEnd(text string, end int, next positions) bool {
	return end <= len(text) && strings.HasPrefix(text[end:], g.after) && next.has(end+len(g.after))
}

// firstEnd returns the first end of a value that begins at a position of starts, which
// says that there is one.
func (g *gap) firstEnd(text string, from int, next positions) int {
	end := from + g.min
	for !g.canEnd(text, end, next) {
		end++
	}
	return end
}

// positions is a set of positions in a text.
type positions []uint64

func newPositions(length int) positions { return make(positions, length/64+1) }

func (p positions) add(i int)      { p[i/64] |= 1 << (i % 64) }
func (p positions) has(i int) bool { return i/64 < len(p) && p[i/64]&(1<<(i%64)) != 0 }

// several says whether there is more than one.
func (p positions) several() bool {
	found := false
	for _, word := range p {
		if word == 0 {
			continue
		}
		if found || word&(word-1) != 0 {
			return true
		}
		found = true
	}
	return false
}
