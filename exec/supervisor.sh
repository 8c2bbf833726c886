# What runs on the host around one command. It arrives on stdin with its
# length (see frame.go), between braces, so that a frame that was cut is a
# syntax error and does nothing. POSIX sh only; run and tested by
# dash, bash, busybox ash, mksh and zsh. Every name starts with B_ or bivy_.
#
# Set by the frame: B_nonce (makes our marks ours), B_dir (where to run),
# B_grace (seconds between TERM and KILL), B_mode (watch: stdin is our
# lifeline; user: stdin is the command's; tty: so is the terminal), and the
# function bivy_env, which exports the command's environment.

# The marks go to stdout and to stderr, since whatever the login shell's rc
# files print goes to both. 036 is the ASCII record separator.
bivy_mark() {
  printf '\036bivy:%s %s\036' "$B_nonce" "$1" >&4
  printf '\036bivy:%s %s\036' "$B_nonce" "$1" >&5
}

# B_pgid: the supervisor's process group. The command's name in /proc/PID/stat
# may hold anything, so what counts starts behind the last parenthesis.
bivy_group() {
  B_pgid= B_boot=
  if { read -r B_line </proc/$B_top/stat; } 2>/dev/null; then
    B_line=${B_line##*) }
    set -- $B_line
    B_pgid=$3
    { read -r B_boot </proc/sys/kernel/random/boot_id; } 2>/dev/null
  else
    B_pgid=$(ps -o pgid= -p $B_top 2>/dev/null)
    B_pgid=${B_pgid##* }
  fi
}

# B_table: one line "pid ppid pgid state" for each process. /proc is read by
# the shell itself, which starts no process; ps is the way elsewhere.
bivy_table() {
  B_table=
  if [ -r /proc/$B_top/stat ]; then
    for B_stat in /proc/[0-9]*/stat; do
      { read -r B_line <"$B_stat"; } 2>/dev/null || continue
      B_pid=${B_stat#/proc/}
      B_line=${B_line##*) }
      set -- $B_line
      B_table="$B_table${B_pid%/stat} $2 $3 $1
"
    done
  else
    # exec, so that ps is our own child: a grandchild would count as a member.
    B_table=$(exec ps -A -o pid= -o ppid= -o pgid= -o stat= 2>/dev/null) ||
      B_table=$(exec ps -o pid= -o ppid= -o pgid= -o stat= 2>/dev/null)
  fi
}

# B_members: the living processes of this command: descendants of the
# supervisor (B_top), and its group where it leads that. Left out are zombies
# and what is the supervisor's own: itself, its children (the watcher and the
# two halves of the pipe; the command is a grandchild) and the children of the
# watcher that asks ($1).
bivy_members() {
  bivy_table
  B_members=' '
  B_known=" $B_top "
  B_more=1
  while [ -n "$B_more" ]; do
    B_more=
    while read -r B_pid B_ppid B_pg B_state; do
      case $B_pid in ''|$B_top) continue ;; esac
      case $B_ppid in "$1") continue ;; esac
      case $B_state in Z*|X*) continue ;; esac
      case $B_known in *" $B_pid "*) continue ;; esac
      case $B_known in
        *" $B_ppid "*) ;;
        *) [ "$B_pgid" = $B_top ] && [ "$B_pg" = $B_top ] || continue ;;
      esac
      B_known="$B_known$B_pid "
      B_more=1
      [ "$B_ppid" = $B_top ] || B_members="$B_members$B_pid "
    done <<EOF
$B_table
EOF
  done
}

# Ends the command: TERM, a grace in which it may clean up, KILL. $1 is our
# own pid. A fraction of a second is not in POSIX for sleep, so a host that
# refuses it is asked less often.
bivy_end() {
  # The order may come before the command is there, and its processes are then
  # still to come: it is over when the supervisor says so (B_over) or is gone.
  while bivy_members "$1"; [ "$B_members" = ' ' ] && [ -z "$B_over" ] && kill -0 $B_top; do
    sleep 0.1 || sleep 1
  done
  B_told=' '
  B_left=$((B_grace * 10))
  while bivy_members "$1"; [ "$B_members" != ' ' ] && [ "$B_left" -gt 0 ]; do
    # What was started meanwhile, by a shell that cleans up, is told as well.
    for B_pid in $B_members; do
      case $B_told in *" $B_pid "*) continue ;; esac
      kill -TERM "$B_pid"
      B_told="$B_told$B_pid "
    done
    if sleep 0.1; then B_left=$((B_left - 1)); else sleep 1; B_left=$((B_left - 10)); fi
  done
  [ "$B_members" = ' ' ] || kill -KILL $B_members
}

# The lifeline: nothing is ever sent on it, so read returns when it ends: the
# client cancelled, or it, its master or the connection is gone. The parent is
# told first, so that it lets us finish. A subshell's $$ is its parent's; its
# own pid is what its child calls parent. Signals are ignored here, not caught:
# one that is caught interrupts read, which would look like the lifeline's end.
bivy_watch() {
  trap '' HUP INT QUIT TERM PIPE
  B_over=
  trap 'B_over=1' USR1
  while read -r B_line; do :; done
  B_self=$(exec sh -c 'echo "$PPID"')
  kill -USR1 $B_top
  bivy_end "$B_self"
}

# The same from another session, for a command whose stdin is its own: $1 is
# its supervisor, $2 the boot id from its start mark, since a process id means
# nothing after a restart. Nothing is done where either is not there any more.
bivy_reap() {
  B_top=$1
  bivy_group
  if [ "${B_boot:--}" != "$2" ]; then return; fi
  B_over=
  kill -USR1 $B_top || return
  bivy_end $$
}

# $? is 137 for a KILL and for `exit 137`. A shell that waits for a child which
# a signal ended says so on its stderr, in words that differ; that it says
# anything at all is the evidence. INT and PIPE it passes over in silence, and
# zsh says nothing ever. So one half of a pipe waits for the command, with that
# stderr as its stdout, and the other half reads; it answers with the command's
# status. (In a command substitution bash keeps silent, in a pipe it does not,
# unless it is in POSIX mode, as it is when it is called sh.)
bivy_wait() {
  trap '' HUP INT QUIT TERM PIPE
  [ -z "$BASH_VERSION" ] || set +o posix
  # The redirections stand inside: mksh speaks while those outside are in force.
  (exec <&3 >&4 2>&5 3<&- 4>&- 5>&-; trap - HUP INT QUIT TERM PIPE USR1; bivy_child "$@")
  echo "=$?"
}

bivy_evidence() {
  # One that is caught would end read early, without the status.
  trap '' HUP INT QUIT TERM PIPE
  B_code= B_said=
  while read -r B_line; do
    case $B_line in
      =*) B_code=${B_line#=} ;;
      ?*) B_said=1 ;;
    esac
  done
  # Without a status the waiting half was killed, and so is this report.
  [ -n "$B_code" ] || kill -KILL $$
  if [ -n "$B_said" ] && [ "$B_code" -gt 128 ]; then bivy_mark "signal $((B_code - 128))"; fi
  exit "$B_code"
}

# The command itself: this process becomes it. Where bivy_env opened a long
# script on descriptor 3, the command gets it as 9: mksh closes descriptors
# above 2 at exec unless a redirection of that very exec made them.
bivy_child() {
  B_here=
  bivy_env
  [ -z "$B_here" ] || exec "$@" 9<&3 3<&-
  exec "$@"
}

bivy_main() {
  # Our own words must not mix with the command's.
  exec 3<&0 4>&1 5>&2 2>/dev/null
  [ "$B_mode" != tty ] || stty "$B_stty" <&3
  unset CDPATH
  case $B_dir in
    '') B_dir=$HOME ;;
    '~') B_dir=$HOME ;;
    '~/'*) B_dir=$HOME/${B_dir#'~/'} ;;
  esac
  if ! cd -- "$B_dir"; then
    bivy_mark 'fail dir'
    exit 1
  fi
  unset OLDPWD # where the login shell stood is nobody's business
  B_top=$$
  bivy_group
  # A signal to the group leaves us alive to tell what became of the command,
  # which starts with the defaults again. Ignored, not caught: bash that catches
  # INT while it waits now and then reports 130 for whatever it waited for.
  B_ended=0
  trap '' HUP INT QUIT TERM PIPE
  trap 'B_ended=1' USR1
  # When a terminal's link is lost the kernel tells only us, its leader, and
  # the others when we are gone.
  [ "$B_mode" != tty ] || trap - HUP
  bivy_mark "start $$ ${B_pgid:-0} ${B_boot:--}"
  B_watcher=
  if [ "$B_mode" = watch ]; then
    # A background command has /dev/null as stdin unless it is told otherwise.
    bivy_watch <&3 4>&- 5>&- >/dev/null &
    B_watcher=$!
    # The command has no stdin of ours.
    exec 3</dev/null
  fi
  bivy_wait "$@" 2>&1 | bivy_evidence
  B_code=$?
  if [ -n "$B_watcher" ]; then
    if [ "$B_ended" = 1 ]; then kill -USR1 "$B_watcher"; else kill -KILL "$B_watcher"; fi
    wait "$B_watcher"
  fi
  bivy_mark "exit $B_code $B_ended"
  exit "$B_code"
}
