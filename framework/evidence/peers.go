package evidence

import "strings"

// Peers are the identities that the sidecar found in the certificates of the request's peers, and wrote into the header
// X-Forwarded-Client-Cert: one text per peer, with all URI names of its certificate. There are none without a certificate.
func (r Record) Peers() []string {
	header := r.Header["X-Forwarded-Client-Cert"]
	if header == "" {
		return nil
	}
	var peers []string
	for _, element := range splitUnquoted(header, ',') {
		var names []string
		for _, pair := range splitUnquoted(element, ';') {
			if value, found := strings.CutPrefix(strings.TrimSpace(pair), "URI="); found {
				names = append(names, strings.Trim(value, `"`))
			}
		}
		if len(names) == 0 {
			names = []string{"a certificate without a URI name"}
		}
		peers = append(peers, strings.Join(names, ", "))
	}
	return peers
}

// splitUnquoted splits where the separator stands outside of double quotes, in which a backslash escapes a quote.
func splitUnquoted(text string, separator byte) []string {
	var parts []string
	quoted, start := false, 0
	for i := 0; i < len(text); i++ {
		switch {
		case quoted && text[i] == '\\':
			i++
		case text[i] == '"':
			quoted = !quoted
		case !quoted && text[i] == separator:
			parts, start = append(parts, text[start:i]), i+1
		}
	}
	return append(parts, text[start:])
}
