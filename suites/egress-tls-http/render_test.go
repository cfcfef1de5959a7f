package egresstlshttp_test

import (
	"testing"

	egresstlshttp "github.com/meshproof/meshproof/suites/egress-tls-http"
	"github.com/meshproof/meshproof/suites/internal/golden"
)

func TestRendered(t *testing.T) { golden.Check(t, egresstlshttp.Pattern()) }
