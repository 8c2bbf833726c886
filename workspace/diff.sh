# Prints what changed in a workspace since the commit W_snapshot: committed or
# not, untracked files too. Lines come first; the last of them is "body", and
# what follows is the text. Set by the caller, beside what pull_tree.sh wants:
# W_snapshot, W_stat (1: a summary only), W_color (always or never).
bivy_git cat-file -e "$W_snapshot^{tree}" 2>/dev/null || bivy_trouble snapshot
bivy_as_it_is
W_form='--patch --unified=3 --inter-hunk-context=0'
[ "$W_stat" != 1 ] || W_form=--stat=80
echo body
# diff-index knows few of the settings that git diff has; the account's are not
# to show in the text.
bivy_git -c diff.suppressBlankEmpty=false -c diff.indentHeuristic=true -c core.quotePath=true \
  diff-index --cached $W_form --color="$W_color" --no-ext-diff --no-textconv --find-renames --diff-algorithm=myers \
  --submodule=short --ignore-submodules=none --src-prefix=a/ --dst-prefix=b/ "$W_snapshot" -- || exit 1
