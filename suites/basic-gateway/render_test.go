package basicgateway_test

import (
	"testing"

	basicgateway "github.com/meshproof/meshproof/suites/basic-gateway"
	"github.com/meshproof/meshproof/suites/internal/golden"
)

func TestRendered(t *testing.T) { golden.Check(t, basicgateway.Pattern()) }
