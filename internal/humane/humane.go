// Package humane writes numbers for people. What programs read (--json) has
// plain numbers instead.
package humane

import (
	"math"
	"strconv"
	"time"
)

// Bytes writes a number of bytes in binary units with one decimal: "0 B",
// "1023 B", "1.2 MiB".
func Bytes(n int64) string {
	// Where rounding would show 1024.0 the next unit is taken.
	const next = 1023.95
	if n > -1024 && n < 1024 {
		return strconv.FormatInt(n, 10) + " B"
	}
	value, units := float64(n)/1024, "KMGTPE"
	for math.Abs(value) >= next && len(units) > 1 {
		value, units = value/1024, units[1:]
	}
	return strconv.FormatFloat(value, 'f', 1, 64) + " " + units[:1] + "iB"
}

// Rate writes bytes per second: "1.2 MiB/s". What is not a rate (negative,
// not a number) is shown as 0.
func Rate(bytesPerSecond float64) string {
	switch {
	case math.IsNaN(bytesPerSecond), bytesPerSecond <= 0:
		return "0 B/s"
	case bytesPerSecond >= math.MaxInt64:
		return Bytes(math.MaxInt64) + "/s"
	}
	return Bytes(int64(math.Round(bytesPerSecond))) + "/s"
}

// Age writes a duration in its largest unit, rounded down: "5s", "59m", "3h",
// "2d". What lies in the future, by a clock that was set, is "0s".
func Age(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < 0:
		return "0s"
	case d < time.Minute:
		return unit(d, time.Second, "s")
	case d < time.Hour:
		return unit(d, time.Minute, "m")
	case d < day:
		return unit(d, time.Hour, "h")
	}
	return unit(d, day, "d")
}

func unit(d, size time.Duration, name string) string {
	return strconv.FormatInt(int64(d/size), 10) + name
}

// Plural writes a number and the word that fits it: "1 file", "3 files",
// "15,000 files".
func Plural(n int, one, many string) string {
	word := many
	if n == 1 {
		word = one
	}
	return Count(int64(n)) + " " + word
}

// Count writes a whole number with a comma between thousands: "15,000".
func Count(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}
