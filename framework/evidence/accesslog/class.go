package accesslog

import "strings"

// byteSet is a set of bytes; nil stands for all.
type byteSet [256]bool

func (s *byteSet) has(c byte) bool { return s == nil || s[c] }

// holds says whether all of text is in the set.
func (s *byteSet) holds(text string) bool {
	if s == nil {
		return true
	}
	for i := range len(text) {
		if !s[text[i]] {
			return false
		}
	}
	return true
}

func setOf(accept func(c byte) bool) *byteSet {
	var s byteSet
	for c := range s {
		s[c] = accept(byte(c))
	}
	return &s
}

func setOfBytes(bytes string) *byteSet {
	return setOf(func(c byte) bool { return strings.IndexByte(bytes, c) >= 0 })
}

const (
	decimal = "0123456789"
	letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

var (
	noBytes = &byteSet{}
	digits  = setOfBytes(decimal)
	// wordBytes are what Envoy itself or its header validation keeps free of spaces
	// and quotes: methods, authorities, flags, versions.
	wordBytes = setOf(func(c byte) bool { return c > ' ' && c < 0x7f && c != '"' })
	// visibleBytes have no space: Envoy replaces spaces in response code details, and
	// what is no host name in a server name.
	visibleBytes = setOf(func(c byte) bool { return c > ' ' && c != 0x7f })
)

// class is the form of a value: how it begins decides of which bytes the rest is. If a
// text has the form, so has every beginning of it.
type class struct {
	bytes *byteSet // all that can occur in a value
	forms []form   // the first whose first byte fits decides
}

type form struct {
	begin *byteSet // the first byte, or
	with  string   // the first bytes, as far as there are any
	rest  *byteSet // all after them, and the bytes of with
}

func uniform(bytes *byteSet) class {
	return class{bytes, []form{{begin: bytes, rest: bytes}}}
}

var (
	anyClass     = uniform(nil)
	wordClass    = uniform(wordBytes)
	visibleClass = uniform(visibleBytes)
	numberClass  = class{setOfBytes(decimal + "-"), []form{
		{begin: digits, rest: digits},
		{begin: setOfBytes("-"), rest: noBytes},
	}}
	addressClass = class{wordBytes, []form{
		{begin: digits, rest: setOfBytes(decimal + "abcdefABCDEF:.")}, // also IPv6 without port
		{begin: setOfBytes("["), rest: setOfBytes(decimal + letters + ":.%]_-")},
		{begin: setOfBytes("-"), rest: noBytes},
		{begin: setOfBytes("/@"), rest: wordBytes}, // pipes
		{with: "envoy://", rest: wordBytes},
		{with: "tcp://", rest: wordBytes}, // in old releases
	}}
	// bareAddressClass is without port, so that IPv6 has no brackets.
	bareAddressClass = class{wordBytes, []form{
		{begin: setOfBytes("-"), rest: noBytes},
		{begin: setOfBytes(decimal + letters + ":[/@"), rest: wordBytes},
	}}
)

// formAt returns the form of a value that begins at a position, and how many of its first
// bytes are decided by that; -1 if none can begin there.
func (c *class) formAt(text string, at int) (which, decided int) {
	for i := range c.forms {
		f := &c.forms[i]
		if f.with == "" {
			if f.begin.has(text[at]) {
				return i, 1
			}
			continue
		}
		n := 0
		for n < len(f.with) && at+n < len(text) && text[at+n] == f.with[n] {
			n++
		}
		if n > 0 {
			return i, n
		}
	}
	return -1, 0
}

// holds says whether a text has the form.
func (c *class) holds(text string) bool {
	if text == "" {
		return true
	}
	i, n := c.formAt(text, 0)
	if i < 0 {
		return false
	}
	f := &c.forms[i]
	return f.rest.holds(text[n:]) && (n >= len(f.with) || n == len(text))
}
