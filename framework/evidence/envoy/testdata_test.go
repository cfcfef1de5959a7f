package envoy

import (
	"os"
	"path/filepath"
	"testing"
)

// testdata holds answers of an Envoy 1.40.0 with a small configuration of its own,
// shortened: access logs and most of the bootstrap are cut out.
func testdata(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func ptr[T any](v T) *T { return &v }
