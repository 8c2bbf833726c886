package main

import (
	"time"

	"github.com/alecthomas/kong"
)

// CLI is the whole command tree on one page.
type CLI struct {
	Globals

	Demo    DemoCmd    `cmd:"" help:"The whole tour on a host inside this program; nothing to set up."`
	New     NewCmd     `cmd:"" help:"Make a workspace on a host: send the project's tree there."`
	Ls      LsCmd      `cmd:"" help:"List workspaces."`
	Status  StatusCmd  `cmd:"" help:"Show what a workspace holds and what runs in it."`
	Sync    SyncCmd    `cmd:"" help:"Bring local changes to a workspace; refuses to hide work there."`
	Exec    ExecCmd    `cmd:"" help:"Run a command in a workspace, or on a host."`
	Shell   ShellCmd   `cmd:"" help:"Open a login shell in a workspace, or on a host."`
	Pull    PullCmd    `cmd:"" help:"Bring a workspace's commits here, as refs/bivy/NAME/BRANCH, or as a patch."`
	Diff    DiffCmd    `cmd:"" help:"Show what changed in a workspace since the last sync."`
	Fork    ForkCmd    `cmd:"" help:"Make a workspace of another one's commits, on its host."`
	Rename  RenameCmd  `cmd:"" help:"Give a workspace another name."`
	Prune   PruneCmd   `cmd:"" help:"Show or remove what bivy left on a host and nothing needs."`
	Rm      RmCmd      `cmd:"" help:"Remove workspaces, unless that would lose work."`
	Fs      FsCmd      `cmd:"" help:"Read, write, edit and find files in a workspace, or on a host."`
	Put     PutCmd     `cmd:"" help:"Send files and directories to a workspace, or a host."`
	Get     GetCmd     `cmd:"" help:"Fetch a file or a directory from a workspace, or a host."`
	Secret  SecretCmd  `cmd:"" help:"Keep secrets of the project, for commands in its workspaces."`
	Trust   TrustCmd   `cmd:"" help:"Approve what a project says is to be taken along (.bivy/include)."`
	Mcp     McpCmd     `cmd:"" help:"Offer commands and files to an agent, as tools of the Model Context Protocol."`
	Host    HostCmd    `cmd:"" help:"Log in on hosts, list and close the shared connections."`
	Help    HelpCmd    `cmd:"" help:"Explain a topic: exit-codes, json, config, secrets, security, mcp."`
	Holder  HolderCmd  `cmd:"" hidden:"" help:"Hold a shared connection (started by bivy itself)."`
	Sandbox SandboxCmd `cmd:"" hidden:"" help:"Be an SSH host on stdin and stdout, for the demo and for tests."`
}

// Globals are the flags that every command has.
type Globals struct {
	JSON       bool          `name:"json" help:"Print one JSON object (or JSON lines) on stdout; errors as JSON on stderr." env:"BIVY_JSON"`
	Verbose    int           `name:"verbose" short:"v" type:"counter" help:"Say more on stderr; repeat for the exact argv of every ssh."`
	Quiet      bool          `name:"quiet" short:"q" help:"Print errors only on stderr."`
	Batch      bool          `name:"batch" help:"Never prompt. The default without a terminal." env:"BIVY_BATCH"`
	Config     string        `name:"config" placeholder:"FILE" help:"Use this config.toml." env:"BIVY_CONFIG"`
	SSHConfig  string        `name:"ssh-config" placeholder:"FILE" help:"ssh's own configuration file (its -F)." env:"BIVY_SSH_CONFIG"`
	Option     []string      `name:"option" short:"o" sep:"none" placeholder:"KEY=VALUE" help:"Extra option for ssh; repeatable."`
	WaitHost   time.Duration `name:"wait-host" default:"2m" placeholder:"DURATION" help:"Budget for connecting and for a free session; 0s fails fast." env:"BIVY_WAIT_HOST"`
	IdleHost   time.Duration `name:"idle-host" default:"10m" placeholder:"DURATION" help:"How long an unused connection is kept." env:"BIVY_IDLE_HOST"`
	UserMaster bool          `name:"user-master" help:"Use your own ssh master (ControlPath) where one runs; bivy never closes it." env:"BIVY_USER_MASTER"`
	PreferAES  bool          `name:"prefer-aes" default:"true" negatable:"" help:"Offer aes128-gcm first where your ssh has its own default ciphers and both processors have AES." env:"BIVY_PREFER_AES"`
	Spare      bool          `name:"spare" default:"true" negatable:"" help:"Keep one session more open on a host while commands follow each other; the next one starts in it." env:"BIVY_SPARE"`

	// Identity is the file of [secrets] identity.
	Identity string `kong:"-"`

	Version kong.VersionFlag `name:"version" help:"Print the version."`
}

// Place is where a command acts: a workspace, or a host instead of one.
type Place struct {
	WS   string `arg:"" optional:"" name:"ws" placeholder:"WS" help:"Workspace, as [PROJECT/]NAME."`
	Host string `name:"host" placeholder:"HOST" help:"A host instead of a workspace: anything that ssh takes."`
	Dir  string `name:"dir" placeholder:"DIR" help:"Directory there; relative to the workspace, or to the remote home."`
}
