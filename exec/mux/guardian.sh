# What runs on the host beside the commands of one master, in a session of its
# own: it ends those that it is told to end, all of them when the link goes
# silent, and what is left of them when the connection ends. It arrives on
# stdin with its length, between braces (see frame.go), behind tree.sh. POSIX
# sh only; run and tested by dash, bash, busybox ash, mksh and zsh. Every name
# starts with B_ or bivy_.
#
# Set by the frame: B_nonce (makes our lines ours), B_silence (seconds without
# a beat after which the link counts as silent).
#
# Orders are lines of six words of which the last is a full stop, so that a
# line which was cut with the connection is none:
#   run RUN GRACE LIFE KEEP .   started RUN PID - - .   over RUN - - - .
#   end RUN - - - .   kill RUN - - - .   beat - - - - .   bye - - - - .

# A line of ours, in one write: several of us speak at once.
bivy_say() { printf '%s %s\n' "$B_nonce" "$1" >&4; }

# Passes the orders on, and then a word that says how they ended. POSIX has no
# read with a timeout, and mksh runs no trap as long as read waits (the others
# do). So it is dd that waits for the session's stdin, the timer kills dd, and
# whoever reads from here never has to be interrupted. With bs it passes on at
# once what it got, and the boot needs it anyway. A background command has
# /dev/null as stdin unless it is told otherwise.
bivy_relay() {
  dd bs=4096 <&3 &
  echo "cat $! - - - ."
  wait $!
  # The first newline ends a line that was cut.
  if [ $? -gt 128 ]; then printf '\nsilent - - - - .\n'; else printf '\ngone - - - - .\n'; fi
}

# Starts the timer again. Its sleep is ended with it, since it would stay for
# long: wait, unlike sleep, is interrupted by a signal that is caught. That
# must be a signal that is not ignored here. mksh runs a trap between two
# commands only, so the colon at the end gives it a place.
bivy_timer() {
  bivy_timer_end
  (
    B_sleep=
    trap '[ -z "$B_sleep" ] || kill -KILL "$B_sleep"; exit' USR1
    sleep "$B_silence" &
    B_sleep=$!
    wait "$B_sleep" && kill -KILL "$B_cat"
    :
  ) </dev/null >/dev/null 3<&- 4>&- &
  B_timer=$!
}

bivy_timer_end() {
  if [ -n "$B_timer" ]; then
    kill -USR1 "$B_timer"
    wait "$B_timer"
  fi
}

# Ends the command B_id from the background, so that others need not wait: after
# $1 seconds, without its grace if $2 is not empty. USR2 skips the rest of the grace; it
# is ignored until here, lest one that comes early kill this shell. What is
# reported is a copy: bivy_end has variables of its own.
bivy_start() {
  eval "B_top=\$B_pid_$B_id B_grace=\$B_grace_$B_id B_aside=\$B_life_$B_id"
  # What a supervisor with a lifeline does is its own business.
  [ "$B_aside" = 1 ] || B_aside=
  (
    B_run=$B_id B_hurry=$2 B_aside= B_over=
    trap 'B_hurry=1 B_jolt=1' USR2
    [ "$1" = 0 ] || sleep "$1"
    bivy_end
    bivy_survivors | while read -r B_pid B_words; do
      bivy_say "left $B_run $B_pid $B_words"
    done
    bivy_say "ended $B_run ${B_found:-0} ${B_complete:-0}"
  ) </dev/null >/dev/null 3<&- &
  eval "B_job_$B_id=\$!"
}

# Takes the orders. B_runs are the registered commands; what is known of each
# stands in variables with its name, which is hex digits and nothing else.
bivy_orders() {
  B_runs=' ' B_timer= B_cat=
  while read -r B_do B_id B_one B_two B_three B_stop; do
    [ "$B_stop" = . ] || continue
    case $B_do in
      cat)
        B_cat=$B_id
        bivy_timer
        # What the login shell printed may have no newline at its end.
        printf '\n%s ready\n' "$B_nonce" >&4
        continue
        ;;
      beat) bivy_timer; continue ;;
      bye|silent|gone) break ;;
    esac
    case $B_id in ''|*[!0-9a-f]*) continue ;; esac
    if [ "$B_do" = run ]; then
      case $B_runs in *" $B_id "*) ;; *) B_runs="$B_runs$B_id " ;; esac
      eval "B_grace_$B_id=\$B_one B_life_$B_id=\$B_two B_keep_$B_id=\$B_three B_pid_$B_id= B_job_$B_id="
      continue
    fi
    case $B_runs in *" $B_id "*) ;; *) continue ;; esac
    case $B_do in
      started) eval "B_pid_$B_id=\$B_one" ;;
      over)
        B_runs="${B_runs%%" $B_id "*} ${B_runs#*" $B_id "}"
        unset "B_grace_$B_id" "B_life_$B_id" "B_keep_$B_id" "B_pid_$B_id" "B_job_$B_id"
        ;;
      end)
        eval "B_job=\$B_job_$B_id"
        [ -n "$B_job" ] || bivy_start 0
        ;;
      kill)
        eval "B_job=\$B_job_$B_id"
        [ -n "$B_job" ] || { bivy_start 0 1; continue; }
        # zsh has the default action for a moment when a trap takes the place
        # of an ignored signal: the signal may have ended what was to end the
        # command. wait tells that from one that is done.
        kill -USR2 "$B_job" && continue
        wait "$B_job"
        [ $? -le 128 ] || bivy_start 0 1
        ;;
    esac
  done
  bivy_timer_end
  # Without cat the relay ends; it is part of our pipe.
  kill -KILL "$B_cat"
  if [ "$B_do" != bye ]; then bivy_last; fi
  wait
}

# Ends what must not outlive the link. Where that is only silent nobody else
# ends anything. Where the connection has ended, a supervisor with a lifeline
# ends its command itself, and we only what is there in spite of that.
bivy_last() {
  for B_id in $B_runs; do
    eval "B_job=\$B_job_$B_id B_life=\$B_life_$B_id B_keep=\$B_keep_$B_id B_wait=\$B_grace_$B_id"
    if [ "$B_keep$B_do$B_life" = 1gone0 ]; then
      eval "B_top=\$B_pid_$B_id"
      (B_run=$B_id; bivy_cut) </dev/null >/dev/null 3<&- 4>&- &
    fi
    if [ "$B_keep" = 1 ] || [ -n "$B_job" ]; then continue; fi
    if [ "$B_life" = 0 ] || [ "$B_do" = silent ]; then
      bivy_start 0
    else
      bivy_start "$((B_wait + 2))"
    fi
  done
}

bivy_guard() {
  exec 3<&0 4>&1 2>/dev/null
  trap '' HUP INT QUIT TERM PIPE USR2
  bivy_relay | bivy_orders
}
