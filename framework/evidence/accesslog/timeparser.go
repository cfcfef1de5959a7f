package accesslog

import (
	"strings"
	"time"
)

// timeParser collects what the conversions of a form say.
type timeParser struct {
	rest                        string
	year, month, day, yearDay   int
	hour, minute, second, nanos int
	epoch                       int64
	hasEpoch, twelve, afternoon bool
	offset                      int // of the zone, in seconds east of UTC
}

func (p *timeParser) step(s timeStep) bool {
	ok := true
	switch s.verb {
	case 0:
		p.rest, ok = strings.CutPrefix(p.rest, s.literal)
	case 'Y':
		p.year, ok = p.number(4)
	case 'y':
		p.year, ok = p.number(2)
		p.year += 2000
	case 'm':
		p.month, ok = p.number(2)
	case 'd':
		p.day, ok = p.number(2)
	case 'e':
		p.rest, _ = strings.CutPrefix(p.rest, " ") // pads a single digit
		p.day, ok = p.upTo(2)
	case 'j':
		p.yearDay, ok = p.number(3)
	case 'b', 'h':
		p.month, ok = p.name(3, monthNames)
	case 'B':
		p.month, ok = p.name(0, monthNames)
	case 'a':
		_, ok = p.name(3, dayNames)
	case 'A':
		_, ok = p.name(0, dayNames)
	case 'H':
		p.hour, ok = p.number(2)
	case 'I':
		p.hour, ok = p.number(2)
		p.twelve = true
	case 'p':
		var half int
		half, ok = p.name(0, []string{"AM", "PM"})
		p.afternoon = half == 2
	case 'M':
		p.minute, ok = p.number(2)
	case 'S':
		p.second, ok = p.number(2)
	case 's':
		p.epoch, ok = p.long()
		p.hasEpoch = true
	case fractionVerb:
		ok = p.fraction(s.digits)
	case secondsVerb:
		p.second, ok = p.number(2)
		if ok && strings.HasPrefix(p.rest, ".") {
			p.rest = p.rest[1:]
			ok = p.fraction(s.digits)
		} else if s.digits > 0 {
			ok = false
		}
	case dateVerb:
		ok = p.all("Y-m-d")
	case 'D':
		ok = p.all("m/d/y")
	case clockVerb:
		ok = p.all("H:M:S")
	case 'R':
		ok = p.all("H:M")
	case zoneVerb:
		ok = p.zone()
	case 'Z':
		n := 0
		for n < len(p.rest) && strings.IndexByte(letters, p.rest[n]) >= 0 {
			n++
		}
		// A name says no offset; Envoy writes UTC.
		ok, p.rest = n > 0, p.rest[n:]
	}
	return ok
}

// all reads a form of single letters with text between them.
func (p *timeParser) all(form string) bool {
	for i := range len(form) {
		s := timeStep{verb: form[i]}
		if strings.IndexByte(letters, form[i]) < 0 {
			s = timeStep{literal: form[i : i+1]}
		}
		if !p.step(s) {
			return false
		}
	}
	return true
}

func (p *timeParser) number(digits int) (int, bool) {
	if len(p.rest) < digits {
		return 0, false
	}
	n, ok := natural(p.rest[:digits])
	p.rest = p.rest[digits:]
	return n, ok
}

func (p *timeParser) upTo(digits int) (int, bool) {
	n := p.digitRun()
	return p.number(max(1, min(n, digits)))
}

func (p *timeParser) long() (int64, bool) {
	n, ok := p.number(p.digitRun())
	return int64(n), ok
}

func (p *timeParser) digitRun() int {
	n := 0
	for n < len(p.rest) && p.rest[n] >= '0' && p.rest[n] <= '9' {
		n++
	}
	return n
}

// fraction reads a fraction of a second. A form may write it several times, with
// different precision: the finest counts.
func (p *timeParser) fraction(digits int) bool {
	if digits == 0 {
		digits = min(p.digitRun(), 9)
	}
	n, ok := p.number(digits)
	if !ok {
		return false
	}
	for range 9 - digits {
		n *= 10
	}
	p.nanos = max(p.nanos, n)
	return true
}

func (p *timeParser) zone() bool {
	if rest, ok := strings.CutPrefix(p.rest, "Z"); ok {
		p.rest = rest
		return true
	}
	if p.rest == "" {
		return false
	}
	sign := 1
	switch p.rest[0] {
	case '-':
		sign = -1
	case '+':
	default:
		return false
	}
	p.rest = p.rest[1:]
	hours, ok := p.number(2)
	if !ok {
		return false
	}
	p.rest, _ = strings.CutPrefix(p.rest, ":")
	minutes, ok := p.number(2)
	p.offset = sign * (hours*3600 + minutes*60)
	return ok
}

var (
	monthNames = []string{"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"}
	dayNames   = []string{"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"}
)

// name reads one of the names, cut to a length if there is one, and returns its place
// counted from 1.
func (p *timeParser) name(length int, names []string) (int, bool) {
	for i, name := range names {
		if length > 0 {
			name = name[:length]
		}
		if rest, ok := strings.CutPrefix(p.rest, name); ok {
			p.rest = rest
			return i + 1, true
		}
	}
	return 0, false
}

func (p *timeParser) time() (time.Time, bool) {
	if p.hasEpoch {
		return time.Unix(p.epoch, int64(p.nanos)).UTC(), true
	}
	if p.twelve {
		p.hour %= 12
		if p.afternoon {
			p.hour += 12
		}
	}
	if p.yearDay > 0 {
		p.month, p.day = 1, 1
	}
	if !validClock(p.month, p.day, p.hour, p.minute, p.second) {
		return time.Time{}, false
	}
	t := time.Date(p.year, time.Month(p.month), p.day, p.hour, p.minute, p.second, p.nanos, time.UTC)
	if p.yearDay > 0 {
		t = t.AddDate(0, 0, p.yearDay-1)
	}
	return t.Add(-time.Duration(p.offset) * time.Second), true
}
