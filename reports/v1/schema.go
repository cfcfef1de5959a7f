package v1

import _ "embed"

// Schema is the JSON Schema (draft 2020-12) of a report; its definition "event" is that of a journal's line. It allows
// fields that it does not name, because v1 may gain some.
//
//go:embed schema.json
var Schema []byte
