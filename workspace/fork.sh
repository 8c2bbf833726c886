# Makes a workspace of another one's commits, and of its changes if they are
# wanted. Set by the caller: W_dir (the other one), W_parent, W_name, W_id and
# W_branch of the new one, W_names (both names, for the lock), W_dirty (1: with
# its changes). The other one is only read: what git needs to write, it writes
# into the new repository.
bivy_need_git
W_stage=$W_parent/.new-$W_id.$$
W_final=$W_parent/$W_name
bivy_clean() {
  W_code=$?
  rm -rf "$W_stage" 2>/dev/null
  bivy_unlock
  return "$W_code"
}
trap bivy_clean EXIT
trap 'exit 1' HUP INT TERM
[ -d "$W_parent" ] || bivy_trouble gone
bivy_lock "$W_parent" $W_names
rm -rf "$W_parent/.new-$W_id".* 2>/dev/null
if [ -e "$W_final" ] || [ -L "$W_final" ]; then
  # Ours is one that was finished when we could not hear it any more.
  if [ -d "$W_final" ] && [ ! -L "$W_final" ] && read -r W_mark <"$W_final/.git/bivy-id" && [ "$W_mark" = "$W_id" ]; then
    bivy_report "$W_final"
    exit 0
  fi 2>/dev/null
  bivy_trouble exists
fi
[ -d "$W_dir" ] && [ ! -L "$W_dir" ] || bivy_trouble gone
W_top=$(cd -P -- "$W_dir" && pwd -P && echo .) || bivy_trouble gone
W_top=${W_top%??}
W_prefix=$(bivy_git -C "$W_top" rev-parse --show-prefix 2>/dev/null) && [ -z "$W_prefix" ] || bivy_trouble no_repo
W_object=
# git before 2.28 knows no formats, and needs to know none for SHA-1.
W_format=$(bivy_git -C "$W_top" rev-parse --show-object-format 2>/dev/null)
case $W_format in ''|sha1|--*) ;; *) W_object=--object-format=$W_format ;; esac
W_head=$(bivy_git -C "$W_top" rev-parse -q --verify 'HEAD^{commit}') || W_head=
W_refs=$(bivy_git -C "$W_top" for-each-ref --format='create %(refname) %(objectname)' refs/heads) || bivy_trouble clone

bivy_git init --quiet --template= $W_object "$W_stage" || bivy_trouble clone
bivy_sign "$W_stage" || bivy_trouble clone
bivy_copy_objects || bivy_trouble clone
[ -z "$W_refs" ] || printf '%s\n' "$W_refs" | bivy_git -C "$W_stage" update-ref --stdin || bivy_trouble branch
# The other one may have a branch of that name already, or one below it.
W_on=
for W_try in "$W_branch" "$W_branch-fork" "$W_branch-$W_id"; do
  if [ -z "$W_head" ]; then
    ! bivy_git -C "$W_stage" rev-parse -q --verify "refs/heads/$W_try" >/dev/null || continue
  elif [ "$(bivy_git -C "$W_stage" rev-parse -q --verify "refs/heads/$W_try")" != "$W_head" ]; then
    bivy_git -C "$W_stage" update-ref "refs/heads/$W_try" "$W_head" "$(printf "%0${#W_head}d" 0)" 2>/dev/null || continue
  fi
  W_on=$W_try
  break
done
[ -n "$W_on" ] && bivy_git -C "$W_stage" symbolic-ref HEAD "refs/heads/$W_on" || bivy_trouble branch
# Objects that a gc in the other one took away meanwhile are missed here.
bivy_git -C "$W_stage" rev-list --objects --all >/dev/null || bivy_trouble incomplete

if [ "$W_dirty" = 1 ]; then
  bivy_take_changes
elif [ -n "$W_head" ]; then
  bivy_git -C "$W_stage" -c checkout.workers=0 reset --hard --quiet || bivy_trouble checkout
fi

bivy_appear
bivy_report "$W_final"
