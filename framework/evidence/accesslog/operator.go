package accesslog

import (
	"fmt"
	"strconv"
	"strings"
)

// Operator is one command operator of a format, %NAME(ARG):MAXLENGTH%.
type Operator struct {
	Name string
	// Arg is what stands in the brackets, without them; header names in upper case.
	Arg string
	// MaxLength is the number of bytes after which Envoy cuts the value; 0 for none.
	MaxLength int
}

// String returns the operator as a format writes it, "%REQ(USER-AGENT):8%".
func (o Operator) String() string {
	text := "%" + o.Name
	if o.Arg != "" {
		text += "(" + o.Arg + ")"
	}
	if o.MaxLength > 0 {
		text += ":" + strconv.Itoa(o.MaxLength)
	}
	return text + "%"
}

// synonyms are newer names of operators, with the name used here.
var synonyms = map[string]string{
	"REQUEST_HEADER":   "REQ",
	"RESPONSE_HEADER":  "RESP",
	"RESPONSE_TRAILER": "TRAILER",
}

func newOperator(name, arg string, maxLength int) Operator {
	if old, ok := synonyms[name]; ok {
		name = old
	}
	op := Operator{Name: name, Arg: arg, MaxLength: maxLength}
	if op.isHeader() {
		op.Arg = strings.ToUpper(arg)
	}
	return op
}

// parseOperator reads what a caller asks for, with or without percent signs. It does
// not fail: what is no operator is found nowhere.
func parseOperator(text string) Operator {
	text = strings.TrimSuffix(strings.TrimPrefix(text, "%"), "%")
	name, rest, ok := strings.Cut(text, "(")
	if !ok {
		name, _, _ = strings.Cut(text, ":")
		return newOperator(name, "", 0)
	}
	arg := rest
	if i := strings.LastIndexByte(rest, ')'); i >= 0 {
		arg = rest[:i]
	}
	return newOperator(name, arg, 0)
}

// isHeader says whether the argument is a header, or two with a question mark between.
func (o Operator) isHeader() bool {
	switch o.Name {
	case "REQ", "RESP", "TRAILER", "REQ_WITHOUT_QUERY":
		return true
	}
	return false
}

// hasHeader says whether a header is the first or the alternative one.
func (o Operator) hasHeader(name string) bool {
	main, alternative, _ := strings.Cut(o.Arg, "?")
	return main == name || alternative == name
}

// piece is literal text and the operator after it; the last piece has none.
type piece struct {
	literal string
	op      *Operator
}

// pieces splits a format. An error says at which byte it is malformed.
func pieces(format string) ([]piece, error) {
	var out []piece
	var literal strings.Builder
	for i := 0; i < len(format); {
		if format[i] != '%' {
			next := strings.IndexByte(format[i:], '%')
			if next < 0 {
				next = len(format) - i
			}
			literal.WriteString(format[i : i+next])
			i += next
			continue
		}
		if strings.HasPrefix(format[i:], "%%") {
			literal.WriteByte('%')
			i += 2
			continue
		}
		op, n, err := lexOperator(format[i:])
		if err != nil {
			return nil, fmt.Errorf("byte %d: %w", i, err)
		}
		out = append(out, piece{literal.String(), &op})
		literal.Reset()
		i += n
	}
	return append(out, piece{literal: literal.String()}), nil
}

// lexOperator reads the operator that text begins with, and returns its length.
func lexOperator(text string) (Operator, int, error) {
	i := 1
	for i < len(text) && isNameByte(text[i]) {
		i++
	}
	name := text[1:i]
	if name == "" {
		return Operator{}, 0, fmt.Errorf("no operator name after %%, which must be doubled to stand for itself: %s", excerpt(text))
	}
	arg := ""
	if i < len(text) && text[i] == '(' {
		end := argumentEnd(text, i+1)
		if end < 0 {
			return Operator{}, 0, fmt.Errorf("no \")%%\" closes the argument of %s", excerpt(text))
		}
		arg, i = text[i+1:end], end+1
	}
	maxLength := 0
	if i < len(text) && text[i] == ':' {
		start := i + 1
		for i = start; i < len(text) && text[i] >= '0' && text[i] <= '9'; i++ {
		}
		n, err := strconv.Atoi(text[start:i])
		if err != nil {
			return Operator{}, 0, fmt.Errorf("no length after the colon of %s", excerpt(text))
		}
		maxLength = n
	}
	if i >= len(text) || text[i] != '%' {
		return Operator{}, 0, fmt.Errorf("no %% ends the operator %s", excerpt(text))
	}
	op := newOperator(name, arg, maxLength)
	if op.isHeader() && strings.Count(op.Arg, "?") > 1 {
		return Operator{}, 0, fmt.Errorf("more than one alternative header in %s", excerpt(text))
	}
	return op, i + 1, nil
}

// argumentEnd finds the first bracket after which the operator ends: arguments may hold
// brackets themselves, as CEL expressions do.
func argumentEnd(text string, from int) int {
	for i := from; i < len(text); i++ {
		if text[i] != ')' {
			continue
		}
		end := i + 1
		if end < len(text) && text[end] == ':' {
			end++
			for end < len(text) && text[end] >= '0' && text[end] <= '9' {
				end++
			}
			if end == i+2 {
				continue
			}
		}
		if end < len(text) && text[end] == '%' {
			return i
		}
	}
	return -1
}

func isNameByte(c byte) bool {
	return c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_'
}

func excerpt(text string) string {
	const most = 40
	if len(text) > most {
		text = text[:most] + "..."
	}
	return strconv.Quote(text)
}
