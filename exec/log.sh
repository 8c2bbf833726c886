# The part of the supervisor that keeps what a command writes in files on the
# host as well (B_log: up to how many bytes a stream is not worth a file). It
# travels only where it is asked for.

# tee takes the place of the pumps of bivy_keep, and its odd flags have the same
# purpose (tree.sh). Where there is no place for the files it passes on what it
# gets all the same.
bivy_log() {
  B_logs=$HOME/.bivy/log
  [ -d "$B_logs" ] || (umask 077; mkdir -p "$B_logs")
  { { bivy_run "$@" 4>&6 5>&1 6>&- | (bivy_tee 5 err 6>&-); } 6>&1 | (bivy_tee 4 out); }
  bivy_trim
}

# A command that never stops must not fill the disk, so a file ends at 256 MiB
# (ulimit counts blocks of 512 bytes, in bash of 1024). 25 is XFSZ, which some
# shells do not know by name: where it is ignored, a write fails instead.
bivy_tee() {
  bivy_deaf
  trap '' 25
  umask 077
  ulimit -f 524288
  exec tee -iiii "$B_logs/$B_run.$2" >&$1
}

# Removes the files of streams that were short, and says which are there, with
# their lengths. Files of former commands are removed after a week.
bivy_trim() {
  cd "$B_logs" || return
  # Lengths are in bytes, also for shells that count characters.
  LC_ALL=C
  B_out=$B_run.out B_err=$B_run.err
  set -- $(wc -c "$B_out" "$B_err")
  [ "$2 $4" = "$B_out $B_err" ] || return
  if [ "$1" -le "$B_log" ] && [ "$3" -le "$B_log" ]; then
    rm -f "$B_out" "$B_err"
    return
  fi
  bivy_strip "$B_out" $1
  set -- $B_size $3
  bivy_strip "$B_err" $2
  [ "$1 $B_size" = '0 0' ] || bivy_mark "log $1 $B_size"
  find . -type f -mtime +7 -exec rm -f {} +
}

# Takes our marks off the end of a file, which came by the same way as the
# output, so that they stood behind all of it. B_size: what is left, 0 where that
# is short and was removed. A file that ends with something else, since a child
# of the command wrote on, or since it was full, stays as it is.
bivy_strip() {
  B_size=$2
  B_end=$(tail -c 8192 "$1" | tr '\000' ' '; echo .)
  B_rs=$(printf '\036')
  B_first="${B_rs}bivy:$B_nonce "
  case $B_end in
    *"$B_first"*"$B_rs.")
      B_end=${B_end#*"$B_first"}
      B_size=$((B_size - ${#B_first} - ${#B_end} + 1))
      ;;
  esac
  if [ "$B_size" -le "$B_log" ]; then
    rm -f "$1"
    B_size=0
  elif [ "$B_size" != "$2" ]; then
    # Nothing is written, and what stands behind that place is cut off.
    dd if=/dev/null of="$1" bs=1 seek="$B_size" count=0
  fi
}
