# Shared by all operations on files. POSIX sh only; run and tested by dash,
# bash, busybox ash, mksh and zsh. Every variable starts with F_, every function
# with bivy_. What we print on stdout is: a body (what a tool wrote, as it is),
# the mark, and facts "KEY=VALUE", each ended by a NUL, the last one "done". The
# mark holds a number that is new each time, so no file can hold it.
#
# No tool's message decides anything here, since they differ; tests of the
# shell do. Where only words tell (a full disk), they are read on the other
# side, and are those of the C locale. It also makes every shell count bytes.
export LC_ALL=C
unset CDPATH GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_PREFIX GIT_CEILING_DIRECTORIES \
  GIT_LITERAL_PATHSPECS GIT_GLOB_PATHSPECS GIT_NOGLOB_PATHSPECS GIT_ICASE_PATHSPECS GREP_OPTIONS GREP_COLORS
F_nl='
'

# Ends an operation with facts. One printf for all, since mksh has none of its
# own and starts a program each time. mksh's printf, a program, is the reason
# for the mark to stand in front of the first fact, too.
bivy_end() {
  F_first=$1
  shift
  printf '%s\0' "$F_mark$F_first" "$@" done
  exit "${L_exit:-0}" # which a lane needs to know (exec/lane)
}

# Ends an operation that cannot be done: F_kind says why, F_at where.
bivy_fail() {
  [ -z "$1" ] || F_kind=$1
  [ -z "$2" ] || F_at=$2
  bivy_end "trouble=$F_kind" "at=$F_at"
}

# What every operation is told first: the mark, the directory that relative
# paths mean, and whether paths must stay below it. cd -P leaves PWD without
# any link in it.
bivy_begin() {
  F_mark=$1 F_root=$2 F_inside=$3 F_kind= F_at= F_match=
  case $F_root in
    /*) ;;
    '~'*)
      bivy_tilde "$F_root" || bivy_fail
      F_root=$F_path
      ;;
    ''|.) F_root=$HOME ;;
    *) F_root=$HOME/$F_root ;;
  esac
  [ "$F_inside" = 1 ] || return 0
  if ! cd -P -- "$F_root" 2>/dev/null; then
    bivy_why "$F_root/."
    bivy_fail
  fi
  F_top=${PWD%/}
}

# F_path: an absolute path for the path $1 that a user typed.
bivy_path() {
  case $1 in
    /*) F_path=$1 ;;
    '~'*) bivy_tilde "$1" ;;
    *) F_path=$F_root/$1 ;;
  esac
}

# ~ and ~USER. Only the shell itself asks every kind of user database, and only
# for a word of its text, hence the eval; the name is checked before: letters,
# digits and ._- and no digit, sign or point in front, which name other things.
# In a subshell, since an unknown user ends zsh; the point keeps newlines.
bivy_tilde() {
  F_user=${1#'~'}
  F_user=${F_user%%/*}
  F_path=$HOME
  if [ -n "$F_user" ]; then
    F_kind=no_user F_at=$1
    case $F_user in [!A-Za-z_]*|*[!A-Za-z0-9._-]*) return 1 ;; esac
    F_path=$( (eval "printf %s. ~$F_user") 2>/dev/null)
    F_path=${F_path%.}
    case $F_path in /*) ;; *) return 1 ;; esac
    F_kind= F_at=
  fi
  F_path=$F_path${1#"~$F_user"}
}

# Why the path $1 is not there for us: the nearest thing above that is there
# tells. Sets F_kind and F_at.
bivy_why() {
  F_at=$1 F_kind=not_found F_up=$1
  case $1 in
    ?*/)
      # A file does not exist as FILE/.
      F_saved=$F_path F_path=$1
      bivy_trim
      F_up=$F_path F_path=$F_saved
      [ ! -e "$F_up" ] || [ -d "$F_up" ] || F_kind=not_dir F_at=$F_up
      [ $F_kind = not_found ] || return 0
      ;;
  esac
  while :; do
    while :; do case $F_up in ?*/) F_up=${F_up%/} ;; *) break ;; esac; done
    case $F_up in
      /) return ;;
      */*) F_up=${F_up%/*}/ ;;
      *) return ;;
    esac
    if [ -d "$F_up" ]; then
      [ -x "$F_up" ] || F_kind=denied F_at=$F_up
      return
    fi
    while :; do case $F_up in ?*/) F_up=${F_up%/} ;; *) break ;; esac; done
    if [ -e "$F_up" ]; then
      F_kind=not_dir F_at=$F_up
      return
    fi
  done
}

# F_path without slashes at its end, unless it is the root of all.
bivy_trim() {
  while :; do case $F_path in ?*/) F_path=${F_path%/} ;; *) return 0 ;; esac; done
}

# F_to: what the symbolic link $1 says. The point keeps newlines at its end.
bivy_readlink() {
  F_to=$(readlink "$1" && echo .) || return
  F_to=${F_to%??}
}

# F_path: where the symbolic links lead that it may be. The kernel stops after
# 40 as well.
bivy_follow() {
  F_hops=0
  while [ -L "$F_path" ]; do
    F_hops=$((F_hops + 1)) F_at=$F_path
    if [ "$F_hops" -gt 40 ]; then
      F_kind=loop
      return 1
    fi
    if ! bivy_readlink "$F_path"; then
      F_kind=lacks_readlink
      return 1
    fi
    case $F_to in
      /*) F_path=$F_to ;;
      *) F_path=${F_path%/*}/$F_to ;;
    esac
    bivy_trim
  done
}

# Goes to the directory that holds F_path; F_name is what is left: ./NAME, or .
# for the root of all. Who swaps one of the directories for a link afterwards
# leads us nowhere: we stand in the one that we have checked.
bivy_enter() {
  bivy_trim
  case $F_path in
    */.|*/..)
      if ! cd -P -- "$F_path" 2>/dev/null; then
        bivy_why "$F_path/."
        return 1
      fi
      F_path=$PWD
      ;;
  esac
  F_name=./${F_path##*/}
  if ! cd -P -- "${F_path%/*}/" 2>/dev/null; then
    bivy_why "$F_path"
    return 1
  fi
  [ "$F_path" != / ] || F_name=.
  bivy_within
}

# Whether we stand below the root, where that matters.
bivy_within() {
  [ "$F_inside" = 1 ] || return 0
  case $PWD/ in
    "$F_top"/*) return 0 ;;
  esac
  F_kind=outside F_at=$F_path
  return 1
}

# F_file: a name for what F_path is in the end, to be opened.
bivy_locate() {
  F_file=$F_path
  [ "$F_inside" = 1 ] || return 0
  bivy_trim
  bivy_follow && bivy_enter && F_file=$F_name
}

# Goes to the directory F_path.
bivy_go() {
  if ! cd -P -- "$F_path" 2>/dev/null; then
    if [ -d "$F_path" ]; then F_kind=denied F_at=$F_path
    elif [ -e "$F_path" ]; then F_kind=not_dir F_at=$F_path
    else bivy_why "$F_path"; fi
    return 1
  fi
  bivy_within
}

# Passes on at most $1 bytes. A head without -c fails before it reads; dd takes
# single bytes then, since it counts a short read from a pipe as a block.
bivy_cap() { head -c "$1" 2>/dev/null || dd bs=1 count="$1" 2>/dev/null; }

# Whether the number $1 is at most $2. The shell cannot tell by itself where it
# counts in 32 bits, as mksh does; so digits are compared, eight at a time, with
# a 1 in front since a 0 there would mean octal.
bivy_le() {
  [ ${#1} = ${#2} ] || {
    [ ${#1} -lt ${#2} ]
    return
  }
  F_a=$1 F_b=$2
  while [ ${#F_a} -gt 8 ]; do
    F_x=${F_a#????????} F_y=${F_b#????????}
    F_a=1${F_a%"$F_x"} F_b=1${F_b%"$F_y"}
    [ "$F_a" = "$F_b" ] || {
      [ "$F_a" -lt "$F_b" ]
      return
    }
    F_a=$F_x F_b=$F_y
  done
  [ "1$F_a" -le "1$F_b" ]
}
