# Makes a workspace: takes the pack from stdin into the project's store, hard-links
# the store's objects into a new repository, checks the snapshot out, and renames the
# finished tree into place. Behind bivy_look, which has made W_root absolute; the
# caller answers it with a line on stdin: "pack", with the pack behind it, "none"
# where nothing is missing, or "stop". Set by the caller: W_root, W_project,
# W_name, W_id, W_format, W_snapshot, W_branch, W_shallow (those of its history
# whose parents are not sent), W_include (the tree of the included files, or
# nothing), W_exclude (lines for info/exclude). Everything unfinished lies in two
# directories that carry W_id, so that it belongs to this workspace only, and our
# pid, since an attempt that was cut off may clean up after itself while the next
# one works. They are removed on every end.
printf 'ready=1\n'
read -r W_pack || exit 1
case $W_pack in pack|none) ;; *) exit 0 ;; esac
W_dir=${W_root%/}/$W_project
W_store=$W_dir/.store-$W_format.git
W_stage=$W_dir/.new-$W_id.$$
W_incoming=$W_dir/.in-$W_id.$$
W_final=$W_dir/$W_name

# Silent: the last line on stderr is the one that says what went wrong.
bivy_clean() {
  rm -rf "$W_stage" "$W_incoming"
  bivy_unlock
} 2>/dev/null
trap bivy_clean EXIT
trap 'exit 1' HUP INT TERM

# git before 2.28 knows no formats, and needs to know none for SHA-1.
W_object=
[ "$W_format" = sha1 ] || W_object=--object-format=$W_format

mkdir -p "$W_dir" || bivy_trouble mkdir
bivy_lock "$W_dir" "$W_name"
rm -rf "$W_dir/.new-$W_id".* "$W_dir/.in-$W_id".* 2>/dev/null
[ ! -e "$W_final" ] && [ ! -L "$W_final" ] || bivy_trouble exists

bivy_make_store
[ "$W_pack" != pack ] || bivy_take_pack
bivy_git -C "$W_store" cat-file -e "$W_snapshot^{tree}" || bivy_trouble incomplete
bivy_git -C "$W_store" update-ref "refs/bivy/snapshots/$W_snapshot" "$W_snapshot" || bivy_trouble store

# No clone: git 2.39 makes a SHA-1 repository of any store without branches.
# So there is no remote either, no ref and no hook.
bivy_git init --quiet --template= $W_object "$W_stage" || bivy_trouble clone
bivy_link_all "$W_store/objects" "$W_stage/.git/objects" || bivy_trouble clone
[ -z "$W_shallow" ] || printf '%s\n' $W_shallow >"$W_stage/.git/shallow" || bivy_trouble clone
bivy_git -C "$W_stage" update-ref "refs/heads/$W_branch" "$W_snapshot" &&
  bivy_git -C "$W_stage" symbolic-ref HEAD "refs/heads/$W_branch" || bivy_trouble branch
bivy_git -C "$W_stage" -c checkout.workers=0 reset --hard --quiet || bivy_trouble checkout
if [ -n "$W_include" ]; then
  (cd "$W_stage" && W_git=$W_stage/.git && bivy_exclude && bivy_include "$W_include") || bivy_trouble checkout
fi

bivy_sign "$W_stage" || bivy_trouble clone
bivy_appear
printf 'dir=%s\n' "$W_final"
