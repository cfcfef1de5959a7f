//go:build programs

// Package ferretdb pins the database that stands in for MongoDB in the lab: FerretDB with its SQLite backend speaks the
// MongoDB wire protocol, and has real SCRAM users.
package ferretdb

import _ "github.com/FerretDB/FerretDB/cmd/ferretdb"
