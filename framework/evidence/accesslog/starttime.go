package accesslog

import (
	"strings"
	"time"
)

// timeLayout reads %START_TIME% in one custom form, or in Envoy's own (no steps).
type timeLayout struct {
	steps []timeStep
	bytes *byteSet
	// instant says that the form determines a moment; otherwise values are checked,
	// and only their text is known.
	instant bool
}

// timeStep is one conversion, or literal text when verb is 0.
type timeStep struct {
	verb    byte
	digits  int // of a fraction; 0: all there are
	literal string
}

const (
	dateVerb     = 'F' // %F, %Y-%m-%d
	clockVerb    = 'T' // %T, %H:%M:%S
	fractionVerb = 'f' // %f, %1f to %9f
	secondsVerb  = 'E' // %E3S, %E*S: seconds with a fraction
	zoneVerb     = 'z' // +0000, also %Ez as +00:00
)

// compileTime compiles the argument of START_TIME: strftime, Envoy's fractions and the
// %E forms of absl::FormatTime. It returns nil for a form that it does not know; the
// value is then kept as text. Envoy writes START_TIME in UTC and in English.
func compileTime(arg string) *timeLayout {
	if arg == "" {
		return &timeLayout{bytes: setOfBytes(decimal + "-:.TZ"), instant: true}
	}
	l := &timeLayout{}
	bytes := byteSet{'-': true} // absent
	for i := 0; i < len(arg); {
		if arg[i] != '%' {
			next := strings.IndexByte(arg[i:], '%')
			if next < 0 {
				next = len(arg) - i
			}
			l.literal(arg[i:i+next], &bytes)
			i += next
			continue
		}
		n := l.conversion(arg[i:], &bytes)
		if n == 0 {
			return nil
		}
		i += n
	}
	l.bytes = &bytes
	l.instant = l.determines()
	return l
}

func (l *timeLayout) literal(text string, bytes *byteSet) {
	for i := range len(text) {
		bytes[text[i]] = true
	}
	l.steps = append(l.steps, timeStep{literal: text})
}

// conversion adds the conversion that text begins with, and returns its length; 0 if it
// is unknown.
func (l *timeLayout) conversion(text string, bytes *byteSet) int {
	if len(text) < 2 {
		return 0
	}
	step := timeStep{verb: text[1]}
	n := 2
	switch c := text[1]; {
	case c >= '1' && c <= '9' && len(text) > 2 && text[2] == 'f':
		step, n = timeStep{verb: fractionVerb, digits: int(c - '0')}, 3
	case c == 'f':
		step.digits = 9
	case c == 'E' && len(text) > 2 && text[2] == 'z':
		step, n = timeStep{verb: zoneVerb}, 3
	case c == 'E' && len(text) > 3 && text[3] == 'S' && (text[2] == '*' || text[2] >= '1' && text[2] <= '9'):
		step, n = timeStep{verb: secondsVerb}, 4
		if text[2] != '*' {
			step.digits = int(text[2] - '0')
		}
	case c == 'E':
		return 0
	case c == '%':
		l.literal("%", bytes)
		return 2
	}
	allowed, ok := timeBytes[step.verb]
	if !ok {
		return 0
	}
	for i := range len(allowed) {
		bytes[allowed[i]] = true
	}
	l.steps = append(l.steps, step)
	return n
}

// timeBytes are the known conversions and what they may write.
var timeBytes = map[byte]string{
	'Y': decimal, 'm': decimal, 'd': decimal, 'e': decimal + " ", 'j': decimal, 'y': decimal,
	'b': letters, 'h': letters, 'B': letters, 'a': letters, 'A': letters,
	'H': decimal, 'I': decimal, 'M': decimal, 'S': decimal, 'p': letters, 's': decimal,
	'D': decimal + "/", 'R': decimal + ":", 'Z': letters,
	dateVerb: decimal + "-", clockVerb: decimal + ":", fractionVerb: decimal,
	secondsVerb: decimal + ".", zoneVerb: decimal + "+-:Z",
}

// determines says whether the conversions name a moment: seconds since the epoch, or a
// day and a time of it.
func (l *timeLayout) determines() bool {
	var seen [256]bool
	for _, s := range l.steps {
		seen[s.verb] = true
	}
	year := seen['Y'] || seen['y']
	month := seen['m'] || seen['b'] || seen['h'] || seen['B']
	day := seen[dateVerb] || seen['D'] || year && (seen['j'] || month && (seen['d'] || seen['e']))
	hour := seen['H'] || seen['I'] && seen['p'] || seen['R']
	clock := seen[clockVerb] || hour && (seen['M'] || seen['R']) && (seen['S'] || seen[secondsVerb])
	return seen['s'] || day && clock
}

// parse reads a value. False means that the value is not in this form; the time is zero
// when the form determines none.
func (l *timeLayout) parse(value string) (time.Time, bool) {
	if len(l.steps) == 0 {
		return parseDefaultTime(value)
	}
	p := timeParser{rest: value, month: 1, day: 1}
	for _, s := range l.steps {
		if !p.step(s) {
			return time.Time{}, false
		}
	}
	if p.rest != "" {
		return time.Time{}, false
	}
	if !l.instant {
		return time.Time{}, true
	}
	return p.time()
}

// parseDefaultTime reads 2006-01-02T15:04:05.000Z, by hand because every line has one.
func parseDefaultTime(v string) (time.Time, bool) {
	if len(v) != 24 || v[4] != '-' || v[7] != '-' || v[10] != 'T' || v[13] != ':' || v[16] != ':' || v[19] != '.' || v[23] != 'Z' {
		return time.Time{}, false
	}
	year, ok1 := natural(v[0:4])
	month, ok2 := natural(v[5:7])
	day, ok3 := natural(v[8:10])
	hour, ok4 := natural(v[11:13])
	minute, ok5 := natural(v[14:16])
	second, ok6 := natural(v[17:19])
	milli, ok7 := natural(v[20:23])
	whole := ok1 && ok2 && ok3 && ok4 && ok5 && ok6 && ok7
	if !whole || !validClock(month, day, hour, minute, second) {
		return time.Time{}, false
	}
	return time.Date(year, time.Month(month), day, hour, minute, second, milli*int(time.Millisecond), time.UTC), true
}

func validClock(month, day, hour, minute, second int) bool {
	return month >= 1 && month <= 12 && day >= 1 && day <= 31 && hour <= 23 && minute <= 59 && second <= 60
}

// natural reads decimal digits only.
func natural(text string) (int, bool) {
	n := 0
	for i := range len(text) {
		c := text[i] - '0'
		if c > 9 {
			return 0, false
		}
		n = n*10 + int(c)
	}
	return n, text != "" && len(text) <= 18
}
