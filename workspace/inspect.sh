# What a workspace holds that exists nowhere else, and what runs in it; the
# inside of a function, called in a subshell. Set by the caller: W_dir,
# W_snapshot, W_limit (how many of each to list), W_disk (1: count the blocks).
[ -d "$W_dir" ] || bivy_trouble gone
printf 'there=1\n'

# Running: processes that bivy started for this workspace, by the mark in their
# environment, and whatever else stands in its directory. Where /proc is not
# readable for a process (another user's), it is not ours to count.
bivy_running() {
  for W_proc in /proc/[0-9]*; do
    W_pid=${W_proc#/proc/}
    [ "$W_pid" != $$ ] || continue
    W_cwd=$(readlink "$W_proc/cwd" 2>/dev/null) || continue
    case $W_cwd/ in
      "$W_dir"/*) ;;
      *) continue ;;
    esac
    # Our own shells stand there too: they are of our session.
    { read -r W_line <"$W_proc/stat"; } 2>/dev/null || continue
    W_line=${W_line##*) }
    set -- $W_line
    [ "$4" != "$W_session" ] || continue
    W_cmd=$(tr '\0\n' '  ' <"$W_proc/cmdline" 2>/dev/null)
    # The supervisors around commands are ours; the commands speak for them.
    case $W_cmd in '/bin/sh -c read -r n && eval '*) continue ;; esac
    printf 'running=%s %s\n' "$W_pid" "$W_cmd"
  done
}
if [ -r /proc/self/stat ]; then
  read -r W_line </proc/$$/stat
  W_line=${W_line##*) }
  set -- $W_line
  W_session=$4
  bivy_running
else
  # lsof is part of macOS; -a joins the conditions, +d would not descend.
  W_lsof=$(lsof -a -d cwd -Fpcn 2>/dev/null) || W_lsof=
  W_pid= W_cmd=
  while read -r W_line; do
    case $W_line in
      p*) W_pid=${W_line#p} ;;
      c*) W_cmd=${W_line#c} ;;
      n"$W_dir"|n"$W_dir"/*) [ "$W_pid" = $$ ] || printf 'running=%s %s\n' "$W_pid" "$W_cmd" ;;
    esac
  done <<EOF
$W_lsof
EOF
fi

if [ "$W_disk" = 1 ]; then
  # POSIX du counts in 512-byte blocks unless it is told otherwise.
  W_line=$(du -sk "$W_dir" 2>/dev/null)
  printf 'disk_kib=%s\n' "${W_line%%[!0-9]*}"
fi

if ! cd -- "$W_dir" || ! bivy_git rev-parse --git-dir >/dev/null 2>&1; then
  # No repository any more: everything in it may be somebody's only copy.
  printf 'norepo=1\n'
else
  printf 'branch=%s\n' "$(bivy_git symbolic-ref --short -q HEAD || echo)"
  printf 'head=%s\n' "$(bivy_git rev-parse -q --verify HEAD || echo)"
  # git quotes odd names in this format, so a line is an entry.
  bivy_git status --porcelain --untracked-files=normal --ignore-submodules=none | {
    W_changed=0 W_untracked=0
    while IFS= read -r W_line; do
      case $W_line in
        '??'*) W_untracked=$((W_untracked + 1)) ; W_kind=untracked; W_seen=$W_untracked ;;
        *) W_changed=$((W_changed + 1)); W_kind=changed; W_seen=$W_changed ;;
      esac
      [ "$W_seen" -gt "$W_limit" ] || printf '%s=%s\n' "$W_kind" "$W_line"
    done
    printf 'changed_count=%s\nuntracked_count=%s\n' "$W_changed" "$W_untracked"
  }
  printf 'stash_count=%s\n' "$(bivy_git rev-list -g --count refs/stash -- 2>/dev/null || echo 0)"
  # Commits on any branch, tag or worktree that neither our snapshot nor any
  # remote-tracking branch has.
  W_heads=$(bivy_git worktree list --porcelain 2>/dev/null | while read -r W_word W_value; do
    [ "$W_word" != HEAD ] || printf '%s ' "$W_value"
  done)
  W_range="--exclude=refs/stash --all HEAD $W_heads --not --remotes"
  if bivy_git cat-file -e "$W_snapshot^{commit}" 2>/dev/null; then W_range="$W_range $W_snapshot"; fi
  printf 'commit_count=%s\n' "$(bivy_git rev-list --count $W_range -- 2>/dev/null || echo 0)"
  bivy_git log --no-show-signature --max-count="$W_limit" --format='commit=%H %s' $W_range -- 2>/dev/null
  # The tips decide whether all of these are known elsewhere.
  bivy_git for-each-ref --format='tip=%(objectname)' refs/heads refs/tags
  for W_head in $W_heads; do printf 'tip=%s\n' "$W_head"; done
fi
