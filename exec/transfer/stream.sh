# Shared by put.sh and get.sh, behind the functions of exec/file. An operation is
# a dialog: one line on stdin says what to do, and each answer ends with facts,
# as in exec/file, so that many answers fit into one session.

# Answers with facts. The first says what it is an answer to. It is one write,
# so that what runs in the background may answer as well.
bivy_say() {
  F_first=$1
  shift
  printf '%s\0' "$F_mark$F_first" "$@" done
}

# F_digest: what hashes here; $1 is 1 where there is much to hash. openssl takes
# longer to start, and is three times as fast as the sha256sum of GNU.
bivy_choose() {
  if [ "$1" = 1 ]; then
    set -- openssl sha256sum sha256 shasum
  else
    set -- sha256sum sha256 openssl shasum
  fi
  for F_digest; do
    command -v "$F_digest" >/dev/null 2>&1 || continue
    F_sums=$(bivy_digest </dev/null 2>/dev/null)
    [ ${#F_sums} != 71 ] || return 0
  done
  F_digest=cksum
}

# The SHA-256 of stdin, or where nothing here can tell, the CRC and the length.
bivy_digest() {
  case $F_digest in
    sha256sum) F_sums=$(sha256sum) ;;
    sha256) F_sums=$(sha256 -q) ;;
    openssl) F_sums=$(openssl dgst -sha256 -r) ;;
    shasum) F_sums=$(shasum -a 256) ;;
    cksum)
      echo "cksum $(cksum)"
      return
      ;;
  esac
  echo "sha256 ${F_sums%%[!0-9a-f]*}"
}

# A second way out for tee, that no file system has to offer: the pipe on 6. It
# is missing where nobody mounted it.
bivy_branch() {
  F_branch=
  for F_fd in /dev/fd /proc/self/fd; do
    if [ -e "$F_fd/0" ]; then
      F_branch=$F_fd/6
      return
    fi
  done
}

# Writes to stdout what the lines BS COUNT and so many bytes behind each say,
# until a line that is 0. Nothing that POSIX has reads so many bytes of a pipe
# and not one more, but a dd that takes one at a time; most know fullblock.
bivy_chunks() {
  F_exact=
  ! dd iflag=fullblock status=none bs=1 count=1 </dev/null >/dev/null 2>&1 || F_exact=1
  while read -r F_bs F_count && [ "$F_bs" != 0 ]; do
    if [ -n "$F_exact" ]; then
      dd iflag=fullblock status=none bs="$F_bs" count="$F_count" || return
    else
      dd bs=1 count="$((F_bs * F_count))" 2>/dev/null || return
    fi
  done
  [ "$F_bs" = 0 ]
}

# F_far: a name for the file $1, which is $2 below /proc/PID, that no shell, no
# pattern and no version of scp could take for anything else.
bivy_far() {
  F_far=$1
  case $F_far in
    *[!A-Za-z0-9_@%+:,./-]*)
      F_far=/proc/$$/$2
      [ -e "$F_far" ] || F_far=
      ;;
  esac
}
