package workspace

import (
	"fmt"
	"time"
)

// InitFile is what a project runs once in each new workspace, on the host.
const InitFile = ".bivy/init"

// Init says how a workspace's InitFile ended.
type Init struct {
	// State is that of a command (exec.State), Code its exit code where it
	// exited.
	State string `json:"state"`
	Code  int    `json:"code"`
	// Log is the file here that holds what it said.
	Log string    `json:"log"`
	At  time.Time `json:"at"`
}

// Failed reports whether it did anything but exit with 0.
func (i *Init) Failed() bool { return i.State != "exited" || i.Code != 0 }

func (i *Init) String() string {
	if i.State != "exited" {
		return fmt.Sprintf("%s: %s", InitFile, i.State)
	}
	return fmt.Sprintf("%s exited with %d", InitFile, i.Code)
}
