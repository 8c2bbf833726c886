# One batch of grep.sh where grep knows no --null: first the names of the files
# that match, then each of them, with its name before every line. A name with a
# newline would be two, so those files are asked alone. Binary files are those
# with a NUL in their first 8000 bytes.
F_kind=$1 F_case=$2 F_lines=$3 F_pattern=$4
shift 4
F_nl='
'
bivy_print() {
  [ "$(dd if="$1" bs=8000 count=1 2>/dev/null | tr -cd '\000' | wc -c)" -eq 0 ] || return 0
  grep -n $F_kind $F_case $F_lines -e "$F_pattern" "$1" | while IFS= read -r F_text || [ -n "$F_text" ]; do
    case $F_text in
      --) echo -- ;;
      *) printf '%s\0%s\n' "$1" "$F_text" ;;
    esac
  done
}
F_n=$#
while [ "$F_n" -gt 0 ]; do
  F_n=$((F_n - 1))
  F_one=$1
  shift
  case $F_one in
    *"$F_nl"*) bivy_print "$F_one" ;;
    *) set -- "$@" "$F_one" ;;
  esac
done
[ $# = 0 ] || grep -l $F_kind $F_case -e "$F_pattern" "$@" | while IFS= read -r F_one; do
  bivy_print "$F_one"
done
