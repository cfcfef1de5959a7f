package run

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshproof/meshproof/framework/pattern"
)

func TestSelect(t *testing.T) {
	patterns := []pattern.Pattern{{Name: "basic-gateway"}, {Name: "mongo-egress"}, {Name: "rate-limit"}}
	for name, test := range map[string]struct {
		names, want []string
		err         string
	}{
		"all":                    {nil, []string{"basic-gateway", "mongo-egress", "rate-limit"}, ""},
		"in the given order":     {[]string{"rate-limit", "basic-gateway"}, []string{"rate-limit", "basic-gateway"}, ""},
		"once each":              {[]string{"rate-limit", "rate-limit"}, []string{"rate-limit"}, ""},
		"a mistyped name":        {[]string{"mongo-egres"}, nil, `there is no pattern "mongo-egres"; did you mean mongo-egress?`},
		"the nearest of several": {[]string{"rate-gateway"}, nil, `there is no pattern "rate-gateway"; did you mean basic-gateway?`},
		"nothing like it":        {[]string{"zzzzzzzzzzzzzzzzzzzzzzz"}, nil, `there is no pattern "zzzzzzzzzzzzzzzzzzzzzzz"; the patterns: basic-gateway, mongo-egress, rate-limit`},
		"nothing":                {[]string{""}, nil, `there is no pattern ""; the patterns: basic-gateway, mongo-egress, rate-limit`},
		"one of two":             {[]string{"rate-limit", "gate"}, nil, `there is no pattern "gate"; the patterns: basic-gateway, mongo-egress, rate-limit`},
	} {
		t.Run(name, func(t *testing.T) {
			selected, err := Select(patterns, test.names)
			var got []string
			for _, p := range selected {
				got = append(got, p.Name)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("selected (-want +got):\n%s", diff)
			}
			if text := errorText(err); text != test.err {
				t.Errorf("error %q\nwant  %q", text, test.err)
			}
		})
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestEditDistance(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"abc", "abc", 0}, {"", "abc", 3}, {"abc", "", 3},
		{"abc", "abd", 1}, {"abc", "ab", 1}, {"ab", "abc", 1}, {"abc", "xbc", 1},
		{"ab", "ba", 2}, {"kitten", "sitting", 3}, {"sitting", "kitten", 3}, {"aaa", "bbb", 3},
	} {
		if got := editDistance(test.a, test.b); got != test.want {
			t.Errorf("from %q to %q are %d edits, want %d", test.a, test.b, got, test.want)
		}
	}
}
