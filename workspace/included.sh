# What of the ignored files that were taken along, because .bivy/include names
# them, exists here only; the inside of a function, called in a subshell. Set by
# the caller: W_dir, W_limit (how many to list).
#
# .git/bivy-included lists them as they were sent: "ID PATH", each ended by a
# NUL, where ID is what git hash-object says of the file, or, of a symbolic
# link, of the text in it. Without that list nothing was taken along. One that is
# gone here is no loss; one that differs is, and so is a file that
# .bivy/include names and the list does not.
cd -P -- "$W_dir" || exit 0
W_list=$(bivy_git rev-parse --git-dir 2>/dev/null)/bivy-included
if [ ! -e "$W_list" ]; then
  printf 'included_count=0\n'
  exit 0
fi
W_count=0
bivy_tell() {
  W_count=$((W_count + 1))
  [ "$W_count" -gt "$W_limit" ] || printf 'included=%s\n' "$1"
}
bivy_puzzled() { printf 'included_count=?\nunknown=%s\n' "$1"; exit 0; }

[ "$(tr -cd '\001' <"$W_list" | wc -c)" -eq 0 ] || bivy_puzzled "$W_list has a name with a control character"

# One git for all files with names that its list of lines can hold. Only those
# of others get one each.
W_plain=$(bivy_lines <"$W_list" | while IFS= read -r W_line; do
  bivy_path "${W_line#* }"
  if [ -L "$W_path" ]; then continue; fi
  case $W_path in *"$W_nl"*|'"'*) continue ;; esac
  [ ! -e "$W_path" ] || bivy_line "$W_line"
done)
W_now=
if [ -n "$W_plain" ]; then
  W_now=$(sed 's/^[^ ]* //' <<E | bivy_git hash-object --stdin-paths 2>&1
$W_plain
E
) || bivy_puzzled "${W_now##*"$W_nl"}"
fi
W_odd=$(bivy_lines <"$W_list" | while IFS= read -r W_line; do
  bivy_path "${W_line#* }"
  if [ -L "$W_path" ]; then
    W_text=$(readlink "./$W_path" && echo .)
    W_id=$(printf %s "${W_text%??}" | bivy_git hash-object --stdin)
  else
    case $W_path in *"$W_nl"*|'"'*) ;; *) continue ;; esac
    [ -e "$W_path" ] || continue
    W_id=$(bivy_git hash-object -- "$W_path" 2>/dev/null)
  fi
  [ "$W_id" = "${W_line%% *}" ] || bivy_line "$W_line"
done)
while IFS= read -r W_line && IFS= read -r W_id <&3; do
  [ "$W_id" = "${W_line%% *}" ] || bivy_tell "${W_line#* }"
done <<E 3<<F
$W_plain
E
$W_now
F
if [ -n "$W_odd" ]; then
  while IFS= read -r W_line; do bivy_tell "${W_line#* }"; done <<E
$W_odd
E
fi

# New ones. What is listed stands here twice, so what stands here once is not.
if [ -f .bivy/include ]; then
  W_found=$(bivy_git ls-files -z --others --ignored --exclude-from=.bivy/include 2>/dev/null | bivy_lines) ||
    bivy_puzzled '.bivy/include cannot be read'
  W_new=$({
    bivy_lines <"$W_list" | sed 's/^[^ ]* //;p'
    [ -z "$W_found" ] || cat <<E
$W_found
E
  } | sort | uniq -u)
  if [ -n "$W_new" ]; then
    while IFS= read -r W_line; do bivy_tell "$W_line"; done <<E
$W_new
E
  fi
fi
printf 'included_count=%s\n' "$W_count"
