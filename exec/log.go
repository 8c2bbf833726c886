package exec

import (
	_ "embed"
	"time"
)

//go:embed log.sh
var logScript string

// logDrain is drain where the host still looks after long logs.
const logDrain = 2 * time.Second

// Log is a stream that was kept on the host.
type Log struct {
	// Path is the file there; empty where the stream was short, or the host
	// did not say that it kept it.
	Path string
	// Bytes is how much of the stream, from its beginning, the file holds.
	Bytes int64
}

// logged is what the host says it has kept of one stream, in the file that
// log.sh calls so.
func (a *attempt) logged(ext string, size int64) Log {
	if a.cmd.Log <= 0 || size <= 0 {
		return Log{}
	}
	return Log{Path: "~/.bivy/log/" + a.id.run + "." + ext, Bytes: size}
}

// drain is how long the streams may stay open after the end.
func (a *attempt) drain() time.Duration {
	if a.cmd.Log <= 0 {
		return drain
	}
	_, out := a.stdout.state()
	_, err := a.stderr.state()
	if max(out, err) > a.cmd.Log {
		return logDrain
	}
	return drain
}
