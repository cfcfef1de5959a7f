package accesslog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// jsonNode is one value of a JSON format.
type jsonNode struct {
	object map[string]*jsonNode // nil unless an object
	list   []*jsonNode
	isList bool
	text   *template // a string with operators
	// literal is what is written as it is: a string, json.Number, bool or nil.
	literal   any
	isLiteral bool
	slots     []int // of everything below, for values that are left out as a whole
}

// CompileJSON compiles a JSON format: an object whose strings hold operators, at any
// depth, beside numbers and booleans that are written as they are. An error says at which
// key the format is malformed.
func CompileJSON(format []byte, options ...Option) (*Format, error) {
	tree, err := decodeJSON(format)
	if err != nil {
		return nil, fmt.Errorf("accesslog: JSON format: %w", err)
	}
	object, ok := tree.(map[string]any)
	if !ok {
		return nil, errors.New("accesslog: JSON format: not an object")
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, format); err != nil {
		return nil, fmt.Errorf("accesslog: JSON format: %w", err)
	}
	f := &Format{source: compact.String()}
	for _, o := range options {
		o(f)
	}
	if f.json, err = f.node("", object); err != nil {
		return nil, fmt.Errorf("accesslog: JSON format: %w", err)
	}
	f.index()
	return f, nil
}

// decodeJSON reads one value and nothing after it, with numbers as they are written.
func decodeJSON(data []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var out any
	if err := decoder.Decode(&out); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, errors.New("more than one value")
	}
	return out, nil
}

func (f *Format) node(where string, value any) (*jsonNode, error) {
	from := len(f.slots)
	out := &jsonNode{}
	switch v := value.(type) {
	case map[string]any:
		out.object = make(map[string]*jsonNode, len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			child, err := f.node(strings.TrimPrefix(where+"."+key, "."), v[key])
			if err != nil {
				return nil, err
			}
			out.object[key] = child
		}
	case []any:
		out.isList = true
		for i, item := range v {
			child, err := f.node(where+"["+strconv.Itoa(i)+"]", item)
			if err != nil {
				return nil, err
			}
			out.list = append(out.list, child)
		}
	case string:
		text, err := f.template(v)
		if err != nil {
			return nil, fmt.Errorf("key %q: %w", where, err)
		}
		out.text = text
		if len(text.gaps) == 0 {
			out.text, out.literal, out.isLiteral = nil, text.prefix, true
		}
	default:
		out.literal, out.isLiteral = v, true
	}
	for i := from; i < len(f.slots); i++ {
		out.slots = append(out.slots, i)
	}
	return out, nil
}

// parseJSON reads a line as an object with exactly the format's keys.
func (f *Format) parseJSON(line string) (Line, bool) {
	if !strings.HasPrefix(line, "{") {
		return Line{}, false
	}
	value, err := decodeJSON([]byte(line))
	if err != nil {
		return Line{}, false
	}
	l := Line{format: f, values: make([]string, len(f.slots))}
	if !l.read(f.json, value) {
		return Line{}, false
	}
	return l, l.fill() || l.Ambiguous
}

func (l *Line) read(n *jsonNode, value any) bool {
	switch {
	case n.object != nil:
		return l.readObject(n, value)
	case n.isList:
		return l.readList(n, value)
	case n.isLiteral:
		return sameLiteral(n.literal, value)
	}
	return l.readText(n, value)
}

func (l *Line) readObject(n *jsonNode, value any) bool {
	object, ok := value.(map[string]any)
	if !ok {
		return false
	}
	found := 0
	for key, child := range n.object {
		v, ok := object[key]
		if !ok {
			if !l.format.omitEmpty {
				return false
			}
			l.leaveOut(child)
			continue
		}
		found++
		if !l.read(child, v) {
			return false
		}
	}
	return found == len(object)
}

func (l *Line) readList(n *jsonNode, value any) bool {
	list, ok := value.([]any)
	if !ok {
		return false
	}
	if len(list) != len(n.list) {
		if !l.format.omitEmpty || len(list) > len(n.list) {
			return false
		}
		// Which items were left out cannot be told.
		l.leaveOut(n)
		l.doubt(n.slots...)
		return true
	}
	for i, child := range n.list {
		if !l.read(child, list[i]) {
			return false
		}
	}
	return true
}

func (l *Line) leaveOut(n *jsonNode) {
	for _, slot := range n.slots {
		l.values[slot] = "-"
	}
}

func (l *Line) doubt(slots ...int) {
	if l.unsure == nil {
		l.unsure = make([]bool, len(l.values))
	}
	for _, slot := range slots {
		l.Ambiguous = true
		l.unsure[slot] = true
	}
}

// readText reads a string with operators. Envoy keeps the type of a single operator's
// value; anything next to it makes it a string.
func (l *Line) readText(n *jsonNode, value any) bool {
	t := n.text
	text, isString := value.(string)
	if !isString {
		if len(t.gaps) != 1 || t.prefix != "" || t.gaps[0].after != "" {
			return false
		}
		var ok bool
		if text, ok = rendered(value); !ok {
			return false
		}
		if value != nil && !t.gaps[0].fits(text) {
			return false
		}
		l.values[t.gaps[0].slot] = text
		return true
	}
	spans := make([]span, len(t.gaps))
	unsure, ok := t.match(text, spans)
	if !ok {
		return false
	}
	for i, g := range t.gaps {
		l.values[g.slot] = text[spans[i].from:spans[i].to]
		if unsure != nil && unsure[i] {
			l.doubt(g.slot)
		}
	}
	return true
}

// rendered is the text of a value that is no string: "-" for null, JSON for objects.
func rendered(value any) (string, bool) {
	switch v := value.(type) {
	case nil:
		return "-", true
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	}
	data, err := json.Marshal(value)
	return string(data), err == nil
}

// sameLiteral compares what a format states with what a line has. Some releases write a
// number as a string.
func sameLiteral(want, got any) bool {
	if want == got {
		return true
	}
	wantText, ok1 := scalar(want)
	gotText, ok2 := scalar(got)
	if !ok1 || !ok2 {
		return false
	}
	if wantText == gotText {
		return true
	}
	a, err1 := strconv.ParseFloat(wantText, 64)
	b, err2 := strconv.ParseFloat(gotText, 64)
	return err1 == nil && err2 == nil && a == b
}

func scalar(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	}
	return "", false
}
