# Writes a file. After the three of bivy_begin: PATH; the content's length,
# SHA-256 and cksum (as cksum prints it, with the length); MODE, octal, or empty
# for the old file's, or what the umask gives; MATCH: the SHA-256 that the old
# file must have, or empty; CREATE: 1 where there must be no old one; SYNC: 1
# to have the disk hold it; WAIT: tenths of a second to wait for a lock. The
# content is stdin.
#
# It goes to a temporary file in the same directory, is checked there, and is
# renamed. So whoever is cut off, and wherever, leaves the old file or the
# new. A link is followed first: the rename happens at its target.
bivy_write() {
  bivy_begin "$1" "$2" "$3"
  shift 3
  F_length=$2 F_sha=$3 F_sum=$4 F_mode=$5 F_match=$6 F_create=$7 F_sync=$8 F_wait=$9
  bivy_path "$1" || bivy_fail
  case $F_path in */|*/.|*/..) bivy_fail is_dir "$F_path" ;; esac
  [ -n "$F_create" ] || bivy_follow || bivy_fail
  bivy_parents || bivy_fail
  bivy_target
  bivy_host
  bivy_sweep
  bivy_temporary
  F_was= F_owner=
  if [ -e "$F_name" ]; then
    bivy_alike
  elif [ -n "$F_mode" ]; then
    chmod "$F_mode" "$F_tmp" || bivy_fail failed "$F_path"
  fi
  bivy_receive || bivy_fail failed "$F_path"
  [ -z "$F_match" ] || bivy_lock || bivy_fail
  bivy_check
  F_made=
  [ -n "$F_was" ] || F_made=1
  bivy_install
  trap - EXIT HUP INT TERM PIPE
  [ -z "$F_locked$F_create" ] || bivy_clean
  bivy_end "created=$F_made" "checked=$F_checked" "was=$F_was" "owner=$F_owner"
}

# What is there already must be a file, or nothing.
bivy_target() {
  F_at=$F_path
  if [ -n "$F_create" ]; then
    [ ! -e "$F_name" ] && [ ! -L "$F_name" ] || bivy_fail exists
  fi
  [ ! -d "$F_name" ] || bivy_fail is_dir
  [ ! -e "$F_name" ] || [ -f "$F_name" ] || bivy_fail special
  [ -n "$F_create" ] || [ ! -L "$F_name" ] || bivy_fail loop # it became one just now
  [ -w . ] || bivy_fail denied "$PWD"
}

# An empty file that nobody had made before, and which goes with us. It is empty
# until it has the old one's mode. (A shell ends when a redirection of : fails,
# but not for one of true.)
bivy_temporary() {
  F_tmp=./.bivy-tmp-$F_id F_locked=
  trap bivy_clean EXIT
  trap 'exit 1' HUP INT TERM PIPE
  set -C
  true >"$F_tmp" || bivy_fail failed "$F_path"
  set +C
}
bivy_clean() {
  if [ -n "$F_locked" ]; then
    F_locked=
    rm -f "$F_tmp" ./.bivy-lock
  else
    rm -f "$F_tmp"
  fi 2>/dev/null
}

# Gives the temporary file the mode and, if we may, the owner of the old one.
# Most often they are the same already. F_was is the old file's line, F_owner 1
# where it gets another owner.
bivy_alike() {
  bivy_lines '' "$F_name" "$F_tmp"
  F_was=${F_lines%%"$F_nl"*}
  read -r F_form F_m F_s F_t F_u F_g F_rest <<E
$F_was
E
  read -r F_form2 F_m2 F_s F_t F_u2 F_g2 F_rest <<E
${F_lines#*"$F_nl"}
E
  if [ "$F_u:$F_g" != "$F_u2:$F_g2" ]; then
    chown "$F_u:$F_g" "$F_tmp" 2>/dev/null || { chgrp "$F_g" "$F_tmp" 2>/dev/null; [ "$F_u" = "$F_u2" ]; } || F_owner=1
    F_m2= # chown takes bits away
  fi
  [ -n "$F_mode" ] || [ "$F_m" != "$F_m2" ] || return 0
  if [ -z "$F_mode" ]; then
    case $F_form in
      c) F_mode=$(printf %o "$((0x$F_m & 0xfff))") ;;
      f) F_mode=${F_m#??} ;;
      l) bivy_symbolic "$F_m" ;;
    esac
  fi
  chmod "$F_mode" "$F_tmp" || bivy_fail failed "$F_path"
}

# F_mode for chmod from the mode $1 as ls shows it: u=rw,g=r,o=.
bivy_symbolic() {
  F_left=${1#?} F_mode=
  for F_who in u g o; do
    F_bits=
    for F_bit in 1 2 3; do
      F_next=${F_left#?}
      case ${F_left%"$F_next"} in
        s|t) F_bits=${F_bits}x${F_left%"$F_next"} ;;
        S) F_bits=${F_bits}s ;;
        T) F_bits=${F_bits}t ;;
        -) ;;
        *) F_bits=$F_bits${F_left%"$F_next"} ;;
      esac
      F_left=$F_next
    done
    F_mode=$F_mode${F_mode:+,}$F_who=$F_bits
  done
}

# dd is the one POSIX tool that may know how to make the disk hold a file, as
# GNU's, busybox's and FreeBSD's do. One that does not know fails before it reads.
bivy_receive() {
  if [ "${L_length:-0}" != 0 ]; then
    bivy_receive_in_lane
    return
  fi
  if [ "$F_sync" = 1 ] && dd bs=65536 conv=fsync status=none of="$F_tmp"; then return; fi
  cat >"$F_tmp"
}

# In a lane (exec/lane) the next request stands behind the content, so no more
# than that is read. A dd that takes all at once has done so, whatever becomes of
# it then, unless a signal ended it.
bivy_receive_in_lane() {
  L_exit=4
  if [ "$F_sync" = 1 ] && [ -n "$L_sync" ]; then
    bivy_exactly "$L_length" conv=fsync of="$F_tmp"
  else
    bivy_exactly "$L_length" >"$F_tmp"
  fi
  F_status=$?
  case $F_status,$L_dd in
    0,*) L_exit=0 ;;
    *,fullblock) [ "$F_status" -gt 128 ] || L_exit=0 ;;
  esac
  return "$F_status"
}

# There is no file that could be the one which was meant.
bivy_absent() { bivy_end trouble=changed_since "at=$F_path" "want=$F_match" have=; }

# Whether what has arrived is what was sent, and what is replaced is what was
# meant. One process hashes both.
bivy_check() {
  [ -z "$F_match" ] || [ -f "$F_name" ] || bivy_absent
  F_checked=sha256
  if [ -n "$F_match" ]; then
    bivy_hash "$F_tmp" "$F_name" || {
      [ -r "$F_name" ] || bivy_fail denied "$F_path"
      bivy_fail lacks_sha256
    }
  elif bivy_has_hash; then
    return
  elif ! bivy_hash "$F_tmp"; then
    F_checked=cksum
    F_hash=$F_sha
    [ "$(cksum <"$F_tmp")" = "$F_sum" ] || F_hash=
  fi
  [ "$F_hash" = "$F_sha" ] || bivy_fail incomplete "$F_path"
  [ -z "$F_match" ] || [ "$F_hash2" = "$F_match" ] ||
    bivy_end trouble=changed_since "at=$F_path" "want=$F_match" "have=$F_hash2"
}

# The usual case without another shell to catch what is said: a sha256sum that
# finds what it is told to find. Whatever else it does, we look again.
bivy_has_hash() {
  command -v sha256sum >/dev/null 2>&1 && sha256sum -c - >/dev/null 2>&1 <<E
$F_sha  $F_tmp
E
}

# The rename. ln fails where something is there, which mv cannot; a file system
# without hard links gets an empty file first, that nobody else has made. mv and
# ln go into a directory that appeared meanwhile.
bivy_install() {
  F_at=$F_path
  if [ -n "$F_create" ]; then
    if ! ln "$F_tmp" "$F_name" 2>/dev/null; then
      [ ! -e "$F_name" ] && [ ! -L "$F_name" ] || bivy_fail exists
      (set -C; : >"$F_name") 2>/dev/null || bivy_fail exists
      mv -f "$F_tmp" "$F_name" || bivy_fail failed
    fi
  else
    [ -z "$F_match" ] || bivy_holds || bivy_fail busy
    mv -f "$F_tmp" "$F_name" || bivy_fail failed
  fi
  [ -d "$F_name" ] || return 0
  rm -f "$F_name/${F_tmp#./}"
  bivy_fail is_dir
}
