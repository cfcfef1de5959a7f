// Package accesslog reads Envoy access logs by the format that the proxy's own
// configuration states.
//
// Discover finds every access log in a configuration dump: where it is written, which
// lines its filter lets through, and its Format. Format.Parse reads one line of it.
//
// # A parse is certain or says that it is not
//
// Text formats are not always unambiguous: a header that holds `" "` looks like the
// boundary between two quoted fields. Each operator has the set of bytes that Envoy can
// write for it, wide where clients decide (headers) and narrow where Envoy does
// (numbers, addresses), and a line is read only as those sets and the format's literal
// text allow. If they allow one reading, it is the right one. If they allow several,
// Line.Ambiguous is set and Line.Sure tells which fields are the same in all of them.
// JSON formats are unambiguous, except inside values of several operators.
//
// # Absent is not empty
//
// Envoy writes "-" for what it does not have (nothing at all with omit_empty_values,
// null in JSON). Such a field is absent: its accessor is zero and Line.Field says false.
// A header that was sent as "-" cannot be told from one that was not sent.
package accesslog
