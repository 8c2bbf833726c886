#!/bin/sh
# The forced command of every session of a test's sshd: it puts the session
# into the test's HOME and becomes the emulated login shell. Every path ends
# in exec, so that sshd's child is that shell itself, with sshd's pipes or pty,
# and no process stands between.
#
# The names below are filled in, quoted, by wrapper.go.
HOME=@HOME@
SHELL=@SHELL@
FORCED=@FORCED@
DELAY=@DELAY@
PROGRAMS=@PROGRAMS@
SERVER=@SERVER@
# The test holds sessions, to do something before their command starts.
if [ -e "$SERVER/hold" ]; then
	: >"$SERVER/held-$$"
	while [ -e "$SERVER/hold" ]; do sleep 0.02; done
	rm -f "$SERVER/held-$$"
fi
[ -z "$DELAY" ] || sleep "$DELAY"
[ -z "$PROGRAMS" ] || PATH=$PROGRAMS
export HOME SHELL PATH
cd "$HOME" || exit 1
# The account's own shell, which sshd used to start this script, counted itself
# in SHLVL. bash reads ~/.bashrc for `ssh host cmd` only at level 1.
# cd and that shell leave OLDPWD, PWD and _, which a fresh session lacks.
unset SHLVL OLDPWD PWD _
unset DELAY PROGRAMS SERVER
if [ -n "$FORCED" ]; then
	# As with sshd's own ForceCommand, SSH_ORIGINAL_COMMAND stays visible.
	set -- -c "$FORCED"
elif [ -n "${SSH_ORIGINAL_COMMAND+set}" ]; then
	set -- -c "$SSH_ORIGINAL_COMMAND"
	unset SSH_ORIGINAL_COMMAND
else
	# sshd starts a login shell by a dash before its name; POSIX sh cannot set
	# argv[0], and -l means the same to every shell that is emulated here.
	set -- -l
fi
# FORCED is not exported, unless the environment had it: it is ours alone.
unset FORCED
exec "$SHELL" "$@"
