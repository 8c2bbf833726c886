# The loop of a lane: one shell that runs one small operation after the other.
# POSIX sh only; run and tested by dash, bash, busybox ash, mksh and zsh. Every
# name starts with L_ or bivy_.
#
# A request is a line "KIND LENGTH TEXT", and what the kind says behind it:
#
#   call N TEXT   runs TEXT; its stdin are the N bytes behind the line
#   long N LEN    the same, with a text of LEN bytes behind the line
#   define 0 LEN  runs the LEN bytes behind the line in this very shell: they
#                 define functions
#
# The text of a call is one line of ASCII. It is read here by the shell
# itself, a byte at a time, which for a few hundred bytes costs less than a
# process does. L_nonce, set by whoever sends this, makes our marks ours.

L_dd=
unset CDPATH

# Passes on the next $1 bytes of stdin and no more, with dd operands behind, such
# as where to. A dd that does not know fullblock might stop after less; what it
# reads a byte at a time is never short. (That one says how much it was.)
bivy_exactly() {
  [ -n "$L_dd" ] || bivy_dd
  L_n=$1
  shift
  case $L_n,$L_dd in
    0,*) ;;
    *,1) dd bs=1 count="$L_n" "$@" ;;
    *) dd iflag=fullblock status=none bs="$L_n" count=1 "$@" ;;
  esac
}
bivy_dd() {
  L_dd=1 L_sync=
  ! dd iflag=fullblock status=none bs=1 count=1 </dev/null >/dev/null 2>&1 || L_dd=fullblock
  # To make the disk hold a file, GNU's, busybox's and FreeBSD's dd know a word.
  ! dd bs=1 count=0 conv=fsync </dev/null of=/dev/null >/dev/null 2>&1 || L_sync=1
}

# Runs one text in a shell of its own, which it may end, and where it may go to
# other directories. It ends with L_exit: 3 as long as it has read nothing of its
# stdin, 0 when that was all, and 4 in between, which leaves the next request
# nobody knows where.
bivy_serve() {
  if [ "$1" = 0 ]; then
    # No other sees the requests that follow.
    (L_exit=0 L_length=0; eval "$2") </dev/null
  else
    [ -n "$L_dd" ] || bivy_dd
    (L_exit=3 L_length=$1; eval "$2")
  fi
  L_status=$?
  case $1,$L_status in
    0,* | *,0) ;;
    *,3) bivy_exactly "$1" >/dev/null 2>&1 ;;
    # Nobody knows how much it has read.
    *) exit 75 ;;
  esac
}

# The mark stands behind all that the call has written, on both streams.
bivy_said() {
  printf '\036%s %s\n' "$L_nonce" "$1"
  printf '\036%s %s\n' "$L_nonce" "$1" >&2
}

bivy_lane() {
  while read -r L_kind L_stdin L_text; do
    case $L_kind in
      call) ;;
      # The point keeps newlines at the end.
      long | define)
        L_text=$(bivy_exactly "$L_text" 2>/dev/null && echo .)
        L_text=${L_text%.}
        ;;
      *) exit 76 ;;
    esac
    if [ "$L_kind" = define ]; then
      eval "$L_text"
      continue
    fi
    bivy_serve "$L_stdin" "$L_text"
    bivy_said "$L_status"
  done
}
