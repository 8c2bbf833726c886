# Makes a workspace: takes the pack from stdin into the project's store, clones
# the store locally with hard links, checks the snapshot out, and renames the
# finished tree into place. Set by the caller: W_root (absolute), W_project,
# W_name, W_id, W_format, W_snapshot, W_branch, W_pack (1: a pack follows on
# stdin). Everything unfinished lies in two directories that carry W_id, so
# that it belongs to this workspace only, and that are removed on every end.
bivy_need_git
W_dir=$W_root/$W_project
W_store=$W_dir/.store-$W_format.git
W_stage=$W_dir/.new-$W_id
W_incoming=$W_dir/.in-$W_id
W_final=$W_dir/$W_name

bivy_clean() { rm -rf "$W_stage" "$W_incoming"; }
trap bivy_clean EXIT
trap 'exit 1' HUP INT TERM

mkdir -p "$W_dir" || bivy_trouble mkdir
bivy_clean
[ ! -e "$W_final" ] && [ ! -L "$W_final" ] || bivy_trouble exists

# The store appears whole or not at all. Two that make it at once: the second
# finds its rename landed inside the first's, and removes it there.
if [ ! -d "$W_store" ]; then
  mkdir "$W_incoming" || bivy_trouble mkdir
  bivy_git init --quiet --bare --template= --object-format="$W_format" "$W_incoming/store" || bivy_trouble store
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

# The store has no branches, so the clone gets its objects and nothing else:
# no remote, no ref, no template hooks.
bivy_git clone --quiet --local --no-checkout --no-tags --origin bivy --template= "$W_store" "$W_stage" 2>/dev/null || bivy_trouble clone
bivy_git -C "$W_stage" remote remove bivy
bivy_git -C "$W_stage" update-ref --no-deref HEAD "$W_snapshot" 2>/dev/null
bivy_git -C "$W_stage" update-ref "refs/heads/$W_branch" "$W_snapshot" &&
  bivy_git -C "$W_stage" symbolic-ref HEAD "refs/heads/$W_branch" || bivy_trouble branch
bivy_git -C "$W_stage" -c checkout.workers=0 reset --hard --quiet || bivy_trouble checkout

# mv onto a directory that appeared meanwhile would move into it.
mv "$W_stage" "$W_final" || bivy_trouble rename
if [ -e "$W_final/.new-$W_id" ]; then
  rm -rf "$W_final/.new-$W_id"
  bivy_trouble exists
fi
printf 'dir=%s\n' "$W_final"
