# Shared by the scripts that make, look at and remove workspaces on a host.
# POSIX sh. They answer on stdout in lines "key=value"; a line "trouble=KIND"
# says what went wrong, and git's own last words go to stderr.

# Nothing here may wait for a human or be changed by the account's git config.
export LC_ALL=C GIT_TERMINAL_PROMPT=0 GIT_LFS_SKIP_SMUDGE=1 GIT_OPTIONAL_LOCKS=0
unset CDPATH GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES \
  GIT_DEFAULT_HASH GIT_DEFAULT_REF_FORMAT
bivy_git() {
  git -c core.hooksPath=/dev/null -c core.fsmonitor=false -c gc.auto=0 -c maintenance.auto=false \
    -c advice.detachedHead=false -c init.defaultBranch=main \
    -c init.defaultObjectFormat=sha1 -c init.defaultRefFormat=files "$@"
}

# git with another index, $1. In a subshell: a variable that is set in front of
# a function stays set in zsh.
bivy_indexed() (
  export GIT_INDEX_FILE="$1"
  shift
  bivy_git "$@"
)

bivy_trouble() {
  printf 'trouble=%s\n' "$1"
  exit 1
}

bivy_need_git() {
  command -v git >/dev/null 2>&1 || bivy_trouble no_git
}

# ~ in what a user typed is the home directory here.
bivy_expand() {
  case $1 in
    '~') B_path=$HOME ;;
    '~/'*) B_path=$HOME/${1#'~/'} ;;
    /*) B_path=$1 ;;
    *) B_path=$HOME/$1 ;;
  esac
}
