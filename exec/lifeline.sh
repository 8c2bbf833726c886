# The part of the supervisor that ends a command without stdin of its own. It
# travels only where it is needed, with tree.sh as the value of B_tree: most
# commands end by themselves, and to parse it costs more than to read it.

# The lifeline is the session's stdin, which the client holds open. The words
# "end" and "kill" on it are orders; when it ends without a word, the client,
# its master or the connection is gone, and the command is ended as well, unless
# it was asked to outlive that (B_keep). What is done is said on stdout, which
# is read by bivy_report. Signals are ignored until then: the command may send
# them to the whole group, and one that is caught interrupts read, which would
# look like the lifeline's end.
bivy_watch() {
  trap '' HUP INT QUIT TERM PIPE USR1 USR2
  B_word=
  while read -r B_word; do
    case $B_word in end|kill) break ;; esac
  done
  eval "$B_tree"
  if [ -z "$B_word" ] && [ -n "$B_keep" ]; then
    bivy_cut
    exit
  fi
  B_over= B_hurry=
  trap 'B_over=1 B_jolt=1' USR1
  trap 'B_hurry=1 B_jolt=1' USR2
  [ "$B_word" != kill ] || B_hurry=1
  echo '!ended'
  B_reader=
  if [ "$B_word" = end ]; then
    bivy_self
    bivy_hurry <&3 >/dev/null &
    B_reader=$!
  fi
  bivy_end
  [ -z "$B_reader" ] || kill -KILL $B_reader
  bivy_survivors | while read -r B_line; do echo "!left $B_line"; done
  echo "!done $B_complete"
}

# A second word cuts the grace short. The end of the lifeline does not: whoever
# asked politely may be gone by now.
bivy_hurry() {
  while read -r B_word; do
    case $B_word in kill) kill -USR2 $B_self ;; esac
  done
}
