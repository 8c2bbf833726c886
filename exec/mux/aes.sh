# Says whether the host's processor has instructions for AES-GCM: "aes 1" or,
# also where it cannot be told, "aes 0". It comes before guardian.sh's word that
# it is ready, on a line of its own whatever the login shell has printed. POSIX
# sh only; run by every shell that runs guardian.sh.
#
# Set by the frame: B_nonce.

# Linux lists them in one order per architecture: pclmulqdq and aes on x86, aes
# and pmull on ARM. It has a block for each processor, and grep reads to the
# first that matches. macOS has no /proc; of the two names it knows one.
bivy_aes() {
  B_aes=0
  if [ -r /proc/cpuinfo ]; then
    ! grep -E -q '( pclmulqdq( .*)? aes| aes( .*)? pmull)( |$)' /proc/cpuinfo || B_aes=1
  else
    case $(sysctl -n hw.optional.arm.FEAT_AES hw.optional.aes) in *1*) B_aes=1 ;; esac
  fi </dev/null 2>/dev/null
  printf '\n%s aes %s\n' "$B_nonce" "$B_aes"
}
