package accesslog

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// readings finds every way to read a text, by trying.
func (t *template) readings(text string) [][]span {
	var out [][]span
	var try func(i, pos int, so []span)
	try = func(i, pos int, so []span) {
		if i == len(t.gaps) {
			if pos == len(text) {
				out = append(out, slices.Clone(so))
			}
			return
		}
		g := &t.gaps[i]
		for end := pos; end <= len(text); end++ {
			if g.fits(text[pos:end]) && strings.HasPrefix(text[end:], g.after) {
				try(i+1, end+len(g.after), append(so, span{pos, end}))
			}
		}
	}
	if strings.HasPrefix(text, t.prefix) {
		try(0, len(t.prefix), nil)
	}
	return out
}

// What match says of a text must be true of all readings that there are.
func TestMatchAgreesWithAllReadings(t *testing.T) {
	operators := []string{"%REQ(A)%", "%REQ(B):2%", "%DURATION%", "%UPSTREAM_HOST%", "%PROTOCOL%", "%RESPONSE_CODE_DETAILS%", "%START_TIME(%s)%"}
	literals := []string{" ", " ", `"`, `" "`, "-", "1", "a", ""}
	values := []string{"-", "1", "11", "a", "a1", "a-", `a"`, "[1]:1", "/1", "envoy://a", "", " ", `" "`, "- -"}
	rng := rand.New(rand.NewPCG(1, 2))
	pick := func(list []string) string { return list[rng.IntN(len(list))] }
	unique, several, none := 0, 0, 0
	for range 40000 {
		var format, line strings.Builder
		add := func(literal string) {
			format.WriteString(literal)
			line.WriteString(literal)
		}
		add(pick(literals))
		for range 1 + rng.IntN(5) {
			format.WriteString(pick(operators))
			line.WriteString(pick(values))
			add(pick(literals))
		}
		var options []Option
		if rng.IntN(4) == 0 {
			options = append(options, OmitEmpty())
		}
		tmpl := compileText(t, format.String(), options...).text
		text := line.String()
		all := tmpl.readings(text)
		got := make([]span, len(tmpl.gaps))
		unsure, ok := tmpl.match(text, got)
		if ok != (len(all) > 0) {
			t.Fatalf("%q in %q: matched %t, but %d readings", text, format.String(), ok, len(all))
		}
		if !ok {
			none++
			continue
		}
		if !slices.ContainsFunc(all, func(s []span) bool { return slices.Equal(s, got) }) {
			t.Fatalf("%q in %q: %v is none of %v", text, format.String(), got, all)
		}
		if (unsure != nil) != (len(all) > 1) {
			t.Fatalf("%q in %q: unsure %v, but %d readings: %v", text, format.String(), unsure, len(all), all)
		}
		if unsure == nil {
			unique++
			continue
		}
		several++
		for i := range got {
			differs := slices.ContainsFunc(all, func(s []span) bool { return s[i] != got[i] })
			if unsure[i] != differs {
				t.Fatalf("%q in %q: value %d unsure %t, readings %v", text, format.String(), i, unsure[i], all)
			}
		}
	}
	if unique < 2000 || several < 2000 || none < 2000 {
		t.Errorf("%d texts had one reading, %d several, %d none: too few to prove anything", unique, several, none)
	}
}

// A line made to mislead must not take longer than its length explains: what is linear
// takes a fraction of a second here, what is not takes minutes.
func TestHostileLinesTakeLinearTime(t *testing.T) {
	f := compileText(t, IstioDefault)
	many := strings.Repeat(`" "`, 30000)
	start := time.Now()
	for _, line := range []string{
		`[2026-08-01T15:16:51.066Z] "GET /` + many + ` HTTP/1.1" 400 - x - "-" 0 11 0 - "` + many,
		`[2026-08-01T15:16:51.066Z] "GET /` + many + ` HTTP/1.1" 400 - x - "-" 0 11 0 - "` + many + `" "-" "-" - - - - - -`,
		strings.Repeat(`[2026-08-01T15:16:51.066Z] "`, 5000),
	} {
		f.Parse(line)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("took %s", took)
	}
}
