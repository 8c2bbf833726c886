# Looks at a directory that is to be adopted. Set by the caller: W_adopt. Nothing
# is written. The path is physical, so that the directory has one name only.
bivy_expand "$W_adopt"
[ -d "$B_path" ] || bivy_trouble no_dir
cd -P -- "$B_path" || bivy_trouble no_dir
W_real=$(pwd -P && echo .)
W_real=${W_real%??}
# A newline would end the line of the answer.
case $W_real in *'
'*) bivy_trouble odd_dir ;; esac
printf 'dir=%s\n' "$W_real"
# A prefix means that git found a repository further up.
if command -v git >/dev/null 2>&1 && W_prefix=$(bivy_git rev-parse --show-prefix 2>/dev/null) && [ -z "$W_prefix" ]; then
  printf 'branch=%s\n' "$(bivy_git symbolic-ref --short -q HEAD)"
fi
exit 0
