# git as we need it: nothing that the repository or the account has set up is
# run by it.
bivy_git() {
  GIT_OPTIONAL_LOCKS=0 GIT_TERMINAL_PROMPT=0 git -c core.fsmonitor=false -c core.hooksPath=/dev/null -c core.untrackedCache=false "$@"
}

# Whether we stand in a worktree, at a place that git does not ignore: what is
# looked for in an ignored directory is meant to be found. check-ignore says 1
# then, 0 for ignored, 128 outside of a worktree or where git does not trust it.
bivy_in_git() {
  command -v git >/dev/null 2>&1 || return
  bivy_git check-ignore -q . 2>/dev/null
  [ $? = 1 ]
}
