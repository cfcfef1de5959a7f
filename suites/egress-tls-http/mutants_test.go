package egresstlshttp_test

import (
	"testing"

	egresstlshttp "github.com/meshproof/meshproof/suites/egress-tls-http"
	"github.com/meshproof/meshproof/suites/internal/mutants"
)

func TestEveryClaimHasAMutant(t *testing.T) { mutants.Check(t, egresstlshttp.Pattern(), 12, 3) }
