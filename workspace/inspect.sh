# What a workspace holds that exists nowhere else, and what runs in it; the
# inside of a function, called in a subshell. Set by the caller: W_dir,
# W_sent (the commits that came from us, with spaces between), W_limit (how many
# of each to list), W_disk (1: count the blocks), W_only (running: tell nothing
# else). What cannot be found out is answered with a count of "?" and a line
# "unknown=WHY": it must never pass for nothing.
[ -d "$W_dir" ] || bivy_trouble gone
printf 'there=1\n'

# Running: whatever stands in the workspace's directory. The system names
# directories physically, so the path is compared in that form. Where /proc is
# not readable for a process (another user's), it is not ours to count.
W_real=$(cd -P -- "$W_dir" 2>/dev/null && pwd -P) || W_real=$W_dir
W_count=0
bivy_runs() {
  W_count=$((W_count + 1))
  [ "$W_count" -gt "$W_limit" ] || printf 'running=%s %s\n' "$1" "$2"
}
bivy_running() {
  for W_proc in /proc/[0-9]*; do
    W_pid=${W_proc#/proc/}
    [ "$W_pid" != $$ ] || continue
    W_cwd=$(readlink "$W_proc/cwd" 2>/dev/null) || continue
    case $W_cwd/ in
      "$W_real"/*) ;;
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
    bivy_runs "$W_pid" "$W_cmd"
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
  W_lsof=$(lsof -a -d cwd -Fpcn 2>/dev/null) || :
  W_pid= W_cmd=
  while read -r W_line; do
    case $W_line in
      p*) W_pid=${W_line#p} ;;
      c*) W_cmd=${W_line#c} ;;
      n"$W_real"|n"$W_real"/*) [ "$W_pid" = $$ ] || bivy_runs "$W_pid" "$W_cmd" ;;
    esac
  done <<EOF
$W_lsof
EOF
fi
printf 'running_count=%s\n' "$W_count"
[ "$W_only" != running ] || exit 0

if [ "$W_disk" = 1 ]; then
  # POSIX du counts in 512-byte blocks unless it is told otherwise.
  W_line=$(du -sk "$W_dir" 2>/dev/null)
  printf 'disk_kib=%s\n' "${W_line%%[!0-9]*}"
fi

# A prefix means that git found another repository, further up.
if ! cd -P -- "$W_dir" || ! W_prefix=$(bivy_git rev-parse --show-prefix 2>/dev/null) || [ -n "$W_prefix" ]; then
  # No repository any more: everything in it may be somebody's only copy.
  printf 'norepo=1\n'
  exit 0
fi

# Prints the last line of $1 as a reason not to know something.
bivy_unknown() {
  printf 'unknown=%s\n' "$(printf '%s\n' "$1" | tail -n 1)"
}

# Prints $2 as the count $1 if it is a number. The callers put what git says on
# stderr there too, since git warns of what it leaves out and exits with 0.
bivy_number() {
  case $2 in
    ''|*[!0-9]*) bivy_unknown "$2"; printf '%s=?\n' "$1" ;;
    *) printf '%s=%s\n' "$1" "$2" ;;
  esac
}

# Prints what differs from the commits in the worktree $1, each line after a
# space. Lines of stderr come without one, since only stdout passes sed. Files
# that git was told not to look at (skip-worktree, assume-unchanged) count as
# changed where they are there; S, s and h are the letters of ls-files.
bivy_changes() {
  { {
    bivy_git -C "$1" status --porcelain --untracked-files=normal --ignore-submodules=none
    printf 'end=%s\n' "$?"
    bivy_git -C "$1" ls-files -v | sed -n '/^[Sa-z] /p' | while IFS= read -r W_line; do
      # A quoted name may be one that is there.
      W_file=${W_line#? }
      case $W_file in '"'*) W_file=. ;; esac
      if [ -e "$1/$W_file" ] || [ -L "$1/$W_file" ]; then printf '%s\n' "$W_line"; fi
    done
  } 2>&3 3>&- | sed 's/^/ /'; } 3>&1
}

# Reads the lines of bivy_changes, of as many worktrees as there are.
bivy_count() {
  W_changed=0 W_untracked=0 W_begun=0 W_ended=0 W_odd=0
  while IFS= read -r W_line; do
    case $W_line in
      begin) W_begun=$((W_begun + 1)); continue ;;
      ' end=0') W_ended=$((W_ended + 1)); continue ;;
      ' end='*) continue ;;
      ' ??'*) W_untracked=$((W_untracked + 1)); W_kind=untracked; W_seen=$W_untracked ;;
      ' '*) W_changed=$((W_changed + 1)); W_kind=changed; W_seen=$W_changed ;;
      *) W_odd=1; bivy_unknown "$W_line"; continue ;;
    esac
    [ "$W_seen" -gt "$W_limit" ] || printf '%s=%s\n' "$W_kind" "${W_line# }"
  done
  if [ "$W_odd" = 1 ] || [ "$W_begun" = 0 ] || [ "$W_begun" != "$W_ended" ]; then
    W_changed='?' W_untracked='?'
  fi
  printf 'changed_count=%s\nuntracked_count=%s\n' "$W_changed" "$W_untracked"
}

printf 'branch=%s\n' "$(bivy_git symbolic-ref --short -q HEAD || echo)"
printf 'head=%s\n' "$(bivy_git rev-parse -q --verify HEAD || echo)"

# Other worktrees of this repository die with it, wherever they are. One whose
# directory is gone has lost its files already.
W_trees=$(bivy_git worktree list --porcelain 2>&1) || bivy_unknown "$W_trees"
# git quotes odd names in these formats, so a line is an entry.
{
  echo begin
  bivy_changes .
  printf '%s\n' "$W_trees" | sed -n 's/^worktree //p' | while IFS= read -r W_tree; do
    [ "$W_tree" != "$W_real" ] && [ -e "$W_tree/.git" ] || continue
    echo begin
    bivy_changes "$W_tree"
  done
} | bivy_count

# A stash whose log is lost is a stash all the same.
W_number=0
if [ -n "$(bivy_git for-each-ref --format=x refs/stash 2>&1)" ]; then
  W_number=$(bivy_git rev-list -g --count refs/stash -- 2>&1)
  [ "$W_number" != 0 ] || W_number=1
fi
bivy_number stash_count "$W_number"

# Commits on any ref or worktree that neither what we sent nor any
# remote-tracking branch has. A worktree without a commit has a HEAD of zeros.
W_heads=$(printf '%s\n' "$W_trees" | while read -r W_word W_value; do
  case $W_word in HEAD) case $W_value in *[!0]*) printf '%s ' "$W_value" ;; esac ;; esac
done)
# And those that a detached HEAD was on when it went elsewhere, which only its
# log knows. What was amended, rebased or reset was given up knowingly, and so
# was a branch that was deleted: these do not count.
W_git=$(bivy_git rev-parse --git-common-dir)
W_left=$(sed -n 's/.*	checkout: moving from \([0-9a-f]\{40,64\}\) to .*/\1/p' \
  "$W_git/logs/HEAD" "$W_git"/worktrees/*/logs/HEAD 2>/dev/null | sort -u |
  bivy_git cat-file --batch-check='%(objectname) %(objecttype)' 2>/dev/null | sed -n 's/ commit$//p' | tr '\n' ' ')
W_range="--exclude=refs/stash --all $W_heads $W_left"
if bivy_git rev-parse -q --verify 'HEAD^{commit}' >/dev/null 2>&1; then
  W_range="$W_range HEAD"
elif ! bivy_git symbolic-ref -q HEAD >/dev/null 2>&1; then
  # Not a branch without commits, then, but a HEAD that leads nowhere.
  echo 'unknown=HEAD is broken'
fi
W_range="$W_range --not --remotes"
for W_one in $W_sent; do
  if bivy_git cat-file -e "$W_one^{commit}" 2>/dev/null; then W_range="$W_range $W_one"; fi
done
bivy_number commit_count "$(bivy_git rev-list --count $W_range -- 2>&1)"
bivy_git log --no-show-signature --max-count="$W_limit" --format='commit=%H %s' $W_range -- 2>/dev/null
# The tips, those without a child, decide whether all of these are known
# elsewhere.
bivy_git rev-list --children $W_range -- 2>/dev/null | sed -n '/ /!s/^/tip=/p'
# A ref may name a file's content or a tree, which no commit need have.
bivy_git for-each-ref --format='%(objecttype)%(*objecttype) %(refname)' 2>&1 | while IFS= read -r W_line; do
  case $W_line in
    'commit '*|'tagcommit '*|'tagtag '*) ;;
    *' refs/remotes/'*) ;;
    'tree refs/bivy/included') ;;
    'blob '*|'tree '*|'tagblob '*|'tagtree '*) printf 'unknown=%s is no commit\n' "${W_line#* }" ;;
    *) bivy_unknown "$W_line" ;;
  esac
done
