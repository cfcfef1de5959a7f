package run

import (
	"fmt"
	"strings"

	"github.com/meshproof/meshproof/framework/pattern"
)

func unknownPattern(patterns []pattern.Pattern, name string) error {
	var names []string
	nearest, least := "", len(name)/2+2
	for _, p := range patterns {
		names = append(names, p.Name)
		if distance := editDistance(name, p.Name); distance < least {
			nearest, least = p.Name, distance
		}
	}
	if nearest != "" {
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
