# Reads a regular file. After the three of bivy_begin: PATH; HOW: bare (all of
# it, and nothing about it, which is one process), whole, bytes, lines or tail;
# MAX: how many bytes may come; CAP: one more than that; HASH: the largest file
# that is hashed here when not all of it is sent; FROM and COUNT: the first line
# and how many, 0 for all (lines), how many (tail), blocks to skip and to send
# (bytes), blocks to send (whole). Sums are made on the other side, since mksh
# counts in 32 bits.
#
# The whole content comes from one open file, so it is one version of it, and is
# hashed on the other side. A part is hashed here; that it belongs to the same
# version shows the inode, which is the same before and after.
bivy_read() {
  bivy_begin "$1" "$2" "$3"
  shift 3
  F_how=$2 F_max=$3 F_cap=$4 F_hashmax=$5 F_from=$6 F_count=$7
  bivy_path "$1" && bivy_locate || bivy_fail
  bivy_there
  [ ! -d "$F_file" ] || bivy_fail is_dir "$F_path"
  # Neither a FIFO nor a device: reading it may never end, or do something.
  [ -f "$F_file" ] || bivy_fail special "$F_path"
  [ -r "$F_file" ] || bivy_fail denied "$F_path"
  if [ "$F_how" = bare ]; then
    bivy_cap "$F_cap" <"$F_file" || bivy_unread
    bivy_end part=bare
  fi
  if [ "$F_how" = whole ]; then
    # The content goes out while we look what file it is.
    bivy_whole &
    F_sender=$!
  fi
  bivy_lines -L "$F_file"
  F_meta=$F_lines
  F_size=${F_meta#* * }
  F_size=${F_size%% *}
  [ "$F_how" != whole ] || wait "$F_sender" || bivy_unread
  case $F_size in ''|*[!0-9]*) bivy_fail gone "$F_path" ;; esac
  if [ "$F_how" != whole ]; then
    bivy_part || bivy_unread
  elif bivy_le "$F_size" "$F_max"; then
    bivy_end part=whole "meta=$F_meta"
  fi
  F_sha= F_breaks= F_open= F_head=
  if bivy_le "$F_size" "$F_hashmax"; then
    bivy_hash "$F_file" && F_sha=$F_hash
    if [ "$F_how" = whole ] && [ -n "$F_sha" ]; then
      # What was sent was perhaps read before the first look at the inode.
      F_head=$(bivy_cap "$F_max" <"$F_file" | { bivy_hash && echo "$F_hash"; })
    fi
    F_breaks=$(wc -l <"$F_file")
    F_breaks=${F_breaks##* }
    # A last line without a newline counts, too.
    [ -z "$(tail -c 1 "$F_file" | tr '\000' x)" ] || F_open=1
  fi
  bivy_lines -L "$F_file"
  bivy_there
  [ "$F_lines" = "$F_meta" ] || bivy_fail changed "$F_path"
  bivy_end part=part "meta=$F_meta" "sha256=$F_sha" "breaks=$F_breaks" "open=$F_open" "head=$F_head"
}

# dd is one process that knows where to stop, but it counts the short reads that
# files of /proc give; those have no size.
bivy_whole() {
  if [ -s "$F_file" ]; then
    exec dd if="$F_file" bs=65536 count="$F_count" 2>/dev/null
  fi
  bivy_cap "$F_cap" <"$F_file"
}

# How many lines come; BSD's wc puts spaces in front.
bivy_breaks() {
  F_n=$(wc -l)
  echo "${F_n##* }"
}

# Fails where the file is not there, or not any more.
bivy_there() {
  [ ! -e "$F_file" ] || return 0
  bivy_why "$F_path"
  bivy_fail
}

# Ends a read that went wrong in the middle.
bivy_unread() {
  bivy_there
  bivy_fail failed "$F_path"
}

# dd takes whole blocks, and the other side cuts off what is too much; so it is
# one process that seeks, and bs is large only where that saves time.
bivy_part() {
  case $F_how in
    bytes) dd if="$F_file" bs=4096 skip="$F_from" count="$F_count" 2>/dev/null ;;
    lines)
      if [ "$F_count" = 0 ]; then
        tail -n "+$F_from" "$F_file" | bivy_cap "$F_cap"
      elif [ "$F_from" = 1 ]; then
        head -n "$F_count" "$F_file" | bivy_cap "$F_cap"
      else
        tail -n "+$F_from" "$F_file" 2>/dev/null | head -n "$F_count" | bivy_cap "$F_cap"
      fi
      ;;
    tail)
      # Where the last lines are long, only so much of the end is looked at as
      # may come: a file may be one line of a terabyte.
      if bivy_le "$F_size" "$F_cap" || bivy_le "$F_count" "$(tail -c 65536 "$F_file" | bivy_breaks)"; then
        tail -n "$F_count" "$F_file" | tail -c "$F_cap"
      else
        tail -c "$F_cap" "$F_file" | tail -n "$F_count"
      fi
      ;;
  esac
}
