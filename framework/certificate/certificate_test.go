package certificate

import (
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
	"time"
)

var from = time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)

func key(t *testing.T) string {
	t.Helper()
	text, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func parse(t *testing.T, text string) *x509.Certificate {
	t.Helper()
	block, rest := pem.Decode([]byte(text))
	if block == nil || len(rest) > 0 {
		t.Fatalf("not one certificate in PEM: %q", text)
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func authority(t *testing.T, key string) string {
	t.Helper()
	text, err := Authority(key, Subject{Name: "an authority", From: from, To: from.AddDate(1, 0, 0)})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestAServerIsVerifiedByItsAuthorityForItsNamesOnly(t *testing.T) {
	rootKey, serverKey := key(t), key(t)
	root := authority(t, rootKey)
	text, err := Server(serverKey, Subject{Name: "db", Names: []string{"db.lab", "10.0.0.7"}, From: from, To: from.AddDate(0, 0, 1)}, root, rootKey)
	if err != nil {
		t.Fatal(err)
	}
	server := parse(t, text)
	verify := func(root, name string, at time.Time) error {
		pool := x509.NewCertPool()
		pool.AddCert(parse(t, root))
		_, err := server.Verify(x509.VerifyOptions{Roots: pool, DNSName: name, CurrentTime: at})
		return err
	}
	noon := from.Add(12 * time.Hour)
	for name, test := range map[string]struct {
		root, host string
		at         time.Time
		says       string
	}{
		"by name":                    {root, "db.lab", noon, ""},
		"by address":                 {root, "10.0.0.7", noon, ""},
		"by another name":            {root, "other.lab", noon, "not other.lab"},
		"by another address":         {root, "10.0.0.8", noon, "not 10.0.0.8"},
		"by another authority":       {authority(t, key(t)), "db.lab", noon, "unknown authority"},
		"after its time":             {root, "db.lab", from.AddDate(0, 0, 2), "expired"},
		"before its time has come":   {root, "db.lab", from.Add(-time.Hour), "not yet valid"},
		"the authority is no server": {root, "an authority", noon, "not an authority"},
	} {
		t.Run(name, func(t *testing.T) {
			err := verify(test.root, test.host, test.at)
			if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %v, want one that says %q", err, test.says)
			}
		})
	}
}

func TestTheSameIsMadeOfTheSame(t *testing.T) {
	rootKey, serverKey := key(t), key(t)
	subject := Subject{Name: "db", Names: []string{"db.lab"}, From: from, To: from.AddDate(0, 0, 1)}
	made := func(subject Subject) string {
		text, err := Server(serverKey, subject, authority(t, rootKey), rootKey)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	first := made(subject)
	if second := made(subject); first != second {
		t.Errorf("%s\n%s", first, second)
	}
	subject.Names = []string{"other.lab"}
	if other := made(subject); parse(t, other).SerialNumber.Cmp(parse(t, first).SerialNumber) == 0 {
		t.Error("two certificates of one authority have the same serial number")
	}
}

func TestKeysAreOfTheirOwn(t *testing.T) {
	if first, second := key(t), key(t); first == second {
		t.Error("two keys are the same")
	}
}

func TestWhatIsNoKeyOrCertificateIsRefused(t *testing.T) {
	good := key(t)
	for name, make := range map[string]func() (string, error){
		"no key of an authority": func() (string, error) { return Authority("", Subject{}) },
		"no key of a server":     func() (string, error) { return Server("x", Subject{}, authority(t, good), good) },
		"no authority":           func() (string, error) { return Server(good, Subject{}, "x", good) },
		"a key for an authority": func() (string, error) { return Server(good, Subject{}, good, good) },
		"no key of its signer":   func() (string, error) { return Server(good, Subject{}, authority(t, good), "x") },
		"a certificate for a key": func() (string, error) {
			return Authority(authority(t, good), Subject{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			if text, err := make(); err == nil {
				t.Errorf("made %s", text)
			}
		})
	}
}
