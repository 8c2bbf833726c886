# The parts of fork.sh.

# What the new workspace $1 is.
bivy_report() {
  printf 'dir=%s\nbranch=%s\nhead=%s\n' "$1" "$(bivy_git -C "$1" symbolic-ref --short -q HEAD)" \
    "$(bivy_git -C "$1" rev-parse -q --verify HEAD || echo)"
}

# Gives the new repository the other's objects. Objects are never changed, so
# both may have one file. What lies in yet another repository, which an agent
# made this one borrow from, is packed.
bivy_copy_objects() {
  W_from=$(bivy_git -C "$W_top" rev-parse --git-path objects) || return
  case $W_from in /*) ;; *) W_from=$W_top/$W_from ;; esac
  W_to_objects=$W_stage/.git/objects
  W_shallow=$(bivy_git -C "$W_top" rev-parse --git-path shallow)
  case $W_shallow in /*) ;; *) W_shallow=$W_top/$W_shallow ;; esac
  [ ! -f "$W_shallow" ] || cp "$W_shallow" "$W_stage/.git/shallow" || return
  if [ -s "$W_from/info/alternates" ]; then
    { [ -z "$W_head" ] || echo "$W_head"; printf '%s\n' "$W_refs" | sed 's/.* //'; } | sed '/^$/d' |
      bivy_git -C "$W_top" pack-objects --revs --quiet "$W_to_objects/pack/pack" >/dev/null
    return
  fi
  bivy_link_all "$W_from" "$W_to_objects"
}

# Makes the new worktree one like the other's, byte for byte: the new repository
# takes in the other worktree as if it were its own, and checks that out. For as
# long no attribute may change a content. Everything is unstaged in the end.
bivy_take_changes() {
  W_info=$W_stage/.git/info
  mkdir -p "$W_info" || bivy_trouble mkdir
  W_theirs=$(bivy_git -C "$W_top" rev-parse --git-path info) || bivy_trouble no_repo
  case $W_theirs in /*) ;; *) W_theirs=$W_top/$W_theirs ;; esac
  [ ! -f "$W_theirs/exclude" ] || cp "$W_theirs/exclude" "$W_info/exclude" || bivy_trouble checkout
  printf '* -text -eol -ident -filter -working-tree-encoding\n' >"$W_info/attributes" || bivy_trouble checkout
  bivy_raw() {
    bivy_git --git-dir="$W_stage/.git" -c core.autocrlf=false -c core.safecrlf=false -c core.fileMode=true -c core.symlinks=true \
      -c advice.addEmbeddedRepo=false -c core.sparseCheckout=false -c core.bare=false "$@"
  }
  # The other one's index, not its HEAD: an ignored file may be staged. What a
  # sparse checkout left out is not deleted.
  bivy_git -C "$W_top" ls-files --stage -z | bivy_raw update-index -z --index-info || bivy_trouble changes
  W_sparse=$W_stage/.git/bivy-sparse
  bivy_git -C "$W_top" ls-files -v -z | bivy_lines | sed -n 's/^[Ss] //p' | while IFS= read -r W_line; do
    bivy_path "$W_line"
    [ -e "$W_top/$W_path" ] || [ -L "$W_top/$W_path" ] || bivy_line "$W_line"
  done | bivy_unlines >"$W_sparse"
  bivy_raw update-index -z --skip-worktree --stdin <"$W_sparse" || bivy_trouble changes
  # git goes to the top of the worktree by itself.
  (cd -P -- "$W_top" && bivy_raw --work-tree=. add --all .) || bivy_trouble changes
  W_git=$(bivy_git -C "$W_top" rev-parse --absolute-git-dir) || bivy_trouble no_repo
  if [ -d "$W_git/bivy/included" ]; then
    mkdir "$W_stage/.git/bivy" && cp -R "$W_git/bivy/included" "$W_stage/.git/bivy/included" &&
      bivy_git -C "$W_stage" update-ref refs/bivy/included "$(bivy_git -C "$W_top" rev-parse refs/bivy/included)" || bivy_trouble checkout
    (cd -P -- "$W_top" && bivy_git_included ls-files -z | bivy_raw --work-tree=. update-index --add --remove -z --stdin) || bivy_trouble changes
  fi
  bivy_raw update-index -z --no-skip-worktree --stdin <"$W_sparse" || bivy_trouble changes
  (cd -P -- "$W_stage" && bivy_raw --work-tree=. -c checkout.workers=0 checkout-index --all --force --quiet) || bivy_trouble checkout
  # Repositories inside are commits to git, and so they are copied as files.
  bivy_raw ls-files --stage | sed -n '/^160000 /p' | sed 's/^[^	]*	//' >"$W_stage/.git/bivy-inside"
  while IFS= read -r W_inside; do
    # A quoted name is none that can be told.
    case $W_inside in '"'*) bivy_trouble nested ;; esac
    [ -e "$W_top/$W_inside/.git" ] || continue
    [ -d "$W_top/$W_inside/.git" ] && [ ! -L "$W_top/$W_inside/.git" ] || bivy_trouble nested
    mkdir -p "$W_stage/$W_inside" && cp -RPp "$W_top/$W_inside/." "$W_stage/$W_inside/" || bivy_trouble changes
  done <"$W_stage/.git/bivy-inside"
  rm -f "$W_info/attributes" "$W_stage/.git/bivy-inside" "$W_sparse"
  [ ! -f "$W_theirs/attributes" ] || cp "$W_theirs/attributes" "$W_info/attributes" || bivy_trouble checkout
  if [ -n "$W_head" ]; then
    bivy_git -C "$W_stage" reset --mixed --quiet || bivy_trouble checkout
  else
    bivy_git -C "$W_stage" read-tree --empty || bivy_trouble checkout
  fi
}
