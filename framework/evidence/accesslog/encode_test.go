package accesslog

import (
	"encoding/json"
	"testing"
)

func TestAFormatThatWasKeptReadsTheSameLines(t *testing.T) {
	text, err := CompileText(`%REQ(X-REQUEST-ID)% | %RESPONSE_CODE%`+"\n", OmitEmpty())
	if err != nil {
		t.Fatal(err)
	}
	object, err := CompileJSON([]byte(`{"id": "%REQ(X-REQUEST-ID)%", "code": "%RESPONSE_CODE%"}`))
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal([]*Format{text, object})
	if err != nil {
		t.Fatal(err)
	}
	var kept []*Format
	if err := json.Unmarshal(data, &kept); err != nil {
		t.Fatal(err)
	}
	for index, line := range []string{"abc | 200", `{"id":"abc","code":200}`} {
		if parsed, ok := kept[index].Parse(line); !ok || parsed.RequestID != "abc" || parsed.ResponseCode != 200 {
			t.Errorf("%s is read as %+v, %t", line, parsed, ok)
		}
	}
	if !kept[0].omitEmpty || kept[0].JSON() || !kept[1].JSON() {
		t.Errorf("kept as %s", data)
	}
	if err := json.Unmarshal([]byte(`{"source": "%REQ("}`), &Format{}); err == nil {
		t.Error("a malformed format is taken")
	}
}
