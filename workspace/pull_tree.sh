# Goes into a workspace, and takes its files as they are without changing it;
# the beginning of pull.sh and diff.sh. Set by the caller: W_dir, W_format.
bivy_need_git
# A replacement is an opinion of that repository, and an object that is not
# there is not to be fetched from anywhere.
export GIT_NO_REPLACE_OBJECTS=1 GIT_GRAFT_FILE=/dev/null/none GIT_NO_LAZY_FETCH=1
W_git= W_tmp=
trap '[ -z "$W_tmp" ] || rm -rf "$W_tmp"' EXIT
trap 'exit 1' HUP INT TERM

[ -d "$W_dir" ] && cd -P -- "$W_dir" || bivy_trouble gone
W_words=$(bivy_git rev-parse --show-prefix --absolute-git-dir 2>/dev/null) || bivy_trouble norepo
{
  read -r W_prefix
  read -r W_git
} <<E
$W_words
E
# A prefix means that git found another repository, further up.
[ -z "$W_prefix" ] || bivy_trouble norepo
# git before 2.28 does not know the question, and knows one format only.
W_has=$(bivy_git rev-parse --show-object-format 2>/dev/null)
case $W_has in sha1|sha256) ;; *) W_has=sha1 ;; esac
[ "$W_has" = "$W_format" ] || bivy_trouble format
W_head=$(bivy_git rev-parse -q --verify 'HEAD^{commit}') || W_head=
# The tree that git knows without having it.
W_base=$(bivy_git hash-object -t tree --stdin </dev/null)

# Makes W_tree of the files as they are: changed ones and untracked ones that
# are not ignored. The index is a copy, and objects go into a directory of our
# own. The copy keeps its time, since git takes a file for unread that is not
# older than the index.
bivy_as_it_is() {
  mkdir -p "$W_git/bivy" || bivy_trouble tree
  for W_one in "$W_git"/bivy/pull.*; do
    # What a crash left. A pid that is somebody else's by now only delays this.
    [ ! -d "$W_one" ] || kill -0 "${W_one##*.}" 2>/dev/null || rm -rf "$W_one"
  done
  W_tmp=$W_git/bivy/pull.$$
  mkdir "$W_tmp" && mkdir "$W_tmp/objects" || bivy_trouble tree
  [ ! -f "$W_git/index" ] || cp -p "$W_git/index" "$W_tmp/index" || bivy_trouble tree
  # Relative to here, unless it is absolute. In double quotes an item is read
  # like a C string.
  W_objects=$(bivy_git rev-parse --git-path objects)
  case $W_objects in /*) ;; *) W_objects=$(pwd -P)/$W_objects ;; esac
  GIT_ALTERNATE_OBJECT_DIRECTORIES=\"$(printf '%s' "$W_objects" | sed 's/[\\"]/\\&/g')\"
  GIT_OBJECT_DIRECTORY=$W_tmp/objects
  GIT_INDEX_FILE=$W_tmp/index
  export GIT_ALTERNATE_OBJECT_DIRECTORIES GIT_OBJECT_DIRECTORY GIT_INDEX_FILE
  # A repository inside this one has a history of its own, and git would add it
  # as a submodule that nobody can fetch. git reads back the names that it
  # quotes; a pathspec goes inside the quotes.
  bivy_git ls-files --others --exclude-standard --full-name -- :/ | sed -n 's,/\("*\)$,\1,p' >"$W_tmp/nested"
  sed 's/^/nested=/' "$W_tmp/nested"
  set -- -- :/
  if [ -s "$W_tmp/nested" ]; then
    { echo :/; sed 's/^\("*\)/\1:(top,exclude,literal)/' "$W_tmp/nested"; } >"$W_tmp/which"
    set -- --pathspec-from-file="$W_tmp/which"
  fi
  bivy_git -c core.splitIndex=false -c core.untrackedCache=false -c core.safecrlf=false add --all "$@" || bivy_trouble tree
  W_tree=$(bivy_git write-tree) || bivy_trouble tree
}
