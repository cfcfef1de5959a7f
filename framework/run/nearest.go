package run

import (
	"fmt"
	"strings"

	"github.com/meshproof/meshproof/framework/pattern"
)

// Nearest is the one of the names that a mistyped one was probably meant to be; empty when none is near.
func Nearest(mistyped string, names []string) string {
	nearest, least := "", len(mistyped)/2+2
	for _, name := range names {
		if distance := editDistance(mistyped, name); distance < least {
			nearest, least = name, distance
		}
	}
	return nearest
}

func unknownPattern(patterns []pattern.Pattern, name string) error {
	var names []string
	for _, p := range patterns {
		names = append(names, p.Name)
	}
	if nearest := Nearest(name, names); nearest != "" {
		return fmt.Errorf("there is no pattern %q; did you mean %s?", name, nearest)
	}
	return fmt.Errorf("there is no pattern %q; the patterns: %s", name, strings.Join(names, ", "))
}

// editDistance is the number of letters to insert, delete or replace to turn a into b.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
