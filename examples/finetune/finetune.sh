#!/bin/sh
# Fine-tuning from end to end: the built-in model learns a new artist from five songs, once with all of its weights and
# once by an adapter. Before and after it is judged on two songs of that artist that were kept from learning.
# Needs Debian 12. Run again to go on from where it stopped; with another model, remove build/finetune first.
set -e
model=${1:-mini}
out=build/finetune
here=$(dirname "$0")

[ -d $out/music ] || python "$here/fetch_songs.py" $out/music
jukectl data scan $out/music --keep-duplicates
jukectl data encode $out/music/manifest.jsonl --out $out/codes --levels top --model "$model"

jukectl train prior "$here/whole.toml" --from "$model"
jukectl models assemble $out/whole --base "$model" $out/runs/whole
jukectl train prior "$here/adapter.toml" --from "$model"
jukectl models merge "$model" --adapter $out/runs/adapter/adapter.safetensors --out $out/merged

for judged in "$model" $out/whole $out/merged; do
  jukectl eval prior $out/codes --held-out "$here/held_out.txt" --levels top --model "$judged" --segments 24
done

jukectl sample --out $out/sample --model "$model" --adapter $out/runs/adapter/adapter.safetensors \
  --artist "Kenta Cho" --genre Electronic --seconds 10 --levels top
