#!/bin/sh
# Fine-tuning from end to end: the built-in model learns a new artist from five songs, once with all of its weights and
# once by an adapter. Before and after it is judged on a song that neither training nor early stopping has heard.
# Needs Debian 12. Run again to go on from where it stopped; remove build/finetune/runs and codes for another model.
set -e
model=${1:-mini}
out=build/finetune
here=$(dirname "$0")

[ -d $out/music/unheard ] || python "$here/fetch_songs.py" $out/music
for part in songs unheard; do
  jukectl data scan $out/music/$part
  jukectl data encode $out/music/$part/manifest.jsonl --out $out/codes/$part --levels top --model "$model"
done

jukectl train prior "$here/whole.toml" --from "$model"
jukectl models assemble $out/whole --base "$model" $out/runs/whole
jukectl train prior "$here/adapter.toml" --from "$model"
jukectl models merge "$model" --adapter $out/runs/adapter/adapter.safetensors --out $out/merged

for judged in "$model" $out/whole $out/merged; do
  echo "== $judged"
  jukectl eval prior $out/codes/unheard --levels top --model "$judged" --segments 12
done

jukectl sample --out $out/sample --model "$model" --adapter $out/runs/adapter/adapter.safetensors \
  --artist "Kenta Cho" --genre Electronic --seconds 10 --levels top
