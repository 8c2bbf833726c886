package mcp

import (
	"context"
	"fmt"
	"strings"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"bivy/workspace"
)

const workspacesText = "Lists the workspaces: the names that other tools take as workspace, with host and directory. No host is asked."

type workspacesIn struct{}

type workspacesOut struct {
	Workspaces []place  `json:"workspaces" jsonschema:"Sorted by name."`
	Unreadable []string `json:"unreadable" jsonschema:"What could not be read of the list, in words."`
}

type place struct {
	Name      string `json:"name" jsonschema:"PROJECT/NAME, as the argument workspace takes it."`
	Host      string `json:"host" jsonschema:"What ssh calls the host."`
	Directory string `json:"directory" jsonschema:"The directory there."`
	Ready     bool   `json:"ready" jsonschema:"It was made to the end, and can be used."`
	CreatedAt string `json:"created_at" jsonschema:"RFC 3339."`
}

func (o workspacesOut) blocks() []string {
	var b strings.Builder
	for _, w := range o.Workspaces {
		state := ""
		if !w.Ready {
			state = "  (never finished)"
		}
		fmt.Fprintf(&b, "%s  on %s in %s%s\n", w.Name, shown(w.Host), shown(w.Directory), state)
	}
	if len(o.Workspaces) == 0 {
		b.WriteString("there are no workspaces; make one with: bivy new --host HOST\n")
	}
	for _, problem := range o.Unreadable {
		b.WriteString(problem + "\n")
	}
	return []string{b.String()}
}

// workspaces is the tool list_workspaces.
func (s *server) workspaces(context.Context, *sdk.CallToolRequest, workspacesIn) (*workspacesOut, error) {
	records, problems := s.List()
	o := workspacesOut{Workspaces: []place{}, Unreadable: []string{}}
	for _, r := range records {
		o.Workspaces = append(o.Workspaces, place{
			r.FullName().String(), r.Host, r.Dir, r.State == workspace.Ready, r.Created.UTC().Format(time.RFC3339),
		})
	}
	for _, err := range problems {
		o.Unreadable = append(o.Unreadable, s.trouble(err).Message)
	}
	return &o, nil
}
