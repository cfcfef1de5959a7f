package evidence

import (
	"encoding/hex"
	"slices"
	"strings"
)

// requestID is a UUID, which is what Envoy gives requests as their ID.
type requestID [16]byte

// uuidLength is that of a UUID as text; groups are where its hyphens stand.
const uuidLength = 36

var groups = [4]int{8, 13, 18, 23}

// parseRequestID reads a UUID; ok is false of any other text.
func parseRequestID(text string) (id requestID, ok bool) {
	if len(text) != uuidLength {
		return id, false
	}
	var digits [32]byte
	at := 0
	for index := range uuidLength {
		if slices.Contains(groups[:], index) {
			if text[index] != '-' {
				return id, false
			}
			continue
		}
		digits[at] = text[index]
		at++
	}
	_, err := hex.Decode(id[:], digits[:])
	return id, err == nil
}

// requestIDs finds all UUIDs in a line.
func requestIDs(line string) (ids []requestID) {
	for from := 0; ; {
		hyphen := strings.IndexByte(line[from:], '-')
		if hyphen < 0 {
			return ids
		}
		start := from + hyphen - groups[0]
		from += hyphen + 1
		if start < 0 || start+uuidLength > len(line) || line[start+groups[1]] != '-' {
			continue
		}
		if id, ok := parseRequestID(line[start : start+uuidLength]); ok {
			ids = append(ids, id)
			from = start + uuidLength
		}
	}
}

// spot is where a line stands in a proxy's log.
type spot struct {
	source *source
	at     int
}

// spots are those of lines, by the request IDs that they have. A request's lines are few, those of all requests many: they
// stand in one list, in which each knows the one before it of the same request.
type spots struct {
	newest map[requestID]int32
	list   []noted
}

type noted struct {
	spot
	before int32
}

func newSpots() spots { return spots{newest: map[requestID]int32{}} }

// none ends the chain of a request.
const none = int32(-1)

func (p *spots) note(id requestID, at spot) {
	before, found := p.newest[id]
	if !found {
		before = none
	}
	p.newest[id] = int32(len(p.list))
	p.list = append(p.list, noted{at, before})
}

// of gives the places of a request's lines, in the order in which they were noted, and forgets them.
func (p *spots) of(id requestID) (found []spot) {
	at, noted := p.newest[id]
	if !noted {
		return nil
	}
	for ; at != none; at = p.list[at].before {
		found = append(found, p.list[at].spot)
	}
	delete(p.newest, id)
	slices.Reverse(found)
	return found
}

// all gives every place, and forgets them. One with several IDs is given several times.
func (p *spots) all() (found []spot) {
	for _, noted := range p.list {
		found = append(found, noted.spot)
	}
	*p = newSpots()
	return found
}
