# Finds and ends what one command started. A stand-in that knows the
# environment only.
bivy_find() {
  B_alive=
  for B_file in $(grep -lsF "BIVY_RUN=$B_run" /proc/[0-9]*/environ); do
    B_file=${B_file%/environ}
    { read -r B_line <"$B_file/stat"; } || continue
    case ${B_line##*) } in Z*) continue ;; esac
    B_alive="$B_alive ${B_file#/proc/}"
  done
  [ -z "$B_alive" ] || B_found=1
}
bivy_end() {
  B_found=0 B_complete=1 B_tenths=$((B_grace * 10))
  bivy_find
  [ "$B_hurry" = 1 ] || [ -z "$B_alive" ] || kill -TERM $B_alive
  while bivy_find; [ -n "$B_alive" ] && [ "$B_hurry" != 1 ] && [ "$B_tenths" -gt 0 ]; do
    sleep 0.1
    B_tenths=$((B_tenths - 1))
  done
  [ -z "$B_alive" ] || kill -KILL $B_alive
  B_tenths=10
  while bivy_find; [ -n "$B_alive" ] && [ "$B_tenths" -gt 0 ]; do
    sleep 0.1
    B_tenths=$((B_tenths - 1))
  done
}
bivy_survivors() {
  for B_file in $B_alive; do
    echo "$B_file $(tr '\0' ' ' <"/proc/$B_file/cmdline")"
  done
}
