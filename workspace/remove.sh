# Removes a workspace unless it holds work. Set by the caller: W_dir, W_id,
# W_force (1: remove it whatever it holds), W_known (tips that exist elsewhere,
# each with a space around it: commits up to these are no loss).
bivy_need_git
W_parent=${W_dir%/*}
W_gone=$W_parent/.gone-$W_id
trap bivy_unlock EXIT
trap 'exit 1' HUP INT TERM

# Answers whether the report $1 speaks of nothing that would be lost. Each line
# is looked for with its newlines, so that no name in the report can pose as a
# count.
bivy_free() {
  case $1 in *"
running="*|*"
unknown="*|*"
norepo="*) return 1 ;; esac
  for W_zero in running_count changed_count untracked_count stash_count included_count; do
    case $1 in *"
$W_zero=0
"*) ;; *) return 1 ;; esac
  done
  case $1 in *"
commit_count=0
"*) return 0 ;; esac
  # Where the commits could not be counted, the tips tell nothing either.
  case $1 in *"
commit_count="[1-9]*) ;; *) return 1 ;; esac
  [ -n "$W_known" ] || return 1
  W_tips=0
  while read -r W_line; do
    case $W_line in
      tip=*)
        W_tips=$((W_tips + 1))
        case $W_known in *" ${W_line#tip=} "*) ;; *) return 1 ;; esac
        ;;
    esac
  done <<EOF
$1
EOF
  [ "$W_tips" -gt 0 ]
}

# Answers whether one of the processes is alive.
bivy_any() {
  for W_pid in $1; do
    if kill -0 "$W_pid" 2>/dev/null; then return 0; fi
  done
  return 1
}

# Where no lock can be made nobody else has one either, and on a full disk it
# is to remove something that helps.
if [ -d "$W_parent" ] && ! bivy_trylock "$W_parent" "${W_dir##*/}"; then
  [ "$L_why" = lock ] || bivy_busy
fi

# What lies behind a link, or was put in the directory's place, is not ours.
if [ -L "$W_dir" ] || { [ -e "$W_dir" ] && [ ! -d "$W_dir" ]; }; then
  bivy_trouble replaced
fi
# One that another machine has made under this name is not ours either, and
# ours is gone.
if [ -d "$W_dir" ] && bivy_ours "$W_dir"; then
  if [ "$W_force" != 1 ]; then
    W_report=$(bivy_inspect; bivy_included)
    printf '%s\n' "$W_report"
    bivy_free "
$W_report
" || exit 0
  fi
  cd / || exit 1
  # Forced: what runs there is ended first, so that it does not go on in a
  # directory without a name. TERM, a moment, KILL.
  if [ "$W_force" = 1 ]; then
    W_only=running W_limit=1000000
    for W_signal in TERM KILL; do
      # Asked anew each time: what was told to end may have started others.
      W_pids=$(bivy_inspect | sed -n 's/^running=\([0-9][0-9]*\) .*/\1/p')
      for W_pid in $W_pids; do kill -$W_signal "$W_pid" 2>/dev/null; done
      W_left=5
      while [ "$W_left" -gt 0 ] && bivy_any "$W_pids"; do sleep 1; W_left=$((W_left - 1)); done
    done
  fi
  # The directory gets a name that says it is going, in one rename: a cut
  # leaves a whole workspace or rubbish, never half a workspace.
  rm -rf "$W_gone"
  bivy_held || bivy_trouble lock_lost
  mv "$W_dir" "$W_gone" || bivy_trouble move
fi
cd / || exit 1
# Files that a build made read-only sit in directories that may be, too.
rm -rf "$W_gone" 2>/dev/null || { chmod -R u+rwX "$W_gone" && rm -rf "$W_gone"; } || bivy_trouble remove
# Staging of ours that a crash left.
rm -rf "$W_parent/.new-$W_id" "$W_parent/.in-$W_id" "$W_parent/.new-$W_id".* "$W_parent/.in-$W_id".*
printf 'removed=1\n'
