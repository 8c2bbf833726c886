# Names of any byte in a shell, which reads lines: a list with NULs becomes one
# of lines, in which the byte 1 stands for a newline. (Who has the byte 1 in a
# name cannot be told from that.)
W_nl='
'
W_break=$(printf '\001')
bivy_lines() { tr '\n\000' '\001\n'; }
bivy_unlines() { tr '\001\n' '\n\000'; }

# W_path: the name in the line $1. The point keeps newlines at its end.
bivy_path() {
  W_path=$1
  case $1 in
    *"$W_break"*)
      W_path=$(printf '%s.' "$1" | tr '\001' '\n')
      W_path=${W_path%.}
      ;;
  esac
}

# Prints the line $1. mksh has no printf of its own, and would start a program
# for each.
if [ -n "$KSH_VERSION" ]; then
  bivy_line() { print -r -- "$1"; }
else
  bivy_line() { printf '%s\n' "$1"; }
fi
