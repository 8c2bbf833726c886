# Searches files. After the three of bivy_begin: PATH, a file or a directory;
# CAP: how many bytes may come; PATTERN; FIXED: 1 where it is no regular
# expression; ICASE: 1; CONTEXT: lines around each match; IGNORED: 1 to search
# what git ignores, too; BATCH: the text of grepbatch.sh. The body: the word of
# who answers, ended by a NUL, and what it prints, which is nearly the same for
# all: NAME NUL NUMBER, : or - for a match or its context, the line. git has NUL
# in place of : and -, and the column in front of the text of a match. Lines
# with -- may stand between. rg comes first, since it is the fastest, then git,
# then grep.
bivy_grep() {
  bivy_begin "$1" "$2" "$3"
  F_most=$5 F_pattern=$6 F_fixed=$7 F_icase=$8 F_context=$9
  shift 3
  F_ignored=$7 F_batch=$8
  bivy_path "$1" || bivy_fail
  F_what=. F_single=
  if [ -f "$F_path" ]; then
    # Neither git nor find follows a link.
    bivy_follow && bivy_enter || bivy_fail
    F_what=$F_name F_single=1
    [ -r "$F_what" ] || bivy_fail denied "$F_path"
  else
    bivy_go || bivy_fail
    [ -r . ] || bivy_fail denied "$F_path"
  fi
  F_case= F_lines=
  [ "$F_icase" != 1 ] || F_case=-i
  [ "$F_context" = 0 ] || F_lines=-C$F_context
  # The status comes around the cap, which would hide it.
  exec 4>&1
  F_code=$( { { bivy_search; echo "$?" >&3; } | bivy_cap "$F_most" >&4; } 3>&1)
  bivy_end "code=$F_code" "single=$F_single"
}

bivy_search() {
  if command -v rg >/dev/null 2>&1; then
    F_kind=
    [ "$F_fixed" != 1 ] || F_kind=-F
    F_all=
    [ "$F_ignored" != 1 ] || F_all=--no-ignore
    printf 'rg\0'
    rg --no-config --no-messages --hidden -g '!.git' --null --no-heading -nH --color never --max-columns 65536 --max-columns-preview \
      $F_kind $F_all $F_case $F_lines -e "$F_pattern" -- "$F_what"
    return
  fi
  F_kind=-E
  [ "$F_fixed" != 1 ] || F_kind=-F
  if [ "$F_ignored" != 1 ] && bivy_in_git; then
    printf 'git\0'
    bivy_git -c grep.fullName=false grep --untracked --no-color -z -nI --column $F_kind $F_case $F_lines -e "$F_pattern" -- "$F_what"
    return
  fi
  # A status above 1 is a flag or a pattern that this grep does not take. It is
  # given a line, since busybox looks at the pattern only then.
  echo | grep -I --null $F_kind $F_case $F_lines -e "$F_pattern" >/dev/null 2>&1
  if [ $? -le 1 ]; then
    printf 'grep\0'
    find "$F_what" -name .git -prune -o -type f -exec grep -nHI --null $F_kind $F_case $F_lines -e "$F_pattern" {} + 2>/dev/null
    return 0
  fi
  echo | grep $F_kind $F_case -e "$F_pattern" >/dev/null
  [ $? -le 1 ] || return 2
  # A context that this grep does not know is left out.
  echo | grep $F_kind $F_case $F_lines -e "$F_pattern" >/dev/null 2>&1
  [ $? -le 1 ] || F_lines=
  printf 'grep\0'
  find "$F_what" -name .git -prune -o -type f \
    -exec sh -c "$F_batch" sh "$F_kind" "$F_case" "$F_lines" "$F_pattern" {} + 2>/dev/null
  return 0
}
