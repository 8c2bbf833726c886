# Renames a workspace, or says where one is whose renaming was cut off. Set by
# the caller: W_dir and W_new (where it is and is to be, side by side), W_id,
# W_names (both names, for the lock), W_look (1: change nothing), and what
# inspect.sh wants. Answers where=old, where=new or where=gone; what is told
# after where=old did not happen.
W_parent=${W_dir%/*}
trap bivy_unlock EXIT
trap 'exit 1' HUP INT TERM
if [ -d "$W_parent" ]; then bivy_lock "$W_parent" $W_names; fi

bivy_there() { [ -d "$1" ] && [ ! -L "$1" ] && bivy_ours "$1"; }

# The worktrees that an agent added know the repository by its path, and it
# knows theirs; those inside have moved with it. Whoever repairs this later must
# not take them for lost, so it is done again when the renaming is repeated.
bivy_mend() {
  for W_tree in "$W_new"/.git/worktrees/*; do
    [ -f "$W_tree/gitdir" ] && IFS= read -r W_link <"$W_tree/gitdir" || continue
    case $W_link in
      "$W_dir"/*)
        W_link=$W_new${W_link#"$W_dir"}
        printf '%s\n' "$W_link" >"$W_tree/gitdir"
        ;;
    esac
    [ -f "$W_link" ] && IFS= read -r W_back <"$W_link" || continue
    case $W_back in
      'gitdir: '*"/${W_dir##*/}/.git/worktrees/${W_tree##*/}")
        W_back=${W_back%"/${W_dir##*/}/.git/worktrees/${W_tree##*/}"}
        printf '%s\n' "$W_back/${W_new##*/}/.git/worktrees/${W_tree##*/}" >"$W_link"
        ;;
    esac
  done
}

if ! bivy_there "$W_dir"; then
  if bivy_there "$W_new"; then
    [ "$W_look" = 1 ] || bivy_mend
    echo 'where=new'
  elif [ -e "$W_dir" ] || [ -L "$W_dir" ]; then
    echo 'where=gone'
    [ "$W_look" = 1 ] || bivy_trouble replaced
  else
    echo 'where=gone'
    [ "$W_look" = 1 ] || bivy_trouble gone
  fi
  exit 0
fi
echo 'where=old'
[ "$W_look" != 1 ] || exit 0
if [ -e "$W_new" ] || [ -L "$W_new" ]; then bivy_trouble exists; fi
W_only=running
W_report=$(bivy_inspect)
printf '%s\n' "$W_report"
case "
$W_report
" in *"
running_count=0
"*) ;; *) exit 0 ;; esac

# The id tells where the workspace is, should we not get to say it. On a full
# disk it cannot be written.
bivy_sign "$W_dir" 2>/dev/null
bivy_inode() { ls -di "$1" | { read -r W_number W_rest && echo "$W_number"; }; }
W_inode=$(bivy_inode "$W_dir")
bivy_held || bivy_trouble lock_lost
cd / && mv "$W_dir" "$W_new" || bivy_trouble rename
# mv onto a directory that appeared meanwhile has moved it into that.
if [ "$(bivy_inode "$W_new")" != "$W_inode" ]; then
  mv "$W_new/${W_dir##*/}" "$W_dir" || bivy_trouble rename
  bivy_trouble exists
fi
bivy_mend
echo 'where=new'
