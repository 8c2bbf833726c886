# Finds and ends what one command has started. POSIX sh only; run and tested by
# dash, bash, busybox ash, mksh and zsh. Every name starts with B_ or bivy_.
#
# Told by the caller: B_top, the command's supervisor (empty where it is not
# known); B_run, the mark in the environment of everything that the command
# starts (BIVY_RUN=$B_run); B_grace, the seconds between TERM and KILL; and,
# where others look after the supervisor's own children already, B_aside=1.
# `trap 'B_hurry=1 B_jolt=1' USR2` of the caller cuts the grace short, and B_over=1 says
# that there is nothing to wait for any more.
#
# Told by bivy_end: B_found (1 if the command itself was there, and not only
# what it had left behind), B_members (who is left),
# B_complete (0 where something may have escaped the search).

# B_table: one line "pid ppid pgid sid state born args" for each process. /proc
# is read by the shell itself, which starts no process; ps is the way elsewhere,
# where there is no session and no time of birth. A name in /proc/PID/stat may
# hold anything, newlines too, so what counts stands behind the last
# parenthesis of the last line. What has no memory is the kernel's, or dead.
# (For ps the group stands in for both: it stays when a parent dies.)
bivy_table() {
  B_table=
  if [ -r /proc/$$/stat ]; then
    for B_stat in /proc/[0-9]*/stat; do
      B_line=
      { while read -r B_last; do B_line=$B_last; done <"$B_stat"; } 2>/dev/null
      B_pid=${B_stat#/proc/}
      B_line=${B_line##*) }
      set -- $B_line
      [ "${21:-0}" != 0 ] || continue
      B_table="$B_table${B_pid%/stat} $2 $3 $4 $1 ${20}
"
    done
  else
    # exec, so that ps is our own child: a grandchild would count as a member.
    B_table=$(exec ps -A -o pid= -o ppid= -o pgid= -o pgid= -o stat= -o pgid= -o args= 2>/dev/null) ||
      B_table=$(exec ps -o pid= -o ppid= -o pgid= -o pgid= -o stat= -o pgid= -o args= 2>/dev/null)
  fi
}

# Who we are: B_self. A subshell's $$ is its parent's; its own pid is what its
# child calls parent.
bivy_self() { B_self=$(exec sh -c 'echo "$PPID"'); }

# B_args: a process's command line. A shell's read drops NUL bytes or keeps
# them, which is all the same as long as all lines are read by one shell. From
# ps it comes with the table, and is the caller's $2.
bivy_args() {
  B_args=$2
  [ ! -r /proc/$1/cmdline ] || { B_args=; read -r B_args; } 2>/dev/null </proc/$1/cmdline
}

# What is known of the supervisor: B_born, when it started, so that another
# process with its number is not taken for it; B_leads, whether it leads its
# group and its session, as sshd makes it (the start mark says so where it is
# gone already); B_line0, its command line, which its subshells share.
bivy_top() {
  B_tries=0
  while B_jolt= B_born= B_leads= B_line0=; bivy_first; [ -n "$B_jolt" ] && [ "$B_tries" -lt 20 ]; do
    B_tries=$((B_tries + 1))
  done
}

bivy_first() {
  [ -n "$B_top" ] || return
  bivy_table
  while read -r B_pid B_ppid B_pg B_sid B_state B_birth B_cmd; do
    [ "$B_pid" = "$B_top" ] || continue
    B_born=$B_birth
    [ "$B_pg" != "$B_top" ] || B_leads=1
    bivy_args $B_pid "$B_cmd"
    B_line0=$B_args
  done <<E
$B_table
E
}

# B_own: the supervisor and its helpers, which end by themselves: subshells,
# told by their command line, what carries the output of a command that may
# outlive its link (B_pumps), and what keeps output in a file (tee). The command
# itself is never among them: it is another program, or will be in a moment.
bivy_own() {
  B_own=" $B_top " B_pumps=
  B_more=$B_line0
  while [ -n "$B_more" ]; do
    B_more=
    while read -r B_pid B_ppid B_pg B_sid B_state B_birth B_cmd; do
      case $B_own in
        *" $B_pid "*) continue ;;
        *" $B_ppid "*) ;;
        *) continue ;;
      esac
      bivy_args $B_pid "$B_cmd"
      case $B_args in
        "$B_line0") ;;
        cat*-uuuu*-*) B_pumps="$B_pumps$B_pid " ;;
        tee*-iiii*) ;;
        *) continue ;;
      esac
      B_own="$B_own$B_pid " B_more=1
    done <<E
$B_table
E
  done
}

# B_members: the living processes of this command. Those are the ones that
# carry the mark (asked only with $1: grep starts a process), the children of
# the supervisor that are not its own, what lives in its group or session
# although its parent is gone, all descendants of these, and whoever was one of
# them before (B_kin: pid/born), also when nothing shows it any more.
#
# A signal that is caught ends a read, and with it the loop around: what was
# seen then is not all. So every trap of the caller sets B_jolt as well, and the
# search is made again.
bivy_find() {
  B_tries=0
  while B_jolt=; bivy_look "$1"; [ -n "$B_jolt" ] && [ "$B_tries" -lt 20 ]; do
    B_tries=$((B_tries + 1))
  done
}

bivy_look() {
  bivy_table
  bivy_own
  B_marked=' ' B_members= B_in=' '
  if [ -n "$1" ] && [ -n "$B_run" ]; then
    for B_file in $(grep -l "BIVY_RUN=$B_run" /proc/[0-9]*/environ 2>/dev/null); do
      B_file=${B_file#/proc/}
      B_marked="$B_marked${B_file%/environ} "
    done
  fi
  B_more=1
  while [ -n "$B_more" ]; do
    B_more=
    while read -r B_pid B_ppid B_pg B_sid B_state B_birth B_cmd; do
      case $B_pid in ''|$$|"$B_self") continue ;; esac
      case $B_state in Z*|X*) continue ;; esac
      case $B_own$B_in in *" $B_pid "*) continue ;; esac
      B_yes=
      case $B_kin in *" $B_pid/$B_birth "*) B_yes=1 ;; esac
      case $B_marked in *" $B_pid "*) B_yes=1 ;; esac
      case $B_in in *" $B_ppid "*) B_yes=1 ;; esac
      case $B_own in
        *" $B_ppid "*) [ -n "$B_aside" ] || [ "$B_ppid" = "$B_self" ] || B_yes=1 ;;
        *)
          [ -z "$B_leads" ] || [ "$B_ppid" = "$B_self" ] || case " $B_pg $B_sid " in *" $B_top "*) B_yes=1 ;; esac
          ;;
      esac
      [ -n "$B_yes" ] || continue
      case $B_own in *" $B_ppid "*) B_found=1 ;; esac
      B_in="$B_in$B_pid " B_members="$B_members$B_pid " B_more=1
      case $B_kin in *" $B_pid/$B_birth "*) ;; *) B_kin="$B_kin$B_pid/$B_birth " ;; esac
    done <<E
$B_table
E
  done
}

# Pauses for a tenth of a second. A fraction is not in POSIX for sleep, so a
# host that refuses it is asked less often.
bivy_pause() { sleep 0.1 2>/dev/null || sleep 1; }

# Ends the command: TERM, a grace in which it may clean up, KILL. A process
# that was stopped takes its TERM only when it goes on.
bivy_end() {
  B_found= B_told=' ' B_kin=' '
  [ "$B_hurry" = 1 ] || B_hurry=
  # A process of its own tells the time, whatever each look at the table takes.
  # It is our child, so the shell collects it while it waits for the pauses.
  sleep "$B_grace" &
  B_clock=$!
  bivy_self
  bivy_top
  # The order may come before the command is there, and its processes are then
  # still to come: it is over when the supervisor says so or is gone, or hangs,
  # as one does that reports its end to a link that went silent.
  B_rounds=0
  while bivy_find 1; [ -z "$B_members$B_over$B_hurry" ] && [ -n "$B_born" ] && [ $B_rounds -lt 100 ] && kill -0 "$B_top"; do
    B_rounds=$((B_rounds + 1))
    bivy_pause
  done
  if [ "$B_rounds" -gt 0 ]; then
    kill -KILL "$B_clock" # the grace begins when there is something to tell
    sleep "$B_grace" &
    B_clock=$!
  fi
  # Nobody knows what it was where the supervisor is not known. One that is gone
  # by now has reported its end, or cannot be asked any more.
  [ -z "$B_members" ] || [ -n "$B_top" ] || B_found=1
  B_rounds=0
  while [ -n "$B_members" ] && [ -z "$B_hurry" ]; do
    # What was started meanwhile, by a shell that cleans up, is told as well.
    for B_pid in $B_members; do
      case $B_told in *" $B_pid "*) continue ;; esac
      kill -TERM "$B_pid"
      kill -CONT "$B_pid"
      B_told="$B_told$B_pid "
    done
    kill -0 "$B_clock" || break
    bivy_pause
    # Only when somebody is gone, and now and then, is it worth to look at all
    # processes again: many may be ended at once, and the host be busy.
    B_rounds=$(((B_rounds + 1) % 5)) B_same=1
    for B_pid in $B_members; do [ -e "/proc/$B_pid/stat" ] || kill -0 "$B_pid" || B_same=; done
    [ -z "$B_same" ] || [ "$B_rounds" = 0 ] || continue
    bivy_find
    [ -n "$B_members" ] || bivy_find 1
  done
  # One that has ended is collected by now, and its number anybody's.
  ! kill -0 "$B_clock" || kill -KILL "$B_clock"
  # Whoever is told to go at once may start nothing new. The kernel takes its
  # time with much memory; what may not be told will stay.
  for B_rounds in 1 2 3; do
    [ -n "$B_members" ] || break
    B_same=1
    for B_pid in $B_members; do kill -KILL "$B_pid" && B_same=; done
    bivy_find 1
    [ -z "$B_same" ] || break
    [ -z "$B_members" ] || bivy_pause
  done
  bivy_complete
}

# B_complete: 1 where all was found that there is. A process that cleared its
# environment, left the session and lost its parent looks like anybody's: one
# that was born since the command began, was adopted, and carries no mark of
# ours or of another command, may be it. Without /proc nobody can tell.
bivy_complete() {
  B_complete=0 B_jolt=
  [ -r /proc/$$/stat ] && [ -n "$B_born" ] || return
  B_marked=' '
  for B_file in $(grep -l BIVY_RUN= /proc/[0-9]*/environ 2>/dev/null); do
    B_file=${B_file#/proc/}
    B_marked="$B_marked${B_file%/environ} "
  done
  bivy_table
  while read -r B_pid B_ppid B_pg B_sid B_state B_birth B_cmd; do
    [ "${B_birth:-0}" -ge "$B_born" ] || continue
    # We are adopted ourselves when the supervisor's waiting half is done.
    case $B_pid in $$|"$B_self") continue ;; esac
    case $B_state in Z*|X*) continue ;; esac
    case $B_marked$B_kin in *" $B_pid "*|*" $B_pid/$B_birth "*) continue ;; esac
    # Adopted by the first process, or by the user's part of systemd. sshd may
    # itself be the first process, or a child of it.
    B_name= B_parent=
    { read -r B_name </proc/$B_pid/comm; read -r B_parent </proc/$B_ppid/comm; } 2>/dev/null
    case $B_ppid,$B_parent,$B_name in
      *,sshd*) ;;
      1,*|*,systemd,*) return ;;
    esac
  done <<E
$B_table
E
  [ -n "$B_jolt" ] || B_complete=1
}

# One line "PID COMMAND" for each of B_members, twenty at most. A command line
# may hold anything; control characters would end the line, or a mark.
bivy_survivors() {
  B_count=0
  for B_pid in $B_members; do
    [ "$B_count" -lt 20 ] || break
    B_count=$((B_count + 1))
    B_args=$( (exec tr '\000-\037\177' ' ' </proc/$B_pid/cmdline) 2>/dev/null)
    [ -n "$B_args" ] || B_args=$(exec ps -o comm= -p "$B_pid" 2>/dev/null)
    printf '%s %.200s\n' "$B_pid" "$B_args"
  done
}

# The command lives on without its link: what it says goes to files from here
# (bivy_pump in supervisor.sh). A pump that waits for output is told now, since
# with its next write it would only notice, and lose what it has read.
bivy_cut() {
  [ -n "$HOME" ] || return
  umask 077
  mkdir -p "$HOME/.bivy/kept"
  : >>"$HOME/.bivy/kept/$B_run.out" >>"$HOME/.bivy/kept/$B_run.err"
  bivy_top
  bivy_own
  [ -z "$B_pumps" ] || kill -KILL $B_pumps
}
