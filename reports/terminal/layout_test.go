package terminal

import (
	"slices"
	"strings"
	"testing"
)

func TestWrap(t *testing.T) {
	for _, tc := range []struct {
		text string
		room int
		want []string
	}{
		{"", 10, []string{""}},
		{"one two", 0, []string{"one two"}},
		{"one two", 7, []string{"one two"}},
		{"one two", 6, []string{"one", "two"}},
		{"one two three", 7, []string{"one two", "three"}},
		{"äöü äöü", 5, []string{"äöü", "äöü"}},
		{"a  b   c d", 8, []string{"a  b   c", "d"}},
		{"a  b   c d", 5, []string{"a  b", "c d"}},
		{"unbreakable", 4, []string{"unbreakable"}},
		{"unbreakable word", 4, []string{"unbreakable", "word"}},
		{"a unbreakable b", 4, []string{"a", "unbreakable", "b"}},
		{"   indented text", 11, []string{"   indented", "text"}},
		{"trailing   ", 20, []string{"trailing"}},
	} {
		if got := wrap(tc.text, tc.room); !slices.Equal(got, tc.want) {
			t.Errorf("wrap(%q, %d) = %q, want %q", tc.text, tc.room, got, tc.want)
		}
	}
}

func TestColumnsAlignTimes(t *testing.T) {
	for _, l := range []layout{{}, {width: 80}, {width: 200}} {
		edge := rightEdge
		if l.width > 0 {
			edge = min(edge, l.width)
		}
		for _, time := range []string{"0.3 s", "1234.5 s"} {
			lines := l.row("install", "38 objects, 6 pods", time)
			if len(lines) != 1 || width(lines[0]) != edge || !strings.HasSuffix(lines[0], "  "+time) {
				t.Errorf("width %d: %q", l.width, lines)
			}
		}
	}
	long := layout{width: 40}.row("install", strings.Repeat("word ", 10), "0.3 s")
	if width(long[0]) != 40 || !strings.HasPrefix(long[1], strings.Repeat(" ", labelWidth)+"word") {
		t.Errorf("%q", long)
	}
}

func TestFlow(t *testing.T) {
	parts := []string{"first part", "second part", "third part"}
	for columns, want := range map[int][]string{
		0:  {"first part · second part · third part"},
		40: {"first part · second part · third part"},
		30: {"first part · second part ·", "  third part"},
		16: {"first part ·", "  second part ·", "  third part"},
	} {
		if got := (layout{width: columns}).flow("", parts); !slices.Equal(got, want) {
			t.Errorf("width %d: %q, want %q", columns, got, want)
		}
	}
}
