# What runs on the host around one command. It arrives on stdin with its
# length (see frame.go), between braces, so that a frame that was cut is a
# syntax error and does nothing. POSIX sh only; run and tested by
# dash, bash, busybox ash, mksh and zsh. Every name starts with B_ or bivy_.
#
# Set by the frame: B_nonce (makes our marks ours), B_dir (where to run),
# B_grace (seconds between TERM and KILL), B_mode (watch: stdin is our
# lifeline; user: stdin is the command's; early: so it is, and right behind the
# frame; tty: so is the terminal), B_how (the function that runs the command:
# bivy_run, or one that does more), and the function bivy_env, which exports the
# command's environment.

# A signal to the group leaves us alive to tell what became of the command,
# which starts with the defaults again. Ignored, not caught: bash that catches
# INT while it waits now and then reports 130 for whatever it waited for.
bivy_deaf() { trap '' HUP INT QUIT TERM PIPE ALRM USR1 USR2; }

# The marks go to stdout and to stderr, since whatever the login shell's rc
# files print goes to both. 036 is the ASCII record separator. It fails where
# nobody reads any more.
bivy_mark() {
  printf '\036bivy:%s %s\036' "$B_nonce" "$1" >&4 &&
    printf '\036bivy:%s %s\036' "$B_nonce" "$1" >&5
}

# B_pgid: the supervisor's process group. sshd makes us the leader of one, and a
# group with our number can be no other. The command's name in /proc/PID/stat may
# hold anything, so what counts starts behind the last parenthesis.
bivy_group() {
  B_pgid=$$ B_boot=
  { read -r B_boot </proc/sys/kernel/random/boot_id; } 2>/dev/null
  if kill -0 -$$; then
    :
  elif { read -r B_line </proc/$$/stat; } 2>/dev/null; then
    B_line=${B_line##*) }
    set -- $B_line
    B_pgid=$3
  else
    B_pgid=$(ps -o pgid= -p $$ 2>/dev/null)
    B_pgid=${B_pgid##* }
  fi
}

# $? is 137 for a KILL and for `exit 137`. A shell that waits for a child which
# a signal ended says so on its stderr, in words that differ; that it says
# anything at all is the evidence. INT and PIPE it passes over in silence, and
# zsh says nothing ever. So one half of a pipe waits for the command, with that
# stderr as its stdout, and the other half reads; it answers with the command's
# status. (In a command substitution bash keeps silent, in a pipe it does not,
# unless it is in POSIX mode, as it is when it is called sh.) Where the shell can
# have both ends of a pipe, it is both halves itself, one after the other.
bivy_wait() {
  bivy_deaf
  [ -z "$BASH_VERSION" ] || set +o posix
  if [ "$B_mode" = watch ]; then
    # A background command has /dev/null as stdin unless it is told otherwise.
    # Its stderr must not count as evidence.
    bivy_watch <&3 2>/dev/null 4>&- 5>&- 7<&- 8>&- &
    echo "!watch $!"
    # The command has no stdin of ours.
    exec 3</dev/null
  fi
  # The redirections stand inside: mksh speaks while those outside are in force.
  (exec <&3 >&4 2>&5 3<&- 4>&- 5>&- 7<&- 8>&-; trap - HUP INT QUIT TERM PIPE ALRM USR1 USR2; bivy_child "$@")
  echo "=$?"
}

# The other half: it reports what the waiting half and the watcher say. Lines
# with ! are the watcher's, = is the status; anything else is the evidence. The
# command has no way to write here. One that was ended is over when the watcher
# has looked after what else the command started.
bivy_report() {
  bivy_deaf
  B_code= B_said= B_ended= B_watcher= B_complete=
  while read -r B_line; do
    case $B_line in
      '!watch '*) B_watcher=${B_line#* } ;;
      '!ended') B_ended=1 ;;
      '!left '*) bivy_mark "${B_line#?}" ;;
      '!done '*) B_complete=${B_line#* } ;;
      =*)
        B_code=${B_line#=}
        if [ -n "$B_ended" ]; then
          kill -USR1 "$B_watcher"
        elif [ -n "$B_watcher" ]; then
          kill -KILL "$B_watcher"
        fi
        ;;
      ?*) B_said=1 ;;
    esac
    case $B_code,$B_ended,$B_complete in
      ?*,,|?*,1,?*) break ;;
    esac
  done
  # Without a status the waiting half was killed, and so is this report.
  [ -n "$B_code" ] || kill -KILL $$
  if [ -n "$B_keep" ] && [ -e "$HOME/.bivy/kept/$B_run.out" ]; then
    echo "$B_code" >"$HOME/.bivy/kept/$B_run.exit" # the link is gone
    exit "$B_code"
  fi
  if [ -n "$B_said" ] && [ "$B_code" -gt 128 ]; then bivy_mark "signal $((B_code - 128))"; fi
  [ -z "$B_ended" ] || bivy_mark "ended $B_complete"
  bivy_mark "exit $B_code"
  exit "$B_code"
}

# The command itself: this process becomes it. Where bivy_env opened a long
# script on descriptor 3, the command gets it as 9: mksh closes descriptors
# above 2 at exec unless a redirection of that very exec made them. (A frame with
# a script of ours that this very shell can run brings another bivy_child.)
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
  bivy_deaf
  # When a terminal's link is lost the kernel tells only us, its leader, and
  # the others when we are gone.
  [ "$B_mode" != tty ] || trap - HUP
  # A host that was slow may get here when nobody is there any more, who could
  # end what starts now.
  bivy_mark "start $$ ${B_pgid:-0} ${B_boot:--}" || exit
  $B_how "$@"
}

# (Not on a terminal: there we must not be deaf to its hang-up, see bivy_main.)
bivy_run() {
  if [ "$B_mode" != tty ] && bivy_pipe; then
    bivy_wait "$@" >&8 2>&8
    bivy_report <&7
  else
    bivy_wait "$@" 2>&1 | bivy_report
  fi
}

# A pipe without another process, on 7 and 8: a shell that passes a short here
# document through a pipe has its reading end, and Linux opens the writing end of
# that by its name in /proc. Elsewhere it is a file, or there is no such name.
bivy_pipe() {
  exec 7<<E
.
E
  [ -p /proc/self/fd/7 ] && [ -w /proc/self/fd/7 ] && exec 8>/proc/self/fd/7 && read -r B_line <&7
}

# For a command that may outlive its link: its output passes through two pipes
# of ours, so that it never writes to a stream that nobody reads. What cannot be
# sent any more goes to a file. The odd flags mean nothing; they tell these two
# from a cat of the command (tree.sh).
bivy_keep() {
  { { bivy_run "$@" 4>&6 5>&1 6>&- | bivy_pump 5 err 6>&-; } 6>&1 | bivy_pump 4 out; }
}

bivy_pump() {
  bivy_deaf
  cat -uuuu - >&$1
  B_code=$?
  # One that was killed has nothing to keep, unless the watcher did it, which
  # makes the files first.
  [ "$B_code" != 0 ] && [ -n "$HOME" ] || return
  [ "$B_code" -lt 128 ] || [ -e "$HOME/.bivy/kept/$B_run.$2" ] || return
  umask 077
  mkdir -p "$HOME/.bivy/kept"
  exec cat >>"$HOME/.bivy/kept/$B_run.$2"
}
