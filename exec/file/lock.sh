# One lock for each directory, held for the moment between the look at a file
# and its rename. It is a file that only one can make, with its owner's name in
# it. Set by the caller: F_id, F_wait.
bivy_lock() {
  F_tries=0 F_blank=0
  until bivy_take_lock; do
    F_kind=busy F_at=$PWD/.bivy-lock
    [ "$F_tries" -lt "$F_wait" ] || return 1
    F_tries=$((F_tries + 1)) F_blank=$((F_blank + 1))
    bivy_holder ./.bivy-lock && F_blank=0
    ! bivy_unlock_dead || continue
    # A fraction is not in POSIX for sleep.
    sleep 0.1 2>/dev/null || sleep 1
  done
  F_kind= F_at= F_locked=1
}

# The look before is for what is no file: to open a FIFO may take for ever, and
# a shell does that in spite of set -C. On a full disk there is room for a file
# and none for the name in it; the empty one must go, since it would stand in the
# way of all. cat then says why, in words that are the same everywhere.
bivy_take_lock() {
  [ ! -e ./.bivy-lock ] && [ ! -L ./.bivy-lock ] && (set -C; : >./.bivy-lock) 2>/dev/null || return 1
  { echo "$F_id" >./.bivy-lock; } 2>/dev/null
  bivy_holds && return
  echo "$F_id" | cat >./.bivy-lock
  bivy_holds && return
  rm -f ./.bivy-lock
  bivy_fail failed "$F_path"
}

# F_holder: the owner of the lock. Anything but a file may block who opens it.
bivy_holder() {
  F_holder=
  [ -f "$1" ] && [ ! -L "$1" ] && { read -r F_holder <"$1"; } 2>/dev/null
}

# Whether the lock is still ours. It is taken away only from the dead.
bivy_holds() { bivy_holder ./.bivy-lock && [ "$F_holder" = "$F_id" ]; }

# Takes the lock from an owner that is gone. One that died before it wrote its
# name is given two days, or five seconds where we have waited for it so long:
# what it has yet to do is one write, and it looks for its lock before it renames.
# Two may try that at once: the first takes the dead one's, and the second perhaps
# the first's new one, which it then gives back.
bivy_unlock_dead() {
  if bivy_holder ./.bivy-lock; then
    bivy_gone "$F_holder" || return 1
  else
    [ -f ./.bivy-lock ] && [ ! -L ./.bivy-lock ] || return 1
    [ "${F_blank:-0}" -ge 50 ] || [ -n "$(find ./.bivy-lock -prune -mtime +1 2>/dev/null)" ] || return 1
  fi
  F_dead=$F_holder F_taken=./.bivy-tmp-${F_id%%-*}-lock${F_id#*-} F_blank=0
  mv -f ./.bivy-lock "$F_taken" 2>/dev/null || return 1
  bivy_holder "$F_taken"
  [ "$F_holder" = "$F_dead" ] || ln "$F_taken" ./.bivy-lock 2>/dev/null
  rm -f "$F_taken"
}
