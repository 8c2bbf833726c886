# The files that .bivy/include took along, which the workspace's own repository
# ignores. A second repository, .git/bivy/included, has them in its index: so git
# tells whether one was changed there, and does not overwrite it. Behind lines.sh.
# Run where the workspace's top is the current directory. Set by the caller: W_git,
# the absolute path of .git.

# git for that repository. Its objects are the workspace's.
bivy_git_included() (
  export GIT_DIR="$W_git/bivy/included" GIT_WORK_TREE=. GIT_OBJECT_DIRECTORY="$W_git/objects"
  bivy_git "$@"
)

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

# The names of the included files that are not as they were sent, as bivy_lines
# gives them. One that is gone there is no loss.
bivy_included_changes() {
  # What was only touched is no change; a refresh finds that out.
  bivy_git_included update-index -q --refresh >/dev/null
  bivy_git_included diff-files -z --name-only --diff-filter=MT | bivy_lines
}

# The names of the files that .bivy/include means and that did not come from us.
bivy_included_new() {
  [ -f .bivy/include ] || return 0
  # What is sent stands here twice, so what stands here once is not.
  {
    bivy_git_included ls-files -z | bivy_lines | sed p
    bivy_git ls-files -z --others --ignored --exclude-from=.bivy/include | bivy_lines
  } | sort | uniq -u
}

# Tells what of the included files exists in the workspace W_dir only, for a rm;
# lists W_limit of them. A subshell keeps the cd to itself.
bivy_included() (
  cd -P -- "$W_dir" && W_git=$(bivy_git rev-parse --absolute-git-dir 2>/dev/null) && [ -d "$W_git/bivy/included" ] || {
    printf 'included_count=0\n'
    exit 0
  }
  { bivy_included_changes; bivy_included_new; } 2>&1 | {
    W_count=0
    while IFS= read -r W_line; do
      W_count=$((W_count + 1))
      [ "$W_count" -gt "$W_limit" ] || printf 'included=%s\n' "$W_line"
    done
    printf 'included_count=%s\n' "$W_count"
  }
)
