package sandbox

import "golang.org/x/sys/unix"

// member is a process of one of our sessions.
type member struct{ pid, session int }

// membersOf returns the processes of these sessions. The value says that the
// session's leader has ended and was waited for: then a process with the
// leader's id is a stranger that got the number later, and so are its others.
func membersOf(ids map[int]bool) []member {
	if len(ids) == 0 {
		return nil
	}
	var found []member
	strangers := map[int]bool{}
	for _, pid := range processIDs() {
		id, err := unix.Getsid(pid)
		if err != nil {
			continue // it has ended meanwhile
		}
		ended, ours := ids[id]
		switch {
		case !ours:
		case ended && pid == id:
			strangers[id] = true
		case !zombie(pid):
			found = append(found, member{pid, id})
		}
	}
	if len(strangers) == 0 {
		return found
	}
	var rest []member
	for _, m := range found {
		if !strangers[m.session] {
			rest = append(rest, m)
		}
	}
	return rest
}
