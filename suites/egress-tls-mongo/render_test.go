package egresstlsmongo_test

import (
	"testing"

	egresstlsmongo "github.com/meshproof/meshproof/suites/egress-tls-mongo"
	"github.com/meshproof/meshproof/suites/internal/golden"
)

func TestRendered(t *testing.T) { golden.Check(t, egresstlsmongo.Pattern()) }
