package mongoingress_test

import (
	"testing"

	"github.com/meshproof/meshproof/suites/internal/golden"
	mongoingress "github.com/meshproof/meshproof/suites/mongo-ingress"
)

func TestRendered(t *testing.T) { golden.Check(t, mongoingress.Pattern()) }
