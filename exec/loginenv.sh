# Prints what an interactive login on this host finds in its environment, as
# NUL-free fields behind a mark, since rc files may print anything before it.
# $1 is path (PATH and LANG only) or full (everything).
#
# The login shell is asked with -l and -i, because many people set PATH in a
# file that only interactive shells read. It has no terminal and no stdin. What
# to print reaches it in a variable, which bash, zsh, fish and tcsh all expand
# alike inside double quotes, so no quoting has to survive them.
B_shell=${SHELL:-/bin/sh}
case $1 in
  full) B_print='printf "[bivy:env]"; env -0' ;;
  *) B_print='printf "[bivy:env]PATH=%s\0LANG=%s\0" "$PATH" "$LANG"' ;;
esac
export B_print
case ${B_shell##*/} in
  # csh takes -l only alone; it reads .cshrc always, and .login we read.
  csh|tcsh) exec "$B_shell" -c 'if (-r ~/.login) source ~/.login; exec /bin/sh -c "$B_print"' </dev/null 2>/dev/null ;;
  *) exec "$B_shell" $2 -c 'exec /bin/sh -c "$B_print"' </dev/null 2>/dev/null ;;
esac
