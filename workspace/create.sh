# Makes a workspace: takes the pack from stdin into the project's store, hard-links
# the store's objects into a new repository, checks the snapshot out, and renames the
# finished tree into place. Set by the caller: W_root (absolute), W_project,
# W_name, W_id, W_format, W_snapshot, W_branch, W_pack (1: a pack follows on
# stdin). Everything unfinished lies in two directories that carry W_id, so
# that it belongs to this workspace only, and our pid, since an attempt that was
# cut off may clean up after itself while the next one works. They are removed
# on every end.
bivy_need_git
W_dir=$W_root/$W_project
W_store=$W_dir/.store-$W_format.git
W_stage=$W_dir/.new-$W_id.$$
W_incoming=$W_dir/.in-$W_id.$$
W_final=$W_dir/$W_name

# Silent: the last line on stderr is the one that says what went wrong.
bivy_clean() { rm -rf "$W_stage" "$W_incoming" 2>/dev/null; }
trap bivy_clean EXIT
trap 'exit 1' HUP INT TERM

# git before 2.28 knows no formats, and needs to know none for SHA-1.
W_object=
[ "$W_format" = sha1 ] || W_object=--object-format=$W_format

mkdir -p "$W_dir" || bivy_trouble mkdir
rm -rf "$W_dir/.new-$W_id".* "$W_dir/.in-$W_id".* 2>/dev/null
[ ! -e "$W_final" ] && [ ! -L "$W_final" ] || bivy_trouble exists

# The store appears whole or not at all. Two that make it at once: the second
# finds its rename landed inside the first's, and removes it there.
if [ ! -d "$W_store" ]; then
  mkdir "$W_incoming" || bivy_trouble mkdir
  bivy_git init --quiet --bare --template= $W_object "$W_incoming/store" || bivy_trouble store
  bivy_git -C "$W_incoming/store" config gc.auto 0
  bivy_git -C "$W_incoming/store" config receive.denyDeletes false
  mv "$W_incoming/store" "$W_store" || [ -d "$W_store" ] || bivy_trouble store
  rm -rf "$W_store/store" "$W_incoming"
fi

# index-pack verifies every object's name. It writes into a directory of this
# workspace's, since what it leaves behind when the disk is full or the link is
# cut must not stay in the store. The index goes last: it makes a pack visible.
if [ "$W_pack" = 1 ]; then
  mkdir "$W_incoming" || bivy_trouble mkdir
  bivy_git -C "$W_store" index-pack --stdin --fix-thin -o "$W_incoming/p.idx" "$W_incoming/p.pack" >"$W_incoming/name" || bivy_trouble pack
  read -r W_word W_sum <"$W_incoming/name" || bivy_trouble pack
  case $W_sum in ''|*[!0-9a-f]*) bivy_trouble pack ;; esac
  mkdir -p "$W_store/objects/pack"
  if [ ! -e "$W_store/objects/pack/pack-$W_sum.idx" ]; then
    mv "$W_incoming/p.pack" "$W_store/objects/pack/pack-$W_sum.pack" &&
      mv "$W_incoming/p.idx" "$W_store/objects/pack/pack-$W_sum.idx" || bivy_trouble pack
  fi
  rm -rf "$W_incoming"
fi
bivy_git -C "$W_store" cat-file -e "$W_snapshot^{tree}" || bivy_trouble incomplete
bivy_git -C "$W_store" update-ref "refs/bivy/snapshots/$W_snapshot" "$W_snapshot" || bivy_trouble store

# Links the files $2… into the directory $1, all in one process, or copies them
# where the file system has no hard links.
bivy_link() {
  W_to=$1
  shift
  [ -e "$1" ] || return 0
  ln "$@" "$W_to/" 2>/dev/null && return
  for W_file in "$@"; do rm -f "$W_to/${W_file##*/}"; done
  cp "$@" "$W_to/"
}
# No clone: git 2.39 makes a SHA-1 repository of any store without branches.
# So there is no remote either, no ref and no hook. Of a pack that arrives
# meanwhile the index is the last to appear; hence it is listed first.
bivy_git init --quiet --template= $W_object "$W_stage" || bivy_trouble clone
W_objects=$W_stage/.git/objects
mkdir -p "$W_objects/pack" &&
  bivy_link "$W_objects/pack" "$W_store"/objects/pack/pack-*.idx &&
  bivy_link "$W_objects/pack" "$W_store"/objects/pack/pack-*.pack || bivy_trouble clone
for W_loose in "$W_store"/objects/[0-9a-f][0-9a-f]; do
  [ -d "$W_loose" ] || continue
  mkdir -p "$W_objects/${W_loose##*/}" && bivy_link "$W_objects/${W_loose##*/}" "$W_loose"/* || bivy_trouble clone
done
bivy_git -C "$W_stage" update-ref "refs/heads/$W_branch" "$W_snapshot" &&
  bivy_git -C "$W_stage" symbolic-ref HEAD "refs/heads/$W_branch" || bivy_trouble branch
bivy_git -C "$W_stage" -c checkout.workers=0 reset --hard --quiet || bivy_trouble checkout

# mv onto a directory that appeared meanwhile would move into it.
mv "$W_stage" "$W_final" || bivy_trouble rename
if [ -e "$W_final/${W_stage##*/}" ]; then
  rm -rf "$W_final/${W_stage##*/}"
  bivy_trouble exists
fi
printf 'dir=%s\n' "$W_final"
