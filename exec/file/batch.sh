# One batch of list.sh. One printf for all names, for the sake of mksh.
bivy_lines '' "$@"
printf '%s\0' "b$#" "$@"
bivy_put "$F_lines"
bivy_targets "$@"
