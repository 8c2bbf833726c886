# What is known of files, one line each: a letter, the mode, size in bytes, time
# of the last change in seconds, uid, gid, links, inode; what is not known is -.
# The letter says how the mode is written: c hexadecimal (GNU, busybox), f octal
# (BSD), l as ls shows it. $1 is -L to follow links, or empty. A GNU stat that
# does not find a file prints the others and fails, so then each is asked alone.
bivy_lines() {
  F_follow=$1
  shift
  F_lines=$(stat $F_follow -c 'c %f %s %Y %u %g %h %i' "$@" 2>/dev/null) && return
  F_lines=$(stat $F_follow -f 'f %p %z %m %u %g %l %i' "$@" 2>/dev/null) && return
  F_lines=
  for F_one; do
    F_line=$(stat $F_follow -c 'c %f %s %Y %u %g %h %i' "$F_one" 2>/dev/null) ||
      F_line=$(stat $F_follow -f 'f %p %z %m %u %g %l %i' "$F_one" 2>/dev/null) ||
      bivy_ls "$F_one"
    F_lines="$F_lines${F_lines:+
}$F_line"
  done
}

# F_line for the file $1, where there is no stat. A name may go on in further
# lines of ls. The time is ls's in a form that has no year or no hour; date -r
# tells it where it knows that, but follows links.
bivy_ls() {
  F_line='? - - - - - - -'
  F_out=$(ls -ldn${F_follow#-} "$1" 2>/dev/null) || return
  read -r F_m F_l F_u F_g F_s F_out <<E
$F_out
E
  case $F_s in ''|*[!0-9]*) F_s=0 ;; esac
  F_t=-
  [ -L "$1" ] && [ -z "$F_follow" ] || F_t=$(date -r "$1" +%s 2>/dev/null) || F_t=-
  F_line="l $F_m $F_s ${F_t:--} $F_u $F_g $F_l -"
}

# What the links among the files are links to: NUMBER:TARGET, with the first
# file as 1.
bivy_targets() {
  F_n=0
  for F_one; do
    F_n=$((F_n + 1))
    [ -L "$F_one" ] || continue
    F_to=$(readlink "$F_one" 2>/dev/null && echo .) || continue
    printf '%s\0' "$F_n:${F_to%??}"
  done
}

# Writes $1 and a NUL. The ksh family has no printf of its own, and no program
# takes so long an argument as this may be.
bivy_put() {
  if [ -n "$KSH_VERSION" ]; then
    print -rn -- "$1"
    printf '\0'
  else
    printf '%s\0' "$1"
  fi
}
