package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// report is what --json prints.
type report struct {
	Format  int      `json:"format"`
	Figures []figure `json:"figures"`
}

// The ways in which a figure compares bivy with plain tools.
const (
	difference = "difference" // bivy minus plain, at most Goal
	slowdown   = "ratio"      // bivy divided by plain, at most Goal
	throughput = "throughput" // bivy divided by plain, at least Goal
	absolute   = "absolute"   // bivy's alone, at most Goal
	remark     = "remark"     // without a goal
)

// figure is one comparison. Bivy and Plain are medians.
type figure struct {
	Name string `json:"name"`
	// Against says what Plain is of.
	Against string  `json:"against,omitempty"`
	Kind    string  `json:"kind"`
	Unit    string  `json:"unit"`
	Bivy    float64 `json:"bivy"`
	Plain   float64 `json:"plain,omitempty"`
	// Value is the difference, the ratio or Bivy again, Goal its limit; a
	// ratio may have none.
	Value float64 `json:"value"`
	Goal  float64 `json:"goal,omitempty"`
	OK    bool    `json:"ok"`
	// Bivys and Plains are the single measurements, in order.
	Bivys  []float64 `json:"bivy_all,omitempty"`
	Plains []float64 `json:"plain_all,omitempty"`
}

// settle fills what follows from the measurements.
func (f figure) settle() figure {
	f.Bivy, f.Plain = median(f.Bivys), median(f.Plains)
	switch f.Kind {
	case difference:
		f.Value = f.Bivy - f.Plain
	case slowdown, throughput:
		f.Value = f.Bivy / f.Plain
	default:
		f.Value = f.Bivy
	}
	switch f.Kind {
	case throughput:
		f.OK = f.Value >= f.Goal
	case slowdown:
		f.OK = f.Goal == 0 || f.Value <= f.Goal
	case remark:
		f.OK = true
	default:
		f.OK = f.Value <= f.Goal
	}
	return f
}

func (f figure) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-44s %9.1f %-5s", f.Name, f.Bivy, f.Unit)
	if f.Against != "" {
		fmt.Fprintf(&b, "  %s %.1f %s", f.Against, f.Plain, f.Unit)
	}
	verdict := "ok"
	if !f.OK {
		verdict = "MISSED"
	}
	switch f.Kind {
	case difference:
		fmt.Fprintf(&b, "  %+.1f %s (ratio %.2f), goal at most +%g: %s", f.Value, f.Unit, f.Bivy/f.Plain, f.Goal, verdict)
	case slowdown:
		fmt.Fprintf(&b, "  ratio %.2f", f.Value)
		if f.Goal > 0 {
			fmt.Fprintf(&b, ", goal at most %g: %s", f.Goal, verdict)
		}
	case throughput:
		fmt.Fprintf(&b, "  ratio %.2f, goal at least %g: %s", f.Value, f.Goal, verdict)
	case absolute:
		fmt.Fprintf(&b, "  goal at most %g: %s", f.Goal, verdict)
	}
	return b.String()
}

func median(list []float64) float64 {
	if len(list) == 0 {
		return 0
	}
	sorted := slices.Clone(list)
	slices.Sort(sorted)
	if n := len(sorted); n%2 == 0 {
		return (sorted[n/2-1] + sorted[n/2]) / 2
	}
	return sorted[len(sorted)/2]
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
