package command

import (
	"testing"
	"unicode/utf8"
)

func TestLiveLine(t *testing.T) {
	texts := []string{"basic-gateway judging BG1 0.3 s", "mongo-egress install 4.2 s", "mongo-ingress settle 0.1 s"}
	for _, test := range []struct {
		texts []string
		width int
		want  string
	}{
		{texts, 200, "  ...   5.0 s elapsed: basic-gateway judging BG1 0.3 s | mongo-egress install 4.2 s | mongo-ingress settle 0.1 s"},
		{texts, 111, "  ...   basic-gateway judging BG1 0.3 s | mongo-egress install 4.2 s | mongo-ingress settle 0.1 s"},
		{texts, 90, "  ...   basic-gateway judging BG1 0.3 s | mongo-egress install 4.2 s | and 1 more"},
		{texts, 80, "  ...   5.0 s elapsed: basic-gateway judging BG1 0.3 s | and 2 more"},
		{texts[:1], 80, "  ...   5.0 s elapsed: basic-gateway judging BG1 0.3 s"},
		{texts[:1], 50, "  ...   basic-gateway judging BG1 0.3 s"},
		{texts, 40, "  ...   basic-gateway judging BG1 0.3 s"},
		{texts, 20, "  ...   basic-gatew"},
		{texts, 5, "  .."},
		{[]string{"ä€𝄞 judging"}, 12, "  ...   ä€𝄞"},
	} {
		got := liveLine("5.0 s elapsed", test.texts, test.width)
		if got != test.want {
			t.Errorf("%d columns: %q\nwant %q", test.width, got, test.want)
		}
	}
	for width := range 130 {
		if got := liveLine("5.0 s elapsed", texts, width); utf8.RuneCountInString(got) > max(0, width-1) {
			t.Errorf("%d columns: %q takes all of them, or more", width, got)
		}
	}
}
