# Lists a directory. After the three of bivy_begin: PATH; DEPTH, or empty for
# all; CAP: how many bytes may come; BATCH: the text of lines.sh and of
# bivy_batch below, for the shells that find starts; then words for find. It
# does not follow links. The body: for each batch the field "b" with the number
# of its entries, their names, their lines, and NUMBER:TARGET for the links
# among them; in the end "e" with the status of find, unless CAP cut it off.
bivy_list() {
  bivy_begin "$1" "$2" "$3"
  F_depth=$5 F_most=$6 F_batch=$7
  bivy_path "$4" && bivy_go || bivy_fail
  [ -r . ] || bivy_fail denied "$F_path"
  shift 7
  [ -z "$F_depth" ] || set -- -maxdepth "$F_depth" "$@"
  {
    find . -mindepth 1 "$@" -exec sh -c "$F_batch" sh {} +
    printf 'e%s\0' "$?"
  } | bivy_cap "$F_most"
  bivy_end ok=1
}
