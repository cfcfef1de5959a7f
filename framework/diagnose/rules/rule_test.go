package rules

import "testing"

func TestTheBuiltInRulesCanBeRead(t *testing.T) {
	if _, err := Parse(builtIn); err != nil {
		t.Fatal(err)
	}
}
