package mux

import (
	"fmt"
	"time"
)

// BusyError says that no session of a route became free.
type BusyError struct {
	Host string
	// Sessions is how many there are to share: as configured, or where
	// Refused is set, as many as the host was seen to give.
	Sessions int
	Waited   time.Duration
	// Refused says that the host gave no more, which a setting of its sshd
	// decides. Busy is the number of commands that ran there meanwhile;
	// Unended that one more may, whose end nobody saw.
	Refused bool
	Busy    int
	Unended bool
}

func (e *BusyError) Error() string {
	waited := e.Waited.Round(time.Millisecond)
	are := "are"
	if e.Busy == 1 {
		are = "is"
	}
	switch {
	case !e.Refused:
		return fmt.Sprintf("no free session on %s after %s: all %d are busy", e.Host, waited, e.Sessions)
	case e.Unended:
		return fmt.Sprintf("%s refuses a session after %s; %d %s busy, and a command whose end nobody saw may still run there", e.Host, waited, e.Busy, are)
	case e.Sessions == 0:
		return fmt.Sprintf("%s refuses every session; it gave none in %s (see MaxSessions in its sshd_config)", e.Host, waited)
	case e.Sessions == 1:
		return fmt.Sprintf("%s refuses more than 1 session at a time (MaxSessions in its sshd_config); %d %s busy", e.Host, e.Busy, are)
	default:
		return fmt.Sprintf("%s refuses more than %d sessions at a time (MaxSessions in its sshd_config); %d %s busy", e.Host, e.Sessions, e.Busy, are)
	}
}
