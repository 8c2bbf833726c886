# What is there before a workspace is made. Set by the caller: W_root, W_project,
# W_name, W_format.
bivy_look() {
  bivy_need_git
  bivy_expand "$W_root"
  W_root=$B_path
  W_dir=${W_root%/}/$W_project
  printf 'root=%s\n' "$W_root"
  if [ -e "$W_dir/$W_name" ] || [ -L "$W_dir/$W_name" ]; then
    printf 'exists=1\n'
    # Whose it is (identity.sh).
    if { read -r W_mark <"$W_dir/$W_name/.git/bivy-id"; } 2>/dev/null; then printf 'mark=%s\n' "$W_mark"; fi
  fi
  # The snapshots that this project's store has, newest first. The subject of
  # each names the commit it was taken from.
  [ ! -d "$W_dir/.store-$W_format.git" ] ||
    bivy_git -C "$W_dir/.store-$W_format.git" for-each-ref --sort=-committerdate --count=20 \
      --format='have=%(objectname) %(contents:subject)' refs/bivy/
}
