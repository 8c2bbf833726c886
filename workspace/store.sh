# Takes packs into a project's store on the host, and gives their objects to a
# workspace. Set by the caller: W_store, W_object (git init's option for the
# object format, or nothing), W_incoming (a directory of our own, which is
# removed on every end).

# The store appears whole or not at all. Two that make it at once: the second
# finds its rename landed inside the first's, and removes it there.
bivy_make_store() {
  [ ! -d "$W_store" ] || return 0
  mkdir "$W_incoming" || bivy_trouble mkdir
  bivy_git init --quiet --bare --template= $W_object "$W_incoming/store" || bivy_trouble store
  bivy_git -C "$W_incoming/store" config gc.auto 0
  bivy_git -C "$W_incoming/store" config receive.denyDeletes false
  mv "$W_incoming/store" "$W_store" || [ -d "$W_store" ] || bivy_trouble store
  rm -rf "$W_store/store" "$W_incoming"
}

# Takes the pack on stdin. index-pack verifies every object's name. It writes
# into a directory of ours, since what it leaves behind when the disk is full or
# the link is cut must not stay in the store. The index goes last: it makes a
# pack visible. W_sum names the pack afterwards.
bivy_take_pack() {
  mkdir "$W_incoming" || bivy_trouble mkdir
  bivy_git -C "$W_store" index-pack --stdin --fix-thin -o "$W_incoming/p.idx" "$W_incoming/p.pack" >"$W_incoming/name" || bivy_trouble pack
  read -r W_word W_sum <"$W_incoming/name" || bivy_trouble pack
  case $W_sum in ''|*[!0-9a-f]*) bivy_trouble pack ;; esac
  [ -d "$W_store/objects/pack" ] || mkdir -p "$W_store/objects/pack"
  if [ ! -e "$W_store/objects/pack/pack-$W_sum.idx" ]; then
    mv "$W_incoming/p.pack" "$W_store/objects/pack/pack-$W_sum.pack" &&
      mv "$W_incoming/p.idx" "$W_store/objects/pack/pack-$W_sum.idx" || bivy_trouble pack
  fi
  rm -rf "$W_incoming"
}

# Links the files $2… into the directory $1, all in one process, or copies them
# where the file system has no hard links.
bivy_link() {
  W_to=$1
  shift
  [ -e "$1" ] || return 0
  ln "$@" "$W_to/" 2>/dev/null && return
  # Some may have been there before.
  for W_file in "$@"; do
    [ ! -e "$W_to/${W_file##*/}" ] || continue
    ln "$W_file" "$W_to/" 2>/dev/null && continue
    cp "$W_file" "$W_to/.bivy.$$" && mv "$W_to/.bivy.$$" "$W_to/${W_file##*/}" || return 1
  done
}

# Gives all objects of the object directory $1 to $2. Of a pack that arrives
# meanwhile the index is the last to appear; hence it is listed first. What is
# there already is no trouble.
bivy_link_all() {
  mkdir -p "$2/pack" &&
    bivy_link "$2/pack" "$1"/pack/pack-*.idx &&
    bivy_link "$2/pack" "$1"/pack/pack-*.pack || return 1
  for W_loose in "$1"/[0-9a-f][0-9a-f]; do
    [ -d "$W_loose" ] || continue
    mkdir -p "$2/${W_loose##*/}" && bivy_link "$2/${W_loose##*/}" "$W_loose"/[0-9a-f]* || return 1
  done
}

# Notes, in the file $1, the commits $2… whose parents are not here. One that is
# here already has its parents, or is noted.
bivy_shallow() {
  W_to=$1
  shift
  [ $# -gt 0 ] || return 0
  for W_one in "$@"; do
    bivy_git cat-file -e "$W_one^{commit}" 2>/dev/null || printf '%s\n' "$W_one"
  done >"$W_to.new"
  if [ -s "$W_to.new" ]; then
    [ ! -f "$W_to" ] || cat "$W_to" >>"$W_to.new"
    mv "$W_to.new" "$W_to"
  else
    rm -f "$W_to.new"
  fi
}

# Gives the finished tree W_stage its place W_final, under the workspace's lock.
bivy_appear() {
  bivy_held || bivy_trouble lock_lost
  # mv onto a directory that appeared meanwhile would move into it.
  mv "$W_stage" "$W_final" || bivy_trouble rename
  if [ -e "$W_final/${W_stage##*/}" ]; then
    rm -rf "$W_final/${W_stage##*/}"
    bivy_trouble exists
  fi
}
