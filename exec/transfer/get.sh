# Gives a file or a tree. After the three of bivy_begin: PATH.
#
# The lines on stdin: "send BIG": the content, or a tar archive of the directory,
# comes, and its hash; "sum BIG": only the hash, for a content that comes on
# another way; "meta": what is known of the file now.
bivy_get() {
  bivy_begin "$1" "$2" "$3"
  shift 3
  bivy_path "$1" || bivy_fail
  if [ ! -e "$F_path" ]; then
    bivy_why "$F_path"
    bivy_fail
  fi
  exec 5>&1
  F_far=
  if [ -d "$F_path" ]; then
    F_type=dir
    bivy_go || bivy_fail
    [ -r . ] || bivy_fail denied "$F_path"
    command -v tar >/dev/null 2>&1 || bivy_fail lacks_tar
    bivy_lines '' .
    bivy_choose 1
  else
    F_type=file F_digest=
    # Neither a FIFO nor a device: reading it may never end, or do something.
    [ -f "$F_path" ] || bivy_fail special "$F_path"
    [ -r "$F_path" ] || bivy_fail denied "$F_path"
    bivy_lines -L "$F_path"
    exec 3<"$F_path"
    bivy_far "$F_path" fd/3
  fi
  bivy_branch
  bivy_say is=open "type=$F_type" "meta=$F_lines" "far=$F_far" "digest=$F_digest"
  while read -r F_do F_arg; do
    case $F_do in
      send) bivy_choose "$F_arg"; bivy_send ;;
      sum) bivy_choose "$F_arg"; bivy_say is=sum "sum=$(bivy_digest <"$F_path")" ;;
      meta) bivy_lines -L "$F_path"; bivy_say is=meta "meta=$F_lines" ;;
    esac
  done
}

# The content goes to stdout, which is 5 here, and to the digest. Both answer
# through the substitution, which is 7: "ok", if it was read to its end, and then
# the hash.
bivy_send() {
  if [ -n "$F_branch" ]; then
    F_sums=$({ { { bivy_content && echo ok >&7; } | tee "$F_branch" 6>&4 >&5; } 4>&1 | bivy_digest; } 7>&1)
  else
    F_sums=$({ bivy_content && echo ok >&7; } 7>&1 >&5)
  fi
  case $F_sums in
    ok*) ;;
    *) bivy_fail failed "$F_path" ;;
  esac
  F_sums=${F_sums#ok}
  bivy_say is=sum "sum=${F_sums#"$F_nl"}"
}

# macOS would add what its file system knows beside the content.
bivy_content() {
  if [ "$F_type" = file ]; then
    cat <&3
  else
    (unset TAR_OPTIONS; COPYFILE_DISABLE=1; export COPYFILE_DISABLE; exec tar -cf - .)
  fi
}
