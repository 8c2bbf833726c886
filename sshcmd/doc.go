// Package sshcmd knows what to say to OpenSSH's ssh and scp, and what their
// words mean: argv builders for each kind of invocation, quoting, `%`
// escaping, the output of `ssh -G` and `ssh -V`, and the classes of failure.
//
// It is pure: it starts no process, reads no file and no environment, and
// imports no other package of bivy. A quirk of OpenSSH belongs here and
// nowhere else. Facts marked (run) were seen on OpenSSH 9.2p1; the tests of
// this package ask the installed ssh again where that is cheap.
package sshcmd
