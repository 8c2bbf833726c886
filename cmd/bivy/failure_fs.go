package main

import (
	"errors"

	"bivy/exec/file"
)

// explainFiles covers files on a host.
func explainFiles(err error, f *failure) bool {
	var (
		failed   *file.Error
		changed  *file.PreconditionError
		edit     *file.EditError
		lacks    *file.HostLacksError
		large    *file.TooLargeError
		nonsense *file.ProtocolError
	)
	switch {
	case errors.As(err, &failed):
		f.Host = failed.Host
		f.Code, f.Class = fileCode(failed.Kind)
		f.Hint = fileHint(failed)
	case errors.As(err, &changed):
		f.Code, f.Class, f.Host = exitPrecondition, "precondition", changed.Host
		f.Hint = "read it again, and repeat with the SHA-256 that it has then"
	case errors.As(err, &edit):
		f.Code, f.Class, f.Host = exitPrecondition, "precondition", edit.Host
		switch {
		case edit.Count < 0:
			f.Code, f.Class = exitUsage, "usage"
		case edit.Count == 0:
			f.Hint = "read it again; the text must be there letter by letter, spaces too"
		default:
			f.Hint = "to replace every one: --all"
		}
	case errors.As(err, &lacks):
		f.Code, f.Class, f.Host = exitHostLacks, "host_lacks", lacks.Host
	case errors.As(err, &large):
		f.Code, f.Class, f.Host = exitLocal, "local", large.Host
		if large.Op == "read" {
			f.Hint = "give --max BYTES, or read the whole file"
		}
	case errors.As(err, &nonsense):
		f.Code, f.Class, f.Host = exitLocal, "remote_denied", nonsense.Host
		if changesFiles(nonsense.Op) {
			f.Code, f.Class = exitLinkLost, "link_lost"
			f.Hint = "it may be done, wholly or in part; look before you repeat it"
		}
	default:
		return false
	}
	return true
}

func changesFiles(op string) bool {
	switch op {
	case "write", "mkdir", "mv", "rm":
		return true
	}
	return false
}

func fileCode(k file.Kind) (int, string) {
	switch k {
	case file.NotFound, file.NoUser:
		return exitNotFound, "not_found"
	case file.Exists:
		return exitNotFound, "exists"
	case file.Protected, file.Outside:
		return exitProtected, "protected"
	case file.NoSpace:
		return exitHostLacks, "host_lacks"
	case file.Busy:
		return exitBusy, "busy"
	case file.BadPattern, file.Invalid:
		return exitUsage, "usage"
	default:
		return exitLocal, "remote_denied"
	}
}

// fileHint says what to do, where the message alone does not.
func fileHint(e *file.Error) string {
	switch {
	case e.Kind == file.IsDir && e.Op == "rm":
		return "to remove a directory with all that it holds: -r"
	case e.Kind == file.IsDir && e.Op == "read":
		return "list it with: bivy fs ls"
	case e.Kind == file.Exists && e.Op == "write":
		return "without --create-only it is replaced"
	case e.Kind == file.Exists && e.Op == "mv":
		return "remove it first, or take another name"
	case e.Kind == file.Protected:
		return "no flag overrides this; a workspace is removed with: bivy rm WS"
	case e.Kind == file.Outside && e.Op == "rm":
		return "a link leads out of the workspace; if that is meant, give the absolute path"
	case e.Kind == file.Busy:
		return "try again when the other write is done"
	}
	return ""
}
