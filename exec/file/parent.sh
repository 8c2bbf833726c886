# For operations that change a directory: its parents are made, and what killed
# operations left in it is removed.

# Goes to the directory of F_path, which is made where it is missing.
bivy_parents() {
  F_dir=${F_path%/*}/
  if [ ! -d "$F_dir" ]; then
    # Nothing is made for the sake of a file that is not there.
    [ -z "$F_match" ] || bivy_absent
    if [ "$F_inside" = 1 ]; then bivy_make_inside; else bivy_make "$F_dir"; fi || return
  fi
  bivy_enter
}

# Makes the directory $1 and those above. Where that fails, the nearest one that
# is there tells why.
bivy_make() {
  mkdir -p "$1" && return
  F_kind=failed F_at=$1
  F_up=$1
  while [ ! -e "$F_up" ] && [ ! -L "$F_up" ]; do
    case $F_up in ?*/) F_up=${F_up%/} ;; */*) F_up=${F_up%/*}/ ;; *) return 1 ;; esac
  done
  if [ ! -d "$F_up" ]; then F_kind=not_dir F_at=$F_up
  elif [ ! -w "$F_up" ] || [ ! -x "$F_up" ]; then F_kind=denied F_at=$F_up; fi
  return 1
}

# The same below the root: from the nearest directory that is there, which must
# be inside. mkdir -p would make a/.. and go on above it.
bivy_make_inside() {
  F_rest= F_up=${F_dir%/}
  while [ ! -e "$F_up" ] && [ ! -L "$F_up" ]; do
    F_rest=${F_up##*/}/$F_rest F_up=${F_up%/*}
    [ -n "$F_up" ] || F_up=/
    case $F_rest in
      ../*)
        F_kind=outside F_at=$F_path
        return 1
        ;;
    esac
  done
  F_keep=$F_path F_path=$F_up/
  bivy_go && bivy_make "./$F_rest" || return
  F_path=$PWD/$F_rest${F_keep##*/}
}

# F_host: this system since its last start. Without /proc only its name.
bivy_host() {
  F_host= F_boot=
  { read -r F_host </proc/sys/kernel/hostname && read -r F_boot </proc/sys/kernel/random/boot_id; } 2>/dev/null ||
    F_host=$(uname -n)
  case $F_host in ''|*[!A-Za-z0-9._-]*) F_host=host ;; esac
  F_id=${F_mark#?}
  F_id=$$-${F_id%?}-$F_host:${F_boot%%-*}
}

# Whether the owner $1 of a file of ours is gone: PID-NUMBER-HOST:BOOT. It is if
# this host has started again since, or has no such process.
bivy_gone() {
  F_pid=${1%%-*} F_of=${1#*-*-}
  case $F_pid in ''|*[!0-9]*) return 1 ;; esac
  [ "${F_of%:*}" = "$F_host" ] || return 1
  [ "${F_of##*:}" = "${F_boot%%-*}" ] || return 0
  ! kill -0 "$F_pid" 2>/dev/null && [ ! -d "/proc/$F_pid" ]
}

# Removes what an operation left here that was killed. What another host left,
# which shares this directory, goes after two days. A directory must be our own:
# in that of somebody else a link may appear while it is emptied.
bivy_sweep() {
  for F_old in ./.bivy-tmp-*; do
    [ -f "$F_old" ] || { [ -d "$F_old" ] && [ ! -L "$F_old" ] && [ -O "$F_old" ]; } || continue
    if bivy_gone "${F_old#./.bivy-tmp-}" || [ -n "$(find "$F_old" -prune -mtime +1 2>/dev/null)" ]; then
      rm -rf "$F_old"
    fi
  done
  [ ! -e ./.bivy-lock ] || bivy_unlock_dead
}
