# What put.sh does with a tree.

# A tree is staged in the directory that it shall go into, or beside the name
# that it shall get.
bivy_open_tree() {
  command -v tar >/dev/null 2>&1 || bivy_fail lacks_tar
  bivy_trim
  F_merge=
  if [ -d "$F_path" ]; then
    F_merge=1
    bivy_go || bivy_fail
  else
    [ ! -e "$F_path" ] && [ ! -L "$F_path" ] || bivy_fail not_dir "$F_path"
    bivy_enter || bivy_fail
  fi
  [ -w . ] || bivy_fail denied "$PWD"
  bivy_host
  bivy_sweep
  F_tmp=./.bivy-tmp-$F_id
  F_tree=$F_tmp/.bivy-tree-$F_id
  trap 'rm -rf "$F_tmp"' EXIT
  trap 'exit 1' HUP INT TERM PIPE
  mkdir -m 700 "$F_tmp" && mkdir -m 700 "$F_tree" || bivy_fail failed "$F_path"
  bivy_choose 1
  bivy_branch
  bivy_say is=open "path=$F_path" "umask=$(umask)" "digest=$F_digest"
}

# What comes is hashed on its way to tar, where there is a branch for that. The
# ends of both are told through files, since they are in other processes.
bivy_untar() {
  F_sums=
  if [ -n "$F_branch" ]; then
    F_sums=$({ bivy_unchunk | tee "$F_branch" 6>&4 | bivy_extract >&2; } 4>&1 | bivy_digest)
  else
    bivy_unchunk | bivy_extract >&2
  fi
  if [ ! -e "$F_tmp/arrived" ] || [ ! -e "$F_tmp/extracted" ]; then
    # tar does not always say that there is no space.
    dd if=/dev/zero bs=65536 count=1 of="$F_tmp/room" 2>/dev/null || bivy_fail no_space "$F_path"
    bivy_fail failed "$F_path"
  fi
  bivy_say is=sum "sum=$F_sums"
}

bivy_unchunk() { bivy_chunks && : >"$F_tmp/arrived"; }

# A tar that stops at the end of the archive leaves what fills it up.
bivy_extract() {
  (unset TAR_OPTIONS; cd "$F_tree" && exec tar -xf - 4>&-) && : >"$F_tmp/extracted" && cat >/dev/null
}

bivy_place_tree() {
  if [ -n "$F_merge" ]; then
    bivy_merge
  else
    chmod "$F_arg" "$F_tree" && mv "$F_tree" "$F_name" || bivy_fail failed "$F_path"
    # mv goes into a directory that appeared meanwhile.
    if [ -e "$F_name/${F_tree##*/}" ]; then
      rm -rf "$F_name/${F_tree##*/}"
      bivy_fail exists "$F_path"
    fi
  fi
  bivy_end is=done
}

# Nothing is begun that cannot be done. Then all that has no counterpart is
# renamed as a whole, and the files of directories that are on both sides, each
# over the one of its name. What hangs up meanwhile does not stop it.
bivy_merge() {
  F_top=$PWD
  F_clash=$(cd "$F_tree" && find . -exec sh -c "$F_compare" sh "$F_top" {} + | head -n 1)
  [ -z "$F_clash" ] || bivy_fail "${F_clash%% *}" "${F_top%/}/${F_clash#* ./}"
  trap '' HUP INT TERM PIPE
  cd "$F_tree" || bivy_fail failed "$F_path"
  find . -type d ! -name . -exec sh -c '[ ! -d "$1/$2" ] && mv "$2" "$1/$2"' sh "$F_top" {} \; -prune
  find . -type d -exec sh -c "$F_move" sh "$F_top" {} +
  F_left=$(find . ! -type d | head -n 1)
  cd "$F_top" || bivy_fail failed "$F_path"
  [ -z "$F_left" ] || bivy_fail failed "${F_top%/}/${F_left#./}"
}

# Names what cannot take the place of what is there. A link is not followed: it
# gives way to a file, and to no directory.
F_compare='
top=$1
shift
for e; do
  t=$top/$e
  [ -e "$t" ] || [ -L "$t" ] || continue
  if [ -d "$e" ] && [ ! -L "$e" ]; then
    if [ -L "$t" ] || [ ! -d "$t" ]; then printf "not_dir %s\n" "$e"
    elif [ ! -w "$t" ] || [ ! -x "$t" ]; then printf "denied %s\n" "$e"
    fi
  elif [ ! -L "$t" ]; then
    if [ -d "$t" ]; then printf "is_dir %s\n" "$e"
    elif [ ! -f "$t" ]; then printf "special %s\n" "$e"
    fi
  fi
done
'
# (The pair of quotes hides braces that find would count.)
F_move='
top=$1
shift
for d; do
  (cd "$d" && find . ! -name . -prune ! -type d -exec sh -c "to=\$1; shift; exec mv -f \"\$@\" \"\$to/\"" sh "$top/$d" {""} +)
done
'
