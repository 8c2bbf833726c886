# Answers what a workspace has that the project has not, and then sends it.
# Lines tell the branches and their tips; the last of them is "body", and what
# follows is a pack, or nothing where nothing is missing. Set by the caller,
# beside what pull_tree.sh wants: W_have (commits that the project has), W_sent
# (those that came from us), W_dirty (1: uncommitted work too), W_most (how many
# tips to tell at most).

# Reads lines of an id and a name; prints those whose commit is here.
bivy_commits() { bivy_git cat-file --batch-check='%(objectname) %(objecttype) %(rest)' 2>/dev/null | sed -n 's/^\([0-9a-f]*\) commit /\1 /p'; }

W_known=$(printf '%s \n' $W_have $W_sent | bivy_commits)
W_branch=$(bivy_git symbolic-ref -q HEAD) || W_branch=
printf 'branch=%s\n' "${W_branch#refs/heads/}"
# A branch that is damaged must not keep the others there.
W_tips=$(bivy_git for-each-ref --count="$W_most" --format='%(objectname) %(refname)' refs/heads/ | bivy_commits)
[ -z "$W_tips" ] || printf '%s\n' "$W_tips" | sed 's/^/tip=/'
[ -n "$W_branch" ] || [ -z "$W_head" ] || printf 'detached=%s\n' "$W_head"

# Commits that no branch leads to: those of other worktrees, of other refs, and
# those that a detached HEAD left behind, which only its log knows. These are
# the same that stand in the way of removing a workspace.
W_heads=$(bivy_git worktree list --porcelain 2>/dev/null | sed -n 's/^HEAD //p' | sed 's/$/ /' | bivy_commits)
W_common=$(bivy_git rev-parse --git-common-dir)
W_left=$(sed -n 's/.*	checkout: moving from \([0-9a-f]\{40,64\}\) to .*/\1 /p' \
  "$W_common/logs/HEAD" "$W_common"/worktrees/*/logs/HEAD 2>/dev/null | sort -u | bivy_commits)
if W_other=$(bivy_git rev-list --children --exclude=refs/stash --all $W_heads $W_left --not --branches --remotes $W_head $W_known --); then
  W_other=$(printf '%s\n' "$W_other" | sed -n '/ /!p' | sed "${W_most}q")
  [ -z "$W_other" ] || printf '%s\n' "$W_other" | sed 's/^/other=/'
else
  W_other=
  echo damaged=1
fi

W_work=
if [ "$W_dirty" = 1 ]; then
  bivy_as_it_is
  W_old=$W_base
  [ -z "$W_head" ] || W_old=$(bivy_git rev-parse "$W_head^{tree}")
  if [ "$W_tree" != "$W_old" ]; then
    # The date is that of the commit below, so that the same work is the same
    # commit each time.
    W_time=0
    [ -z "$W_head" ] || W_time=$(bivy_git cat-file commit "$W_head" | sed -n 's/^committer .*> \([0-9][0-9]*\) .*/\1/p; /^$/q')
    export GIT_AUTHOR_NAME=bivy GIT_AUTHOR_EMAIL=bivy@bivy.invalid GIT_COMMITTER_NAME=bivy GIT_COMMITTER_EMAIL=bivy@bivy.invalid
    export GIT_AUTHOR_DATE="@${W_time:-0} +0000" GIT_COMMITTER_DATE="@${W_time:-0} +0000"
    W_work=$(echo 'uncommitted work' | bivy_git -c i18n.commitEncoding=UTF-8 commit-tree "$W_tree" ${W_head:+-p "$W_head"}) || bivy_trouble tree
    printf 'dirty=%s\n' "$W_work"
  fi
fi

echo body
# Deltas against what the project has make a small change of a large file small.
# Nothing above 512 MiB is a delta, whatever the account's configuration says:
# the other side takes none.
{
  printf '%s\n' "$W_tips" | sed 's/ .*//'
  printf '%s\n' $W_head $W_other $W_work
  printf '%s \n' $W_have | bivy_commits | sed 's/^/^/; s/ //'
} | sed '/^$/d' | bivy_git -c core.bigFileThreshold=512m -c pack.packSizeLimit=0 \
  pack-objects --revs --stdout --thin --shallow --delta-base-offset --no-use-bitmap-index --non-empty -q || exit 1
