# Finds, and removes if it is told to, what bivy left on this host and nothing
# needs. Set by the caller: W_roots (a line each), W_yes (1: remove it). Answers
# "item=KIND KIB PATH" for what it found, or has removed, "failed=KIND KIB PATH" for
# what it could not remove, and "workspace=PATH" for every workspace. No
# symbolic link below a root is followed, and nothing goes that has another name
# than ours.
trap bivy_unlock EXIT
trap 'exit 1' HUP INT TERM

bivy_hex() { case $1 in ''|*[!0-9a-f]*) return 1 ;; esac; }
bivy_number() { case $1 in ''|*[!0-9]*) return 1 ;; esac; }
# Whether the directory $1 was changed last a day ago or earlier.
bivy_old() { [ -n "$(find "$1" -prune -mtime +0 2>/dev/null)" ]; }

# W_live: the pids of those who hold locks in W_dir, or may do so.
bivy_locks() {
  W_live=' '
  L_dir=$W_dir L_made=$W_dir/.locking-$L_token
  for L_lock in "$W_dir"/.lock-*; do
    [ -e "$L_lock" ] || continue
    if ! bivy_last; then
      bivy_old "$L_lock" || W_live="$W_live? "
    elif ! bivy_dead "$L_at"; then
      W_live="$W_live$L_pid "
    fi
  done
  rm -rf "$L_made"
  L_dir=
}

# Whether the shell with the pid $1 is not at work any more in the directory
# $2, which has the pid in its name: it has no lock, and is no process of this
# host, or one that took the number later.
bivy_left() {
  case $W_live in *" $1 "*) return 1 ;; esac
  { [ ! -e "/proc/$1" ] && ! kill -0 "$1" 2>/dev/null; } || bivy_old "$2"
}

# W_kind: what the entry $1 of W_dir is, if nobody needs it.
bivy_judge() {
  W_kind= W_name=${1##*/}
  [ -d "$1" ] && [ ! -L "$1" ] || return
  case $W_name in
    .new-*.*|.in-*.*)
      W_part=${W_name#.*-}
      bivy_hex "${W_part%%.*}" && bivy_number "${W_part#*.}" && bivy_left "${W_part#*.}" "$1" && W_kind=staging
      ;;
    .new-*|.in-*) bivy_hex "${W_name#.*-}" && bivy_old "$1" && W_kind=staging ;;
    # What was given up is given up, whoever was at it.
    .gone-*) bivy_hex "${W_name#.gone-}" && W_kind=removed ;;
    .unlock-*) bivy_hex "${W_name#.unlock-}" && W_kind=lock ;;
    .locking-*)
      bivy_hex "${W_name#.locking-}" || return
      if bivy_owner "$1"; then bivy_dead "$1"; else bivy_old "$1"; fi && W_kind=lock
      ;;
    .lock-*)
      L_lock=$1
      if bivy_last; then bivy_dead "$L_at"; else bivy_old "$1"; fi && W_kind=lock
      ;;
    .store-sha1.git|.store-sha256.git)
      [ "$W_used" = 1 ] || [ "$W_live" != ' ' ] || W_kind=store
      ;;
  esac
}

# W_used: 1 if there is a workspace in W_dir, or one that is being made.
bivy_used() {
  W_used=0
  for W_entry in "$W_dir"/* "$W_dir"/.new-* "$W_dir"/.in-*; do
    if [ ! -e "$W_entry" ] && [ ! -L "$W_entry" ]; then continue; fi
    case ${W_entry##*/} in
      .*) bivy_judge "$W_entry" ; [ -n "$W_kind" ] || W_used=1 ;;
      *) W_used=1 ;;
    esac
  done
}

# Removes the directory $1; what was read-only in it, too.
bivy_drop() { rm -rf "$1" 2>/dev/null || { chmod -R u+rwX "$1" && rm -rf "$1"; }; }

# A store is renamed first. Who took a lock before that may be about to use it,
# and gets it back; who comes later makes a new one.
bivy_drop_store() {
  W_gone=$W_dir/.gone-$L_token
  mv "$1" "$W_gone" || return
  bivy_locks
  bivy_used
  if [ "$W_used" = 1 ] || [ "$W_live" != ' ' ]; then
    [ -e "$1" ] || mv "$W_gone" "$1"
    return 0
  fi
  bivy_drop "$W_gone"
}

# Removes a dead owner's lock by taking it, since it may have a successor.
bivy_drop_lock() {
  case ${1##*/} in
    .lock-*)
      L_lock=$1
      if bivy_last; then
        bivy_trylock "$W_dir" "${1#"$W_dir"/.lock-}" || return 0
        bivy_unlock
      else
        mv "$1" "$W_dir/.unlock-$L_token" && bivy_drop "$W_dir/.unlock-$L_token"
      fi
      ;;
    *) bivy_drop "$1" ;;
  esac
}

bivy_entry() {
  bivy_judge "$1"
  [ -n "$W_kind" ] || return 0
  W_found=$W_kind
  W_size=$(du -sk "$1" 2>/dev/null)
  W_size=${W_size%%[!0-9]*}
  W_word=item
  if [ "$W_yes" = 1 ]; then
    case $W_found in
      store) bivy_drop_store "$1" ;;
      lock) bivy_drop_lock "$1" ;;
      *) bivy_drop "$1" ;;
    esac || W_word=failed
    # Somebody needs it after all.
    [ $W_word = failed ] || [ ! -e "$1" ] || return 0
  fi
  printf '%s=%s %s %s\n' "$W_word" "$W_found" "${W_size:-0}" "$1"
}

bivy_project() {
  bivy_locks
  bivy_used
  for W_path in "$W_dir"/.new-* "$W_dir"/.in-* "$W_dir"/.gone-* "$W_dir"/.lock-* "$W_dir"/.locking-* "$W_dir"/.unlock-*; do
    bivy_entry "$W_path"
  done
  W_ours=
  for W_path in "$W_dir"/.store-sha1.git "$W_dir"/.store-sha256.git; do
    [ ! -d "$W_path" ] || W_ours=1
    bivy_entry "$W_path"
  done
  [ -z "$W_ours" ] || for W_path in "$W_dir"/*; do
    if [ -d "$W_path" ] && [ ! -L "$W_path" ]; then printf 'workspace=%s\n' "$W_path"; fi
  done
  rm -rf "$W_dir/.locking-$L_token" # from a look at another host's lock
  [ "$W_yes" != 1 ] || [ -z "$W_ours" ] || rmdir "$W_dir" 2>/dev/null
}

bivy_place
W_seen='
'
while IFS= read -r W_root; do
  bivy_expand "$W_root"
  B_path=${B_path%/}
  W_real=$(cd -P -- "$B_path/" 2>/dev/null && pwd -P) || continue
  # One root under two names.
  case $W_seen in *"
$W_real
"*) continue ;; esac
  W_seen="$W_seen$W_real
"
  for W_dir in "$B_path"/*; do
    [ -d "$W_dir" ] && [ ! -L "$W_dir" ] || continue
    case ${W_dir##*/} in *[!A-Za-z0-9._-]*) continue ;; esac
    bivy_project </dev/null
  done
done <<E
$W_roots
E
exit 0
