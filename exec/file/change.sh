# Makes directories, renames, removes. After the three of bivy_begin each takes
# what its function says.

# PARENTS: 1 to make those above too, and to be content if it is there; MODE, or
# empty; PATH.
bivy_mkdir() {
  bivy_begin "$1" "$2" "$3"
  F_parents=$4 F_mode=$5
  bivy_path "$6" || bivy_fail
  bivy_trim
  if [ -d "$F_path" ] && [ "$F_parents" = 1 ]; then
    bivy_go || bivy_fail
    bivy_end created=
  fi
  [ ! -e "$F_path" ] && [ ! -L "$F_path" ] || bivy_fail exists "$F_path"
  if [ "$F_parents" = 1 ]; then bivy_parents || bivy_fail; else bivy_enter || bivy_fail; fi
  bivy_host
  bivy_sweep
  if ! mkdir ${F_mode:+-m "$F_mode"} "$F_name"; then
    if [ -d "$F_name" ] && [ "$F_parents" = 1 ]; then bivy_end created=; fi
    [ ! -e "$F_name" ] && [ ! -L "$F_name" ] || bivy_fail exists "$F_path"
    [ -w . ] || bivy_fail denied "$F_path"
    bivy_fail failed "$F_path"
  fi
  bivy_end created=1
}

# OVERWRITE: 1 to replace a file that is there; FROM; TO.
bivy_mv() {
  bivy_begin "$1" "$2" "$3"
  F_over=$4 F_dear=
  bivy_path "$5" && bivy_enter || bivy_fail
  bivy_guard
  [ -e "$F_name" ] || [ -L "$F_name" ] || {
    bivy_why "$F_path"
    bivy_fail
  }
  [ -w . ] || bivy_fail denied "$F_path"
  F_from=${PWD%/}/${F_name#./}
  F_isdir=
  [ ! -d "$F_name" ] || [ -L "$F_name" ] || F_isdir=1
  bivy_path "$6" || bivy_fail
  # A directory may be named with a slash, which no file may.
  case $F_path in */) [ -n "$F_isdir" ] || bivy_fail is_dir "$F_path" ;; esac
  bivy_enter || bivy_fail
  # To say that it exists already would be to advise its removal.
  [ "${PWD%/}/${F_name#./}" != "$F_from" ] || bivy_fail onto_itself "$F_path"
  case $PWD/ in "$F_from"/*) bivy_fail into_itself "$F_path" ;; esac
  [ -w . ] || bivy_fail denied "$F_path"
  if [ -e "$F_name" ] || [ -L "$F_name" ]; then
    [ ! -d "$F_name" ] || [ -L "$F_name" ] || bivy_fail exists "$F_path"
    [ "$F_over" = 1 ] && [ -z "$F_isdir" ] || bivy_fail exists "$F_path"
    # mv would go into what the link leads to.
    if [ -L "$F_name" ] && [ -d "$F_name" ]; then rm -f "$F_name" || bivy_fail failed "$F_path"; fi
  fi
  bivy_host
  bivy_sweep
  bivy_same_disk || bivy_carry
  # mv -f asks nothing. It would go into a directory that appears meanwhile.
  mv -f "$F_from" "$F_name" || bivy_fail failed "$F_path"
  bivy_end ok=1
}

# Whether both are on one file system, where a rename is one step. Who cannot
# tell says yes.
bivy_same_disk() {
  [ "$PWD/" != "${F_from%/*}/" ] || return 0
  F_disks=$(stat -c %d "${F_from%/*}/" . 2>/dev/null) || F_disks=$(stat -f %d "${F_from%/*}/" . 2>/dev/null) || return 0
  [ "${F_disks%%"$F_nl"*}" = "${F_disks#*"$F_nl"}" ]
}

# From another file system it comes as a copy, under a temporary name first, so
# that a copy that was cut off is not taken for the whole.
bivy_carry() {
  F_tmp=./.bivy-tmp-$F_id
  trap 'rm -rf "$F_tmp"' EXIT
  trap 'exit 1' HUP INT TERM PIPE
  cp -RPp "$F_from" "$F_tmp" || bivy_fail failed "$F_path"
  mv -f "$F_tmp" "$F_name" || bivy_fail failed "$F_path"
  trap - EXIT HUP INT TERM PIPE
  rm -rf "$F_from" || bivy_fail failed "$F_from"
  bivy_end ok=1
}

# RECURSIVE: 1 for directories with all that they hold; MISSING: 1 to be content
# if one is not there; BELOW: 1 to refuse what leads out of the root unnoticed;
# paths. All are looked at before the first goes. rm -r does not follow links,
# and a link is removed itself.
bivy_rm() {
  bivy_begin "$1" "$2" "$3"
  F_deep=$4 F_missing=$5 F_below=$6 F_dear=
  shift 6
  bivy_host
  [ "$F_below" != 1 ] || { cd -P -- "$F_root" 2>/dev/null && F_top=${PWD%/}; } || F_below=
  for F_arg; do
    shift
    bivy_path "$F_arg" || bivy_fail
    if ! bivy_enter; then
      [ "$F_missing$F_kind" = 1not_found ] || bivy_fail
      continue
    fi
    bivy_guard
    bivy_noticed "$F_arg" || bivy_fail
    if [ ! -e "$F_name" ] && [ ! -L "$F_name" ]; then
      [ "$F_missing" != 1 ] || continue
      bivy_why "$F_path"
      bivy_fail
    fi
    [ -L "$F_name" ] || [ ! -d "$F_name" ] || [ "$F_deep" = 1 ] || bivy_fail is_dir "$F_path"
    [ -w . ] || bivy_fail denied "$F_path"
    set -- "$@" "${PWD%/}/${F_name#./}"
  done
  F_count=0 F_inside=0
  for F_arg; do
    F_path=$F_arg
    # The directory again, and not the path, so that nothing in it is a link.
    if bivy_enter && [ "${PWD%/}/${F_name#./}" = "$F_arg" ]; then
      if [ "$F_deep" = 1 ]; then rm -rf "$F_name"; else rm -f "$F_name"; fi || bivy_fail failed "$F_arg"
      F_count=$((F_count + 1))
      bivy_sweep
    fi
  done
  bivy_end "removed=$F_count"
}

# Whether who wrote the path $1 sees that it leads to where we stand: it is
# absolute or goes up, or else is below the root.
bivy_noticed() {
  case $F_below$1 in 1/*|1'~'*|1..|1../*|1*/..|1*/../*) return 0 ;; 1*) ;; *) return 0 ;; esac
  case $PWD/ in "$F_top"/*) return 0 ;; esac
  F_kind=outside F_at=$F_path
  return 1
}

# Refuses what nobody means to lose: the root of all, the home directory, the
# root, and what they lie in. A link to one of them is only a link. Where these
# two are is asked once, since it takes a process each.
bivy_guard() {
  [ "$F_name" != . ] || bivy_fail protected /
  [ ! -L "$F_name" ] || return 0
  if [ -z "$F_dear" ]; then
    F_dear=$(cd -P -- "$HOME" 2>/dev/null && pwd -P && echo .) && F_dear=${F_dear%??}/ || F_dear=/
    F_near=$(cd -P -- "$F_root" 2>/dev/null && pwd -P && echo .) && F_near=${F_near%??}/ || F_near=/
  fi
  F_whole=${PWD%/}/${F_name#./}
  case $F_dear in "$F_whole"/*) bivy_fail protected "$F_path" ;; esac
  case $F_near in "$F_whole"/*) bivy_fail protected "$F_path" ;; esac
}
