package kube

import "testing"

// conditions is an object with a list of conditions.
func conditions(name, list string) string {
	return "\napiVersion: v1\nkind: Pod\nmetadata: {name: " + name + ", namespace: ns}\nstatus: {phase: Running, conditions: [" + list + "]}\n---"
}

const bare = "\napiVersion: v1\nkind: Pod\nmetadata: {name: bare, namespace: ns}\n---"

func TestHasCondition(t *testing.T) {
	const (
		ready   = "{type: Ready, status: 'True'}"
		unready = "{type: Ready, status: 'False', reason: Waiting, message: for a node}"
		unknown = "{type: Ready, status: Unknown}"
	)
	for name, row := range map[string]struct {
		objects string
		count   int
		state   string // empty: it holds
	}{
		"one":                         {conditions("a", ready), 1, ""},
		"among other conditions":      {conditions("a", "{type: Initialized, status: 'False'}, "+ready), 1, ""},
		"more than asked for":         {conditions("a", ready) + conditions("b", ready), 1, ""},
		"too few":                     {conditions("a", ready), 2, "1 of 2 there"},
		"too few, and not ready":      {conditions("a", unready), 2, "1 of 2 there"},
		"none":                        {"", 1, "0 of 1 there"},
		"one of two":                  {conditions("b", unready) + conditions("a", ready), 2, "1 of 2 not Ready: b Waiting for a node"},
		"one more than asked for not": {conditions("a", ready) + conditions("b", unready), 1, "1 of 2 not Ready: b Waiting for a node"},
		"none of two, in order":       {conditions("b", unknown) + conditions("a", unready), 2, "2 of 2 not Ready: a Waiting for a node; b"},
		"without that condition":      {conditions("a", "{type: Initialized, status: 'True'}"), 1, "1 of 1 not Ready: a"},
		"without status":              {bare, 1, "1 of 1 not Ready: bare"},
	} {
		t.Run(name, func(t *testing.T) {
			wantState(t, HasCondition("Ready", row.count), row.objects, row.state)
		})
	}
}

func TestGone(t *testing.T) {
	wantState(t, Gone, "", "")
	wantState(t, Gone, conditions("b", "")+conditions("a", ""), "still there: a, b")
}

// wantState looks at the objects; an empty state means that the condition holds.
func wantState(t *testing.T, condition Condition, objects, want string) {
	t.Helper()
	list := decode(t, objects+bare)
	done, state, err := condition(list[:len(list)-1])
	if err != nil || done != (want == "") || (!done && state != want) {
		t.Errorf("done: %t, state %q, error %v; want the state %q", done, state, err, want)
	}
}

func TestStatusCondition(t *testing.T) {
	for name, row := range map[string]struct{ object, status, message string }{
		"all of it":           {conditions("a", "{type: Ready, status: 'True', reason: R, message: m n}"), "True", "R m n"},
		"a reason":            {conditions("a", "{type: Ready, status: 'False', reason: R}"), "False", "R"},
		"a message":           {conditions("a", "{type: Ready, status: 'False', message: m}"), "False", "m"},
		"the first of two":    {conditions("a", "{type: Ready, status: 'False'}, {type: Ready, status: 'True'}"), "False", ""},
		"another condition":   {conditions("a", "{type: readyish, status: 'True'}"), "", ""},
		"no conditions":       {bare, "", ""},
		"no list":             {"\napiVersion: v1\nkind: Pod\nmetadata: {name: a}\nstatus: {conditions: none}\n", "", ""},
		"entries of no kind":  {conditions("a", "none, {type: Ready, status: 'True'}"), "True", ""},
		"a status of no text": {conditions("a", "{type: Ready, status: true}"), "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			status, message := StatusCondition(decode(t, row.object)[0], "Ready")
			if status != row.status || message != row.message {
				t.Errorf("status %q, message %q; want %q, %q", status, message, row.status, row.message)
			}
		})
	}
}
