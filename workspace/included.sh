# The files that .bivy/include took along, which the workspace's own repository
# ignores. A second repository, .git/bivy/included, has them in its index: so git
# tells whether one was changed there, and does not overwrite it. Run where the
# workspace's top is the current directory. Set by the caller: W_git, the
# absolute path of .git.

# git for that repository. Its objects are the workspace's.
bivy_git_included() {
  GIT_DIR=$W_git/bivy/included GIT_WORK_TREE=. GIT_OBJECT_DIRECTORY=$W_git/objects bivy_git "$@"
}

# Lets the workspace's own repository ignore them: W_exclude are lines for
# info/exclude, of which some may stand there.
bivy_exclude() {
  [ -n "$W_exclude" ] || return 0
  mkdir -p "$W_git/info" && : >>"$W_git/info/exclude" || return 1
  W_lines=$(printf '%s\n' "$W_exclude" | grep -F -x -v -f "$W_git/info/exclude")
  [ -z "$W_lines" ] || printf '%s\n' "$W_lines" >>"$W_git/info/exclude"
}

# Brings the files from what they were to the tree $1, which may be none; with
# $2, -n, only says whether that would do. One that was changed there, or is in
# the way, is left alone, and nothing is done.
bivy_include() {
  W_inc=$W_git/bivy/included
  if [ ! -d "$W_inc" ]; then
    [ -n "$1" ] || return 0
    mkdir -p "$W_git/bivy" && rm -rf "$W_inc.new" || return 1
    bivy_git init --quiet --bare --template= ${W_object-} "$W_inc.new" || return 1
    # These have the last word: a file is to be the bytes that it is, whatever
    # .gitattributes say of it.
    mkdir -p "$W_inc.new/info" &&
      printf '%s\n' '* -text -filter -ident -working-tree-encoding !eol' >"$W_inc.new/info/attributes" &&
      rm -rf "$W_inc.new/objects" && mkdir "$W_inc.new/objects" &&
      mv "$W_inc.new" "$W_inc" || return 1
  fi
  W_was=$(bivy_git rev-parse -q --verify refs/bivy/included) || W_was=$(bivy_git hash-object -t tree -w --stdin </dev/null) || return 1
  W_will=${1:-$(bivy_git hash-object -t tree -w --stdin </dev/null)} || return 1
  [ "$W_was" != "$W_will" ] || return 0
  bivy_git_included update-index -q --refresh >/dev/null
  bivy_git_included read-tree ${2-} -m -u "$W_was" "$W_will" || return 1
  [ -z "${2-}" ] || return 0
  bivy_git update-ref refs/bivy/included "$W_will"
}

# Prints a line for each of the files that is not as it was sent.
bivy_included_changes() {
  [ -d "$W_git/bivy/included" ] || return 0
  # What was only touched is no change; a refresh finds that out.
  bivy_git_included update-index -q --refresh >/dev/null
  bivy_git_included diff-files --name-status
}
