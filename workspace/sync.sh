# Brings a workspace to another state of the project. Set by the caller: W_dir,
# W_id, W_format, W_sent (the commits that came from us, with spaces around each),
# W_new (the commit to go to), W_shallow (those of its history whose parents are
# not sent), W_include (the tree of the included files; "keep": as they are),
# W_exclude (lines for info/exclude), W_pack (1: a pack follows on stdin), W_mode
# (plain, rebase or force), W_limit.
#
# What is there and nowhere else is never overwritten: git's two-way merge
# refuses it, --rebase puts commits on top of the new state, --force keeps all of
# it under refs/bivy/kept first. Whatever is cut off can be repeated.
bivy_need_git
W_parent=${W_dir%/*}
W_store=$W_parent/.store-$W_format.git
W_incoming=$W_parent/.in-$W_id.$$
W_stage=$W_parent/.new-$W_id.$$
W_git=
W_object=
[ "$W_format" = sha1 ] || W_object=--object-format=$W_format

# A process less each time: what is not there need not be removed.
bivy_clean() {
  for W_one in "$W_incoming" ${W_git:+"$W_git/bivy/index.$$" "$W_git/bivy/merge.$$" "$W_git/bivy/whole.$$"}; do
    [ ! -e "$W_one" ] || rm -rf "$W_one"
  done
  [ ! -d "$W_stage" ] || { rm -rf "$W_stage"; bivy_git -C "$W_dir" worktree prune; }
  bivy_unlock
} 2>/dev/null
trap bivy_clean EXIT
trap 'exit 1' HUP INT TERM

[ -d "$W_dir" ] && [ ! -L "$W_dir" ] || bivy_trouble gone
bivy_lock "$W_parent" "${W_dir##*/}"
cd -P -- "$W_dir" || bivy_trouble gone

# Says what stands in the way: the words of git, and all that is there.
bivy_refuse() {
  [ -z "$2" ] || printf '%s\n' "$2" | sed -n 's/^\(error\|fatal\): //; s/^[^ ]/clash=&/p; s/^	/clash=/p' | sed -n "1,${W_limit}p"
  (bivy_inspect)
  bivy_trouble "$1"
}

# One git answers three questions, a line each; it finds no HEAD where nothing
# was ever committed.
W_words=$(bivy_git rev-parse --show-prefix --absolute-git-dir HEAD 2>/dev/null) || bivy_refuse work 'error: there is no repository with commits any more'
{
  read -r W_prefix
  read -r W_git
  read -r W_head
} <<E
$W_words
E
[ -z "$W_prefix" ] || bivy_refuse work 'error: there is no repository any more'
[ -d "$W_git/bivy" ] || mkdir -p "$W_git/bivy" || bivy_trouble mkdir
for W_one in MERGE_HEAD CHERRY_PICK_HEAD REVERT_HEAD rebase-merge rebase-apply; do
  [ ! -e "$W_git/$W_one" ] || bivy_refuse work "error: a merge or rebase is going on there ($W_one)"
done
for W_one in "$W_parent/.in-$W_id".* "$W_parent/.new-$W_id".*; do
  [ ! -d "$W_one" ] || { rm -rf "$W_one"; bivy_git worktree prune; }
done

# Has the branch commits of its own?
W_own=0
case $W_sent in
  *" $W_head "*) ;;
  *)
    W_known=
    for W_one in $W_sent; do
      if bivy_git cat-file -e "$W_one^{commit}" 2>/dev/null; then W_known="$W_known $W_one"; fi
    done
    W_own=$(bivy_git rev-list --count HEAD --not $W_known --) || bivy_refuse work 'error: its commits cannot be read'
    ;;
esac
[ "$W_own" = 0 ] || [ "$W_mode" != plain ] || bivy_refuse work ''

bivy_shallow "$W_git/shallow" $W_shallow
if [ "$W_pack" = 1 ]; then
  bivy_make_store
  bivy_take_pack
  # In this order: the index makes the pack visible.
  bivy_link "$W_git/objects/pack" "$W_store/objects/pack/pack-$W_sum.pack" "$W_store/objects/pack/pack-$W_sum.idx" || bivy_trouble pack
elif ! bivy_git cat-file -e "$W_new^{tree}" 2>/dev/null; then
  bivy_link_all "$W_store/objects" "$W_git/objects" || bivy_trouble pack
fi

# The files as they are, in an index of our own: W_index, and W_tree its tree.
# Of what is ignored, that counts which the new state has too.
bivy_as_it_is() {
  W_index=$W_git/bivy/index.$$
  [ ! -f "$W_git/index" ] || cp -p "$W_git/index" "$W_index"
  # What git cannot take (a repository inside without commits, a file that is not
  # readable) stays as it is: nothing is written over what is in no index.
  bivy_indexed "$W_index" add --all --ignore-errors -- : 2>/dev/null
  bivy_git ls-tree -r -z --name-only "$W_new" |
    bivy_indexed "$W_index" update-index --add --remove -z --stdin 2>/dev/null
  W_tree=$(bivy_indexed "$W_index" write-tree)
}

# Puts our index in the place of the workspace's, as git would: under its lock.
bivy_take_index() {
  ln "$W_index" "$W_git/index.lock" 2>/dev/null || bivy_trouble git_busy
  mv "$W_git/index.lock" "$W_git/index"
}

# Goes from the files as they are to commit $1, keeping what only they have. An
# earlier attempt may have left files in their new state already, and somebody
# may have made the same change: so three states are merged, file by file.
bivy_settle() {
  bivy_merge "$1"
  if [ -n "$W_words" ] && [ -n "$W_cut" ]; then
    bivy_mend "$1"
    bivy_merge "$1"
  fi
  [ -z "$W_words" ] || return 1
  W_both=$(bivy_indexed "$W_merge" write-tree) &&
    W_words=$(trap '' HUP INT TERM; bivy_indexed "$W_index" read-tree -m -u "$W_tree" "$W_both" 2>&1) || return 1
  # What was added there only is untracked again, or staged, as it was.
  bivy_git read-tree -i -m "$W_head" "$1" 2>/dev/null || bivy_git read-tree "$1"
}

# Merges the three into the index W_merge. W_words names what does not fit.
bivy_merge() {
  W_merge=$W_git/bivy/merge.$$
  rm -f "$W_merge"
  W_words='error: the files cannot be read'
  bivy_as_it_is || return 1
  W_words=$(bivy_indexed "$W_merge" read-tree -i -m --aggressive "$W_head^{tree}" "$W_tree" "$1^{tree}" 2>&1) || return 1
  W_words=$(bivy_indexed "$W_merge" ls-files -u | sed 's/^[^	]*	/error: changed on both sides: /' | sort -u)
}

# git writes a file in its place, so one that was killed in the middle leaves it
# without its end, or gone. Where a move was cut off, such files among those that
# do not fit get the content that they were to have: all of what they hold is in
# it.
bivy_mend() {
  W_whole=$W_git/bivy/whole.$$
  mkdir "$W_whole" || return 1
  bivy_indexed "$W_whole/index" read-tree "$1"
  bivy_indexed "$W_merge" diff-files -z --name-only --diff-filter=U |
    bivy_indexed "$W_whole/index" checkout-index -z --stdin --prefix="$W_whole/tree/" 2>/dev/null
  [ ! -d "$W_whole/tree" ] || find "$W_whole/tree" -type f -exec sh -c '
    tree=$1
    shift
    for whole do
      file=.${whole#"$tree"}
      if [ ! -e "$file" ] && [ ! -L "$file" ]; then
        mkdir -p "${file%/*}" && cp -p "$whole" "$file"
        continue
      fi
      [ -f "$file" ] && [ ! -L "$file" ] || continue
      # cmp says so where one of the two is the beginning of the other.
      case $(cmp "$file" "$whole" 2>&1) in *"EOF on $file"*) cp -p "$whole" "$file" ;; esac
    done' sh "$W_whole/tree" {} +
  rm -rf "$W_whole"
}

# Moves the files, then the branch: in between the old state is still the
# branch's, and the same again leads on. The moving of files is not to be
# ended half-way by less than KILL; that there was one is noted.
bivy_move() {
  W_cut=
  [ ! -e "$W_git/bivy/moving" ] || W_cut=1
  : >"$W_git/bivy/moving" || bivy_trouble keep
  W_words=$(trap '' HUP INT TERM; bivy_git read-tree -m -u "$W_head" "$1" 2>&1) || bivy_settle "$1" || {
    [ -n "$W_cut" ] || rm -f "$W_git/bivy/moving"
    case $W_words in *index.lock*) bivy_trouble git_busy ;; esac
    bivy_git cat-file -e "$W_new^{tree}" || bivy_trouble incomplete
    bivy_refuse work "$W_words"
  }
  bivy_git update-ref -m 'bivy sync' HEAD "$1" "$W_head" || bivy_trouble branch
  rm -f "$W_git/bivy/moving"
}

# A name for git where the account has none; it is not made up from the host's.
bivy_somebody() {
  bivy_git var GIT_COMMITTER_IDENT >/dev/null 2>&1 ||
    export GIT_COMMITTER_NAME=bivy GIT_COMMITTER_EMAIL=bivy@bivy.invalid GIT_AUTHOR_NAME=bivy GIT_AUTHOR_EMAIL=bivy@bivy.invalid
}

# What would stand in the way of the included files does so before anything
# moves.
if [ "$W_include" != keep ]; then
  W_words=$(bivy_exclude 2>&1 && bivy_include "$W_include" -n 2>&1) || bivy_refuse included "$W_words"
fi

W_go=$W_new
case $W_mode in
  rebase)
    if [ "$W_own" != 0 ]; then
      # In a directory of its own, so that nobody sees a rebase half done.
      bivy_somebody
      W_base=
      for W_one in $W_known; do
        ! bivy_git merge-base --is-ancestor "$W_one" "$W_head" || W_base=$W_one
      done
      W_merges=
      [ "$(bivy_git rev-list --count --merges "$W_base..$W_head" --)" = 0 ] || W_merges=--rebase-merges
      bivy_git worktree add --quiet --detach "$W_stage" "$W_head" || bivy_trouble worktree
      if ! W_words=$(export GIT_SEQUENCE_EDITOR=: GIT_EDITOR=:; bivy_git -C "$W_stage" -c rebase.autoStash=false -c commit.gpgSign=false \
        rebase --quiet $W_merges --onto "$W_new" "$W_base" 2>&1 </dev/null); then
        W_clash=$(bivy_git -C "$W_stage" diff --name-only --diff-filter=U | sed 's/^/error: conflict in /')
        bivy_git -C "$W_stage" rebase --abort 2>/dev/null
        bivy_refuse conflict "${W_clash:-$W_words}"
      fi
      W_go=$(bivy_git -C "$W_stage" rev-parse HEAD) || bivy_trouble branch
      bivy_git worktree remove --force "$W_stage"
      printf 'rebased=%s\n' "$W_own"
    fi
    bivy_move "$W_go"
    ;;
  force)
    bivy_as_it_is || bivy_trouble keep
    W_keep=
    [ "$W_own" = 0 ] || W_keep=$W_head
    if [ "$W_tree" != "$(bivy_git rev-parse "$W_head^{tree}")" ]; then
      bivy_somebody
      W_keep=$(echo "set aside by bivy sync --force" | bivy_git commit-tree "$W_tree" -p "$W_head") || bivy_trouble keep
    fi
    if [ -n "$W_keep" ]; then
      W_ref=refs/bivy/kept/$(date -u +%Y%m%d-%H%M%S)-$$
      bivy_git update-ref "$W_ref" "$W_keep" || bivy_trouble keep
      printf 'kept=%s\n' "$W_ref"
    fi
    W_words=$(trap '' HUP INT TERM; bivy_indexed "$W_index" read-tree -m -u "$W_tree" "$W_new" 2>&1) || bivy_refuse work "$W_words"
    bivy_take_index
    bivy_git update-ref -m 'bivy sync --force' HEAD "$W_new" "$W_head" || bivy_trouble branch
    ;;
  *) bivy_move "$W_new" ;;
esac
if [ "$W_include" != keep ]; then
  W_words=$(bivy_include "$W_include" 2>&1) || bivy_refuse included "$W_words"
fi
bivy_git -C "$W_store" update-ref "refs/bivy/snapshots/$W_new" "$W_new" 2>/dev/null
printf 'head=%s\n' "$W_go"
