# Whose the directory of a workspace is: .git/bivy-id holds the workspace's id.
# Set by the caller: W_id.

# Whether the directory $1 may be ours: one without an id is of an older bivy,
# or no repository any more.
bivy_ours() {
  W_mark=
  [ ! -f "$1/.git/bivy-id" ] || { read -r W_mark <"$1/.git/bivy-id"; } 2>/dev/null
  [ -z "$W_mark" ] || [ "$W_mark" = "$W_id" ]
}

# Writes our id into the workspace $1.
bivy_sign() { [ ! -d "$1/.git" ] || printf '%s\n' "$W_id" >"$1/.git/bivy-id"; }
