#!/usr/bin/env bash
# Continue a riff twice, to have a choice:
#
#     examples/continue_riff.sh [RIFF [SONG [OPTION …]]]
#     examples/continue_riff.sh my-riff.flac my-song --artist Sectoid --genre Metal --seconds 10
#
# Prints the two audio files. Run again, it goes on from where it stopped. Options are those of `jukectl continue`;
# JUKECTL is the command to run, where it is not jukectl.
set -euo pipefail

riff=${1:-$(dirname "$0")/riff.wav}
song=${2:-riff-song}
shift $(($# < 2 ? $# : 2))

${JUKECTL:-jukectl} continue "$riff" --out "$song" --samples 2 "$@"
