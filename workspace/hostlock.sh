# The locks on a host: who changes a workspace there holds its lock, from
# whatever machine. POSIX sh; run and tested by dash, bash, busybox ash, mksh
# and zsh. Every name starts with L_ or bivy_. Two lines use it:
#
#   trap bivy_unlock EXIT         (or from within a trap of the caller's own)
#   bivy_lock DIR NAME…           takes DIR/.lock-NAME, or ends with trouble=busy
#
# and, right before a step that cannot be taken back: bivy_held || bivy_trouble lock_lost
#
# Set by the caller: L_token (hex digits, new for each shell), L_doing (what
# for, as others will read it), L_wait (how long to wait, in tenths of a
# second), L_beat and L_stale (see bivy_heart, in seconds), L_proc (/proc).
#
# A lock is a directory with its owner's name in it. It is filled elsewhere and
# renamed into place, so there is none without a name; and rename(2) never
# replaces a directory that is not empty, so of two that try one succeeds.
#
# A lock whose owner is dead is not taken away, since whoever does that may find
# that it is another's by then. It is continued: a directory next-TOKEN in it,
# with the dead owner's token in its name, belongs to the successor, and so on.
# The lock is held by the last in this chain. Who was right about a death stays
# right; who comes too late, when the lock is somebody else's, stands in no
# chain, and sees that.

L_dir= L_locks= L_heart=

# L_place: within which a pid means one process: host, boot, space of pids and
# user (one cannot signal another's). Empty where nothing tells one boot from
# the next: a home may be shared by hosts, and a pid proves nothing then.
bivy_place() {
  L_boot= L_host= L_space= L_user=
  { read -r L_boot <"$L_proc/sys/kernel/random/boot_id"; read -r L_host <"$L_proc/sys/kernel/hostname"; } 2>/dev/null
  if [ -n "$L_boot" ]; then
    L_space=$(readlink "$L_proc/self/ns/pid" 2>/dev/null)
    { while read -r L_part L_user L_rest; do [ "$L_part" != Uid: ] || break; done <"$L_proc/$$/status"; } 2>/dev/null
  else
    L_boot=$(sysctl -n kern.bootsessionuuid 2>/dev/null || sysctl -n kern.boottime 2>/dev/null) || L_boot=
    L_boot=$(printf %s "$L_boot" | tr -c 'A-Za-z0-9-' _)
    L_user=$(id -u)
  fi
  [ -n "$L_host" ] || L_host=$(uname -n)
  L_place=
  [ -z "$L_boot" ] || L_place=$L_host/$L_boot/$L_space/$L_user
}

# L_born: when the living process $1 began; empty if there is none. The name
# in /proc/PID/stat may hold anything, so what counts stands behind the last
# parenthesis of the last line. A zombie does nothing any more.
bivy_born() {
  L_born=
  if [ -r "$L_proc/$$/stat" ]; then
    L_line=
    { while read -r L_part; do L_line=$L_part; done <"$L_proc/$1/stat"; } 2>/dev/null
    L_line=${L_line##*) }
    set -- $L_line
    case $1 in ''|Z|X) ;; *) L_born=${20} ;; esac
  elif kill -0 "$1" 2>/dev/null; then
    # Not every ps knows lstart; the number alone then speaks for the process.
    L_born=$(ps -o lstart= -p "$1" 2>/dev/null | tr -cs 'A-Za-z0-9:\n' _)
    L_born=${L_born:-alive}
  fi
}

# Reads who owns the directory $1 of a chain.
bivy_owner() {
  L_owner= L_pid= L_since= L_where= L_words=
  if [ -f "$1/owner" ] && [ ! -L "$1/owner" ]; then
    { { read -r L_owner L_pid L_since L_where; read -r L_words; } <"$1/owner"; } 2>/dev/null
  fi
  case $L_owner in ''|*[!0-9a-f]*) return 1 ;; esac
  case $L_pid in ''|*[!0-9]*) return 1 ;; esac
}

# L_at: the last in the lock's chain, whose owner is read then.
bivy_last() {
  L_at=$L_lock
  while bivy_owner "$L_at"; do
    [ -d "$L_at/next-$L_owner" ] || return 0
    L_at=$L_at/next-$L_owner
  done
  return 1
}

bivy_mine() { bivy_last && [ "$L_owner" = "$L_token" ]; }

# Whether the owner that was read of the directory $1 is dead. Where its pid
# proves nothing, only its heart counts.
bivy_dead() {
  if [ -n "$L_place" ] && [ "$L_where" = "$L_place" ]; then
    bivy_born "$L_pid"
    [ "$L_born" != "$L_since" ]
    return
  fi
  # Both times are the file system's, so that no clock of a host matters. The
  # find is for hosts without a stat, and gives an owner two days.
  if bivy_time "$1/beat" && L_last=$L_time && mkdir -p "$L_made" && printf x >"$L_made/now" && bivy_time "$L_made/now"; then
    [ $((L_time - L_last)) -gt "$L_stale" ]
    return
  fi
  [ -n "$(find "$1/beat" -prune -mtime +1 2>/dev/null)" ]
}

# L_time: when the file $1 changed, in seconds.
bivy_time() {
  L_time=$(stat -c %Y "$1" 2>/dev/null || stat -f %m "$1" 2>/dev/null)
  case $L_time in ''|*[!0-9]*) return 1 ;; esac
}

# Makes L_made, a directory that says who we are.
bivy_fill() {
  [ ! -e "$L_made" ] || rm -rf "$L_made"
  bivy_born $$
  [ -n "$L_born" ] || L_place= # then it proves nothing
  mkdir "$L_made" && printf x >"$L_made/beat" && printf '%s %s %s %s\n%s\n' "$L_token" $$ "${L_born:--}" "${L_place:--}" \
    "$L_doing${SSH_CONNECTION:+ from ${SSH_CONNECTION%% *}}, process $$ on $L_host, since $(date -u '+%Y-%m-%d %H:%M:%S') UTC" >"$L_made/owner" &&
    bivy_owner "$L_made" && [ "$L_owner" = "$L_token" ]
}

# Tries once to take L_lock: 1 where it is somebody's, 2 where it cannot be made.
bivy_take() {
  L_to=$L_lock
  if [ -e "$L_lock" ] || [ -L "$L_lock" ]; then
    if bivy_last; then
      bivy_dead "$L_at" || return 1
      L_to=$L_at/next-$L_owner
    else
      # An empty directory is nobody's: a lock never is empty.
      rmdir "$L_lock" 2>/dev/null || return 1
    fi
  fi
  bivy_fill || return 2
  mv "$L_made" "$L_to" 2>/dev/null
  ! bivy_mine || return 0
  # Somebody was faster, and mv has put ours into that one's; or it is the
  # successor of an owner whose lock is gone by now.
  rm -rf "$L_to/${L_made##*/}"
  if bivy_owner "$L_to" && [ "$L_owner" = "$L_token" ]; then rm -rf "$L_to"; fi
  return 1
}

# Takes all of the locks or none: 1 and L_why (busy; lock: it cannot be made).
bivy_trylock() {
  L_dir=$1 L_made=$1/.locking-$L_token L_left=$L_wait
  shift
  bivy_place
  for L_name; do
    L_lock=$L_dir/.lock-$L_name
    while :; do
      bivy_take
      L_why=$?
      case $L_why in 0) break ;; 2) L_why=lock ;; 1) L_why=busy ;; esac
      if [ $L_why = lock ] || [ "$L_left" -le 0 ]; then
        [ $L_why = lock ] || bivy_last
        L_busy=$L_words
        bivy_unlock
        return 1
      fi
      # A fraction is not in POSIX for sleep.
      if sleep 0.1 2>/dev/null; then L_left=$((L_left - 1)); else sleep 1; L_left=$((L_left - 10)); fi
    done
    L_locks="$L_locks $L_name" L_link=$L_at
  done
  [ ! -e "$L_made" ] || rm -rf "$L_made"
  bivy_heart
}

bivy_lock() {
  bivy_trylock "$@" && return
  [ $L_why = busy ] || bivy_trouble $L_why
  bivy_busy
}

bivy_busy() {
  printf '%s\n' "${L_busy:-what holds $L_lock cannot be read}" >&2
  bivy_trouble busy
}

# Says every L_beat seconds that we live, to hosts on which our pid means
# nothing. Who is silent for L_stale seconds is dead to them. To end it, its
# sleep is ended: traps are for that too different in the shells, and a sleep
# that nobody waits for would stay. So the sleep tells its pid, and looks after
# that whether it is still wanted; the end is first made known, and then the pid
# is read. One of both sees the other.
bivy_heart() {
  (
    # Inside: mksh keeps what a redirection outside replaces.
    exec </dev/null >/dev/null 2>&1
    trap - EXIT
    while sh -c 'echo $$ >"$1/pulse" && [ -e "$1/beat" ] && exec sleep "$2"' sh "$L_link" "$L_beat" && kill -0 $$; do
      for L_name in $L_locks; do
        L_lock=$L_dir/.lock-$L_name
        ! bivy_mine || touch -c "$L_at/beat"
      done
    done
  ) &
  L_heart=$!
}

bivy_heart_end() {
  [ -n "$L_heart" ] || return 0
  rm -f "$L_link/beat"
  if { read -r L_pid <"$L_link/pulse"; } 2>/dev/null; then kill "$L_pid" 2>/dev/null; fi
  wait "$L_heart" 2>/dev/null
  L_heart=
}

# Whether all of our locks are still ours. One that was stopped for minutes may
# have been taken for dead.
bivy_held() {
  for L_name in $L_locks; do
    L_lock=$L_dir/.lock-$L_name
    bivy_mine || return 1
  done
}

# Removes the directory $1, also where somebody's mv still puts something into
# it, as bivy_take may.
bivy_scrap() {
  for L_try in 1 2 3 4 5 6 7 8 9; do
    ! rm -rf "$1" 2>/dev/null || return 0
  done
  rm -rf "$1"
}

# Lets go of all. A lock leaves in one rename, or there would be a moment in
# which it is half there.
bivy_unlock() {
  # In mksh a function that ends a trap decides over the status.
  L_code=$?
  [ -n "$L_dir" ] || return "$L_code"
  bivy_heart_end
  for L_name in $L_locks; do
    L_lock=$L_dir/.lock-$L_name L_gone=$L_dir/.unlock-$L_token
    ! bivy_mine || { mv "$L_lock" "$L_gone" && bivy_scrap "$L_gone"; }
  done
  [ ! -e "$L_made" ] || rm -rf "$L_made"
  L_dir= L_locks=
  return "$L_code"
}
