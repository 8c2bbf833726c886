# Takes a file, or a tree of files. After the three of bivy_begin: PATH, where to;
# NAME, what it is called in a directory, or empty for the content of one; WHAT:
# file, tree, or many, for which PATH must be a directory; LENGTH of the file;
# BIG: 1 where that is much. What arrives goes to a temporary name in the same
# directory and is renamed in the end, and is removed if that does not come: the
# end of stdin means that nobody wants it any more.
#
# The lines on stdin: "fill" and chunks; "size"; "sum"; "room"; "install MODE".
bivy_put() {
  bivy_begin "$1" "$2" "$3"
  shift 3
  F_what=$3 F_length=$4 F_big=$5 F_digest= F_create= F_mode=
  bivy_into "$1" "$2"
  if [ "$F_what" = file ]; then bivy_open_file; else bivy_open_tree; fi
  while read -r F_do F_arg; do
    case $F_do in
      fill) bivy_fill ;;
      size) bivy_size ;;
      sum) bivy_sum ;;
      room) bivy_room ;;
      install) if [ "$F_what" = file ]; then bivy_place; else bivy_place_tree; fi ;;
    esac
  done
  exit 1
}

# F_path, where something called $2 goes that shall go to the path $1: into a
# directory that is there, as with cp and scp, else it gets that name itself.
bivy_into() {
  bivy_path "$1" || bivy_fail
  if [ -d "$F_path" ]; then
    bivy_trim
    [ -z "$2" ] || F_path=${F_path%/}/$2
    return
  fi
  F_at=$F_path F_kind=not_dir
  if [ "$F_what" = many ]; then
    [ -e "$F_path" ] || [ -L "$F_path" ] || bivy_why "$F_path"
    bivy_fail
  fi
  case $F_path in
    */|*/.|*/..)
      bivy_why "$F_path"
      bivy_fail
      ;;
  esac
  F_at= F_kind=
}

# The temporary file is nobody else's while it is not whole, and ours to write,
# whatever the old one's mode is.
bivy_open_file() {
  bivy_follow && bivy_enter || bivy_fail
  bivy_target
  bivy_host
  bivy_sweep
  bivy_temporary
  chmod 600 "$F_tmp" || bivy_fail failed "$F_path"
  bivy_far "${PWD%/}/${F_tmp#./}" "cwd/${F_tmp#./}"
  bivy_say is=open "far=$F_far" "path=$F_path" "umask=$(umask)" "watched=$F_big"
  [ "$F_big" = 1 ] || return 0
  bivy_watch &
  bivy_flushing >/dev/null 2>&1 &
}

# Hashes the file while it arrives, and answers when all of it is there.
bivy_watch() {
  trap - EXIT HUP INT TERM PIPE
  bivy_choose 1
  F_sums=$(bivy_growing <"$F_tmp" | bivy_digest)
  bivy_say is=sum "sum=$F_sums"
}

# What arrives, until so much is there, or the file is not. Each cat goes on where
# the one before found an end, since they share the open file.
bivy_growing() {
  while cat; do
    bivy_measure
    [ "$F_size" != "$F_length" ] || break
    [ -n "$F_size" ] || return
    sleep 0.1 2>/dev/null || sleep 1
  done
  cat
}

# Has the disk take what is there already, so that little is left for the end.
bivy_flushing() {
  trap - EXIT HUP INT TERM PIPE
  while bivy_flush; do sleep 0.5 || sleep 1; done
}

# Of all that POSIX has only dd may know how to make the disk hold a file. The
# redirection fails where there is none; dd itself would make one.
bivy_flush() { dd if=/dev/null conv=fsync 2>/dev/null 1<"$F_tmp"; }

# F_size: that of the temporary file, or empty.
bivy_measure() {
  bivy_lines '' "$F_tmp"
  F_size=${F_lines#* * }
  F_size=${F_size%% *}
  case $F_size in *[!0-9]*) F_size= ;; esac
}

bivy_size() {
  bivy_measure
  bivy_say is=size "to=$F_arg" "size=$F_size"
}

# Whether more would fit, where a program cannot say why it failed.
bivy_room() {
  dd if=/dev/zero bs=65536 count=1 2>/dev/null >>"$F_tmp" || bivy_fail no_space "$F_path"
  bivy_say is=room
}

bivy_fill() {
  if [ "$F_what" = file ]; then
    bivy_chunks >"$F_tmp" || bivy_fail failed "$F_path"
    bivy_say is=filled
  else
    bivy_untar
  fi
}

bivy_sum() {
  [ -n "$F_digest" ] || bivy_choose "$F_big"
  bivy_say is=sum "sum=$(bivy_digest <"$F_tmp")"
}

# The mode is for a new file: an old one's is kept, and its owner if we may.
bivy_place() {
  F_was= F_owner= F_made=
  if [ -e "$F_name" ]; then
    bivy_alike
  else
    F_made=1
    chmod "$F_arg" "$F_tmp" || bivy_fail failed "$F_path"
  fi
  bivy_flush
  bivy_install
  trap - EXIT HUP INT TERM PIPE
  bivy_end is=done "created=$F_made" "owner=$F_owner"
}
