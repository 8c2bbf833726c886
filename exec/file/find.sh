# Finds files whose names may match; the other side decides. After the three of
# bivy_begin: PATH; CAP: how many bytes may come; IGNORED: 1 to find what git
# ignores, too; NUMBER of git's pathspecs; these; then words for find. The body:
# "g" or "f" for who answers, names, and "e" with a status, unless CAP cut it
# off. git's names stand behind a letter and a space: H in the index, ? not, R
# in the index but not there.
bivy_find() {
  bivy_begin "$1" "$2" "$3"
  F_most=$5 F_ignored=$6 F_specs=$7
  bivy_path "$4" && bivy_go || bivy_fail
  [ -r . ] || bivy_fail denied "$F_path"
  shift 7
  {
    if [ "$F_ignored" != 1 ] && bivy_in_git; then
      bivy_find_git "$@"
    else
      shift "$F_specs"
      printf 'f\0'
      find . -name .git -prune -o ! -type d "$@" -exec printf '%s\0' {} +
    fi
    printf 'e%s\0' "$?"
  } | bivy_cap "$F_most"
  bivy_end ok=1
}

# The words for find are dropped by turning the pathspecs around to the end.
bivy_find_git() {
  F_rest=$(($# - F_specs))
  while [ "$F_specs" -gt 0 ]; do
    set -- "$@" "$1"
    shift
    F_specs=$((F_specs - 1))
  done
  shift "$F_rest"
  printf 'g\0'
  bivy_git ls-files -z -t -c -o -d --exclude-standard -- "$@"
}
