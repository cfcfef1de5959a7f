package accesslog

import (
	"testing"
	"time"
)

// Envoy 1.40.0 wrote these for 2026-11-22T15:42:26.025018Z.
func TestStartTimeForms(t *testing.T) {
	moment := time.Date(2026, time.November, 22, 15, 42, 26, 25018000, time.UTC)
	for _, test := range []struct {
		arg, value string
		precision  time.Duration // 0: the form determines no moment
	}{
		{"", "2026-11-22T15:42:26.025Z", time.Millisecond},
		{"%Y/%m/%dT%H:%M:%S%z %s", "2026/11/22T15:42:26+0000 1795362146", time.Second},
		{"%s", "1795362146", time.Second},
		{"%s.%3f", "1795362146.025", time.Millisecond},
		{"%s.%6f", "1795362146.025018", time.Microsecond},
		{"%s.%9f", "1795362146.025018000", time.Nanosecond},
		{"%s %f", "1795362146 025018000", time.Nanosecond},
		{"%FT%T.%3fZ", "2026-11-22T15:42:26.025Z", time.Millisecond},
		{"%Y-%m-%dT%H:%M:%S.%3f%Ez", "2026-11-22T15:42:26.025+00:00", time.Millisecond},
		{"%d/%b/%Y:%H:%M:%S %z", "22/Nov/2026:15:42:26 +0000", time.Second},
		{"%a, %e %B %Y %I:%M:%S %p %Z", "Sun, 22 November 2026 03:42:26 PM UTC", time.Second},
		{"%A %D %R:%E3S", "Sunday 11/22/26 15:42:26.025", time.Millisecond},
		{"%j %y %H%M%E*S", "326 26 154226.025018", time.Microsecond},
		{"%Y %h %d %H %M %E6S", "2026 Nov 22 15 42 26.025018", time.Microsecond},
		{"100%% %s", "100% 1795362146", time.Second},
		{"%H:%M", "15:42", 0},
		{"%f", "025018000", 0},
		{"%I:%M:%S %F", "03:42:26 2026-11-22", 0},
	} {
		layout := compileTime(test.arg)
		if layout == nil {
			t.Errorf("%q is not known", test.arg)
			continue
		}
		got, ok := layout.parse(test.value)
		if !ok {
			t.Errorf("%q is not in %q", test.value, test.arg)
			continue
		}
		want := time.Time{}
		if test.precision > 0 {
			want = moment.Truncate(test.precision)
		}
		if !got.Equal(want) {
			t.Errorf("%q in %q is %s, want %s", test.value, test.arg, got, want)
		}
		if !layout.bytes.holds(test.value) || !layout.bytes.holds("-") {
			t.Errorf("the bytes of %q do not hold %q", test.arg, test.value)
		}
	}
}

func TestStartTimeZonesAndPadding(t *testing.T) {
	for _, test := range []struct{ arg, value, want string }{
		{"%F %T %z", "2026-11-22 16:42:26 +0100", "2026-11-22T15:42:26Z"},
		{"%F %T %Ez", "2026-11-22 10:12:26 -05:30", "2026-11-22T15:42:26Z"},
		{"%F %T%z", "2026-11-22 15:42:26Z", "2026-11-22T15:42:26Z"},
		{"%e %b %Y %T", " 5 Jan 2026 00:00:00", "2026-01-05T00:00:00Z"},
		{"%F %I:%M:%S %p", "2026-11-22 12:00:00 AM", "2026-11-22T00:00:00Z"},
		{"%F %I:%M:%S %p", "2026-11-22 12:00:00 PM", "2026-11-22T12:00:00Z"},
	} {
		got, ok := compileTime(test.arg).parse(test.value)
		if !ok || got.Format(time.RFC3339Nano) != test.want {
			t.Errorf("%q in %q is %s, %t, want %s", test.value, test.arg, got, ok, test.want)
		}
	}
}

func TestUnknownStartTimeFormsKeepTheText(t *testing.T) {
	for _, arg := range []string{"%c", "%U", "%E", "%Q", "%", "%E10S", "%0f"} {
		if compileTime(arg) != nil {
			t.Errorf("%q is known", arg)
		}
	}
	l, ok := compileText(t, "%START_TIME(%c)% %DURATION%\n").Parse("Sun Nov 22 15:42:26 2026 7")
	if v, _ := l.Field("START_TIME"); !ok || !l.Start.IsZero() || v != "Sun Nov 22 15:42:26 2026" || l.Ambiguous {
		t.Errorf("line %+v, %t, start %q", l, ok, v)
	}
}

func TestWrongStartTimes(t *testing.T) {
	for arg, values := range map[string][]string{
		"":            {"2026-11-22T15:42:26.02Z", "2026-11-22 15:42:26.025Z", "2026-1x-22T15:42:26.025Z", "2026-11-32T15:42:26.025Z"},
		"%F %T":       {"2026-11-22", "2026-13-22 00:00:00", "2026-11-22 24:00:00", "2026-11-22 00:00:00 "},
		"%b":          {"nov", ""},
		"%F %T %z":    {"2026-11-22 15:42:26 0000", "2026-11-22 15:42:26 +0x00", "2026-11-22 15:42:26 "},
		"%S %E3S":     {"26 26"},
		"%F %T%Z":     {"2026-11-22 15:42:26"},
		"%H:%M:%E*S.": {"15:42:26.."},
	} {
		layout := compileTime(arg)
		for _, v := range values {
			if got, ok := layout.parse(v); ok {
				t.Errorf("%q in %q is %s", v, arg, got)
			}
		}
	}
}
