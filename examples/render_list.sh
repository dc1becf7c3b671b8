#!/usr/bin/env bash
# Render a list of songs, a line each: folder, artist, genre, seconds and seed, with tabs between. All but the folder may
# be left empty; empty lines and lines that begin with # are passed over.
#
#     examples/render_list.sh LIST.tsv [OPTION …]
#
# Run again, it skips what is finished and goes on with what is not. A song that fails does not stop the others; the exit
# status is 1 if there was one. Options are those of `jukectl sample`; JUKECTL is the command to run.
set -euo pipefail

list=${1:?usage: render_list.sh LIST.tsv [OPTION …]}
shift
failed=()

# read takes a row of tabs for one, so an empty field would be lost: put another character in their place
while IFS=$'\037' read -r out artist genre seconds seed _ || [ -n "$out" ]; do
  case $out in '' | '#'*) continue ;; esac
  status=0
  # shellcheck disable=SC2086  # the command may be several words
  ${JUKECTL:-jukectl} sample --out "$out" ${artist:+--artist "$artist"} ${genre:+--genre "$genre"} \
    ${seconds:+--seconds "$seconds"} ${seed:+--seed "$seed"} "$@" </dev/null || status=$?
  [ "$status" != 130 ] || exit 130 # Ctrl-C
  [ "$status" = 0 ] || failed+=("$out")
done < <(tr -d '\r' <"$list" | tr '\t' '\037')

if [ ${#failed[@]} -gt 0 ]; then
  echo "not rendered: ${failed[*]}" >&2
  exit 1
fi
