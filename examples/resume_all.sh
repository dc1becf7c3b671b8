#!/usr/bin/env bash
# Finish every song in a folder of song folders that was begun and not finished, after a power cut for instance:
#
#     examples/resume_all.sh [FOLDER [OPTION …]]
#
# A song that fails, or that another jukectl is working on, does not stop the others; the exit status is 1 if there was one.
# Options are those of `jukectl resume`; JUKECTL is the command to run.
set -euo pipefail

folder=${1:-.}
shift $(($# < 1 ? $# : 1))
jukectl=${JUKECTL:-jukectl}
failed=()

for recipe in "$folder"/*/song.toml; do
  [ -e "$recipe" ] || continue # no song there
  song=$(dirname "$recipe")
  status=0
  facts=$($jukectl --json info "$song") || status=$?
  case $facts in
    *'"unfinished": []'*) continue ;;
    '') ;; # jukectl has said why
    *) $jukectl resume "$song" "$@" || status=$? ;;
  esac
  [ "$status" != 130 ] || exit 130 # Ctrl-C
  [ "$status" = 0 ] || failed+=("$song")
done

if [ ${#failed[@]} -gt 0 ]; then
  echo "not finished: ${failed[*]}" >&2
  exit 1
fi
