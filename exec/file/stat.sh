# Looks at paths. After the three of bivy_begin: -L to follow links, or empty;
# then the paths. The body: a word for each path, ok or why not, with spaces
# between; the lines of bivy_lines for those that are ok; what the links among
# them say. Each part ends with a NUL. In between we move to other directories,
# so what is kept is absolute.
bivy_stat() {
  bivy_begin "$1" "$2" "$3"
  F_flag=$4
  shift 4
  F_words=
  for F_arg; do
    shift
    bivy_one "$F_arg"
    F_words="$F_words ${F_kind:-ok}"
    [ -n "$F_kind" ] || set -- "$@" "$F_file"
  done
  F_lines=
  [ $# = 0 ] || bivy_lines "$F_flag" "$@"
  bivy_put "${F_words# }"
  bivy_put "$F_lines"
  [ -n "$F_flag" ] || bivy_targets "$@"
  bivy_end ok=1
}

# F_file for the path $1, or F_kind.
bivy_one() {
  F_kind=
  bivy_path "$1" || return
  F_file=$F_path
  if [ "$F_inside" = 1 ]; then
    bivy_trim
    [ -z "$F_flag" ] || bivy_follow || return
    if [ -d "$F_path" ] && [ ! -L "$F_path" ]; then
      # The root itself is inside, though its parent is not.
      bivy_go || return
      F_file=$PWD
    else
      bivy_enter || return
      F_file=${PWD%/}/${F_name#./}
    fi
  fi
  [ -e "$F_file" ] || { [ -z "$F_flag" ] && [ -L "$F_file" ]; } || bivy_why "$F_path"
}
