package humane

import (
	"math"
	"testing"
	"time"
)

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 1: "1 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", -1536: "-1.5 KiB", -5: "-5 B",
		1_258_291: "1.2 MiB", 1<<20 - 1: "1.0 MiB", 1<<20 - 100: "1023.9 KiB", 1 << 30: "1.0 GiB", 5 << 40: "5.0 TiB",
		math.MaxInt64: "8.0 EiB", math.MinInt64: "-8.0 EiB",
	} {
		if got := Bytes(n); got != want {
			t.Errorf("Bytes(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestRate(t *testing.T) {
	for _, tt := range []struct {
		rate float64
		want string
	}{
		{0, "0 B/s"},
		{0.4, "0 B/s"},
		{0.6, "1 B/s"},
		{1_258_291.2, "1.2 MiB/s"},
		{-1, "0 B/s"},
		{math.NaN(), "0 B/s"},
		{math.Inf(1), "8.0 EiB/s"},
		{math.Inf(-1), "0 B/s"},
	} {
		if got := Rate(tt.rate); got != tt.want {
			t.Errorf("Rate(%v) = %q, want %q", tt.rate, got, tt.want)
		}
	}
}

func TestAge(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", -time.Hour: "0s", 999 * time.Millisecond: "0s", 5 * time.Second: "5s", 59*time.Second + 999*time.Millisecond: "59s",
		time.Minute: "1m", 59 * time.Minute: "59m", time.Hour: "1h", 23*time.Hour + 59*time.Minute: "23h",
		24 * time.Hour: "1d", 49 * time.Hour: "2d", 1000 * 24 * time.Hour: "1000d",
	} {
		if got := Age(d); got != want {
			t.Errorf("Age(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestPlural(t *testing.T) {
	for n, want := range map[int]string{0: "0 files", 1: "1 file", 2: "2 files", -1: "-1 files", 15000: "15,000 files"} {
		if got := Plural(n, "file", "files"); got != want {
			t.Errorf("Plural(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0", 999: "999", 1000: "1,000", 15000: "15,000", 999999: "999,999", 1234567: "1,234,567",
		-999: "-999", -1000: "-1,000", math.MinInt64: "-9,223,372,036,854,775,808",
	} {
		if got := Count(n); got != want {
			t.Errorf("Count(%d) = %q, want %q", n, got, want)
		}
	}
}
